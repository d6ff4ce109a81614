//! One client: a connection, and one request after the other on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clima_proto::fate::Fate;
use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID};
use clima_proto::tweet::HUMIDITY;
use clima_proto::wethertweet::WeatherTweetRequest;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode, body::Incoming, header};
use hyper_util::rt::TokioIo;
use rand::RngExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Budget;
use super::report::{Answer, Outcome};

/// Longer than the front's deadline: an answer that takes longer is a fault.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts to connect, while nobody listens.
const RECONNECT: Duration = Duration::from_millis(10);

pub(super) async fn run(address: String, keys: bool, budget: Arc<Budget>) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut client = HttpClient::new(address);
    while let Some(number) = budget.take() {
        let key = keys.then(|| format!("{number}-{:032x}", rand::random::<u128>()));
        let started = Instant::now();
        let outcome = client.post(&tweet(), key.as_deref()).await;
        if outcome == Outcome::NotSent {
            sleep(RECONNECT).await;
        }
        answers.push(Answer {
            outcome,
            latency: started.elapsed(),
        });
    }
    answers
}

fn tweet() -> WeatherTweetRequest {
    let mut random = rand::rng();
    WeatherTweetRequest {
        municipality: random.random_range(1..=4),
        temperature: random.random_range(-10..=40),
        humidity: random.random_range(HUMIDITY),
        weather: random.random_range(1..=4),
    }
}

/// Posts tweets to the front, over one keep-alive connection at a time.
#[derive(Debug)]
pub(crate) struct HttpClient {
    address: String,
    connection: Option<Connection>,
}

impl HttpClient {
    /// For the front at this `host:port`.
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// Posts a tweet and waits for what becomes of it.
    pub(crate) async fn post(&mut self, tweet: &WeatherTweetRequest, key: Option<&str>) -> Outcome {
        self.post_within(PATIENCE, tweet, key).await
    }

    /// The same, for no longer than `limit`: then the connection is given up, whatever may have left by it.
    pub(crate) async fn post_within(
        &mut self,
        limit: Duration,
        tweet: &WeatherTweetRequest,
        key: Option<&str>,
    ) -> Outcome {
        let request = request(&self.address, tweet, key);
        let answer = async {
            match ask(&self.address, &mut self.connection, request).await {
                Ok(response) => read(response).await,
                Err(failure) => failure,
            }
        };
        // Sent or not, it is not known.
        let outcome = timeout(limit, answer).await.unwrap_or(Outcome::Broken);
        if let Outcome::NotSent | Outcome::Broken = outcome {
            self.connection = None;
        }
        outcome
    }
}

/// Enums by number, as proto3 JSON allows.
fn request(address: &str, tweet: &WeatherTweetRequest, key: Option<&str>) -> Request<Full<Bytes>> {
    let WeatherTweetRequest {
        municipality,
        temperature,
        humidity,
        weather,
    } = tweet;
    let body = format!(
        r#"{{"municipality":{municipality},"temperature":{temperature},"humidity":{humidity},"weather":{weather}}}"#
    );
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = hyper::Uri::from_static("/v1/tweets");
    let headers = request.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if let Ok(host) = address.try_into() {
        headers.insert(header::HOST, host);
    }
    if let Some(key) = key.and_then(|key| key.try_into().ok()) {
        headers.insert(IDEMPOTENCY_KEY, key);
    }
    request
}

type Connection = SendRequest<Full<Bytes>>;

/// Sends the request, on the old connection where it still works, else on a new one.
async fn ask(
    address: &str,
    connection: &mut Option<Connection>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Outcome> {
    let usable = match connection.take() {
        Some(mut old) => old.ready().await.is_ok().then_some(old),
        None => None,
    };
    let sender = match usable {
        Some(old) => old,
        None => connect(address).await.ok_or(Outcome::NotSent)?,
    };
    let sender = connection.insert(sender);
    // Where it fails, nobody knows whether it was sent.
    let response = sender.send_request(request).await;
    response.map_err(|_| Outcome::Broken)
}

async fn connect(address: &str) -> Option<Connection> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    sender.ready().await.ok()?;
    Some(sender)
}

async fn read(response: Response<Incoming>) -> Outcome {
    let (head, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return Outcome::Broken;
    };
    let id = head
        .headers
        .get(TWEET_ID)
        .and_then(|id| id.to_str().ok())
        .and_then(|id| id.parse().ok());
    if head.status == StatusCode::OK
        && let Some(id) = id
    {
        return Outcome::Accepted(id);
    }
    let body = body.to_bytes();
    let not_counted = String::from_utf8_lossy(&body).contains(Fate::NotCounted.reason());
    let fate = if not_counted {
        Fate::NotCounted
    } else {
        Fate::MaybeCounted
    };
    Outcome::Refused {
        status: head.status.as_u16(),
        fate,
        id,
    }
}
