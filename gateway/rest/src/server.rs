//! The HTTP port: accepts connections, up to a limit.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::Router;
use clima_service::accept;
use clima_service::backoff::Backoff;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Limits;
use crate::connection::Connections;
use crate::front::Front;
use crate::metrics::HttpMetrics;

/// Serves until `shutdown`, then finishes the requests in flight.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    front: Arc<Front>,
    limits: Limits,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
) -> Result<(), Infallible> {
    let places = Arc::new(Semaphore::new(limits.max_connections as usize));
    metrics.limited_to(limits.max_connections);
    let connections = Connections::new(router, front, &limits, metrics.clone(), shutdown.clone());
    let open = TaskTracker::new();
    let serve = |stream, place| {
        let connection = connections.serve(stream);
        let connected = metrics.connected();
        open.spawn(async move {
            connection.await;
            drop((connected, place));
        });
    };
    let mut delays = Backoff::RECONNECT.delays();

    while let Some(next) = shutdown.run_until_cancelled(next(&listener, &places)).await {
        match next {
            Ok((stream, place)) => {
                delays.reset();
                serve(stream, place);
            }
            Err(error) => {
                // Most likely out of file descriptors: some are free again when connections end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(delays.next_delay()).await;
            }
        }
    }
    // Those that wait to be accepted may have sent a request, and would lose it.
    if let Ok(listener) = listener.into_std() {
        while let (Ok(place), Some(Ok(stream))) = (
            Arc::clone(&places).try_acquire_owned(),
            accept::waiting(&listener),
        ) {
            serve(stream, place);
        }
    }
    // Nobody connects any more to a port that will not answer.
    open.close();
    open.wait().await;
    Ok(())
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Fails only when the peer is gone already, which the connection will find out.
    stream.set_nodelay(true).ok();
    Ok((stream, place))
}
