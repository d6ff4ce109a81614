//! HTTP/1.1 by hand, so that a test can send what no client library would.

use std::net::SocketAddr;

use clima_testing::within;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer, read to the end of its connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header that is there once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The fields that the `google.rpc.BadRequest` of the body complains of.
    pub(crate) fn violations(&self) -> Vec<String> {
        let bad = self.detail("google.rpc.BadRequest");
        let violations = bad.and_then(|bad| bad["fieldViolations"].as_array().cloned());
        violations
            .unwrap_or_default()
            .iter()
            .map(|violation| {
                assert!(!violation["description"].as_str().unwrap().is_empty());
                violation["field"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    /// The reason of the `google.rpc.ErrorInfo` of the body.
    pub(crate) fn reason(&self) -> String {
        let info = self.detail("google.rpc.ErrorInfo");
        let info = info.unwrap_or_else(|| panic!("no ErrorInfo: {self:?}"));
        assert_eq!(info["domain"], "clima.v1");
        info["reason"].as_str().unwrap().to_owned()
    }

    fn detail(&self, name: &str) -> Option<Value> {
        let details = self.json()["details"].as_array().cloned()?;
        let url = format!("type.googleapis.com/{name}");
        details.into_iter().find(|detail| detail["@type"] == *url)
    }

    /// That this is a refusal, as every refusal must look.
    pub(crate) fn assert_refusal(&self, http: u16, code: i64, reason: &str, what: &str) {
        assert_eq!(self.status, http, "{what}: {self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/json"),
            "{what}"
        );
        assert_eq!(self.json()["code"], code, "{what}: {self:?}");
        assert!(
            !self.json()["message"].as_str().unwrap().is_empty(),
            "{what}"
        );
        assert_eq!(self.reason(), reason, "{what}: {self:?}");
        let wait = matches!(http, 429 | 503).then_some("1");
        assert_eq!(self.header("retry-after"), wait, "{what}: {self:?}");
    }
}

/// A request after which the connection is closed.
pub(crate) fn request(verb: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}", body.len());
    let own = ["host: clima", "connection: close", &length];
    let mut request = head(verb, path, own.iter().chain(headers).copied());
    request.extend_from_slice(body);
    request
}

/// A request with the body in chunks.
pub(crate) fn chunked(path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let own = [
        "host: clima",
        "connection: close",
        "transfer-encoding: chunked",
    ];
    let mut request = head("POST", path, own.iter().chain(headers).copied());
    for chunk in body.chunks(1_000) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// The request line and these header lines, up to the body.
pub(crate) fn head<'a>(
    verb: &str,
    path: &str,
    headers: impl IntoIterator<Item = &'a str>,
) -> Vec<u8> {
    let mut head = format!("{verb} {path} HTTP/1.1\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Sends these bytes on a connection of their own and reads the answer to its end.
pub(crate) async fn send(address: SocketAddr, bytes: Vec<u8>) -> Answer {
    let answer = exchange(address, bytes).await;
    parse(&answer)
}

/// Sends these bytes on a connection of their own and returns all that comes until it is closed.
pub(crate) async fn exchange(address: SocketAddr, bytes: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    // Beside the reading: who refuses a large body answers before it has come to its end.
    let writing = tokio::spawn(async move {
        let sent = writer.write_all(&bytes).await;
        (writer, sent)
    });
    let mut answer = Vec::new();
    let read = within("an answer", reader.read_to_end(&mut answer)).await;
    read.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&answer)));
    writing.abort();
    answer
}

/// Reads what was answered.
pub(crate) fn parse(answer: &[u8]) -> Answer {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| line.split_once(':').unwrap());
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Answer {
        status: status.parse().unwrap(),
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

/// A connection that stays.
pub(crate) struct Connection(pub(crate) TcpStream);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads one answer, whose length its head tells.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        loop {
            let read = within("an answer", self.0.read_buf(&mut bytes)).await;
            assert_ne!(read.unwrap(), 0, "closed after {bytes:?}");
            let text = String::from_utf8_lossy(&bytes);
            let Some((_, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let answer = parse(&bytes);
            let length = answer.header("content-length").unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return answer;
            }
        }
    }

    /// Whatever comes until the connection is closed.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = within("the end", self.0.read_to_end(&mut bytes)).await;
        read.unwrap();
        bytes
    }
}
