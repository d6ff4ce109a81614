//! The next process, played by the test.
//!
//! A real HTTP/2 server with `TweetIngestService` and health, whose connections the test can cut at any
//! moment. Every call is recorded before it is answered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clima_proto::clima::v1::tweet_ingest_service_server::{
    TweetIngestService, TweetIngestServiceServer,
};
use clima_proto::clima::v1::{IngestTweetsRequest, IngestTweetsResponse, TweetEvent};
use clima_proto::event::CheckedEvent;
use clima_proto::fate::{StatusMessage, to_message};
use clima_proto::id::TweetId;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::wait::until;

/// What the upstream does with one call.
#[derive(Debug, Clone)]
pub enum Act {
    /// Accepts every event.
    Accept,
    /// Gives each event its outcome, in order.
    Items(Vec<Result<(), Status>>),
    /// Fails the call as a whole.
    Fail(Status),
    /// Never answers.
    Silence,
    /// Waits for [`Upstream::release`], then accepts.
    Hold,
    /// Cuts all its connections.
    Reset,
}

/// One call as it was received.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its batch.
    pub events: Vec<TweetEvent>,
    /// The `grpc-timeout` that came with it.
    pub timeout: Option<String>,
}

impl Call {
    /// The ids of its batch.
    ///
    /// # Panics
    ///
    /// An event is not a valid one.
    pub fn ids(&self) -> Vec<TweetId> {
        self.events
            .iter()
            .map(|event| CheckedEvent::check(event).expect("a valid event").id)
            .collect()
    }
}

type Script = Box<dyn Fn(usize, &[TweetEvent]) -> Act + Send + Sync>;

struct State {
    calls: Mutex<Vec<Call>>,
    script: Mutex<Script>,
    gate: Semaphore,
    cut: Notify,
}

/// A running upstream. It stops, abruptly, when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Upstream {
    /// One that accepts everything, on a free port.
    pub async fn start() -> Self {
        Self::start_at(free_port().await).await
    }

    /// The same, at an address of which nothing else listens.
    ///
    /// # Panics
    ///
    /// Something listens there.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let state = Arc::new(State {
            calls: Mutex::default(),
            script: Mutex::new(Box::new(|_, _| Act::Accept)),
            gate: Semaphore::new(0),
            cut: Notify::new(),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            server,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as a setting.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Decides on every call from now on: by how many came before it, and by its events.
    pub fn script(&self, script: impl Fn(usize, &[TweetEvent]) -> Act + Send + Sync + 'static) {
        *self.state.script.lock().unwrap() = Box::new(script);
    }

    /// Does the same with every call from now on.
    pub fn always(&self, act: Act) {
        self.script(move |_, _| act.clone());
    }

    /// Accepts this many calls that are held back.
    pub fn release(&self, calls: usize) {
        self.state.gate.add_permits(calls);
    }

    /// What has been received.
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap().clone()
    }

    /// The ids of all events that have been received, in order.
    pub fn ids(&self) -> Vec<TweetId> {
        self.calls().iter().flat_map(Call::ids).collect()
    }

    /// Waits until this many calls have been received.
    pub async fn received(&self, calls: usize) {
        until("calls to reach the upstream", async || {
            (self.calls().len() >= calls).then_some(())
        })
        .await;
    }

    /// Ends it as a kill would: the port refuses, all connections are cut.
    pub async fn stop(mut self) {
        self.server.abort();
        // Only to know that it is over: that it was cancelled is the point.
        (&mut self.server).await.ok();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An address of which nothing listens.
///
/// # Panics
///
/// The machine has none left.
pub async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address")
}

/// The address as a setting.
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let routes = Routes::new(TweetIngestServiceServer::from_arc(Arc::new(Ingest(
        Arc::clone(&state),
    ))))
    .add_service(health);
    let service = TowerToHyperService::new(routes);
    // Dropping the set aborts the connections, which closes their sockets.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service.clone());
                connections.spawn(connection);
            }
            () = state.cut.notified() => connections.abort_all(),
            Some(_) = connections.join_next() => {}
        }
    }
}

struct Ingest(Arc<State>);

#[tonic::async_trait]
impl TweetIngestService for Ingest {
    async fn ingest_tweets(
        &self,
        request: Request<IngestTweetsRequest>,
    ) -> Result<Response<IngestTweetsResponse>, Status> {
        let timeout = request.metadata().get("grpc-timeout");
        let timeout = timeout.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let events = request.into_inner().events;
        let act = {
            let mut calls = self.0.calls.lock().unwrap();
            let act = (self.0.script.lock().unwrap())(calls.len(), &events);
            let events = events.clone();
            calls.push(Call { events, timeout });
            act
        };
        let outcomes = match act {
            Act::Accept => vec![Ok(()); events.len()],
            Act::Items(outcomes) => outcomes,
            Act::Fail(status) => return Err(status),
            Act::Silence => std::future::pending().await,
            Act::Hold => {
                self.0.gate.acquire().await.expect("never closed").forget();
                vec![Ok(()); events.len()]
            }
            Act::Reset => {
                self.0.cut.notify_one();
                std::future::pending().await
            }
        };
        let statuses: Vec<StatusMessage> = outcomes.iter().map(to_message).collect();
        Ok(Response::new(IngestTweetsResponse { statuses }))
    }
}
