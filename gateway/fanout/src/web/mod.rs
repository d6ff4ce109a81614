//! The public port, on which browsers may call too: gRPC-web, HTTP/1.1, CORS.
//!
//! A call by gRPC-web is made a call by gRPC and then is one: it has the same limits and the same answers.

mod cors;
mod socket;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use clima_service::grpc::Incoming;
use futures::TryStreamExt as _;
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_web::GrpcWebLayer;
use tower::util::option_layer;

pub use cors::{Origin, OriginError};
use socket::Socket;

/// Serves gRPC and gRPC-web until `shutdown`, then finishes the calls in flight.
pub(crate) fn serve(
    server: Server,
    routes: Routes,
    incoming: Incoming,
    origins: &[Origin],
    shutdown: CancellationToken,
) -> impl Future<Output = Result<(), tonic::transport::Error>> + Send + use<> {
    let ended = shutdown.clone();
    let incoming = incoming.map_ok(move |stream| Socket::new(stream, shutdown.clone()));
    let routes = routes.into_axum_router().layer(from_fn(in_flight));
    server
        .accept_http1(true)
        .layer(option_layer(cors::layer(origins)))
        .layer(GrpcWebLayer::new())
        .add_routes(routes.into())
        .serve_with_incoming_shutdown(incoming, ended.cancelled_owned())
}

/// Lets the connection know of a call until its answer is written.
async fn in_flight(request: Request, next: Next) -> Response {
    let calls = request.extensions().get::<TaskTracker>();
    let call = calls.map(TaskTracker::token);
    let answer = next.run(request).await;
    answer.map(|body| {
        axum::body::Body::new(body.map_frame(move |frame| {
            let _until_the_body_ends = &call;
            frame
        }))
    })
}
