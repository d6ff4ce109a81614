//! A running stack: where its parts are, and what can be done to them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail, ensure};
use futures::future::{join_all, try_join_all};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::link::Link;
use crate::links::Links;
use crate::notices::Notices;
use crate::ports::{PortTable, Role};
use crate::probe::Probe;
use crate::rabbitmq_login::RabbitmqLogin;
use crate::runtime::{Runtime, State};
use crate::second::Second;
use crate::servers::rabbitmq;
use crate::state_dir::StateDir;
use crate::{Part, StackBuilder, proc_fs, services};

/// How long a part may take until it answers. Recovery after a crash reads logs, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Time for all threads of a process to stand still.
const PAUSE_LIMIT: Duration = Duration::from_secs(10);

/// How long a killed process may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// A started system. Dropping it kills every part and waits until they are gone (well below a
/// second; containers take some seconds); when the process ends in any other way, they die with it, unless they are
/// containers.
#[derive(Debug)]
pub struct Stack {
    // Dropped first: the folder can be removed only when nobody writes into it.
    runtime: Runtime,
    parts: BTreeSet<Part>,
    ports: PortTable,
    rabbitmq: RabbitmqLogin,
    links: Links,
    state: StateDir,
    notices: Notices,
}

impl Stack {
    /// Begins the description of a stack.
    pub fn builder() -> StackBuilder {
        StackBuilder::default()
    }

    pub(crate) fn assemble(
        runtime: Runtime,
        parts: BTreeSet<Part>,
        ports: PortTable,
        rabbitmq: RabbitmqLogin,
        state: StateDir,
        notices: Notices,
    ) -> Self {
        Self {
            runtime,
            parts,
            ports,
            rabbitmq,
            links: Links::default(),
            state,
            notices,
        }
    }

    pub(crate) fn with_links(self, links: Links) -> Self {
        Self { links, ..self }
    }

    pub(crate) async fn start_all(&self) -> anyhow::Result<()> {
        for group in [Part::SERVERS.as_slice(), Part::SERVICES.as_slice()] {
            let parts = group.iter().filter(|part| self.parts.contains(part));
            try_join_all(parts.map(|&part| self.start_part(part))).await?;
        }
        Ok(())
    }

    /// The parts of this stack, running or not.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        self.parts.iter().copied()
    }

    /// `host:port` of a part's clients: HTTP of the front, public gRPC of the gateway and the
    /// writers, the servers' own protocols. Consumers have none; theirs is the admin address.
    #[must_use]
    pub fn address(&self, part: Part) -> String {
        let public = self.ports.address(part, Role::Public);
        public
            .or_else(|| self.admin_address(part))
            .unwrap_or_default()
    }

    /// `host:port` of internal ingest: gateway and writers only, and not of containers, which keep it among themselves.
    #[must_use]
    pub fn internal_address(&self, part: Part) -> Option<String> {
        self.ports.address(part, Role::Internal)
    }

    /// `host:port` of a service's `/livez`, `/readyz` and `/metrics`.
    #[must_use]
    pub fn admin_address(&self, part: Part) -> Option<String> {
        self.ports.address(part, Role::Admin)
    }

    /// RabbitMQ as a URI, with user and virtual host.
    #[must_use]
    pub fn rabbitmq_url(&self) -> String {
        self.rabbitmq.url(&self.address(Part::Rabbitmq))
    }

    pub(crate) fn rabbitmq_login(&self) -> &RabbitmqLogin {
        &self.rabbitmq
    }

    /// Whether the parts are containers.
    #[must_use]
    pub fn is_docker(&self) -> bool {
        self.runtime.containers().is_some()
    }

    /// Starts what only looks on, where the parts are containers, and returns the addresses of its pages. That one cannot be
    /// started is no error of the stack, and is told.
    pub async fn show_pages(&self, build: bool) -> Vec<(&'static str, String)> {
        match self.runtime.containers() {
            Some(containers) => containers.show_pages(build).await,
            None => Vec::new(),
        }
    }

    /// Valkey as a URI.
    #[must_use]
    pub fn valkey_url(&self) -> String {
        services::valkey_url(&self.address(Part::Valkey))
    }

    /// Keeps the folder of data, settings and logs, also where it was to go with the stack.
    ///
    /// # Errors
    /// When its lock cannot be removed; a later stack then removes the folder.
    pub fn keep_state(&self) -> anyhow::Result<()> {
        self.state.keep()
    }

    /// Removes data, settings and logs. Only after [`Stack::shutdown`].
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear_state(&self) -> anyhow::Result<()> {
        self.state.clear()
    }

    /// The folder of data, settings and logs.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// Whether a part has a process. A paused one has.
    #[must_use]
    pub fn is_running(&self, part: Part) -> bool {
        self.runtime.is_running(part)
    }

    /// Whether a part is stopped by [`Stack::pause`].
    #[must_use]
    pub fn is_paused(&self, part: Part) -> bool {
        self.runtime.is_paused(part)
    }

    /// The process id of the real server (RabbitMQ: of `beam.smp`), as seen on this machine. A container of an engine
    /// elsewhere has none.
    #[must_use]
    pub fn pid(&self, part: Part) -> Option<u32> {
        self.runtime.state(part)?.pid()
    }

    /// When the running process of a part was started.
    #[must_use]
    pub fn running_since(&self, part: Part) -> Option<SystemTime> {
        match self.runtime.state(part)? {
            State::Running { since, .. } => Some(since),
            State::Ended { .. } => None,
        }
    }

    /// How the last process of a part ended, for example "was killed" or "ended with exit status 1";
    /// none while it runs.
    #[must_use]
    pub fn how_it_ended(&self, part: Part) -> Option<String> {
        match self.runtime.state(part)? {
            State::Running { .. } => None,
            State::Ended { how } => Some(how),
        }
    }

    /// Resident memory of a part in bytes.
    #[must_use]
    pub fn resident_bytes(&self, part: Part) -> Option<u64> {
        proc_fs::resident_bytes(self.pid(part)?)
    }

    /// Time that the process of a part has spent on a CPU since it was started.
    #[must_use]
    pub fn cpu_time(&self, part: Part) -> Option<Duration> {
        proc_fs::cpu_time(self.pid(part)?)
    }

    /// Completes when any part starts or ends after this call.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let mut changes = self.runtime.states().clone();
        changes.mark_unchanged();
        // An error means that nobody watches any more, and that all parts are gone.
        async move { drop(changes.changed().await) }
    }

    /// Ends a part with SIGKILL and returns when it is dead: the real server and all it started.
    /// Killing what does not run is no error.
    ///
    /// # Errors
    /// When it is still there after ten seconds, or the stack has no such part.
    pub async fn kill(&self, part: Part) -> anyhow::Result<()> {
        self.ensure_has(part)?;
        if self.runtime.signal(part, Signal::SIGKILL).await? {
            ensure!(
                self.runtime.ended(part, KILL_LIMIT).await,
                "{part} survives SIGKILL"
            );
        }
        Ok(())
    }

    /// Ends a part with SIGTERM, and with SIGKILL when it takes too long: services 25 s, Kafka 15 s,
    /// RabbitMQ 20 s, Valkey 10 s. Returns when it is dead.
    ///
    /// # Errors
    /// When it survives SIGKILL too, or the stack has no such part.
    pub async fn stop(&self, part: Part) -> anyhow::Result<()> {
        self.ensure_has(part)?;
        let grace = part.grace();
        if !self.runtime.signal(part, Signal::SIGTERM).await? {
            return Ok(());
        }
        // A paused process takes no SIGTERM.
        self.runtime.signal(part, Signal::SIGCONT).await?;
        if !self.runtime.ended(part, grace).await {
            self.notices.say(format!(
                "{part} did not stop within {grace:?} and is killed"
            ));
            self.kill(part).await?;
        }
        Ok(())
    }

    /// Stops a part's process with SIGSTOP: it keeps its connections and answers nothing. Returns when all of
    /// its threads stand still.
    ///
    /// # Errors
    /// When the part does not run, or does not stand still within ten seconds.
    pub async fn pause(&self, part: Part) -> anyhow::Result<()> {
        ensure!(
            self.runtime.signal(part, Signal::SIGSTOP).await?,
            "{part} does not run"
        );
        let begun = Instant::now();
        while !self.is_paused(part) {
            ensure!(self.is_running(part), "{part} has ended");
            ensure!(begun.elapsed() < PAUSE_LIMIT, "{part} does not stand still");
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Lets a paused part go on.
    ///
    /// # Errors
    /// When the part does not run.
    pub async fn resume(&self, part: Part) -> anyhow::Result<()> {
        ensure!(
            self.runtime.signal(part, Signal::SIGCONT).await?,
            "{part} does not run"
        );
        Ok(())
    }

    /// Starts a part that does not run, on the same ports and data, and returns when it is ready.
    ///
    /// # Errors
    /// When it runs already, cannot be started, ends, or does not get ready in two minutes; it is
    /// killed in the last case.
    pub async fn start_part(&self, part: Part) -> anyhow::Result<()> {
        self.ensure_has(part)?;
        let probe = self.probe(part)?;
        ensure!(!self.is_running(part), "{part} runs already");
        let begun = Instant::now();
        self.runtime.start(part).await?;
        loop {
            if let Some(State::Ended { how }) = self.runtime.state(part) {
                let words = self.runtime.last_words(part, 20).await?;
                bail!("{part} {how} before it was ready; {words}");
            }
            if probe.answers().await {
                break;
            }
            if begun.elapsed() > START_LIMIT {
                self.kill(part).await?;
                let words = self.runtime.last_words(part, 20).await?;
                bail!("{part} was not ready after {START_LIMIT:?}; {words}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        let seconds = begun.elapsed().as_secs_f32();
        self.notices.say(format!(
            "{part} is ready at {} ({seconds:.1} s)",
            self.address(part)
        ));
        Ok(())
    }

    /// The question that tells whether a part is ready.
    pub(crate) fn probe(&self, part: Part) -> anyhow::Result<Probe> {
        Probe::of(part, &self.ports).context("the port table is incomplete")
    }

    /// The connection from one part to another, to break it.
    ///
    /// # Errors
    /// When the stack was not built as [`StackBuilder::breakable`], or the two are not connected.
    pub fn link(&self, from: Part, to: Part) -> anyhow::Result<&Link> {
        self.links
            .get(from, to)
            .with_context(|| format!("there is no link from {from} to {to}"))
    }

    /// Starts a second process of a writer or a consumer beside the first, and returns when it is ready. To a second writer
    /// the gateway's calls are led from then on, half of them.
    ///
    /// # Errors
    /// When the stack was not built as [`StackBuilder::breakable`], or the process cannot be started, ends, or is not ready in
    /// two minutes.
    pub async fn start_second(&self, part: Part) -> anyhow::Result<Second<'_>> {
        let processes = self
            .runtime
            .processes()
            .context("a container has no second one")?;
        let second = Second::start(part, processes, &self.ports, &self.links)?;
        second.ready(START_LIMIT).await
    }

    /// Runs `rabbitmqctl` with these arguments at the broker, and returns what it prints.
    ///
    /// # Errors
    /// When it fails, the broker does not run, or it is a container.
    pub async fn rabbitmqctl(&self, args: &[&str]) -> anyhow::Result<String> {
        ensure!(!self.is_docker(), "the broker is a container");
        let broker = self.pid(Part::Rabbitmq).context("rabbitmq does not run")?;
        let epmd = self.ports.get(Part::Rabbitmq, Role::Epmd);
        let epmd = epmd.context("the port table is incomplete")?;
        rabbitmq::ctl(broker, epmd, args).await
    }

    /// Stops everything in order: the front first, so that tweets on their way arrive, then what
    /// is behind it, the servers last.
    ///
    /// # Errors
    /// When a part could not be ended; the others were.
    pub async fn shutdown(&self) -> anyhow::Result<()> {
        use Part::{
            ConsumerKafka, ConsumerRabbitmq, Gateway, Kafka, Rabbitmq, Rest, Valkey, WriterKafka,
            WriterRabbitmq,
        };
        let order: [&[Part]; 5] = [
            &[Rest],
            &[Gateway],
            &[WriterKafka, WriterRabbitmq],
            &[ConsumerKafka, ConsumerRabbitmq],
            &[Kafka, Rabbitmq, Valkey],
        ];
        let mut outcome = Ok(());
        for group in order {
            let parts = group.iter().filter(|part| self.parts.contains(part));
            let stopped = join_all(parts.map(|&part| self.stop(part))).await;
            outcome = outcome.and(stopped.into_iter().collect());
        }
        outcome.and(self.runtime.close().await)
    }

    fn ensure_has(&self, part: Part) -> anyhow::Result<()> {
        ensure!(self.parts.contains(&part), "this stack has no {part}");
        Ok(())
    }
}
