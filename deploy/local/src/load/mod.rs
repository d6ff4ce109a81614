//! A load generator that remembers what it was told.
//!
//! Each client posts tweets over a keep-alive connection of its own, one after the other (a closed loop), and
//! keeps every answer with its id. So what was accepted can be compared, id by id, with what was counted.
//! Locust shows the system to people; this proves it and measures it, at a fraction of the CPU.

mod client;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;

pub(crate) use client::HttpClient;
pub use report::{Answer, LoadReport, Outcome};

/// A load on the REST port.
#[derive(Debug, Clone)]
pub struct Load {
    /// `host:port` of the front.
    pub address: String,
    /// Clients, each with a connection of its own.
    pub clients: usize,
    /// When it is over.
    pub until: Until,
    /// Whether each tweet carries an `Idempotency-Key` of its own.
    pub keys: bool,
}

/// The end of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// This many requests were made, over all clients.
    Requests(u64),
    /// This time has passed; requests in flight are finished.
    Elapsed(Duration),
}

/// What the clients share.
#[derive(Debug)]
struct Budget {
    until: Until,
    started: Instant,
    taken: AtomicU64,
}

impl Budget {
    /// The number of the next request; none when it is over.
    fn take(&self) -> Option<u64> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let open = match self.until {
            Until::Requests(requests) => number < requests,
            Until::Elapsed(time) => self.started.elapsed() < time,
        };
        open.then_some(number)
    }
}

impl Load {
    /// Runs the load to its end. A refused connection or a lost one is an answer like any other, and the
    /// client connects again.
    pub async fn run(&self) -> LoadReport {
        let budget = Arc::new(Budget {
            until: self.until,
            started: Instant::now(),
            taken: AtomicU64::new(0),
        });
        let clients = (0..self.clients).map(|_| {
            tokio::spawn(client::run(
                self.address.clone(),
                self.keys,
                Arc::clone(&budget),
            ))
        });
        let mut answers = Vec::new();
        for client in join_all(clients).await {
            match client {
                Ok(of_client) => answers.extend(of_client),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        LoadReport::new(answers, budget.started.elapsed())
    }
}
