//! A server of `TweetIngestService` that records.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use clima_proto::clima::v1::tweet_ingest_service_server::{
    TweetIngestService, TweetIngestServiceServer,
};
use clima_proto::clima::v1::{IngestTweetsRequest, IngestTweetsResponse, TweetEvent};
use clima_proto::fate;
use clima_proto::id::TweetId;
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// One call that an endpoint got.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its events.
    pub events: Vec<TweetEvent>,
    /// `grpc-timeout` as it came.
    pub timeout: Option<String>,
}

impl Call {
    /// The ids of its events.
    pub fn ids(&self) -> Vec<TweetId> {
        let id = |event: &TweetEvent| TweetId::from_parts(&event.source, event.sequence).unwrap();
        self.events.iter().map(id).collect()
    }
}

type Script = dyn Fn(usize, &TweetEvent) -> Result<(), Status> + Send + Sync;

struct State {
    calls: Mutex<Vec<Call>>,
    script: Mutex<Arc<Script>>,
    failure: Mutex<Option<Status>>,
    open: watch::Sender<bool>,
}

/// A running server. Dropping it kills it: connections break, calls are not answered.
pub struct Endpoint {
    address: SocketAddr,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

impl Endpoint {
    /// A server at a free port that accepts every event.
    pub fn start() -> Self {
        Reserved::new().start()
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What each event is answered with from now on; the number counts the times that its id was seen before.
    pub fn answer(
        &self,
        script: impl Fn(usize, &TweetEvent) -> Result<(), Status> + Send + Sync + 'static,
    ) {
        *lock(&self.state.script) = Arc::new(script);
    }

    /// Whole calls fail with this status from now on.
    pub fn fail(&self, status: Status) {
        *lock(&self.state.failure) = Some(status);
    }

    /// Calls are recorded and not answered until [`release`](Self::release).
    pub fn hold(&self) {
        self.state.open.send_replace(false);
    }

    /// Held calls are answered, and those to come.
    pub fn release(&self) {
        self.state.open.send_replace(true);
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).clone()
    }

    /// The ids of all events so far, in the order of their arrival.
    pub fn ids(&self) -> Vec<TweetId> {
        self.calls().iter().flat_map(Call::ids).collect()
    }

    /// All events so far, in the order of their arrival.
    pub fn events(&self) -> Vec<TweetEvent> {
        self.calls()
            .into_iter()
            .flat_map(|call| call.events)
            .collect()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An address of ours where nothing listens: connections are refused, and nobody else can take it.
pub struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Reserved {
    /// A free port.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        Self { socket, address }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A server at this address that accepts every event.
    pub fn start(self) -> Endpoint {
        let state = Arc::new(State {
            calls: Mutex::default(),
            script: Mutex::new(Arc::new(|_, _| Ok(()))),
            failure: Mutex::default(),
            open: watch::Sender::new(true),
        });
        // A runtime of its own, so that it can die with everything that it has open.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _entered = runtime.enter();
            self.socket.listen(1_024).unwrap()
        };
        let (_, health) = tonic_health::server::health_reporter();
        let server = Server::builder()
            .add_service(TweetIngestServiceServer::new(Recorder(Arc::clone(&state))))
            .add_service(health)
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        runtime.spawn(server);
        Endpoint {
            address: self.address,
            state,
            runtime: Some(runtime),
        }
    }
}

struct Recorder(Arc<State>);

#[tonic::async_trait]
impl TweetIngestService for Recorder {
    async fn ingest_tweets(
        &self,
        request: Request<IngestTweetsRequest>,
    ) -> Result<Response<IngestTweetsResponse>, Status> {
        let timeout = request.metadata().get("grpc-timeout");
        let timeout = timeout.and_then(|value| value.to_str().ok().map(str::to_owned));
        let call = Call {
            timeout,
            events: request.into_inner().events,
        };
        let outcomes: Vec<_> = {
            let script = Arc::clone(&lock(&self.0.script));
            let mut calls = lock(&self.0.calls);
            let seen: Vec<_> = calls.iter().flat_map(Call::ids).collect();
            let before = |id| seen.iter().filter(|seen| **seen == id).count();
            let outcomes = call.ids().into_iter().zip(&call.events);
            let outcomes = outcomes.map(|(id, event)| script(before(id), event));
            let outcomes = outcomes.collect();
            calls.push(call);
            outcomes
        };
        let mut open = self.0.open.subscribe();
        open.wait_for(|open| *open).await.unwrap();
        if let Some(failure) = lock(&self.0.failure).clone() {
            return Err(failure);
        }
        let statuses = outcomes.iter().map(fate::to_message).collect();
        Ok(Response::new(IngestTweetsResponse { statuses }))
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
