//! Claims about the REST front, checked over HTTP against a real gRPC server behind it.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

mod front;
mod http;
mod identity;
mod input;
mod limits;
mod outages;
mod process;
mod refusals;
