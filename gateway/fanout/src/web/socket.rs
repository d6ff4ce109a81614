//! The socket of a connection to the public port, which ends where hyper would go on waiting.
//!
//! HTTP/2 has rules for an orderly end. What has none is a peer that has not said yet which protocol it speaks, and
//! one that has begun a request of HTTP/1.1: the first is given [`PATIENCE`], and a shutdown waits for neither.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;

/// Longest time until it is known which protocol a connection speaks. As hyper grants for the headers of HTTP/1.1.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first bytes of a connection that speaks HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// So far as many bytes as this are those of the preface.
    Unknown(usize),
    Http1,
    Http2,
}

impl Speaks {
    fn after(self, bytes: &[u8]) -> Self {
        let Self::Unknown(known) = self else {
            return self;
        };
        let rest = &PREFACE[known..];
        let common = rest.len().min(bytes.len());
        match rest[..common] == bytes[..common] {
            false => Self::Http1,
            true if common == rest.len() => Self::Http2,
            true => Self::Unknown(known + common),
        }
    }
}

#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    speaks: Speaks,
    patience: Pin<Box<Sleep>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    calls: TaskTracker,
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, shutdown: CancellationToken) -> Self {
        Self {
            stream,
            speaks: Speaks::Unknown(0),
            patience: Box::pin(sleep(PATIENCE)),
            shutdown: Box::pin(shutdown.cancelled_owned()),
            calls: TaskTracker::new(),
        }
    }

    /// Whether nothing more is to be heard from the peer.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> bool {
        match self.speaks {
            Speaks::Http2 => false,
            Speaks::Http1 => self.calls.is_empty() && self.shutdown.as_mut().poll(cx).is_ready(),
            Speaks::Unknown(_) => {
                self.patience.as_mut().poll(cx).is_ready()
                    || self.shutdown.as_mut().poll(cx).is_ready()
            }
        }
    }
}

/// The calls in flight on the connection, which go with each request.
impl<S> Connected for Socket<S> {
    type ConnectInfo = TaskTracker;

    fn connect_info(&self) -> TaskTracker {
        self.calls.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_end(cx) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.speaks = self.speaks.after(&buffer.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_say_what_it_speaks_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _silent = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = Socket::new(stream, CancellationToken::new());
        assert_eq!(socket.read(&mut [0; 8]).await.unwrap(), 0);
    }

    fn speaks(pieces: &[&[u8]]) -> Speaks {
        pieces
            .iter()
            .fold(Speaks::Unknown(0), |speaks, piece| speaks.after(piece))
    }

    #[test]
    fn what_a_connection_speaks_is_known_by_its_first_bytes_in_any_pieces() {
        assert_eq!(speaks(&[PREFACE]), Speaks::Http2);
        assert_eq!(
            speaks(&[b"PRI * HTTP", &PREFACE[10..], b"POST"]),
            Speaks::Http2
        );
        assert_eq!(speaks(&[b"P"]), Speaks::Unknown(1));
        assert_eq!(speaks(&[b"P", b"OST / HTTP/1.1"]), Speaks::Http1);
        assert_eq!(speaks(&[b"OPTIONS / HTTP/1.1\r\n\r\n"]), Speaks::Http1);
        assert_eq!(speaks(&[]), Speaks::Unknown(0));
    }
}
