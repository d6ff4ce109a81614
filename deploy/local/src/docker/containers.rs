//! The parts of a stack as containers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use tokio::sync::watch;

use super::command::{docker, run};
use super::logs::{keep, output};
use super::project::{Project, service};
use super::removal::Removal;
use super::watcher::{Asked, Watch, Watcher};
use crate::notices::Notices;
use crate::runtime::{State, States};
use crate::{Part, log_file};

/// What is shown beside the parts, and the port of its page.
const PAGES: [(&str, &str); 2] = [("grafana", "3000"), ("prometheus", "9090")];

/// Containers that this stack has created. Dropping it ends and removes them all.
#[derive(Debug)]
pub(crate) struct Containers {
    project: Project,
    logs: PathBuf,
    ids: BTreeMap<Part, String>,
    asked: Asked,
    watch: Watch,
    removal: Removal,
    notices: Notices,
}

impl Containers {
    /// Creates the containers of these parts without starting them; `build` makes the images of ours anew before.
    pub(crate) async fn create(
        project: Project,
        removal: Removal,
        state_dir: &Path,
        parts: &[Part],
        build: bool,
        notices: Notices,
    ) -> anyhow::Result<Self> {
        let services: Vec<String> = parts.iter().copied().map(service).collect();
        let services = services.iter().map(String::as_str);
        if build {
            notices.say("building the images of the services");
            run(project.compose(["build"].into_iter().chain(services.clone()))).await?;
        }
        run(project.compose(["create", "--no-build"].into_iter().chain(services))).await?;
        let ids = find(&project, parts).await?;
        let asked = Asked::default();
        let of = ids.clone();
        let watcher = Watcher {
            filter: project.filter(),
            parts: ids.iter().map(|(&part, id)| (id.clone(), part)).collect(),
            asked: Arc::clone(&asked),
            last_words: Arc::new(move |part| output(&of[&part], Some(15))),
            notices: notices.clone(),
        };
        Ok(Self {
            project,
            logs: state_dir.join("logs"),
            ids,
            asked,
            watch: watcher.spawn(),
            removal,
            notices,
        })
    }

    /// Starts the container of a part again, or for the first time.
    pub(crate) async fn start(&self, part: Part) -> anyhow::Result<()> {
        let id = self.id(part)?;
        self.ask(part, None);
        run(docker(["start", id])).await?;
        self.watch.refresh().await
    }

    /// Sends SIGKILL or SIGTERM to the container's first process; SIGSTOP and SIGCONT pause all of it, or let it go on.
    pub(crate) async fn signal(&self, part: Part, signal: Signal) -> anyhow::Result<bool> {
        let id = self.id(part)?;
        self.watch.refresh().await?;
        let Some(State::Running { paused, .. }) = self.states().borrow().get(&part).cloned() else {
            return Ok(false);
        };
        let order = match signal {
            Signal::SIGSTOP if paused => return Ok(true),
            Signal::SIGCONT if !paused => return Ok(true),
            Signal::SIGSTOP => docker(["pause", id]),
            Signal::SIGCONT => docker(["unpause", id]),
            Signal::SIGKILL | Signal::SIGTERM => {
                let how = if signal == Signal::SIGKILL {
                    "was killed"
                } else {
                    "was stopped"
                };
                self.ask(part, Some(how));
                docker(["kill", "--signal", signal.as_str(), id])
            }
            other => bail!("{other} is not for containers"),
        };
        let outcome = run(order).await;
        self.watch.refresh().await?;
        let runs = self.states().borrow().get(&part).is_some_and(State::runs);
        // It may have ended before the order came, and then there is nothing to complain about.
        if runs {
            outcome.map(|_| true)
        } else {
            Ok(true)
        }
    }

    /// The end of a container's output.
    pub(crate) async fn last_words(&self, part: Part, lines: usize) -> anyhow::Result<String> {
        let words = run(output(self.id(part)?, Some(lines))).await?;
        Ok(format!("the end of its log:\n{}", log_file::indent(&words)))
    }

    /// Keeps the logs, then removes the containers and their network. The volumes stay.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        for (part, id) in &self.ids {
            let kept = keep(id, &self.logs.join(format!("{part}.log"))).await;
            if let Err(error) = kept {
                self.notices
                    .say(format!("the log of {part} is lost: {error:#}"));
            }
        }
        self.watch.stop();
        self.removal.carry_out().await
    }

    /// Starts what only looks on, Grafana and Prometheus, and returns their addresses. The parts do without: that one cannot
    /// be built or started is only told.
    pub(crate) async fn show_pages(&self, build: bool) -> Vec<(&'static str, String)> {
        let mut addresses = Vec::new();
        for (name, port) in PAGES {
            match self.show(name, port, build).await {
                Ok(address) => addresses.push((name, address)),
                Err(error) => {
                    let reason = log_file::last_lines(&format!("{error:#}"), 1);
                    self.notices.say(format!("{name} is not there: {reason}"));
                }
            }
        }
        addresses
    }

    async fn show(&self, name: &str, port: &str, build: bool) -> anyhow::Result<String> {
        if build {
            run(self.project.compose(["build", name])).await?;
        }
        run(self
            .project
            .compose(["up", "--detach", "--no-deps", "--no-build", name]))
        .await?;
        let address = run(self.project.compose(["port", name, port])).await?;
        Ok(format!("http://{}", address.trim()))
    }

    /// What became of the parts.
    pub(crate) fn states(&self) -> &watch::Receiver<States> {
        self.watch.states()
    }

    fn ask(&self, part: Part, what: Option<&'static str>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => asked.insert(part, what),
            None => asked.remove(&part),
        };
    }

    fn id(&self, part: Part) -> anyhow::Result<&str> {
        self.ids
            .get(&part)
            .map(String::as_str)
            .with_context(|| format!("this stack has no {part}"))
    }
}

/// The full ids of the containers that Compose has created for these parts.
async fn find(project: &Project, parts: &[Part]) -> anyhow::Result<BTreeMap<Part, String>> {
    let mut list = docker(["ps", "--all", "--no-trunc"]);
    list.arg(project.filter())
        .arg(r#"--format={{.ID}} {{.Label "com.docker.compose.service"}}"#);
    let list = run(list).await?;
    let ids: BTreeMap<&str, &str> = list
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, service)| (service, id))
        .collect();
    let of = |&part: &Part| {
        let id = ids.get(service(part).as_str());
        let id = id.with_context(|| format!("Compose has created no container for {part}"))?;
        Ok((part, (*id).to_owned()))
    };
    parts.iter().map(of).collect()
}
