//! A connection between two parts that can be broken: a TCP proxy on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It passes everything on.
    Open,
    /// It keeps everything to itself; connections stay.
    Stalled,
    /// It has ended every connection and takes no new one.
    Cut,
}

/// A port of a proxy, and where it leads to (`host:port`).
#[derive(Debug)]
struct Gate {
    port: u16,
    target: watch::Sender<String>,
    task: JoinHandle<()>,
}

impl Gate {
    async fn open(target: &str, mode: watch::Receiver<Mode>) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let port = listener.local_addr()?.port();
        let (target, seen) = watch::channel(target.to_owned());
        let task = tokio::spawn(accept(listener, seen, mode));
        Ok(Self { port, target, task })
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A proxy in front of one address, with one gate or several. It ends when this is dropped.
#[derive(Debug)]
pub struct Link {
    gates: Vec<Gate>,
    mode: watch::Sender<Mode>,
}

impl Link {
    /// Opens ports in front of `target` (`host:port`), which need not be there yet. Each can be led elsewhere; all
    /// break together.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(target: &str, ports: usize) -> io::Result<Self> {
        let (mode, seen) = watch::channel(Mode::Open);
        let mut gates = Vec::new();
        for _ in 0..ports {
            gates.push(Gate::open(target, seen.clone()).await?);
        }
        Ok(Self { gates, mode })
    }

    /// The ports of the proxy, on loopback: one for each gate.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.gates.iter().map(|gate| gate.port)
    }

    /// Leads a gate, counted from 0, to another address: its connections end, and new ones go there.
    pub fn lead(&self, gate: usize, target: &str) {
        if let Some(gate) = self.gates.get(gate) {
            gate.target.send_replace(target.to_owned());
        }
    }

    /// Ends every connection and refuses new ones.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Keeps connections and passes nothing on, in either direction.
    pub fn stall(&self) {
        self.mode.send_replace(Mode::Stalled);
    }

    /// Passes everything on again.
    pub fn mend(&self) {
        self.mode.send_replace(Mode::Open);
    }
}

async fn accept(
    listener: TcpListener,
    target: watch::Receiver<String>,
    mode: watch::Receiver<Mode>,
) {
    // Ends with the task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                if *mode.borrow() != Mode::Cut {
                    connections.spawn(carry(client, target.clone(), mode.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(
    client: TcpStream,
    mut target: watch::Receiver<String>,
    mode: watch::Receiver<Mode>,
) {
    let address = target.borrow_and_update().clone();
    let Ok(server) = TcpStream::connect(&address).await else {
        return;
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = mode.clone();
    tokio::select! {
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
        _ = target.wait_for(|target| *target != address) => {}
        _ = async {
            tokio::join!(
                pass(from_client, to_server, mode.clone()),
                pass(from_server, to_client, mode.clone()),
            )
        } => {}
    }
}

/// Passes one direction on, and its end.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if mode.wait_for(|mode| *mode == Mode::Open).await.is_err() {
            return Ok(());
        }
        if bytes == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..bytes]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use tokio::time::timeout;

    /// A server that sends back what it gets.
    async fn echo_server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut read, mut write) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
            }
        });
        target
    }

    async fn echo() -> Link {
        Link::to(&echo_server().await, 1).await.unwrap()
    }

    async fn connect_to(port: u16) -> TcpStream {
        TcpStream::connect(("127.0.0.1", port)).await.unwrap()
    }

    async fn connect(link: &Link) -> TcpStream {
        connect_to(link.ports().next().unwrap()).await
    }

    async fn echoed(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"word").await?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.map(|_| ())
    }

    #[tokio::test]
    async fn a_stalled_link_delivers_after_it_is_mended() {
        let link = echo().await;
        let mut stream = connect(&link).await;
        echoed(&mut stream).await.unwrap();
        link.stall();
        let mut waiting = Box::pin(echoed(&mut stream));
        let early = timeout(Duration::from_millis(50), &mut waiting).await;
        assert!(early.is_err(), "it was passed on");
        link.mend();
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_link_ends_its_connections_and_takes_none_until_it_is_mended() {
        let link = echo().await;
        let mut stream = connect(&link).await;
        echoed(&mut stream).await.unwrap();
        link.cut();
        assert!(echoed(&mut stream).await.is_err());
        assert!(echoed(&mut connect(&link).await).await.is_err());
        link.mend();
        echoed(&mut connect(&link).await).await.unwrap();
    }

    #[tokio::test]
    async fn a_gate_that_is_led_elsewhere_ends_its_own_connections_only() {
        let link = Link::to(&echo_server().await, 2).await.unwrap();
        let ports: Vec<_> = link.ports().collect();
        let (mut first, mut second) = (connect_to(ports[0]).await, connect_to(ports[1]).await);
        echoed(&mut first).await.unwrap();
        echoed(&mut second).await.unwrap();
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        link.lead(1, &elsewhere.local_addr().unwrap().to_string());
        assert!(echoed(&mut second).await.is_err());
        echoed(&mut first).await.unwrap();
        let mut second = connect_to(ports[1]).await;
        second.write_all(b"word").await.unwrap();
        let (mut there, _) = elsewhere.accept().await.unwrap();
        let mut word = [0; 4];
        there.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"word");
    }
}
