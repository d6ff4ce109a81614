//! The three servers: their settings and how each is started.
//!
//! All data of a server is in `<state>/<name>`, and its output in `<state>/logs/<name>.log`.

pub(crate) mod kafka;
pub(crate) mod rabbitmq;
pub(crate) mod valkey;
