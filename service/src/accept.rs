//! The connections of a port as they come, and an end that loses none of them.
//!
//! Who closes a port while connections wait to be accepted resets them, and with them what their clients have sent.
//! So at the shutdown those are still accepted. Only then the port closes: whoever connects from now on is refused, and
//! knows that nothing was sent. The connections that stand are asked to end a moment later.

use std::io;
use std::net;
use std::time::Duration;

use futures::stream::{self, Stream};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Time for the last ones to agree on a protocol: a connection that has not is cut, not asked to end.
const MOMENT: Duration = Duration::from_millis(500);

enum Port {
    Open(TcpListener),
    Closing(net::TcpListener),
    Closed,
}

/// Accepts connections until `shutdown`, then those that wait; `closed` is cancelled a moment after the port was closed.
/// The stream has no end: whoever reads it stops at `closed`.
pub(crate) fn until_closed(
    listener: TcpListener,
    shutdown: CancellationToken,
    closed: CancellationToken,
) -> impl Stream<Item = io::Result<TcpStream>> {
    stream::unfold(Port::Open(listener), move |port| {
        let (shutdown, closed) = (shutdown.clone(), closed.clone());
        async move { Some(next(port, &shutdown, &closed).await) }
    })
}

async fn next(
    mut port: Port,
    shutdown: &CancellationToken,
    closed: &CancellationToken,
) -> (io::Result<TcpStream>, Port) {
    loop {
        port = match port {
            Port::Open(listener) => match shutdown.run_until_cancelled(listener.accept()).await {
                Some(accepted) => {
                    let accepted = accepted.and_then(|(stream, _)| {
                        stream.set_nodelay(true)?;
                        Ok(stream)
                    });
                    return (accepted, Port::Open(listener));
                }
                None => listener.into_std().map_or(Port::Closed, Port::Closing),
            },
            Port::Closing(listener) => match waiting(&listener) {
                Some(accepted) => return (accepted, Port::Closing(listener)),
                None => Port::Closed,
            },
            Port::Closed => {
                tokio::time::sleep(MOMENT).await;
                closed.cancel();
                std::future::pending().await
            }
        };
    }
}

/// A connection that waits to be accepted; none when there is none.
pub fn waiting(listener: &net::TcpListener) -> Option<io::Result<TcpStream>> {
    let (stream, _) = listener.accept().ok()?;
    let ready = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_nonblocking(true));
    Some(ready.and_then(|()| TcpStream::from_std(stream)))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn connections_that_wait_at_the_shutdown_are_accepted_and_later_ones_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..3 {
            waiting.push(TcpStream::connect(address).await.unwrap());
        }
        let (shutdown, closed) = (CancellationToken::new(), CancellationToken::new());
        shutdown.cancel();
        let accepted = until_closed(listener, shutdown, closed.clone());
        let accepted: Vec<_> = accepted.take_until(closed.cancelled()).collect().await;
        assert_eq!(accepted.len(), 3);
        assert!(accepted.iter().all(Result::is_ok));
        assert!(TcpStream::connect(address).await.is_err());
    }
}
