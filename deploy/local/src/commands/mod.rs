//! One file per command.

mod detach;
pub(crate) mod down;
pub(crate) mod logs;
pub(crate) mod part;
pub(crate) mod status;
pub(crate) mod up;
