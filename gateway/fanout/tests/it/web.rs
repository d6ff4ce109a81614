//! The public port as a browser uses it: gRPC-web over HTTP/1.1, from pages of other origins.

use std::collections::HashMap;
use std::ffi::OsString;

use clima_gateway::Config;
use clima_proto::id::TweetId;
use clima_proto::wethertweet::{WeatherTweetRequest, WeatherTweetResponse};
use clima_service::config::{self, ConfigError};
use clima_testing::upstream::Act;
use clima_testing::wait::{ends, until};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::gateway::{LONG, Running, call, id, tweet};

const PAGE: &str = "https://clima.example";
const METHOD: &str = "/wethertweet.WeatherTweetService/SendTweet";
const ALLOWED: &str = "access-control-allow-origin";

/// An answer over HTTP/1.1, read to the end of its connection.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The frames of gRPC-web in the body: messages (flag 0) and trailers (flag 128).
    fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        let mut rest = self.dechunked();
        let mut frames = Vec::new();
        while let Some((head, after)) = rest.split_at_checked(5) {
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            frames.push((head[0], after[..length].to_vec()));
            rest = after[length..].to_vec();
        }
        frames
    }

    fn dechunked(&self) -> Vec<u8> {
        if self.header("transfer-encoding") != Some("chunked") {
            return self.body.clone();
        }
        let mut rest = self.body.as_slice();
        let mut whole = Vec::new();
        loop {
            let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
            let size = std::str::from_utf8(&rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                return whole;
            }
            whole.extend_from_slice(&rest[end + 2..end + 2 + size]);
            rest = &rest[end + 2 + size + 2..];
        }
    }
}

/// A request of a browser, whole.
fn request(method: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {METHOD} HTTP/1.1\r\nhost: gateway\r\n");
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [text.as_bytes(), body].concat()
}

/// A call by gRPC-web with one tweet and these headers more.
fn web_call(tweet: WeatherTweetRequest, headers: &[&str]) -> Vec<u8> {
    let message = tweet.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    let own = ["content-type: application/grpc-web+proto", "x-grpc-web: 1"];
    request("POST", &[&own, headers].concat(), &body)
}

fn preflight(origin: &str) -> Vec<u8> {
    let origin = format!("origin: {origin}");
    let asked = [
        origin.as_str(),
        "access-control-request-method: POST",
        "access-control-request-headers: content-type,idempotency-key,x-grpc-web",
        "connection: close",
    ];
    request("OPTIONS", &asked, b"")
}

async fn connect(gateway: &Running) -> TcpStream {
    TcpStream::connect(gateway.public).await.unwrap()
}

/// What the gateway says until it closes the connection; none when that is nothing.
async fn answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A reset after the answer, or in place of one, tells no more than an end.
    ends("a connection", stream.read_to_end(&mut bytes))
        .await
        .ok();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    Some(Answer {
        status: status.parse().unwrap(),
        headers: lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: bytes[end + 4..].to_vec(),
    })
}

async fn ask(gateway: &Running, request: &[u8]) -> Answer {
    let mut stream = connect(gateway).await;
    stream.write_all(request).await.unwrap();
    answer(&mut stream).await.expect("an answer")
}

fn from(origin: &str) -> [String; 2] {
    [format!("origin: {origin}"), "connection: close".to_owned()]
}

#[tokio::test]
async fn a_call_by_grpc_web_is_a_call_like_any_other() {
    let settings = ["--cors-origins", PAGE];
    let (gateway, kafka, rabbitmq) = Running::with_writers(&settings).await;
    let [origin, close] = from(PAGE);
    let key = "idempotency-key: k";
    let web = ask(&gateway, &web_call(tweet(60), &[&origin, &close, key])).await;
    assert_eq!(web.status, 200, "{web:?}");
    assert_eq!(
        web.header("content-type"),
        Some("application/grpc-web+proto")
    );
    assert_eq!(web.header(ALLOWED), Some(PAGE));
    let exposed = web.header("access-control-expose-headers").unwrap();
    for name in [
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "clima-tweet-id",
        "retry-after",
    ] {
        assert!(exposed.split(',').any(|found| found == name), "{exposed}");
    }
    let frames = web.frames();
    let accepted = WeatherTweetResponse::decode(frames[0].1.as_slice()).unwrap();
    assert_eq!((frames[0].0, accepted.status.as_str()), (0, "accepted"));
    assert_eq!(frames[1].0, 128);
    let trailers = String::from_utf8(frames[1].1.clone()).unwrap();
    assert!(trailers.contains("grpc-status:0"), "{trailers}");

    let mut plain = call(LONG);
    plain
        .metadata_mut()
        .insert("idempotency-key", "k".parse().unwrap());
    let plain = gateway.send(plain).await.expect("accepted");
    assert_eq!(
        web.header("clima-tweet-id"),
        Some(id(plain.metadata()).as_str())
    );
    assert_eq!((kafka.calls().len(), rabbitmq.calls().len()), (2, 2));
}

#[tokio::test]
async fn a_refusal_by_grpc_web_has_its_details_in_headers_that_a_page_may_read() {
    let (gateway, kafka, _rabbitmq) = Running::with_writers(&["--cors-origins=*"]).await;
    let [origin, close] = from(PAGE);
    let web = ask(&gateway, &web_call(tweet(101), &[&origin, &close])).await;
    assert_eq!(
        (web.status, web.header(ALLOWED)),
        (200, Some("*")),
        "{web:?}"
    );
    assert_eq!(web.header("grpc-status"), Some("3"));
    assert!(web.header("grpc-status-details-bin").is_some(), "{web:?}");
    assert!(kafka.calls().is_empty());
}

#[tokio::test]
async fn only_pages_of_the_origins_in_the_setting_are_let_in() {
    let settings = [
        "--cors-origins",
        "https://other.example,https://clima.example:443",
    ];
    let (gateway, _kafka, _rabbitmq) = Running::with_writers(&settings).await;
    let allowed = ask(&gateway, &preflight(PAGE)).await;
    assert_eq!((allowed.status, allowed.header(ALLOWED)), (200, Some(PAGE)));
    let methods = allowed.header("access-control-allow-methods");
    assert_eq!(methods, Some("POST"));
    let headers = allowed.header("access-control-allow-headers").unwrap();
    for name in [
        "content-type",
        "idempotency-key",
        "grpc-timeout",
        "x-grpc-web",
        "x-user-agent",
    ] {
        assert!(headers.split(',').any(|found| found == name), "{headers}");
    }
    for denied in [
        "https://evil.example",
        "http://clima.example",
        "https://clima.example:444",
        "null",
    ] {
        let [origin, close] = from(denied);
        for request in [preflight(denied), web_call(tweet(60), &[&origin, &close])] {
            let answer = ask(&gateway, &request).await;
            assert_eq!(answer.header(ALLOWED), None, "{denied}: {answer:?}");
        }
    }
}

#[test]
fn an_origin_that_is_none_is_told_with_all_other_wrong_settings() {
    let args = [
        "clima-gateway",
        "--listen=here",
        "--cors-origins=https://clima.example/page",
        "--writer-kafka-url=http://127.0.0.1:1",
    ];
    let loaded = config::load_from::<Config>(args.map(OsString::from));
    let Err(ConfigError::Invalid(problems)) = loaded else {
        panic!("{loaded:?}");
    };
    assert_eq!(problems.len(), 3, "{problems:?}");
    let told = problems.iter().any(|problem| {
        problem.starts_with("--cors-origins (CLIMA_CORS_ORIGINS): ")
            && problem.contains("https://clima.example/page")
            && problem.contains("must be *, or http://")
    });
    assert!(told, "{problems:?}");
}

#[tokio::test]
async fn without_the_setting_no_page_of_another_origin_is_let_in() {
    let (gateway, _kafka, _rabbitmq) = Running::with_writers(&[]).await;
    let [origin, close] = from(PAGE);
    for request in [preflight(PAGE), web_call(tweet(60), &[&origin, &close])] {
        let answer = ask(&gateway, &request).await;
        let cors = |name: &&String| name.starts_with("access-control");
        assert_eq!(answer.headers.keys().find(cors), None, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_grpc_web_is_refused_over_http_1_and_the_internal_port_speaks_http_2_only() {
    let (gateway, kafka, _rabbitmq) = Running::with_writers(&[]).await;
    let json = ["content-type: application/json", "connection: close"];
    assert_eq!(
        ask(&gateway, &request("POST", &json, b"{}")).await.status,
        400
    );
    let mut internal = TcpStream::connect(gateway.internal).await.unwrap();
    internal.write_all(&web_call(tweet(60), &[])).await.unwrap();
    assert!(answer(&mut internal).await.is_none());
    assert!(kafka.calls().is_empty());
}

#[tokio::test]
async fn a_stopping_gateway_answers_the_page_that_waits_and_no_half_request_holds_it_up() {
    let (gateway, kafka, _rabbitmq) = Running::with_writers(&[]).await;
    kafka.always(Act::Hold);
    let whole = web_call(tweet(60), &[]);
    let mut waiting = connect(&gateway).await;
    waiting.write_all(&whole).await.unwrap();
    kafka.received(1).await;
    let mut silent = Vec::new();
    for half in [&b""[..], b"P", b"PRI * HT", &whole[..20], &whole[..60]] {
        let mut stream = connect(&gateway).await;
        stream.write_all(half).await.unwrap();
        silent.push(stream);
    }
    // Served after the others: those are known to the gateway by now.
    let served = ask(&gateway, &preflight(PAGE)).await;
    assert_eq!(served.status, 400);

    gateway.stop();
    let stopped = std::time::Instant::now();
    for mut stream in silent {
        assert!(answer(&mut stream).await.is_none());
    }
    kafka.release(1);
    let answer = answer(&mut waiting).await.expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    let id: Result<TweetId, _> = answer.header("clima-tweet-id").unwrap().parse();
    assert!(id.is_ok(), "{id:?}");
    gateway.ended().await.expect("an orderly end");
    // The longest call, which a process that waits for half requests would grant them.
    assert!(stopped.elapsed() < LONG, "{:?}", stopped.elapsed());
}

#[tokio::test]
async fn a_page_that_never_says_all_of_its_call_does_not_hold_up_the_end() {
    let (gateway, _kafka, _rabbitmq) = Running::with_writers(&[]).await;
    let whole = web_call(tweet(60), &["expect: 100-continue"]);
    let mut slow = connect(&gateway).await;
    slow.write_all(&whole[..whole.len() - 1]).await.unwrap();
    // The call has begun when its body is asked for.
    let mut begun = [0; 25];
    ends("the call to begin", slow.read_exact(&mut begun))
        .await
        .unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    gateway.stop();
    let refused = answer(&mut slow).await.expect("an answer");
    assert_ne!(refused.header("grpc-status"), Some("0"), "{refused:?}");
    gateway.ended().await.expect("an orderly end");
}

#[tokio::test]
async fn a_gateway_that_stops_closes_idle_connections_of_pages() {
    let (gateway, _kafka, _rabbitmq) = Running::with_writers(&[]).await;
    let mut idle = connect(&gateway).await;
    idle.write_all(&web_call(tweet(60), &[])).await.unwrap();
    let mut first = [0; 8];
    ends("an answer", idle.read_exact(&mut first))
        .await
        .unwrap();
    gateway.stop();
    assert!(
        answer(&mut idle)
            .await
            .is_none_or(|answer| !answer.body.is_empty())
    );
    gateway.ended().await.expect("an orderly end");
    until("the port to be closed", async || {
        TcpStream::connect(idle.peer_addr().ok()?)
            .await
            .is_err()
            .then_some(())
    })
    .await;
}
