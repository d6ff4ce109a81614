//! The thread that owns all child processes.
//!
//! Linux sends a child its parent-death signal when the *thread* that started it ends, so the
//! children of an async runtime's workers would die at odd moments. All children therefore belong to
//! one thread that lives as long as the [`Processes`] handle, or the process: when either goes, in
//! whatever way, the children go too.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Part;
use crate::launch::Launch;
use crate::notices::Notices;
use crate::{log_file, proc_fs};

/// What became of a part's process.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Running {
        child: u32,
        leader: Option<&'static str>,
        since: SystemTime,
    },
    Ended {
        how: String,
    },
}

impl State {
    /// The process that signals go to: the real server, or the child until that one exists.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Running {
                child,
                leader: None,
                ..
            } => Some(*child),
            Self::Running {
                child,
                leader: Some(name),
                ..
            } => proc_fs::descendant_named(*child, name),
            Self::Ended { .. } => None,
        }
    }
}

type States = BTreeMap<Part, State>;

enum Order {
    Start {
        part: Part,
        launch: Box<Launch>,
        done: oneshot::Sender<io::Result<()>>,
    },
    Signal {
        part: Part,
        signal: Signal,
        done: oneshot::Sender<bool>,
    },
}

/// A handle on the thread; dropping it kills every child and waits until they are gone.
#[derive(Debug)]
pub(crate) struct Processes {
    orders: Option<mpsc::UnboundedSender<Order>>,
    states: watch::Receiver<States>,
    thread: Option<JoinHandle<()>>,
}

impl Processes {
    pub(crate) fn new(notices: Notices) -> anyhow::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (states, seen) = watch::channel(States::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("processes".to_owned())
            .spawn(move || runtime.block_on(attend_all(inbox, states, notices)))
            .context("cannot start the thread that owns the processes")?;
        Ok(Self {
            orders: Some(orders),
            states: seen,
            thread: Some(thread),
        })
    }

    /// Starts a process. The part must not have one.
    pub(crate) async fn start(&self, part: Part, launch: &Launch) -> anyhow::Result<()> {
        let (done, answer) = oneshot::channel();
        self.order(Order::Start {
            part,
            launch: Box::new(launch.clone()),
            done,
        })?;
        answer
            .await?
            .with_context(|| format!("cannot start {part} ({})", launch.program.display()))
    }

    /// Sends a signal; `false` when the part has no process.
    pub(crate) async fn signal(&self, part: Part, signal: Signal) -> anyhow::Result<bool> {
        let (done, answer) = oneshot::channel();
        self.order(Order::Signal { part, signal, done })?;
        Ok(answer.await?)
    }

    /// The state of a part; `None` when it was never started.
    pub(crate) fn state(&self, part: Part) -> Option<State> {
        self.states.borrow().get(&part).cloned()
    }

    pub(crate) fn is_running(&self, part: Part) -> bool {
        matches!(self.states.borrow().get(&part), Some(State::Running { .. }))
    }

    /// Waits until the part has no process; `false` when it still has one at the end of `patience`.
    pub(crate) async fn ended(&self, part: Part, patience: Duration) -> bool {
        let mut states = self.states.clone();
        let gone =
            states.wait_for(|states| !matches!(states.get(&part), Some(State::Running { .. })));
        timeout(patience, gone).await.is_ok()
    }

    /// Completes at the next start or end of any process.
    pub(crate) fn changes(&self) -> watch::Receiver<BTreeMap<Part, State>> {
        self.states.clone()
    }

    fn order(&self, order: Order) -> anyhow::Result<()> {
        let orders = self.orders.as_ref().context("the stack is closed")?;
        orders
            .send(order)
            .ok()
            .context("the thread that owns the processes has ended")
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It ends within seconds: SIGKILL to all, and a limit on waiting for them.
            if thread.join().is_err() {
                eprintln!("the thread that owns the processes panicked");
            }
        }
    }
}

async fn attend_all(
    mut orders: mpsc::UnboundedReceiver<Order>,
    states: watch::Sender<States>,
    notices: Notices,
) {
    let mut signals: BTreeMap<Part, mpsc::UnboundedSender<Signal>> = BTreeMap::new();
    let mut children = JoinSet::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Start { part, launch, done } => {
                let started = launch.spawn().map(|child| {
                    let (sender, inbox) = mpsc::unbounded_channel();
                    signals.insert(part, sender);
                    let state = State::Running {
                        child: child.id().unwrap_or_default(),
                        leader: launch.leader,
                        since: SystemTime::now(),
                    };
                    states.send_modify(|all| drop(all.insert(part, state)));
                    let (states, notices) = (states.clone(), notices.clone());
                    children.spawn(attend(part, launch, child, inbox, states, notices));
                });
                done.send(started).ok();
            }
            Order::Signal { part, signal, done } => {
                let sent = signals
                    .get(&part)
                    .is_some_and(|inbox| inbox.send(signal).is_ok());
                done.send(sent).ok();
            }
        }
    }
    for inbox in signals.values() {
        inbox.send(Signal::SIGKILL).ok();
    }
    // A process in an uninterruptible wait must not hold us; it dies when the kernel lets it.
    drop(timeout(Duration::from_secs(10), children.join_all()).await);
}

/// Stays with one process until its end.
async fn attend(
    part: Part,
    launch: Box<Launch>,
    mut child: Child,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    states: watch::Sender<States>,
    notices: Notices,
) {
    let pid = child.id();
    let mut asked: Option<&str> = None;
    let status = loop {
        tokio::select! {
            // Deliver before noticing the end, so that an end which was asked for is known as such.
            biased;
            Some(signal) = signals.recv() => {
                match signal {
                    Signal::SIGKILL => asked = Some("was killed"),
                    Signal::SIGTERM => asked = Some("was stopped"),
                    _ => {}
                }
                if let Some(pid) = pid {
                    deliver(pid, launch.leader, signal);
                }
            }
            status = child.wait() => break status,
        }
    };
    // Exit statuses of what was asked for say little: a wrapper's own, or 128 + the signal.
    let how = match (asked, status) {
        (Some(asked), _) => asked.to_owned(),
        (None, Ok(status)) => describe(status),
        (None, Err(error)) => format!("cannot be watched: {error}"),
    };
    states.send_modify(|all| drop(all.insert(part, State::Ended { how: how.clone() })));
    if asked.is_none() {
        let tail = log_file::tail(&launch.log, 15);
        notices.say(format!(
            "{part} {how} by itself; the end of {}:\n{tail}",
            launch.log.display()
        ));
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal().map(Signal::try_from), status.code()) {
        (Some(Ok(signal)), _) => format!("ended with {signal}"),
        (_, Some(code)) => format!("ended with exit status {code}"),
        _ => format!("ended ({status})"),
    }
}

fn deliver(child: u32, leader: Option<&str>, signal: Signal) {
    let Some(leader) = leader else {
        return send(child, signal);
    };
    let below = proc_fs::descendants(child);
    if signal == Signal::SIGKILL {
        // The server and all around it. The wrapper then ends by itself, and only after them: when
        // it is gone, so are their ports.
        if below.is_empty() {
            send(child, signal);
        }
        below.into_iter().rev().for_each(|pid| send(pid, signal));
    } else {
        send(
            proc_fs::descendant_named(child, leader).unwrap_or(child),
            signal,
        );
    }
}

fn send(pid: u32, signal: Signal) {
    // It may have ended since; then there is nothing to do.
    if let Ok(pid) = i32::try_from(pid) {
        kill(Pid::from_raw(pid), signal).ok();
    }
}
