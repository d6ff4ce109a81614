//! What stands behind the front and the gateway in their tests.
//!
//! - [`Endpoint`]: a real gRPC server of `TweetIngestService` that records what it gets, answers by a script,
//!   holds its answers back, and can be killed;
//! - [`Reserved`]: an address where nothing listens yet, so that connections are refused;
//! - [`Silent`]: an address that accepts connections and never answers;
//! - [`Wire`]: a way to an endpoint whose connections can be reset;
//! - [`until`]: waits for a condition.
//!
//! For tests only. It is no mock of a writer: it stores nothing and promises nothing.

// Everything here runs in tests, where a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

mod endpoint;
mod until;
mod wire;

pub use endpoint::{Call, Endpoint, Reserved};
pub use until::{until, until_true, within};
pub use wire::{Silent, Wire};
