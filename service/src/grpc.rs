//! What every gRPC port has in common: reflection, health, keepalive, a graceful end.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::{BodyStream, StreamBody};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::{LayerExt as _, Routes};
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;
use tower::util::MapResponseLayer;

use clima_proto::descriptors::FILE_DESCRIPTOR_SET;

use crate::accept;
use crate::deadline;
pub use crate::grpc_connections::Counted;
use crate::grpc_connections::limited;
use crate::process::{Process, RunError};

/// A dead peer is noticed after this long without an answer to a ping, on idle connections too.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// Calls in flight on one connection; more wait at the client.
const MAX_STREAMS: u32 = 1_024;

/// The connections of a port as they come.
pub type Incoming = BoxStream<'static, io::Result<Counted>>;

/// Starts serving a port: the given routes, plus reflection and health for `services`, to so many connections at a time.
///
/// Health follows the readiness of the process, under `""` and under each name of `services`.
///
/// # Errors
///
/// The descriptor set cannot be served, which would be a fault of the build.
pub fn spawn(
    process: &mut Process,
    port: &'static str,
    listener: TcpListener,
    connections: u32,
    routes: Routes,
    services: &'static [&'static str],
) -> Result<(), RunError> {
    spawn_with(
        process,
        port,
        listener,
        connections,
        routes,
        services,
        |mut server, routes, incoming, closed| {
            server
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, closed.cancelled_owned())
        },
    )
}

/// The same for a port that speaks more than gRPC: `serve` is given a server with the limits of every port, all routes
/// of this one, its connections, and what is cancelled when the port has been closed: then it has to ask them to end.
///
/// # Errors
///
/// As for [`spawn`].
pub fn spawn_with<S>(
    process: &mut Process,
    port: &'static str,
    listener: TcpListener,
    connections: u32,
    routes: Routes,
    services: &'static [&'static str],
    serve: impl FnOnce(Server, Routes, Incoming, CancellationToken) -> S + Send + 'static,
) -> Result<(), RunError>
where
    S: Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
{
    let (reporter, health) = health_reporter();
    let mut v1 = tonic_reflection::server::Builder::configure();
    let mut v1alpha = tonic_reflection::server::Builder::configure();
    for file in [FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET] {
        v1 = v1.register_encoded_file_descriptor_set(file);
        v1alpha = v1alpha.register_encoded_file_descriptor_set(file);
    }
    for service in services.iter().chain(&["grpc.health.v1.Health"]) {
        v1 = v1.with_service_name(*service);
        v1alpha = v1alpha.with_service_name(*service);
    }
    let shutdown = process.shutdown.clone();
    let ending = MapResponseLayer::new(move |answer: Response<Body>| {
        answer.map(|body| until(shutdown.clone(), body))
    });
    let routes = routes
        .add_service(ending.named_layer(health))
        .add_service(ending.named_layer(v1.build_v1().map_err(RunError::setup)?))
        .add_service(ending.named_layer(v1alpha.build_v1alpha().map_err(RunError::setup)?));

    let mut changes = process.readiness.changes();
    let done = process.shutdown.clone();
    let (unreported, reported) = oneshot::channel::<Infallible>();
    process.tasks.spawn("health", async move {
        let mut unreported = Some(unreported);
        let report = async |status: ServingStatus| {
            for service in services.iter().chain(&[""]) {
                reporter.set_service_status(*service, status).await;
            }
        };
        while let Some(Some(ready)) = done.run_until_cancelled(changes.next()).await {
            report(if ready {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            })
            .await;
            drop(unreported.take());
        }
        report(ServingStatus::NotServing).await;
        Ok::<_, Infallible>(())
    });
    let shutdown = process.shutdown.clone();
    let open = process.grpc_connections.to(port);
    let closed = CancellationToken::new();
    let incoming = accept::until_closed(listener, shutdown.clone(), closed.clone());
    let incoming = limited(incoming, connections, shutdown.clone(), open).boxed();
    process.tasks.spawn(port, async move {
        // A new reporter says SERVING of `""`, whatever is true: nobody may hear it before the first report.
        reported.await.ok();
        let last_call = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_CALL).await;
        };
        tokio::select! {
            outcome = serve(server(), routes, incoming, closed) => outcome,
            () = last_call => Ok(()),
        }
    });
    Ok(())
}

/// Ends the stream of an answer at the shutdown. Whoever watches the health, or keeps a reflection stream open,
/// would hold back the end of the process otherwise, for as long as they like.
fn until(shutdown: CancellationToken, body: Body) -> Body {
    let open = Some((shutdown, BodyStream::new(body)));
    Body::new(StreamBody::new(stream::unfold(open, async |open| {
        let (shutdown, mut frames) = open?;
        match shutdown.run_until_cancelled(frames.next()).await {
            Some(frame) => Some((frame?, Some((shutdown, frames)))),
            None => {
                let mut trailers = HeaderMap::new();
                let status = Status::unavailable("the process is stopping");
                // The text is plain: it always makes a header.
                status.add_header(&mut trailers).ok();
                Some((Ok(Frame::trailers(trailers)), None))
            }
        }
    })))
}

/// Longest time of a call, from its first byte to its answer. After a shutdown, what is open for longer than this is
/// a connection that says nothing.
const LAST_CALL: Duration = deadline::DEFAULT.saturating_add(Duration::from_secs(1));

fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(MAX_STREAMS)
        // A call that is begun and never said to its end would hold its place for ever, and the shutdown back.
        .timeout(LAST_CALL)
}
