//! Whether a part answers, asked in its own protocol: an open port alone proves little.
//!
//! Each question is a few bytes, so no client library is linked for it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Part;
use crate::ports::{PortTable, Role};

/// A question whose answer means "ready".
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    /// `PING`; while it still reads its append-only file Valkey answers `-LOADING`.
    Valkey(String),
    /// A metadata request: a broker lists itself only once its controller lets it serve.
    Kafka(String),
    /// The protocol header: RabbitMQ opens its listener when everything else is up.
    Rabbitmq(String),
    /// `GET /readyz` at a service's admin port.
    Readyz(String),
}

/// Metadata request, version 1, for no topic: size, API key 3, version, correlation id, client id
/// "probe", number of topics (<https://kafka.apache.org/protocol#The_Messages_Metadata>).
const KAFKA_METADATA: &[u8] = b"\0\0\0\x13\0\x03\0\x01\0\0\0\x07\0\x05probe\0\0\0\0";

/// Protocol header of AMQP 0-9-1 (section 4.2.2).
const AMQP_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

impl Probe {
    /// The question for this part; `None` when the table lacks its port.
    pub(crate) fn of(part: Part, ports: &PortTable) -> Option<Self> {
        Some(match part {
            Part::Kafka => Self::Kafka(ports.address(part, Role::Public)?),
            Part::Rabbitmq => Self::Rabbitmq(ports.address(part, Role::Public)?),
            Part::Valkey => Self::Valkey(ports.address(part, Role::Public)?),
            _ => Self::Readyz(ports.address(part, Role::Admin)?),
        })
    }

    /// Asks once. Any error, and silence for two seconds, means no.
    pub(crate) async fn answers(&self) -> bool {
        matches!(
            timeout(Duration::from_secs(2), self.ask()).await,
            Ok(Ok(true))
        )
    }

    async fn ask(&self) -> io::Result<bool> {
        match self {
            Self::Valkey(address) => {
                let reply: [u8; 5] = exchange(address, b"PING\r\n").await?;
                Ok(&reply == b"+PONG")
            }
            Self::Kafka(address) => {
                // Size, correlation id, number of brokers.
                let reply: [u8; 12] = exchange(address, KAFKA_METADATA).await?;
                Ok(reply[4..8] == [0, 0, 0, 7] && reply[8..12] != [0; 4])
            }
            Self::Rabbitmq(address) => {
                // A method frame on channel 0: connection.start.
                let reply: [u8; 3] = exchange(address, AMQP_HEADER).await?;
                Ok(reply == [1, 0, 0])
            }
            Self::Readyz(address) => {
                let request =
                    format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
                let reply: [u8; 12] = exchange(address, request.as_bytes()).await?;
                Ok(reply.ends_with(b" 200"))
            }
        }
    }
}

/// Sends a question and reads the first bytes of the answer.
async fn exchange<const N: usize>(address: &str, question: &[u8]) -> io::Result<[u8; N]> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(question).await?;
    let mut reply = [0; N];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn answered_with(reply: &'static [u8], probe: fn(String) -> Probe) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(reply).await.unwrap();
            stream
        };
        let probe = probe(address);
        let (_stream, answer) = tokio::join!(server, probe.answers());
        answer
    }

    #[tokio::test]
    async fn a_server_that_is_still_loading_is_not_ready() {
        assert!(answered_with(b"+PONG\r\n", Probe::Valkey).await);
        assert!(!answered_with(b"-LOADING Valkey is loading\r\n", Probe::Valkey).await);
    }

    #[tokio::test]
    async fn a_kafka_that_lists_no_broker_is_not_ready() {
        assert!(answered_with(b"\0\0\0\x20\0\0\0\x07\0\0\0\x01", Probe::Kafka).await);
        assert!(!answered_with(b"\0\0\0\x20\0\0\0\x07\0\0\0\0", Probe::Kafka).await);
    }

    #[tokio::test]
    async fn a_service_is_ready_when_readyz_is_200() {
        assert!(answered_with(b"HTTP/1.1 200 OK\r\n\r\n", Probe::Readyz).await);
        assert!(!answered_with(b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Probe::Readyz).await);
    }

    #[test]
    fn the_metadata_request_states_its_own_size() {
        assert_eq!(KAFKA_METADATA[3] as usize, KAFKA_METADATA.len() - 4);
    }
}
