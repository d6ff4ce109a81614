//! What both consumers share.
//!
//! A consumer takes records from its broker, counts them in Valkey, and only then acknowledges them.
//!
//! - [`Source`]: what a broker must do; `clima-consumer-kafka` and `clima-consumer-rabbitmq` are two answers;
//! - [`Consumer`]: the loop over it, with poison set aside and every failure retried;
//! - [`store`]: counts a batch in Valkey, each id once.
//!
//! It knows no broker, and links no broker's client.

mod age;
mod config;
mod consumer;
#[cfg(feature = "contract")]
pub mod contract;
mod hand;
mod lag;
mod metrics;
mod pace;
mod source;
pub mod store;

pub use config::ConsumerConfig;
pub use consumer::Consumer;
pub use lag::{ASK_EVERY, Lag};
pub use metrics::Metrics;
pub use pace::Pace;
pub use source::{Record, Source, SourceError};
