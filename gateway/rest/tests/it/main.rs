//! Claims about the REST front, checked over real sockets against an upstream that misbehaves on purpose.

// The setting in clippy.toml reaches test functions, but not what they call.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod accepted;
mod front;
mod http;
mod limits;
mod openapi;
mod outages;
mod refused;
mod stopping;
