//! One client: a connection, and one request after the other on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clima_proto::fate::Fate;
use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID};
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

const MUNICIPALITIES: [&str; 4] = ["mixco", "guatemala", "amatitlan", "chinautla"];
const WEATHERS: [&str; 4] = ["sunny", "cloudy", "rainy", "foggy"];

/// Longer than the front's deadline: an answer that takes longer is a fault.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts to connect, while nobody listens.
const RECONNECT: Duration = Duration::from_millis(10);

pub(super) async fn run(address: String, keys: bool, budget: Arc<Budget>) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut connection = None;
    while let Some(number) = budget.take() {
        let request = request(&address, keys.then_some(number));
        let started = Instant::now();
        let outcome = match ask(&address, &mut connection, request).await {
            Ok(response) => read(response).await,
            Err(failure) => failure,
        };
        if let Outcome::NotSent | Outcome::Broken = outcome {
            connection = None;
        }
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

fn request(address: &str, key: Option<u64>) -> Request<Full<Bytes>> {
    let mut random = rand::rng();
    let body = format!(
        r#"{{"municipality":"{}","temperature":{},"humidity":{},"weather":"{}"}}"#,
        MUNICIPALITIES[random.random_range(0..4)],
        random.random_range(-10..=40),
        random.random_range(0..=100),
        WEATHERS[random.random_range(0..4)],
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
    if let Some(number) = key
        && let Ok(key) = format!("{number}-{:032x}", random.random::<u128>()).try_into()
    {
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
    match timeout(PATIENCE, sender.send_request(request)).await {
        Ok(Ok(response)) => Ok(response),
        // Sent or not, it is not known.
        Ok(Err(_)) | Err(_) => Err(Outcome::Broken),
    }
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
