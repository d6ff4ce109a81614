//! The pool of connections, and why one could not be opened.

use std::time::Duration;

use bb8_redis::bb8;
use tokio::sync::watch;

use super::connection::Connector;
use super::error::StoreError;

/// A connection is replaced when it is this old, so that changed settings and a changed address are noticed.
const MAX_AGE: Duration = Duration::from_mins(5);

/// Connections, each held by one caller at a time.
pub(super) struct Pool {
    connections: bb8::Pool<Connector>,
    failures: watch::Sender<Option<StoreError>>,
}

impl Pool {
    pub(super) fn new(connector: Connector, size: u32, wait: Duration) -> Self {
        let failures = watch::Sender::new(None);
        let connections = bb8::Pool::builder()
            .max_size(size)
            .connection_timeout(wait)
            .max_lifetime(MAX_AGE)
            .idle_timeout(None)
            // A round trip per batch would tell nothing that the call itself does not tell.
            .test_on_check_out(false)
            // The caller waits between attempts, and wants to know why this one failed.
            .retry_connection(false)
            .error_sink(Box::new(Failures(failures.clone())))
            .build_unchecked(connector);
        Self {
            connections,
            failures,
        }
    }

    /// A connection, or the reason why the attempt to open one failed. The pool alone would only tell, and
    /// only after its whole time, that there was none.
    pub(super) async fn get(&self) -> Result<bb8::PooledConnection<'_, Connector>, StoreError> {
        let mut failures = self.failures.subscribe();
        tokio::select! {
            biased;
            connection = self.connections.get() => connection.map_err(|error| match error {
                bb8::RunError::User(error) => error,
                bb8::RunError::TimedOut => StoreError::Timeout(None),
            }),
            Ok(()) = failures.changed() => {
                Err(failures.borrow().clone().unwrap_or(StoreError::Timeout(None)))
            }
        }
    }
}

#[derive(Debug)]
struct Failures(watch::Sender<Option<StoreError>>);

impl bb8::ErrorSink<StoreError> for Failures {
    fn sink(&self, error: StoreError) {
        self.0.send_replace(Some(error));
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<StoreError>> {
        Box::new(Self(self.0.clone()))
    }
}
