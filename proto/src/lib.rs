//! The contracts of Tweets del Clima.
//!
//! The `.proto` files of this folder are the single source of truth; this crate is their Rust side:
//! the generated messages and services, and the rules that every process must apply in the same way.
//!
//! - [`tweet`]: what a valid tweet is, with all violations at once;
//! - [`id`]: the identity that makes a retry harmless;
//! - [`event`]: the record that travels between our processes and rests in the brokers;
//! - [`intake`]: what the first process does with a request: check it, give it an id;
//! - [`fate`]: what an error says about counting, and how it is carried in a status;
//! - [`http_code`]: the gRPC ↔ HTTP table;
//! - [`descriptors`]: the descriptor set, for reflection and transcoding.
//!
//! It knows nothing of brokers, sockets or runtimes.

pub mod descriptors;
pub mod event;
pub mod fate;
mod generated;
pub mod http_code;
pub mod id;
pub mod intake;
pub mod tweet;

pub use generated::{clima, wethertweet};
