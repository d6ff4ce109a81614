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
use crate::runtime::{State, States};
use crate::{log_file, proc_fs};

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
    launches: BTreeMap<Part, Launch>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    states: watch::Receiver<States>,
    thread: Option<JoinHandle<()>>,
}

impl Processes {
    /// For parts that are started like this.
    pub(crate) fn new(launches: BTreeMap<Part, Launch>, notices: Notices) -> anyhow::Result<Self> {
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
            launches,
            orders: Some(orders),
            states: seen,
            thread: Some(thread),
        })
    }

    /// Starts a process. The part must not have one.
    pub(crate) async fn start(&self, part: Part) -> anyhow::Result<()> {
        let launch = self.launch(part)?;
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

    /// What became of the parts that were started.
    pub(crate) fn states(&self) -> &watch::Receiver<States> {
        &self.states
    }

    /// The end of what a part has printed, as one message with where it comes from.
    pub(crate) fn last_words(&self, part: Part, lines: usize) -> anyhow::Result<String> {
        Ok(last_words(self.launch(part)?, lines))
    }

    /// Starts a second process of a part, with these settings in place of the first one's.
    pub(crate) fn start_second(
        &self,
        part: Part,
        env: Vec<(String, String)>,
    ) -> anyhow::Result<Child> {
        let mut launch = self.launch(part)?.clone();
        // The last one of a name wins.
        launch.env.extend(env);
        launch.log.set_extension("second.log");
        launch
            .spawn()
            .with_context(|| format!("cannot start a second {part}"))
    }

    fn launch(&self, part: Part) -> anyhow::Result<&Launch> {
        self.launches
            .get(&part)
            .with_context(|| format!("this stack has no {part}"))
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
                        child: child.id(),
                        leader: launch.leader,
                        since: SystemTime::now(),
                        paused: false,
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
        let words = last_words(&launch, 15);
        notices.say(format!("{part} {how} by itself; {words}"));
    }
}

fn last_words(launch: &Launch, lines: usize) -> String {
    let (log, tail) = (launch.log.display(), log_file::tail(&launch.log, lines));
    format!("the end of {log}:\n{tail}")
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
