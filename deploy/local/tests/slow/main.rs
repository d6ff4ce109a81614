//! Claims about the running system, checked with programs that others wrote. They take longer than other tests, so
//! they are asked for: `make test-all`.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod grpc_web;
// Shared with the other tests, which use more of it.
#[allow(dead_code)]
#[path = "../it/http.rs"]
mod http;
mod openapi;
mod shared;
mod tools;
