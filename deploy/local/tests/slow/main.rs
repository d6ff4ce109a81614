//! Claims that take foreign toolchains to check, against a running stack: what strangers' programs see.
//!
//! `make test-all` runs them; the feature `slow` keeps them out of `cargo test`.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

mod clients;
mod stack;
