//! The task that knows how the containers of a project are.
//!
//! It asks the engine once for each event and each request. Events alone would not do: one can be lost with the
//! connection to the engine; and asking all the time would cost more than the parts.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::command::{docker, output, run};
use super::inspection;
use crate::Part;
use crate::notices::Notices;
use crate::runtime::{State, States};

/// How long to wait before the engine is asked again for its events.
const PAUSE: Duration = Duration::from_secs(1);

/// What was asked of parts that are to end, or have ended.
pub(super) type Asked = Arc<Mutex<BTreeMap<Part, &'static str>>>;

/// Words to add to the message that a part ended by itself.
pub(super) type LastWords = Arc<dyn Fn(Part) -> std::process::Command + Send + Sync>;

/// What the task needs.
pub(super) struct Watcher {
    /// The filter for the project's containers.
    pub(super) filter: String,
    /// Their full ids.
    pub(super) parts: BTreeMap<String, Part>,
    pub(super) asked: Asked,
    pub(super) last_words: LastWords,
    pub(super) notices: Notices,
}

/// A handle on the task; dropping it ends it.
#[derive(Debug)]
pub(super) struct Watch {
    states: watch::Receiver<States>,
    requests: mpsc::UnboundedSender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// What is known.
    pub(super) fn states(&self) -> &watch::Receiver<States> {
        &self.states
    }

    /// Asks the engine; what it said is in `states` afterwards.
    pub(super) async fn refresh(&self) -> anyhow::Result<()> {
        let (done, answer) = oneshot::channel();
        self.requests.send(done).ok();
        answer
            .await
            .context("the task that watches the containers has ended")
    }

    /// Stops watching; what is known stays.
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watcher {
    /// Begins to watch.
    pub(super) fn spawn(self) -> Watch {
        let (sender, states) = watch::channel(States::new());
        let (requests, inbox) = mpsc::unbounded_channel();
        let task = tokio::spawn(self.run(sender, inbox));
        Watch {
            states,
            requests,
            task,
        }
    }

    async fn run(
        self,
        states: watch::Sender<States>,
        mut requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    ) {
        let mut events = None;
        loop {
            let mut asker = None;
            if events.is_none() {
                events = self.events().ok();
            }
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => asker = Some(request),
                    None => return,
                },
                more = next(&mut events) => if !more {
                    events = None;
                    sleep(PAUSE).await;
                },
            }
            match self.look().await {
                Ok(now) => self.tell(&states, now).await,
                Err(error) => self
                    .notices
                    .say(format!("the containers cannot be seen: {error:#}")),
            }
            if let Some(asker) = asker {
                asker.send(()).ok();
            }
        }
    }

    /// One line for every start and end.
    fn events(&self) -> anyhow::Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let kinds = ["die", "start", "pause", "unpause", "destroy"];
        let mut events = docker(["events", "--format={{.Status}}", "--filter=type=container"]);
        events
            .arg(&self.filter)
            .args(kinds.map(|kind| format!("--filter=event={kind}")));
        let mut child = Command::from(events)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("docker events has no output")?;
        Ok((child, BufReader::new(output).lines()))
    }

    async fn look(&self) -> anyhow::Result<States> {
        let mut inspect = docker(["inspect", "--type=container"]);
        inspect.args(self.parts.keys());
        let Output { stdout, stderr, .. } = output(inspect).await?;
        // It fails when one of them is gone, and tells of the others all the same.
        let json = String::from_utf8_lossy(&stdout);
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        inspection::states(&json, &self.parts, &asked)
            .with_context(|| String::from_utf8_lossy(&stderr).trim().to_owned())
    }

    fn was_asked(&self, part: Part) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.contains_key(&part)
    }

    /// Makes known what is new; that a part ended by itself is told with its last words.
    async fn tell(&self, states: &watch::Sender<States>, now: States) {
        let before = states.borrow().clone();
        states.send_if_modified(|all| {
            let changed = *all != now;
            all.clone_from(&now);
            changed
        });
        for (&part, state) in &now {
            let State::Ended { how } = state else {
                continue;
            };
            let ran = before.get(&part).is_some_and(State::runs);
            if ran && !self.was_asked(part) {
                let words = run((self.last_words)(part)).await.unwrap_or_default();
                let words = crate::log_file::indent(&words);
                self.notices.say(format!(
                    "{part} {how} by itself; the end of its log:\n{words}"
                ));
            }
        }
    }
}

/// Whether there was an event; `false` when there will be none any more.
async fn next(events: &mut Option<(Child, Lines<BufReader<ChildStdout>>)>) -> bool {
    match events {
        Some((_, lines)) => matches!(lines.next_line().await, Ok(Some(_))),
        None => false,
    }
}
