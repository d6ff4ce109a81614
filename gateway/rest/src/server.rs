//! HTTP/1.1 connections, with limits on their number, their headers and their idleness.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use clima_service::backoff::Backoff;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Limits;

/// Most headers of a request.
const HEADERS: usize = 64;

/// What a draining connection is granted beyond the longest time of a request, to write the answer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves until `shutdown`, then finishes the requests in flight.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> Result<(), Infallible> {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // A client that closes its half after the request still wants its answer.
        .half_close(true)
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.max_headers as usize)
        .max_headers(HEADERS);
    let service = TowerToHyperService::new(router);
    let places = Arc::new(Semaphore::new(limits.max_connections as usize));
    let connections = TaskTracker::new();
    let longest = limits.deadline.max(limits.body_timeout) + LAST_WORDS;
    let mut delays = Backoff::RECONNECT.delays();

    while let Some(next) = shutdown.run_until_cancelled(next(&listener, &places)).await {
        match next {
            Ok((stream, place)) => {
                delays.reset();
                let connection = http.serve_connection(TokioIo::new(stream), service.clone());
                let shutdown = shutdown.clone();
                connections.spawn(async move {
                    let mut connection = pin!(connection);
                    let outcome = tokio::select! {
                        outcome = connection.as_mut() => outcome,
                        () = shutdown.cancelled() => {
                            connection.as_mut().graceful_shutdown();
                            // Only half a request is not answered by then, and nobody can say when the rest comes.
                            let Ok(outcome) = timeout(longest, connection).await else { return };
                            outcome
                        }
                    };
                    if let Err(error) = outcome {
                        tracing::debug!(%error, "connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                // Most likely out of file descriptors: some are free again when connections end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(delays.next_delay()).await;
            }
        }
    }
    // An open port would take in connections that nobody serves.
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Fails only when the peer is gone already, which the connection will find out.
    stream.set_nodelay(true).ok();
    Ok((stream, place))
}
