//! What every process of Tweets del Clima shares.
//!
//! - [`process`]: the shape of `main` and the life of a process: start, ready, drain, exit code;
//! - [`config`]: flags and environment, all bad values reported at once;
//! - [`telemetry`], [`admin`], [`readiness`], [`buckets`], [`connections`]: logs, `/livez`, `/readyz`, `/metrics`;
//! - [`healthcheck`]: the question for `/readyz`, for containers without a shell;
//! - [`tasks`]: named tasks, of which none may die unnoticed;
//! - [`backoff`]: delays between attempts;
//! - [`grpc`], [`accept`]: the server side that every gRPC port has in common, and how a port closes;
//! - [`channel`]: a client channel over all addresses of a name;
//! - [`ports`]: the gRPC ports that take tweets in;
//! - [`ingest`]: tweets on their way to the next process, batched, with retries;
//! - [`sabotage`]: mistakes on purpose, in builds for tests only.
//!
//! It knows nothing of HTTP transcoding, of brokers or of Valkey.

pub mod accept;
pub mod admin;
pub mod backoff;
pub mod buckets;
pub mod channel;
pub mod config;
pub mod connections;
pub mod deadline;
pub mod grpc;
mod grpc_connections;
pub mod healthcheck;
pub mod ingest;
pub mod ports;
pub mod process;
mod process_metrics;
pub mod readiness;
pub mod sabotage;
pub mod tasks;
pub mod telemetry;
