//! Services with two replicas each, of which one takes the place of the other.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use clima_local::{Part, Stack};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::wait::until;

/// Where the two replicas of a service listen; what a service has not, nobody uses.
struct Addresses {
    public: SocketAddr,
    internal: SocketAddr,
    admin: SocketAddr,
}

/// The six services beside a stack that has the three servers.
pub(crate) struct Replicas<'a> {
    servers: &'a Stack,
    addresses: BTreeMap<(Part, usize), Addresses>,
}

/// Below the ports of outgoing connections: a busy client could hold one.
fn free_port() -> SocketAddr {
    loop {
        let port = rand::rng().random_range(10_000..32_768);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().unwrap();
        }
    }
}

impl<'a> Replicas<'a> {
    pub(crate) fn beside(servers: &'a Stack) -> Self {
        let slots = Part::SERVICES
            .into_iter()
            .flat_map(|part| [(part, 0), (part, 1)]);
        let addresses = slots.map(|slot| {
            let addresses = Addresses {
                public: free_port(),
                internal: free_port(),
                admin: free_port(),
            };
            (slot, addresses)
        });
        Self {
            servers,
            addresses: addresses.collect(),
        }
    }

    /// The public addresses of a service.
    pub(crate) fn public(&self, part: Part) -> [String; 2] {
        [0, 1].map(|replica| self.addresses[&(part, replica)].public.to_string())
    }

    /// The internal ports of both replicas, as a setting.
    fn internal(&self, part: Part) -> String {
        let urls = [0, 1].map(|replica| {
            let address = self.addresses[&(part, replica)].internal;
            format!("http://{address}")
        });
        urls.join(",")
    }

    fn settings(&self, part: Part) -> Vec<(&'static str, String)> {
        let kafka = ("CLIMA_KAFKA_BROKERS", self.servers.address(Part::Kafka));
        let rabbitmq = ("CLIMA_RABBITMQ_URL", self.servers.rabbitmq_url());
        let valkey = ("CLIMA_VALKEY_URL", self.servers.valkey_url());
        match part {
            Part::Rest => vec![("CLIMA_GATEWAY_URL", self.internal(Part::Gateway))],
            Part::Gateway => vec![
                ("CLIMA_WRITER_KAFKA_URL", self.internal(Part::WriterKafka)),
                (
                    "CLIMA_WRITER_RABBITMQ_URL",
                    self.internal(Part::WriterRabbitmq),
                ),
            ],
            Part::WriterKafka => vec![kafka],
            Part::WriterRabbitmq => vec![rabbitmq],
            Part::ConsumerKafka => vec![kafka, valkey],
            _ => vec![rabbitmq, valkey],
        }
    }

    /// Starts a replica and waits until it is ready.
    pub(crate) async fn start(&self, part: Part, replica: usize) -> Replica {
        let addresses = &self.addresses[&(part, replica)];
        let binary = Path::new(env!("CARGO_BIN_EXE_clima-local"));
        let binary = binary.with_file_name(part.binary().unwrap());
        let log = self.servers.state_dir().join("logs");
        let log = File::create(log.join(format!("{part}-{replica}.log"))).unwrap();
        let mut command = Command::new(binary);
        command
            .env_clear()
            .envs(self.settings(part))
            .env("CLIMA_ADMIN_LISTEN", addresses.admin.to_string())
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        if !matches!(part, Part::ConsumerKafka | Part::ConsumerRabbitmq) {
            command.env("CLIMA_LISTEN", addresses.public.to_string());
            command.env("CLIMA_INTERNAL_LISTEN", addresses.internal.to_string());
        }
        let child = command.spawn().unwrap();
        let admin = addresses.admin.to_string();
        until(&format!("{part} {replica} is ready"), async || {
            is_ready(&admin).await.ok()?.then_some(())
        })
        .await;
        Replica { child }
    }
}

/// What it says of itself; an error while it does not listen yet.
async fn is_ready(admin: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /readyz HTTP/1.0\r\nhost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.ends_with("\nready\n"))
}

/// A process; it is killed when this is dropped.
pub(crate) struct Replica {
    child: Child,
}

impl Replica {
    /// Ends it with SIGTERM, as an upgrade does, and waits until it has drained.
    pub(crate) async fn drain(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        self.child.wait().await.unwrap()
    }
}
