//! The same parts as containers, by `docker compose` and `deploy/compose.yaml`.
//!
//! What the compose file leaves open comes from here: a project per state folder, ports, and passwords, all in a file of
//! that folder ([`settings`]). The file that people use with Docker alone is this one too, so there is one description.

mod command;
mod containers;
mod inspection;
mod leftovers;
mod logs;
mod project;
mod removal;
mod settings;
mod watcher;

pub(crate) use command::available;
pub(crate) use containers::Containers;
pub(crate) use project::Project;
pub(crate) use removal::Removal;
pub(crate) use settings::{Settings, port_lines};

pub use leftovers::remove_leftovers;
pub use logs::logs_command;
