//! Claims about the gateway, checked by gRPC against two recording servers behind it.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

mod batches;
mod gateway;
mod outages;
mod process;
mod refusals;
mod replicas;
