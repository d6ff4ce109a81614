//! HTTP/1.1 by hand, so that a test can also say what no client library would.

use std::io::ErrorKind;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use clima_testing::wait::ends;

/// A valid tweet.
pub(crate) const TWEET: &str =
    r#"{"municipality":"mixco","temperature":25,"humidity":60,"weather":"sunny"}"#;

/// An answer of the front.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands twice: {self:?}");
        value
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The detail of this type in a `google.rpc.Status`.
    pub(crate) fn detail(&self, name: &str) -> Option<Value> {
        let status = self.json();
        let type_url = json!(format!("type.googleapis.com/google.rpc.{name}"));
        let details = status["details"].as_array()?;
        let found = details.iter().find(|detail| detail["@type"] == type_url);
        found.cloned()
    }

    /// What the refusal says about counting.
    pub(crate) fn fate(&self) -> String {
        let info = self.detail("ErrorInfo").expect("an ErrorInfo");
        assert_eq!(info["domain"], "clima.v1");
        info["reason"].as_str().unwrap().to_owned()
    }

    /// The fields that the refusal complains about.
    pub(crate) fn fields(&self) -> Vec<String> {
        let Some(bad) = self.detail("BadRequest") else {
            return Vec::new();
        };
        let violations = bad["fieldViolations"].as_array().unwrap();
        let field = |violation: &Value| violation["field"].as_str().unwrap().to_owned();
        violations.iter().map(field).collect()
    }
}

/// A connection to the front.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.expect("a connection"),
            read: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream
            .write_all(text.as_ref())
            .await
            .expect("to write a request");
    }

    /// The next answer; none when the front closes the connection instead.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        ends("an answer", self.read_answer(false)).await
    }

    /// The same for a HEAD request, whose answer has no body.
    pub(crate) async fn answer_to_head(&mut self) -> Option<Answer> {
        ends("an answer", self.read_answer(true)).await
    }

    /// Whether nothing has come so far.
    pub(crate) fn is_unanswered(&self) -> bool {
        let mut byte = [0];
        self.read.is_empty()
            && matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    async fn read_answer(&mut self, head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let text = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        let length = if head { 0 } else { length };
        while self.read.len() < length {
            self.more().await?;
        }
        let body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        Some(Answer {
            status: status.parse().unwrap(),
            headers,
            body,
        })
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}

/// A request with these header lines besides `host` and, for a body, `content-length`.
pub(crate) fn request(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: front\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut text = text.into_bytes();
    text.extend_from_slice(body);
    text
}

/// A tweet as most clients send it, with these headers more.
pub(crate) fn tweet(headers: &[&str], body: &str) -> Vec<u8> {
    let mut all = vec!["content-type: application/json"];
    all.extend(headers);
    request("POST", "/v1/tweets", &all, body.as_bytes())
}
