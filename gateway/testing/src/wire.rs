//! Ways to fail below HTTP/2.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// An address that accepts connections, takes what comes, and never answers.
pub struct Silent {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Silent {
    /// Such an address at a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let taken = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                    drop(taken);
                });
            }
        });
        Self {
            address,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A way to an address, whose connections can be reset.
pub struct Wire {
    address: SocketAddr,
    connections: Arc<Mutex<JoinSet<()>>>,
    _task: AbortOnDropHandle<()>,
}

impl Wire {
    /// A way to `target` that begins at a free port.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections: Arc<Mutex<JoinSet<()>>> = Arc::default();
        let accepted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                accepted.lock().unwrap().spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else {
                        return;
                    };
                    for stream in [&near, &far] {
                        stream.set_nodelay(true).unwrap();
                        // Closing is a reset: what was not read yet is lost.
                        stream.set_zero_linger().unwrap();
                    }
                    drop(copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        Self {
            address,
            connections,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Where it begins.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Resets every connection. New ones are let through.
    pub fn reset(&self) {
        self.connections.lock().unwrap().abort_all();
    }
}
