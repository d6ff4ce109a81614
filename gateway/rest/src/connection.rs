//! One HTTP/1.1 connection, from its first byte to an end that loses no answer.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::map_response;
use axum::response::Response;
use futures::future::Either;
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Limits;
use crate::front::Front;
use crate::metrics::HttpMetrics;
use crate::pause::Pause;
use crate::socket::Socket;

/// Most headers of a request.
const HEADERS: usize = 64;

/// Longest time for a client to take its last answer while it still sends.
const LINGER: Duration = Duration::from_secs(2);

/// How long a connection is kept after the shutdown for one more request, whose answer tells the client to go. Who
/// closes a connection that is in use loses the request that is just on its way (RFC 9112, 9.5).
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// How connections are served.
pub(crate) struct Connections {
    http: http1::Builder,
    service: TowerToHyperService<Router>,
    front: Arc<Front>,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
}

impl Connections {
    pub(crate) fn new(
        router: Router,
        front: Arc<Front>,
        limits: &Limits,
        metrics: HttpMetrics,
        shutdown: CancellationToken,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // A client that closes its half after the request still wants its answer.
            .half_close(true)
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.max_headers as usize)
            .max_headers(HEADERS);
        let (answered, stopping) = (metrics.clone(), shutdown.clone());
        let router = router.layer(map_response(move |mut response: Response| {
            answered.answered(response.status());
            if stopping.is_cancelled() {
                response = told_to_close(response);
            }
            ready(response)
        }));
        Self {
            http,
            service: TowerToHyperService::new(router),
            front,
            metrics,
            shutdown,
        }
    }

    /// Serves one connection until it ends, or until it has nothing to finish after the shutdown.
    pub(crate) fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + use<> {
        let (requests, pause) = (TaskTracker::new(), Pause::default());
        let service = {
            let (requests, service) = (requests.clone(), self.service.clone());
            let (front, metrics) = (Arc::clone(&self.front), self.metrics.clone());
            let (stopping, pause) = (self.shutdown.clone(), pause.clone());
            service_fn(move |request: Request<Incoming>| {
                if let Some(mut refusal) = front.shed(request.method()) {
                    metrics.answered(refusal.status());
                    pause.begin();
                    if stopping.is_cancelled() {
                        refusal = told_to_close(refusal);
                    }
                    return Either::Left(ready(Ok(refusal)));
                }
                let (request_runs, answer) = (requests.token(), service.call(request));
                Either::Right(async move {
                    let answer = answer.await;
                    drop(request_runs);
                    answer
                })
            })
        };
        let io = TokioIo::new(Socket::new(stream, pause, self.metrics.clone()));
        let mut connection = self.http.serve_connection(io, service);
        let shutdown = self.shutdown.clone();
        async move {
            let mut end = shutdown.run_until_cancelled(&mut connection).await;
            if end.is_none() {
                end = timeout(LAST_REQUEST, &mut connection).await.ok();
            }
            if end.is_none() && !requests.is_empty() {
                Pin::new(&mut connection).graceful_shutdown();
                end = Some((&mut connection).await);
            }
            // Without an end the client was between requests, or slow to send one: nothing is owed to it.
            if let Some(Err(error)) = &end {
                tracing::debug!(%error, "connection ended");
            }
            let socket = connection.into_parts().io.into_inner();
            shutdown.run_until_cancelled(linger(socket)).await;
        }
    }
}

/// An answer that is the last one of its connection.
fn told_to_close(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Closes in a way that lets the last answer arrive. Who refuses a body that is still on its way and closes at
/// once makes the operating system reset the connection, and the answer is lost with it (RFC 9112, 9.6).
async fn linger(mut socket: Socket) {
    let taken = async {
        socket.shutdown().await?;
        let mut rest = vec![0; 8_192];
        while socket.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whatever the outcome, there is nothing more to say.
    timeout(LINGER, taken).await.ok();
}
