//! Where a stack tells what it does: installing, ready, a part that died.

use std::fmt;
use std::sync::Arc;

/// Takes one message at a time; a message may have several lines.
#[derive(Clone)]
pub(crate) struct Notices(Arc<dyn Fn(&str) + Send + Sync>);

impl Notices {
    pub(crate) fn new(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    pub(crate) fn say(&self, message: impl AsRef<str>) {
        (self.0)(message.as_ref());
    }
}

impl Default for Notices {
    fn default() -> Self {
        Self::new(|message| eprintln!("{message}"))
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices")
    }
}
