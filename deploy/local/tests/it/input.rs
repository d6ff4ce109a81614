//! What the REST port accepts and what it refuses, on the running system: after every refusal the counts are
//! what they were.

use clima_local::{Backlog, Counts, Part, Stack, StackFile, Totals};
use clima_proto::id::TweetId;

use crate::http::{Answer, ask, send};
use crate::shared::stack;

const JSON: &str = "content-type: application/json";
const TWEET: &str = r#"{"municipality":"mixco","temperature":25,"humidity":60,"weather":"sunny"}"#;

async fn totals(stack: &Stack) -> Totals {
    let patience = std::time::Duration::from_secs(30);
    let file = StackFile::of(stack);
    Backlog::drained(&file, patience).await.unwrap();
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    counts.totals().await.unwrap()
}

async fn post(stack: &Stack, body: impl AsRef<[u8]>) -> Answer {
    let front = stack.address(Part::Rest);
    ask(&front, "POST", "/v1/tweets", &[JSON], body.as_ref()).await
}

fn assert_refused(answer: &Answer, http: u16, code: i32, what: &str) {
    assert_eq!(answer.status, http, "{what}: {answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json", "{what}");
    assert_eq!(answer.json()["code"], code, "{what}: {answer:?}");
    assert!(answer.json()["message"].is_string(), "{what}: {answer:?}");
    assert_eq!(answer.reason().as_deref(), Some("NOT_COUNTED"), "{what}");
}

#[tokio::test]
async fn each_legal_form_of_a_tweet_is_accepted_on_both_paths_of_the_proto() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let forms = [
        TWEET,
        r#"{"municipality":1,"temperature":25,"humidity":60,"weather":1}"#,
        r#"{"municipality":"chinautla","temperature":"-90","humidity":"100","weather":"foggy"}"#,
        r#"{"municipality":4,"temperature":60.0,"humidity":1e2,"weather":4}"#,
        r#"{"municipality":"guatemala","weather":"rainy"}"#,
        r#"{"municipality":"amatitlan","temperature":null,"humidity":0,"weather":"cloudy"}"#,
    ];
    let front = stack.address(Part::Rest);
    for path in ["/v1/tweets", "/clima"] {
        for form in forms {
            let answer = ask(&front, "POST", path, &[JSON], form.as_bytes()).await;
            assert_eq!(answer.status, 200, "{form}: {answer:?}");
            assert_eq!(answer.body, r#"{"status":"accepted"}"#);
            assert!(answer.headers["clima-tweet-id"].parse::<TweetId>().is_ok());
        }
    }
    let charset = "Content-Type: application/json; charset=utf-8";
    let answer = ask(&front, "POST", "/v1/tweets", &[charset], TWEET.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sent = 2 * forms.len() as u64 + 1;
    let after = totals(&stack).await;
    assert_eq!(after.kafka - before.kafka, sent);
    assert_eq!(after.rabbitmq - before.rabbitmq, sent);
}

#[tokio::test]
async fn each_wrong_field_is_named_and_nothing_of_a_wrong_tweet_is_counted() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let table: [(&str, &[&str]); 13] = [
        ("{}", &["municipality", "weather"]),
        (
            r#"{"municipality":0,"temperature":61,"humidity":101,"weather":0}"#,
            &["municipality", "temperature", "humidity", "weather"],
        ),
        (
            r#"{"municipality":99,"temperature":0,"humidity":0,"weather":-1}"#,
            &["municipality", "weather"],
        ),
        (
            r#"{"municipality":"municipalities_unknown","weather":"weathers_unknown"}"#,
            &["municipality", "weather"],
        ),
        (
            r#"{"municipality":null,"temperature":1,"humidity":1,"weather":1}"#,
            &["municipality"],
        ),
        (
            r#"{"municipality":1,"temperature":-91,"humidity":0,"weather":1}"#,
            &["temperature"],
        ),
        (
            r#"{"municipality":1,"temperature":61,"humidity":0,"weather":1}"#,
            &["temperature"],
        ),
        (
            r#"{"municipality":1,"temperature":0,"humidity":-1,"weather":1}"#,
            &["humidity"],
        ),
        (
            r#"{"municipality":1,"temperature":0,"humidity":101,"weather":1}"#,
            &["humidity"],
        ),
        (
            r#"{"municipality":1,"temperature":2147483647,"humidity":0,"weather":1}"#,
            &["temperature"],
        ),
        (
            r#"{"municipality":1,"temperature":0,"humidity":0,"weather":5}"#,
            &["weather"],
        ),
        (
            r#"{"municipality":5,"temperature":0,"humidity":0,"weather":1}"#,
            &["municipality"],
        ),
        (
            r#"{"temperature":25,"humidity":60}"#,
            &["municipality", "weather"],
        ),
    ];
    for (body, fields) in table {
        let answer = post(&stack, body).await;
        assert_refused(&answer, 400, 3, body);
        assert_eq!(answer.violations(), fields, "{body}");
        assert!(!answer.headers.contains_key("clima-tweet-id"), "{body}");
    }
    assert_eq!(totals(&stack).await, before);
}

#[tokio::test]
async fn what_cannot_be_decoded_is_one_violation_of_the_body() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let bodies: [&[u8]; 16] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\"mixco\"",
        b"municipality=mixco&weather=sunny",
        br#"{"municipality":"mixco","humidity":60} x"#,
        br#"{"municipality":"mixco"}{"municipality":"mixco"}"#,
        br#"{"municipality":"mixco","humidity":60,"humidity":60}"#,
        br#"{"municipality":"MIXCO"}"#,
        br#"{"municipality":"villa nueva"}"#,
        br#"{"municipality":"mixco","humidity":60.5}"#,
        br#"{"municipality":"mixco","humidity":2147483648}"#,
        br#"{"municipality":"mixco","humidity":true}"#,
        br#"{"municipality":"mixco","wind":3}"#,
        b"{\"municipality\":\"\xff\xfe\"}",
    ];
    for body in bodies {
        let what = String::from_utf8_lossy(body);
        let answer = post(&stack, body).await;
        assert_refused(&answer, 400, 3, &what);
        assert_eq!(answer.violations(), ["body"], "{what}");
    }
    assert_eq!(totals(&stack).await, before);
}

#[tokio::test]
async fn a_request_that_is_none_for_us_is_refused_before_its_body_is_looked_at() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let front = stack.address(Part::Rest);
    let tweet = TWEET.as_bytes();
    for (verb, path, headers, http, code) in [
        ("GET", "/v1/tweets", vec![JSON], 405, 12),
        ("PUT", "/v1/tweets", vec![JSON], 405, 12),
        ("DELETE", "/clima", vec![JSON], 405, 12),
        ("OPTIONS", "/clima", vec![JSON], 405, 12),
        ("POST", "/", vec![JSON], 404, 5),
        ("POST", "/v1/tweets/", vec![JSON], 404, 5),
        ("POST", "/v1/tweet", vec![JSON], 404, 5),
        ("POST", "/V1/TWEETS", vec![JSON], 404, 5),
        (
            "POST",
            "/wethertweet.WeatherTweetService/SendTweet",
            vec![JSON],
            404,
            5,
        ),
        ("POST", "/v1/tweets", vec![], 415, 3),
        (
            "POST",
            "/v1/tweets",
            vec!["content-type: text/plain"],
            415,
            3,
        ),
        (
            "POST",
            "/v1/tweets",
            vec!["content-type: application/x-www-form-urlencoded"],
            415,
            3,
        ),
        (
            "POST",
            "/v1/tweets",
            vec!["content-type: application/jsonp"],
            415,
            3,
        ),
        ("POST", "/v1/tweets", vec![JSON, JSON], 415, 3),
    ] {
        let answer = ask(&front, verb, path, &headers, tweet).await;
        assert_refused(&answer, http, code, &format!("{verb} {path} {headers:?}"));
        if http == 405 {
            assert_eq!(answer.headers["allow"], "POST");
        }
    }
    assert_eq!(totals(&stack).await, before);
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let front = stack.address(Part::Rest);
    let large = vec![b' '; 3_000_000];
    assert_refused(&post(&stack, &large).await, 413, 3, "a body of 3 MB");

    let mut chunked = format!(
        "POST /v1/tweets HTTP/1.1\r\nhost: {front}\r\nconnection: close\r\n{JSON}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..100 {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend_from_slice(&[b' '; 0x400]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = send(&front, &chunked).await;
    assert_refused(&answer, 413, 3, "100 chunks of 1 KiB");

    let header = format!("x-large: {}", "x".repeat(40_000));
    let answer = ask(
        &front,
        "POST",
        "/v1/tweets",
        &[JSON, &header],
        TWEET.as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 431, "{answer:?}");
    assert_eq!(totals(&stack).await, before);
}

#[tokio::test]
async fn an_idempotency_key_makes_requests_one_tweet_and_a_wrong_key_is_refused() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let front = stack.address(Part::Rest);
    let with_key = async |key: &str, body: &str| {
        let key = format!("idempotency-key: {key}");
        ask(&front, "POST", "/v1/tweets", &[JSON, &key], body.as_bytes()).await
    };
    let longest = "k".repeat(255);
    let first = with_key(&longest, TWEET).await;
    let second = with_key(&longest, TWEET).await;
    let other = with_key(&longest, &TWEET.replace("60", "61")).await;
    let id = |answer: &Answer| answer.headers["clima-tweet-id"].clone();
    assert_eq!((first.status, second.status, other.status), (200, 200, 200));
    assert_eq!(id(&first), id(&second));
    assert_ne!(id(&first), id(&other));

    let refused = [
        with_key("", TWEET).await,
        with_key(&"k".repeat(256), TWEET).await,
        ask(
            &front,
            "POST",
            "/v1/tweets",
            &[JSON, "idempotency-key: a", "idempotency-key: a"],
            TWEET.as_bytes(),
        )
        .await,
    ];
    for answer in &refused {
        assert_refused(answer, 400, 3, "a wrong key");
        assert_eq!(answer.violations(), ["idempotency-key"]);
    }
    let after = totals(&stack).await;
    assert_eq!(after.kafka - before.kafka, 2);
    assert_eq!(after.rabbitmq - before.rabbitmq, 2);
}

#[tokio::test]
async fn an_id_that_comes_from_outside_is_not_taken() {
    let stack = stack().await;
    let front = stack.address(Part::Rest);
    let theirs = format!("clima-tweet-id: {}-0", "ab".repeat(16));
    let answer = ask(
        &front,
        "POST",
        "/v1/tweets",
        &[JSON, &theirs],
        TWEET.as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert!(!theirs.contains(&answer.headers["clima-tweet-id"]));
}
