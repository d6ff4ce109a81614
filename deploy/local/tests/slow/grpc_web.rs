//! A page in a browser sends tweets by gRPC-web, with the TypeScript client that `make gen` makes.

use std::process::Stdio;
use std::time::Duration;

use clima_local::{Part, Stack};
use clima_proto::id::TweetId;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::clients::examples;
use crate::stack::{page, stack, totals};
use crate::tools::{root, tool};

/// Longest time of a browser to start, or to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// A page that is open in a browser.
struct Page {
    served: AbortHandle,
    browser: Child,
    asks: ChildStdin,
    tells: Lines<BufReader<ChildStdout>>,
}

impl Page {
    /// Opens the page as one of this host.
    async fn open(host: &str, stack: &Stack) -> Self {
        // The page has the client that the examples have.
        examples().await;
        let packages = tool("grpc-web-page.sh").await;
        let (listener, address) = page();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let served = tokio::spawn(serve(listener)).abort_handle();
        let mut browser = Command::new("node")
            .arg(root().join("deploy/local/tests/slow/page/browser.cjs"))
            .arg(format!("http://{host}:{}/", address.port()))
            .arg(format!("http://{}", stack.address(Part::Gateway)))
            .env("NODE_PATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            served,
            asks: browser.stdin.take().unwrap(),
            tells: BufReader::new(browser.stdout.take().unwrap()).lines(),
            browser,
        }
    }

    /// Lets the page send a tweet, and returns what it learns of it.
    async fn send(&mut self, tweet: &Value, key: Option<&str>) -> Value {
        let mut line = match key {
            Some(key) => json!([tweet, key]),
            None => json!([tweet]),
        }
        .to_string();
        line.push('\n');
        self.asks.write_all(line.as_bytes()).await.unwrap();
        let told = timeout(LIMIT, self.tells.next_line()).await;
        let told = told.expect("an answer in time").unwrap();
        serde_json::from_str(&told.expect("an answer")).unwrap()
    }

    async fn close(mut self) {
        drop(self.asks);
        let ended = timeout(LIMIT, self.browser.wait()).await;
        self.served.abort();
        assert!(ended.expect("an end in time").unwrap().success());
    }
}

/// Serves the two files of the page.
async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // A browser also opens connections that it does not use.
        if stream.read_buf(&mut head).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let (name, media) = match head.split(' ').nth(1) {
        Some("/") => ("index.html", "text/html"),
        Some("/page.js") => ("page.js", "text/javascript"),
        _ => ("nothing", "text/plain"),
    };
    let file = std::fs::read(root().join("target/grpc-web-page").join(name));
    let status = if file.is_ok() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let body = file.unwrap_or_default();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // Whether the browser took it is seen by what it does.
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .ok();
}

fn tweet(humidity: i32) -> Value {
    json!({ "municipality": 1, "temperature": 25, "humidity": humidity, "weather": 1 })
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_sends_tweets_and_reads_ids_and_details() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let mut page = Page::open("localhost", &stack).await;
    let first = page.send(&tweet(60), Some("key of the page")).await;
    let again = page.send(&tweet(60), Some("key of the page")).await;
    let other = page.send(&tweet(60), None).await;
    for sent in [&first, &again, &other] {
        assert_eq!(sent["status"], "accepted", "{sent}");
        assert!(
            sent["id"].as_str().unwrap().parse::<TweetId>().is_ok(),
            "{sent}"
        );
    }
    assert_eq!(first["id"], again["id"]);
    assert_ne!(first["id"], other["id"]);

    let wrong = json!({ "municipality": 0, "temperature": 61, "humidity": 101, "weather": 9 });
    let refused = page.send(&wrong, Some("")).await;
    assert_eq!(refused["code"], "InvalidArgument", "{refused}");
    let fields = ["municipality", "temperature", "humidity", "weather"];
    for field in fields {
        assert!(
            refused["violations"]
                .as_array()
                .unwrap()
                .contains(&json!(field)),
            "{refused}"
        );
    }
    assert_eq!(
        (&refused["reason"], &refused["id"]),
        (&json!("NOT_COUNTED"), &json!(null))
    );
    page.close().await;
    let after = totals(&stack).await;
    assert_eq!(
        (after.kafka - before.kafka, after.rabbitmq - before.rabbitmq),
        (2, 2)
    );
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_send_tweets() {
    let stack = stack().await;
    let before = totals(&stack).await;
    let mut page = Page::open("127.0.0.1", &stack).await;
    let refused = page.send(&tweet(60), None).await;
    assert_eq!(refused["code"], "Unknown", "{refused}");
    assert_eq!(refused["id"], json!(null), "{refused}");
    // It is the answer that is kept from the page, not the gateway.
    assert_eq!(refused["reached"], json!(true), "{refused}");
    page.close().await;
    let after = totals(&stack).await;
    assert_eq!(
        (after.kafka, after.rabbitmq),
        (before.kafka, before.rabbitmq)
    );
}
