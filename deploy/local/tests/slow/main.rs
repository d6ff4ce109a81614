//! Claims about the running system, checked with programs that others wrote: generated clients, a browser, a program
//! that makes requests out of the OpenAPI document.
//!
//! They take foreign toolchains and more time than other tests: `make test-all` runs them, and the feature `slow`
//! keeps them out of `cargo test`.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod clients;
mod full_disk;
mod grpc_web;
// Shared with the other tests, which use more of it.
#[allow(dead_code)]
#[path = "../it/http.rs"]
mod http;
mod openapi;
mod stack;
mod tools;
