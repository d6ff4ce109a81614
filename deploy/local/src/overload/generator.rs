//! An open loop: requests that are started at their time, whatever became of those before them.
//!
//! It is written for little CPU per request: one thread, ready-made requests, answers read by hand.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clima_proto::fate::Fate;
use clima_proto::id::TweetId;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::connection::{Answer, Connection};
use crate::proc_fs;

/// How often requests that are due are started.
const TICK: Duration = Duration::from_millis(1);
/// Longer than the front's deadline: an answer that takes longer is none.
const LAST_ANSWERS: Duration = Duration::from_secs(20);
/// How long all connections may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// A rate for some time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase {
    /// Requests a second.
    pub(super) rate: f64,
    pub(super) time: Duration,
}

/// One phase after the other, without a pause, on the same connections.
#[derive(Debug, Clone)]
pub(super) struct Generator {
    pub(super) address: String,
    pub(super) connections: usize,
    pub(super) phases: Vec<Phase>,
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// 200.
    Accepted,
    /// Any other answer.
    Refused {
        status: u16,
        not_counted: bool,
        retry_after: bool,
    },
    /// The connection broke before an answer.
    Broken,
    /// No answer came in 20 s.
    Silent,
}

/// One request: when it was due, and what became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// Since the phase began.
    pub(super) due: Duration,
    /// From when it was due.
    pub(super) latency: Duration,
    pub(super) outcome: Outcome,
}

/// What was offered in one phase, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) requests: Vec<Request>,
    pub(super) accepted: Vec<TweetId>,
    /// Requests that were due when all connections waited for answers: they were not sent.
    pub(super) unsent: u64,
    /// Connections that were refused.
    pub(super) refused_connections: u64,
    /// How long the phase took.
    pub(super) elapsed: Duration,
    /// CPU time of this process meanwhile.
    pub(super) cpu: Duration,
}

impl Offered {
    /// Requests sent, per second.
    pub(super) fn rate(&self) -> f64 {
        self.requests.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Requests due per second: sent, or not because every connection still waited for an answer.
    pub(super) fn due_rate(&self) -> f64 {
        self.rate() + self.unsent as f64 / self.elapsed.as_secs_f64()
    }

    /// Tweets accepted per second, counted by when they were answered: those answered while the load lasted.
    pub(super) fn accepted_rate(&self) -> f64 {
        let within = |request: &&Request| {
            request.outcome == Outcome::Accepted && request.due + request.latency <= self.elapsed
        };
        self.requests.iter().filter(within).count() as f64 / self.elapsed.as_secs_f64()
    }

    /// Requests by outcome.
    pub(super) fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut outcomes = BTreeMap::new();
        for request in &self.requests {
            *outcomes.entry(request.outcome).or_default() += 1;
        }
        outcomes
    }

    /// Tweets that may be counted although they were not accepted.
    pub(super) fn ambiguous(&self) -> u64 {
        let ambiguous = |request: &&Request| match request.outcome {
            Outcome::Accepted => false,
            Outcome::Refused { not_counted, .. } => !not_counted,
            Outcome::Broken | Outcome::Silent => true,
        };
        self.requests.iter().filter(ambiguous).count() as u64
    }

    /// The latency that this share of these requests did not exceed; zero where there is none.
    pub(super) fn quantile(&self, share: f64, of: impl Fn(&Request) -> bool) -> Duration {
        let mut latencies: Vec<_> = self
            .requests
            .iter()
            .filter(|request| of(request))
            .map(|request| request.latency)
            .collect();
        latencies.sort_unstable();
        let Some(last) = latencies.len().checked_sub(1) else {
            return Duration::ZERO;
        };
        latencies[(last as f64 * share).round() as usize]
    }
}

/// What the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Connections without a request in flight. The one that has rested longest is next.
    idle: VecDeque<Rc<Connection>>,
    /// Of each phase that has begun, and when that was.
    phases: Vec<(Instant, Offered)>,
}

impl Shared {
    pub(super) fn is_idle(&mut self, connection: Rc<Connection>) {
        self.idle.push_back(connection);
    }

    pub(super) fn was_refused(&mut self) {
        if let Some((_, offered)) = self.phases.last_mut() {
            offered.refused_connections += 1;
        }
    }

    pub(super) fn answered(&mut self, ticket: Ticket, answer: Answer) {
        let (begun, offered) = &mut self.phases[ticket.phase];
        let outcome = match answer {
            Answer::Accepted(id) => {
                offered.accepted.push(id);
                Outcome::Accepted
            }
            Answer::Refused {
                status,
                fate,
                retry_after,
            } => Outcome::Refused {
                status,
                not_counted: fate == Fate::NotCounted,
                retry_after,
            },
            Answer::Broken => Outcome::Broken,
            Answer::Silent => Outcome::Silent,
        };
        offered.requests.push(Request {
            due: ticket.due,
            latency: begun.elapsed().saturating_sub(ticket.due),
            outcome,
        });
    }
}

/// A request in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    phase: usize,
    due: Duration,
}

impl Generator {
    /// Runs on the calling thread, to the last answer. What was offered is told for each phase.
    pub(super) fn run(&self) -> anyhow::Result<Vec<Offered>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let local = LocalSet::new();
        Ok(local.block_on(&runtime, self.offer()))
    }

    async fn offer(&self) -> Vec<Offered> {
        let shared = Rc::new(RefCell::new(Shared {
            idle: VecDeque::new(),
            phases: Vec::new(),
        }));
        let connections: Vec<_> = (0..self.connections)
            .map(|number| Connection::open(self.address.clone(), number, &shared))
            .collect();
        let connecting = Instant::now();
        while shared.borrow().idle.len() < self.connections && connecting.elapsed() < CONNECT_LIMIT
        {
            sleep(TICK).await;
        }
        for (number, phase) in self.phases.iter().enumerate() {
            send_all(&shared, number, *phase).await;
        }
        let ended = Instant::now();
        while connections.iter().any(|it| it.is_waiting()) && ended.elapsed() < LAST_ANSWERS {
            sleep(TICK).await;
        }
        for connection in connections {
            if let Some(ticket) = connection.close() {
                shared.borrow_mut().answered(ticket, Answer::Silent);
            }
        }
        let phases = std::mem::take(&mut shared.borrow_mut().phases);
        phases.into_iter().map(|(_, offered)| offered).collect()
    }
}

/// Starts the requests of a phase, each at its time.
async fn send_all(shared: &RefCell<Shared>, number: usize, phase: Phase) {
    let (pid, begun) = (std::process::id(), Instant::now());
    shared.borrow_mut().phases.push((begun, Offered::default()));
    let cpu = proc_fs::cpu_time(pid).unwrap_or_default();
    let planned = (phase.rate * phase.time.as_secs_f64()) as u64;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut started = 0;
    while started < planned {
        ticks.tick().await;
        let due = ((begun.elapsed().as_secs_f64() * phase.rate) as u64).min(planned);
        for request in started..due {
            let due = Duration::from_secs_f64(request as f64 / phase.rate);
            send(shared, Ticket { phase: number, due });
        }
        started = due;
    }
    let cpu = proc_fs::cpu_time(pid)
        .unwrap_or_default()
        .saturating_sub(cpu);
    let (_, offered) = &mut shared.borrow_mut().phases[number];
    (offered.elapsed, offered.cpu) = (begun.elapsed(), cpu);
}

/// Starts one request on a connection that has none. Where there is no such connection it is not sent, which the report
/// tells.
fn send(shared: &RefCell<Shared>, ticket: Ticket) {
    loop {
        let mut shared = shared.borrow_mut();
        let Some(connection) = shared.idle.pop_front() else {
            shared.phases[ticket.phase].1.unsent += 1;
            return;
        };
        // One that broke while it was idle is connected again and comes back.
        if connection.send(ticket) {
            return;
        }
    }
}
