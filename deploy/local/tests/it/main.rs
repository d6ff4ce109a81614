//! Claims about the local stack, checked with real servers.
//!
//! Tests of the stack itself have one of their own, since most of them kill something; tests of the whole
//! system share one. They share the processor, so deadlines are generous; nothing waits longer than it must.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

// How the generated parts of the documentation are compared. The other pages use more of it.
#[allow(dead_code)]
#[path = "../docs/block.rs"]
mod block;
mod command;
mod configuration;
mod data;
mod docker;
mod exposition;
mod http;
mod input;
mod metrics;
mod movers;
mod pressure;
mod promise;
mod replica;
mod replicas;
mod second;
mod services;
mod settings;
mod shared;
mod stacks;
mod upgrades;
mod wait;
