//! Claims about the gateway, checked over real sockets against two writers that misbehave on purpose.

// The setting in clippy.toml reaches test functions, but not what they call.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod batches;
mod both;
mod gateway;
mod outages;
mod replicas;
mod stopping;
mod web;
