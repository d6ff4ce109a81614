//! A keep-alive connection to the front, with at most one request in flight.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use clima_proto::fate::Fate;
use clima_proto::id::{TWEET_ID, TweetId};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use super::generator::{Shared, Ticket};

/// Between two attempts to connect, while nobody listens.
const RECONNECT: Duration = Duration::from_millis(10);

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted(TweetId),
    Refused {
        status: u16,
        fate: Fate,
        retry_after: bool,
    },
    /// There was none: the connection is lost.
    Broken,
    /// There was none in all the time that is granted.
    Silent,
}

#[derive(Debug)]
pub(super) struct Connection {
    request: Vec<u8>,
    stream: RefCell<Option<Rc<TcpStream>>>,
    in_flight: Cell<Option<Ticket>>,
    reading: RefCell<Option<JoinHandle<()>>>,
}

impl Connection {
    /// Connects, and again whenever the connection is lost.
    pub(super) fn open(address: String, number: usize, shared: &Rc<RefCell<Shared>>) -> Rc<Self> {
        let connection = Rc::new(Self {
            request: request(&address, number),
            stream: RefCell::default(),
            in_flight: Cell::default(),
            reading: RefCell::default(),
        });
        let reading = spawn_local(Rc::clone(&connection).run(address, Rc::clone(shared)));
        *connection.reading.borrow_mut() = Some(reading);
        connection
    }

    /// Whether a request is in flight.
    pub(super) fn is_waiting(&self) -> bool {
        self.in_flight.get().is_some()
    }

    /// Sends a request; `false` when the connection is lost, or has one in flight.
    pub(super) fn send(&self, ticket: Ticket) -> bool {
        let Some(stream) = self.stream.borrow().clone() else {
            return false;
        };
        if self.is_waiting() {
            return false;
        }
        // The buffer of an idle connection is empty: a request fits in, or the connection is lost.
        if !matches!(stream.try_write(&self.request), Ok(written) if written == self.request.len())
        {
            self.stream.take();
            return false;
        }
        self.in_flight.set(Some(ticket));
        true
    }

    /// Ends the connection, and gives back the request that has no answer.
    pub(super) fn close(&self) -> Option<Ticket> {
        if let Some(reading) = self.reading.take() {
            reading.abort();
        }
        self.stream.take();
        self.in_flight.take()
    }

    async fn run(self: Rc<Self>, address: String, shared: Rc<RefCell<Shared>>) {
        loop {
            match connect(&address).await {
                Ok(stream) => {
                    let stream = Rc::new(stream);
                    *self.stream.borrow_mut() = Some(Rc::clone(&stream));
                    self.serve(&stream, &shared).await;
                    self.stream.take();
                    self.settle(&shared, Answer::Broken);
                }
                Err(_) => shared.borrow_mut().was_refused(),
            }
            sleep(RECONNECT).await;
        }
    }

    /// Reads answers until the connection is lost.
    async fn serve(self: &Rc<Self>, stream: &TcpStream, shared: &RefCell<Shared>) {
        let mut text = Vec::with_capacity(1_024);
        shared.borrow_mut().is_idle(Rc::clone(self));
        loop {
            if stream.readable().await.is_err() {
                return;
            }
            match stream.try_read_buf(&mut text) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            }
            if let Some(answer) = parse(&text) {
                text.clear();
                self.settle(shared, answer);
                shared.borrow_mut().is_idle(Rc::clone(self));
            }
        }
    }

    fn settle(&self, shared: &RefCell<Shared>, answer: Answer) {
        if let Some(ticket) = self.in_flight.take() {
            shared.borrow_mut().answered(ticket, answer);
        }
    }
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // From then on writing is tried without asking.
    stream.writable().await?;
    Ok(stream)
}

/// The same for every request of a connection, and another one for its neighbour.
fn request(address: &str, number: usize) -> Vec<u8> {
    let (municipality, weather) = (number % 4 + 1, number / 4 % 4 + 1);
    let (temperature, humidity) = (number % 40, number % 101);
    let body = format!(
        r#"{{"municipality":{municipality},"temperature":{temperature},"humidity":{humidity},"weather":{weather}}}"#
    );
    format!(
        "POST /v1/tweets HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer that is there to its last byte.
fn parse(text: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let length: usize = header("content-length")?.parse().ok()?;
    if body.len() < length {
        return None;
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let id = header(TWEET_ID).and_then(|id| id.parse().ok());
    Some(match (status, id) {
        (200, Some(id)) => Answer::Accepted(id),
        _ => Answer::Refused {
            status,
            fate: if body.contains(Fate::NotCounted.reason()) {
                Fate::NotCounted
            } else {
                Fate::MaybeCounted
            },
            retry_after: header("retry-after").is_some(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_complete() {
        let refused = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 13\r\n\r\n\"NOT_COUNTED\"";
        for short in [refused.len() - 1, 40, 0] {
            assert_eq!(parse(&refused.as_bytes()[..short]), None);
        }
        assert_eq!(
            parse(refused.as_bytes()),
            Some(Answer::Refused {
                status: 429,
                fate: Fate::NotCounted,
                retry_after: true
            })
        );
        let id = TweetId::from_parts(&[7; 16], 9).unwrap();
        let accepted =
            format!("HTTP/1.1 200 OK\r\n{TWEET_ID}: {id}\r\ncontent-length: 2\r\n\r\n{{}}");
        assert_eq!(parse(accepted.as_bytes()), Some(Answer::Accepted(id)));
    }

    #[test]
    fn each_request_is_a_tweet() {
        for number in [0, 5, 4_000] {
            let request = String::from_utf8(request("front:1", number)).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())));
            assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
        }
    }
}
