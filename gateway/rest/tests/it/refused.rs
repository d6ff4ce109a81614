//! What is refused before anything leaves the front.

use serde_json::json;

use super::front::Front;
use super::http::{Answer, Connection, TWEET, request, tweet};

/// A refusal of the front: what every one has in common.
fn assert_refused(answer: &Answer, status: u16, code: i32, fields: &[&str], what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert_eq!(answer.json()["code"], json!(code), "{what}");
    assert_eq!(answer.fate(), "NOT_COUNTED", "{what}");
    assert_eq!(answer.fields(), fields, "{what}: {answer:?}");
    assert_eq!(answer.header("clima-tweet-id"), None, "{what}");
}

const INVALID: i32 = 3;
const UNIMPLEMENTED: i32 = 12;

#[tokio::test]
async fn a_body_that_is_not_a_tweet_is_one_violation_of_the_body() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let with = |humidity: &str| TWEET.replace("60", humidity).into_bytes();
    let bodies = [
        b"".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"\"mixco\"".to_vec(),
        b"{".to_vec(),
        b"municipality=mixco".to_vec(),
        [TWEET.as_bytes(), b" x"].concat(),
        [TWEET.as_bytes(), TWEET.as_bytes()].concat(),
        [b"\xef\xbb\xbf", TWEET.as_bytes()].concat(),
        b"{\"municipality\":\"mix\xffco\"}".to_vec(),
        b"{\"municipality\":\"mixco\xc3\"}".to_vec(),
        with("25.5"),
        with("2147483648"),
        with("-2147483649"),
        with("1e99"),
        with("\"60.5\""),
        with("\"a lot\""),
        with("true"),
        with("[60]"),
        with("{}"),
        with("NaN"),
        with("60,\"humidity\":60"),
        with("60,\"wind\":3"),
        with("60,\"humidit\\u0079\":60"),
        with("60,\"source\":\"AA==\""),
        with("60,\"Humidity\":60"),
        with("60,"),
        with("60/* */"),
        with("\"\\ud800\""),
        vec![0; 64],
        vec![b'['; 4_000],
        TWEET.replace("mixco", "MIXCO").into_bytes(),
        TWEET.replace("mixco", "villa nueva").into_bytes(),
        TWEET.replace("sunny", "").into_bytes(),
    ];
    for body in bodies {
        let what = String::from_utf8_lossy(&body).into_owned();
        for path in ["/v1/tweets", "/clima"] {
            let answer = front
                .ask(request(
                    "POST",
                    path,
                    &["content-type: application/json"],
                    &body,
                ))
                .await;
            assert_refused(&answer, 400, INVALID, &["body"], &what);
        }
    }
    assert!(upstream.calls().is_empty());
}

#[tokio::test]
async fn a_value_outside_its_range_is_a_violation_of_its_field_and_all_are_told_at_once() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let all = ["municipality", "temperature", "humidity", "weather"];
    let rows: [(&str, &str, &[&str]); 13] = [
        ("\"mixco\"", "0", &["municipality"]),
        ("\"mixco\"", "5", &["municipality"]),
        ("\"mixco\"", "99", &["municipality"]),
        ("\"mixco\"", "-1", &["municipality"]),
        ("\"mixco\"", "\"municipalities_unknown\"", &["municipality"]),
        ("\"mixco\"", "null", &["municipality"]),
        ("25", "-91", &["temperature"]),
        ("25", "61", &["temperature"]),
        ("25", "-2147483648", &["temperature"]),
        ("60", "-1", &["humidity"]),
        ("60", "101", &["humidity"]),
        ("\"sunny\"", "\"weathers_unknown\"", &["weather"]),
        ("\"sunny\"", "99", &["weather"]),
    ];
    for (value, other, fields) in rows {
        let body = TWEET.replace(value, other);
        assert_refused(&front.send(&[], &body).await, 400, INVALID, fields, &body);
    }
    for (body, fields) in [
        ("{}", &["municipality", "weather"][..]),
        (
            r#"{"municipality":null,"weather":null}"#,
            &["municipality", "weather"],
        ),
        (
            r#"{"municipality":5,"temperature":61,"humidity":101,"weather":5}"#,
            &all,
        ),
    ] {
        assert_refused(&front.send(&[], body).await, 400, INVALID, fields, body);
    }
    assert!(upstream.calls().is_empty());
}

#[tokio::test]
async fn only_json_is_a_tweets_content_type() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let rows: [&[&str]; 8] = [
        &[],
        &["content-type:"],
        &["content-type: text/plain"],
        &["content-type: application/x-www-form-urlencoded"],
        &["content-type: application/json-seq"],
        &["content-type: application/grpc"],
        &[
            "content-type: application/json",
            "content-type: application/json",
        ],
        &["content-type: text/plain; application/json"],
    ];
    for headers in rows {
        let answer = front
            .ask(request("POST", "/v1/tweets", headers, TWEET.as_bytes()))
            .await;
        assert_refused(&answer, 415, INVALID, &[], &headers.concat());
    }
    assert!(upstream.calls().is_empty());
}

#[tokio::test]
async fn another_method_is_405_and_told_the_one_that_is_allowed() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    for path in ["/v1/tweets", "/clima"] {
        for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            let answer = front.ask(request(method, path, &[], b"")).await;
            assert_refused(&answer, 405, UNIMPLEMENTED, &[], method);
            assert_eq!(answer.header("allow"), Some("POST"), "{method} {path}");
        }
        let mut connection = front.connect().await;
        connection.send(request("HEAD", path, &[], b"")).await;
        let answer = connection.answer_to_head().await.expect("an answer");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    }
    assert!(upstream.calls().is_empty());
}

#[tokio::test]
async fn an_unknown_path_is_404_whatever_the_method() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    for path in [
        "/",
        "/v1/tweets/",
        "/v1//tweets",
        "/V1/tweets",
        "/clima/",
        "/v1/tweets/1",
        "/metrics",
        "/%76%31/tweets",
    ] {
        for method in ["GET", "POST"] {
            let answer = front
                .ask(request(
                    method,
                    path,
                    &["content-type: application/json"],
                    TWEET.as_bytes(),
                ))
                .await;
            assert_refused(&answer, 404, 5, &[], path);
        }
    }
    assert!(upstream.calls().is_empty());
}

#[tokio::test]
async fn a_key_that_breaks_a_rule_is_a_violation_beside_those_of_the_tweet() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let long = format!("idempotency-key: {}", "k".repeat(256));
    let rows: [&[&str]; 4] = [
        &["idempotency-key:"],
        &["idempotency-key: a", "idempotency-key: b"],
        &["idempotency-key: a", "idempotency-key: a"],
        &[&long],
    ];
    for headers in rows {
        let answer = front.send(headers, TWEET).await;
        assert_refused(&answer, 400, INVALID, &["idempotency-key"], headers[0]);
        let answer = front.send(headers, &TWEET.replace("60", "101")).await;
        let both = ["humidity", "idempotency-key"];
        assert_refused(&answer, 400, INVALID, &both, headers[0]);
    }
    assert!(upstream.calls().is_empty());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_however_it_is_sent() {
    // More than the sockets between the two can hold: a client that sends all of it before it reads is read to
    // the end, or its connection breaks and the answer is lost.
    const LARGE: usize = 20_000_000;
    let (front, upstream) = Front::with_upstream(&["--max-body=100"]).await;
    let json = "content-type: application/json";
    let spaces = vec![b' '; LARGE];
    let at_once = request("POST", "/v1/tweets", &[json], &spaces);
    assert_too_large(&mut front.connect().await, &at_once, "with its length").await;

    let chunk = [
        format!("{LARGE:x}\r\n").as_bytes(),
        &spaces,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let head = "POST /v1/tweets HTTP/1.1\r\nhost: front\r\ntransfer-encoding: chunked\r\n";
    let chunked = [format!("{head}{json}\r\n\r\n").as_bytes(), &chunk].concat();
    assert_too_large(&mut front.connect().await, &chunked, "in chunks").await;

    // The limit itself is no more than the limit.
    let fits = format!("{TWEET}{}", " ".repeat(100 - TWEET.len()));
    assert_eq!(front.send(&[], &fits).await.status, 200);
    let above = format!("{fits} ");
    assert_refused(&front.send(&[], &above).await, 413, INVALID, &[], "101");
    assert_eq!(upstream.calls().len(), 1);
}

async fn assert_too_large(connection: &mut Connection, request: &[u8], what: &str) {
    connection.send(request).await;
    let answer = connection.answer().await.expect(what);
    assert_refused(&answer, 413, INVALID, &[], what);
}

#[tokio::test]
async fn a_refused_request_leaves_its_connection_usable() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let mut connection = front.connect().await;
    for (request, status) in [
        (tweet(&[], "{}"), 400),
        (request("GET", "/v1/tweets", &[], b""), 405),
        (request("POST", "/nowhere", &[], TWEET.as_bytes()), 404),
        (request("POST", "/v1/tweets", &[], TWEET.as_bytes()), 415),
        (tweet(&[], TWEET), 200),
    ] {
        connection.send(request).await;
        let answer = connection.answer().await.expect("an answer");
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(upstream.calls().len(), 1);
}
