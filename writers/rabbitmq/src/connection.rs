//! Connections to RabbitMQ, with a limit to every wait.

use std::io;
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use crate::RabbitmqConfig;

/// Time for a broker to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Time for a broker to agree to the end of a connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Opens a connection that does not recover by itself: what was in flight on it is ambiguous, and only we
/// know how to go on.
///
/// # Errors
///
/// The broker cannot be reached, refuses us, or does not answer within ten seconds.
pub async fn connect(config: &RabbitmqConfig, role: &str) -> Result<Connection, lapin::Error> {
    let properties =
        ConnectionProperties::default().with_connection_name(format!("clima-{role}").into());
    let connecting = Connection::connect_uri(config.url.clone(), properties);
    within(CONNECT_LIMIT, connecting).await
}

/// Ends a connection. It may be gone already, or its broker silent; what it still carries fails with it either way.
pub async fn close(connection: &Connection, why: &str) {
    let closing = connection.close(200, why.into());
    timeout(CLOSE_LIMIT, closing).await.ok();
}

/// Waits for an answer no longer than this. lapin waits for as long as the connection stands, and a broker may keep that
/// alive and not answer.
///
/// # Errors
///
/// The answer's own, or that it did not come in time.
pub async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, lapin::Error> {
    timeout(limit, answer)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}
