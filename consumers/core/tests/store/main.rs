//! Claims about counting, checked against a real Valkey.

// The setting in clippy.toml reaches test functions, but not what they call.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod agreement;
mod counting;
mod durability;
mod events;
mod faults;
mod function;
mod model;
mod outages;
mod rights;
mod server;
mod versions;
mod waitaof;
mod windows;
