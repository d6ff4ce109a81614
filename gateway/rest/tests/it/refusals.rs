//! Requests that are wrong before their body is looked at.

use crate::front::{Front, JSON, TWEET};
use crate::http::{self, Connection};

#[tokio::test]
async fn only_json_is_taken() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    let refused: [&[&str]; 9] = [
        &[],
        &["content-type: text/plain"],
        &["content-type: application/x-www-form-urlencoded"],
        &["content-type: multipart/form-data; boundary=x"],
        &["content-type: application/jsonp"],
        &["content-type: application/json, text/plain"],
        &["content-type:"],
        &[JSON, JSON],
        &[JSON, "content-type: text/plain"],
    ];
    for headers in refused {
        let answer = front
            .ask("POST", "/v1/tweets", headers, TWEET.as_bytes())
            .await;
        answer.assert_refusal(415, 3, "NOT_COUNTED", &format!("{headers:?}"));
    }
    assert!(gateway.calls().is_empty());
    for header in [
        "content-type: application/json; charset=utf-8",
        "content-type: application/json;charset=UTF-8",
        "Content-Type: APPLICATION/JSON",
    ] {
        let answer = front
            .ask("POST", "/v1/tweets", &[header], TWEET.as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{header}: {answer:?}");
    }
}

#[tokio::test]
async fn another_method_is_405_and_told_which_is_allowed() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    for path in ["/v1/tweets", "/clima"] {
        for verb in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let answer = front.ask(verb, path, &[JSON], TWEET.as_bytes()).await;
            answer.assert_refusal(405, 12, "NOT_COUNTED", verb);
            assert_eq!(answer.header("allow"), Some("POST"), "{verb}");
        }
        let answer = front.ask("HEAD", path, &[], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.body, "");
    }
    assert!(gateway.calls().is_empty());
}

#[tokio::test]
async fn another_path_is_404() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    for path in [
        "/",
        "/v1/tweets/",
        "/v1/tweets/1",
        "/V1/tweets",
        "/clima/",
        "//clima",
        "/v1/../clima",
        "/metrics",
        "/wethertweet.WeatherTweetService/SendTweet",
    ] {
        for verb in ["POST", "GET"] {
            let answer = front.ask(verb, path, &[JSON], TWEET.as_bytes()).await;
            answer.assert_refusal(404, 5, "NOT_COUNTED", path);
        }
    }
    assert!(gateway.calls().is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_however_large_and_however_sent() {
    let (front, gateway) = Front::with_gateway(&["--max-body", "1000"]).await;
    let padded = |size: usize| TWEET.to_owned() + &" ".repeat(size - TWEET.len());
    let fits = padded(1_000);
    assert_eq!(front.post(&[], &fits).await.status, 200);
    let before = gateway.calls().len();
    for size in [1_001, 20_000, 3_000_000] {
        let body = padded(size);
        let plain = http::request("POST", "/v1/tweets", &[JSON], body.as_bytes());
        let chunked = http::chunked("/v1/tweets", &[JSON], body.as_bytes());
        for (how, request) in [("plain", plain), ("chunked", chunked)] {
            let answer = http::send(front.address, request).await;
            answer.assert_refusal(413, 3, "NOT_COUNTED", &format!("{size} {how}"));
        }
    }
    // A client that looks for an answer only after it has sent all is not cut off while it does.
    let mut patient = Connection::open(front.address).await;
    let body = padded(20_000_000);
    let request = http::request("POST", "/v1/tweets", &[JSON], body.as_bytes());
    patient.write(request).await;
    assert_eq!(http::parse(&patient.rest().await).status, 413);
    assert_eq!(gateway.calls().len(), before);
}

#[tokio::test]
async fn a_request_that_is_no_http_is_400_like_any_other() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    let body = |head: &str| format!("{head}\r\n\r\n{TWEET}").into_bytes();
    let requests = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        body("HELLO"),
        body("POST /v1/tweets"),
        body("POST /v1/tweets HTTP/9.9"),
        body("POST /v1/tweets HTTP/1.1\r\nno colon"),
        body("POST /v1/tweets HTTP/1.1\r\nhost: x\r\ncontent-length: many"),
        body("POST /v1/tweets HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4"),
        body("POST /v1/tweets HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip"),
    ];
    for request in requests {
        let what = String::from_utf8_lossy(&request).into_owned();
        let answer = http::send(front.address, request).await;
        answer.assert_refusal(400, 3, "NOT_COUNTED", &what);
    }
    let odd = http::request(
        "POST",
        "/v1/tweets",
        &[JSON, "transfer-encoding: chunked"],
        b"zz\r\n",
    );
    http::send(front.address, odd).await.assert_refusal(
        400,
        3,
        "NOT_COUNTED",
        "a chunk of no size",
    );
    assert!(gateway.calls().is_empty());
}

#[tokio::test]
async fn headers_that_are_too_large_or_too_many_are_431() {
    let (front, gateway) = Front::with_gateway(&["--max-headers", "8192"]).await;
    let large = format!("x-large: {}", "x".repeat(20_000));
    let many: Vec<_> = (0..100).map(|n| format!("x-{n}: 1")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for headers in [vec![large.as_str()], many] {
        let answer = front.post(&headers, TWEET).await;
        answer.assert_refusal(431, 3, "NOT_COUNTED", headers[0]);
    }
    let path = format!("/{}", "x".repeat(70_000));
    let answer = front.ask("GET", &path, &[], b"").await;
    assert!([414, 431].contains(&answer.status), "{answer:?}");
    assert!(gateway.calls().is_empty());
}
