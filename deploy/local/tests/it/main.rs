//! Claims about the local stack, checked with real servers.
//!
//! Each test has a stack of its own, since most of them kill something. They share the processor,
//! so deadlines are generous; nothing waits longer than it must.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

mod command;
mod configuration;
mod data;
mod promise;
mod services;
mod stacks;
mod wait;
