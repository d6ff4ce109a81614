//! Clients of a service that has two addresses.
//!
//! They do what a proxy in front of the replicas does: where no connection is to be had they try the other address. What
//! may have been sent is never sent again; its answer, or the loss of it, is what the client gets.

use std::sync::atomic::{AtomicBool, Ordering};

use clima_proto::id::{TWEET_ID, TweetId};
use clima_proto::wethertweet::WeatherTweetRequest;
use clima_proto::wethertweet::weather_tweet_service_client::WeatherTweetServiceClient;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{ConnectError, Status};

/// What a client was told: ids of accepted tweets, and every other answer in words.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) accepted: Vec<TweetId>,
    pub(crate) failures: Vec<String>,
}

fn id(text: Option<&str>) -> TweetId {
    text.unwrap().parse().unwrap()
}

/// Posts tweets over one keep-alive connection at a time, until `stop`.
pub(crate) async fn by_rest(addresses: [String; 2], stop: &AtomicBool) -> Told {
    let (mut told, mut turn, mut connection) = (Told::default(), 0, None);
    while !stop.load(Ordering::Relaxed) {
        match post(&addresses, &mut turn, &mut connection).await {
            Ok(id) => told.accepted.push(id),
            Err(failure) => told.failures.push(failure),
        }
    }
    told
}

type Connection = SendRequest<Full<Bytes>>;

async fn post(
    addresses: &[String; 2],
    turn: &mut usize,
    connection: &mut Option<Connection>,
) -> Result<TweetId, String> {
    let body = r#"{"municipality":1,"temperature":20,"humidity":50,"weather":1}"#;
    let mut request = http::Request::post("/v1/tweets")
        .header("host", "clima")
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap();
    let answer = loop {
        let usable = match connection.take() {
            Some(mut sender) => sender.ready().await.is_ok().then_some(sender),
            None => None,
        };
        let sender = match usable {
            Some(sender) => sender,
            None => connect(addresses, turn).await,
        };
        let sender = connection.insert(sender);
        match sender.try_send_request(request).await {
            Ok(answer) => break answer,
            Err(mut error) => {
                *connection = None;
                // The request comes back only when nothing of it has left.
                request = match error.take_message() {
                    Some(unsent) => unsent,
                    None => return Err(format!("{:?}", error.into_error())),
                };
            }
        }
    };
    let (head, body) = answer.into_parts();
    let closes = head
        .headers
        .get("connection")
        .is_some_and(|value| value == "close");
    let body = body.collect().await.map_err(|error| format!("{error:?}"))?;
    if closes {
        *connection = None;
    }
    if head.status != 200 {
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        return Err(format!("{} {body}", head.status));
    }
    Ok(id(head
        .headers
        .get(TWEET_ID)
        .and_then(|id| id.to_str().ok())))
}

/// Connects to one of the two, whichever takes it. Somebody always does, or this goes on until the test gives up.
async fn connect(addresses: &[String; 2], turn: &mut usize) -> Connection {
    loop {
        *turn += 1;
        if let Ok(stream) = TcpStream::connect(&addresses[*turn % 2]).await {
            stream.set_nodelay(true).unwrap();
            let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            return sender;
        }
    }
}

/// Sends tweets by gRPC, one after the other, until `stop`.
pub(crate) async fn by_grpc(addresses: [String; 2], stop: &AtomicBool) -> Told {
    let channels = addresses.map(|address| {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        endpoint.connect_lazy()
    });
    let (mut told, mut turn) = (Told::default(), 0);
    while !stop.load(Ordering::Relaxed) {
        match send(&channels, &mut turn).await {
            Ok(id) => told.accepted.push(id),
            Err(status) => told.failures.push(format!("{status:?}")),
        }
    }
    told
}

async fn send(channels: &[Channel; 2], turn: &mut usize) -> Result<TweetId, Status> {
    let tweet = WeatherTweetRequest {
        municipality: 2,
        temperature: 21,
        humidity: 60,
        weather: 2,
    };
    loop {
        let channel = channels[*turn % 2].clone();
        match WeatherTweetServiceClient::new(channel)
            .send_tweet(tweet)
            .await
        {
            Ok(answer) => {
                let told = answer.metadata().get(TWEET_ID);
                return Ok(id(told.and_then(|id| id.to_str().ok())));
            }
            Err(status) if never_connected(&status) => *turn += 1,
            Err(status) => return Err(status),
        }
    }
}

fn never_connected(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
