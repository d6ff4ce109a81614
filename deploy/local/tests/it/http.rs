//! HTTP/1.1 by hand, so that a test can send what no client library would.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer, read to the end of its connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The names of the fields that a `google.rpc.BadRequest` in the body complains of.
    pub(crate) fn violations(&self) -> Vec<String> {
        let json = self.json();
        let details = json["details"].as_array().cloned().unwrap_or_default();
        details
            .iter()
            .filter_map(|detail| detail["fieldViolations"].as_array())
            .flatten()
            .map(|violation| violation["field"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The reason of the `google.rpc.ErrorInfo` in the body.
    pub(crate) fn reason(&self) -> Option<String> {
        let json = self.json();
        let details = json["details"].as_array()?;
        details
            .iter()
            .find_map(|detail| detail["reason"].as_str().map(str::to_owned))
    }
}

/// Sends one request with these header lines; `content-length` and `connection: close` are added.
pub(crate) async fn ask(
    address: &str,
    verb: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Answer {
    let mut request = format!(
        "{verb} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    send(address, &request).await
}

/// Sends these bytes and reads the answer.
pub(crate) async fn send(address: &str, bytes: &[u8]) -> Answer {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let bytes = bytes.to_vec();
    // Beside the reading: who refuses a large body answers before it has come to its end, and closes.
    let writing = tokio::spawn(async move { writer.write_all(&bytes).await });
    let mut answer = Vec::new();
    // What was answered counts, also when the connection is reset after it.
    reader.read_to_end(&mut answer).await.ok();
    drop(writing.await);
    parse(&String::from_utf8(answer).unwrap())
}

fn parse(text: &str) -> Answer {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status: status.parse().unwrap(),
        headers,
        body: body.to_owned(),
    }
}
