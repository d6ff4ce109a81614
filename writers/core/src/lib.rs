//! The contract of a writer.
//!
//! A writer takes tweets in over gRPC and answers OK once its broker has made them durable. What the brokers
//! have in common is here: the [`Publisher`] that each implements, the ports in front of it, the settings.
//! `clima-writer-kafka` and `clima-writer-rabbitmq` are two answers to the same question.
//!
//! It knows no broker, and links no broker's client.

mod config;
#[cfg(feature = "contract")]
pub mod contract;
mod metrics;
mod outage;
mod publisher;
mod server;

pub use config::WriterConfig;
pub use publisher::{PublishError, Publisher};
pub use server::Writer;
