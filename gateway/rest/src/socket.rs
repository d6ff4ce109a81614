//! The socket of a connection, on which hyper's own refusals become ours.
//!
//! What is no HTTP never reaches a service: hyper answers it by itself, with an empty body. A client is
//! promised a `google.rpc.Status` whoever refuses, so these answers are replaced on their way out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::metrics::HttpMetrics;
use crate::pause::{Pause, Paused};
use crate::refusal::Refusal;

#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// What is written in place of hyper's words, and before anything else.
    instead: Bytes,
    paused: Paused,
    metrics: HttpMetrics,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, pause: Pause, metrics: HttpMetrics) -> Self {
        Self {
            stream,
            instead: Bytes::new(),
            paused: Paused::new(pause),
            metrics,
        }
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

/// The status of a refusal that hyper made by itself: a head alone, without the `content-type` that all of our
/// answers have. It is written in one piece, after everything before it.
fn own_refusal(written: &[u8]) -> Option<StatusCode> {
    let head = std::str::from_utf8(written).ok()?;
    let head = head.strip_prefix("HTTP/1.1 ")?.strip_suffix("\r\n\r\n")?;
    let (status, headers) = head.split_at_checked(3)?;
    let ours = headers.contains("content-type") || headers.contains("\r\n\r\n");
    (!ours && status.starts_with('4')).then(|| status.parse().ok())?
}

/// The same refusal as a client may expect it, after which the connection is closed.
fn refusal(status: StatusCode) -> Bytes {
    let reason = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the headers are too large or too many",
        StatusCode::URI_TOO_LONG => "the path is too long",
        _ => "the request is not HTTP/1.1",
    };
    let body = Refusal::own(status, reason).body();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer.into()
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.paused.poll(cx));
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(cx))?;
        if let Some(status) = own_refusal(bytes) {
            self.instead = refusal(status);
            self.metrics.unreadable(status);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_hypers_own() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(
            own_refusal(bare),
            Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        );
        for other in [
            &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 405 Method Not Allowed\r\ncontent-type: application/json\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n\r\n{}",
            b"{\"message\":\"HTTP/1.1 400\"}\r\n\r\n",
            b"HTTP/1.1 4",
            b"",
        ] {
            assert_eq!(own_refusal(other), None, "{other:?}");
        }
    }
}
