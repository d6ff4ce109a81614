//! What the tests of the front and of the gateway share.
//!
//! - [`upstream`]: a real gRPC server in place of the next process, which records what reaches it and
//!   misbehaves on purpose;
//! - [`wait`]: waiting for a condition.
//!
//! It is a dev-dependency only: no process links it.

// All of this is test code, which the lints do not know.
#![allow(clippy::expect_used, clippy::unwrap_used)]

pub mod upstream;
pub mod wait;
