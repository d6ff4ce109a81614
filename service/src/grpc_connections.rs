//! Connections to the gRPC ports, counted and limited while they are open.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Longest time until a peer has said hello. Without it, whoever connects and says nothing would keep a place for ever:
/// HTTP/2 asks whether a peer is alive only after that.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every peer says at first has at least as many bytes: the preface of HTTP/2 (RFC 9113, 3.4).
const HELLO: usize = 24;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    port: &'static str,
}

/// Open connections of each gRPC port.
#[derive(Debug, Clone)]
pub(crate) struct GrpcConnections(Family<Labels, Gauge>);

impl GrpcConnections {
    /// A metric in this registry. It is not shown by a process without such a port.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let open = Family::default();
        let help = "Connections to a gRPC port that are open";
        registry.register("grpc_connections", help, open.clone());
        Self(open)
    }

    /// Those of one port.
    pub(crate) fn to(&self, port: &'static str) -> Gauge {
        self.0.get_or_create_owned(&Labels { port })
    }
}

/// The connections of a port as they come, each once there is a place for it. Those that wait are not accepted: the
/// operating system keeps them. After the shutdown no more of them come, and the last ones need no place.
pub(crate) fn limited(
    incoming: impl Stream<Item = io::Result<TcpStream>> + Send + 'static,
    limit: u32,
    shutdown: CancellationToken,
    open: Gauge,
) -> impl Stream<Item = io::Result<Counted>> {
    let places = Arc::new(Semaphore::new(limit as usize));
    stream::unfold(
        (incoming.boxed(), places, shutdown, open),
        async |(mut incoming, places, shutdown, open)| {
            let place = shutdown.run_until_cancelled(Arc::clone(&places).acquire_owned());
            let place = place.await.and_then(Result::ok);
            let next = incoming.next().await?;
            let connection = next.map(|stream| Counted::new(stream, open.clone(), place));
            Some((connection, (incoming, places, shutdown, open)))
        },
    )
}

/// A connection to a gRPC port. It counts as open, and has its place, until it is dropped.
#[derive(Debug)]
pub struct Counted {
    stream: TcpStream,
    open: Gauge,
    /// How long the peer may still take to say hello, and with how many bytes; none once it has.
    hello: Option<(Pin<Box<Sleep>>, usize)>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Counted {
    fn new(stream: TcpStream, open: Gauge, place: Option<OwnedSemaphorePermit>) -> Self {
        open.inc();
        Self {
            stream,
            open,
            hello: Some((Box::pin(sleep(PATIENCE)), HELLO)),
            _place: place,
        }
    }

    /// Takes in that so many more bytes have come.
    fn heard(&mut self, bytes: usize) {
        if let Some((_, missing)) = &mut self.hello {
            *missing = missing.saturating_sub(bytes);
            if *missing == 0 {
                self.hello = None;
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Connected for Counted {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.heard(buffer.filled().len() - before);
        if let (Poll::Pending, Some((patience, _))) = (&polled, &mut self.hello)
            && patience.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Counted {
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
    use std::net::SocketAddr;
    use std::pin::pin;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::accept::until_closed;

    struct Port<S> {
        address: SocketAddr,
        incoming: S,
        shutdown: CancellationToken,
        closed: CancellationToken,
    }

    async fn port(limit: u32) -> Port<impl Stream<Item = io::Result<Counted>>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, closed) = (CancellationToken::new(), CancellationToken::new());
        let incoming = until_closed(listener, shutdown.clone(), closed.clone());
        Port {
            address,
            incoming: limited(incoming, limit, shutdown.clone(), Gauge::default()),
            shutdown,
            closed,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_beyond_the_limit_is_taken_when_another_ends() {
        let port = port(1).await;
        let mut incoming = pin!(port.incoming);
        let _first = TcpStream::connect(port.address).await.unwrap();
        let _second = TcpStream::connect(port.address).await.unwrap();
        let first = incoming.next().await.unwrap().unwrap();
        assert_eq!(first.open.get(), 1);
        assert!(timeout(PATIENCE, incoming.next()).await.is_err());
        drop(first);
        assert!(incoming.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_port_with_no_place_left_can_still_be_closed() {
        let port = port(1).await;
        let mut incoming = pin!(port.incoming);
        let _peers = [
            TcpStream::connect(port.address).await.unwrap(),
            TcpStream::connect(port.address).await.unwrap(),
        ];
        let _first = incoming.next().await.unwrap().unwrap();
        port.shutdown.cancel();
        let _waiting = incoming.next().await.unwrap().unwrap();
        tokio::select! {
            _ = incoming.next() => panic!("nobody else has come"),
            () = port.closed.cancelled() => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_say_hello_is_given_up_and_one_that_did_may_be_silent() {
        let port = port(2).await;
        let mut incoming = pin!(port.incoming);
        for hello in [0, HELLO - 1, HELLO] {
            let mut peer = TcpStream::connect(port.address).await.unwrap();
            let mut connection = incoming.next().await.unwrap().unwrap();
            peer.write_all(&vec![0; hello]).await.unwrap();
            let mut heard = vec![0; hello];
            connection.read_exact(&mut heard).await.unwrap();
            let silence = timeout(2 * PATIENCE, connection.read(&mut [0])).await;
            let given_up =
                matches!(silence, Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut);
            assert_eq!(given_up, hello < HELLO, "after {hello} bytes");
        }
    }
}
