//! Choosing what a stack consists of, and starting it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::docker::{Containers, Project, Removal, Settings, port_lines};
use crate::install::{self, Cache, Installed};
use crate::launch::Launch;
use crate::links::{LINK_OF_KAFKA, Links};
use crate::notices::Notices;
use crate::ports::{PortTable, Role};
use crate::processes::Processes;
use crate::rabbitmq_login::RabbitmqLogin;
use crate::runtime::{Runtime, RuntimeChoice};
use crate::servers::{kafka, rabbitmq, valkey};
use crate::state_dir::StateDir;
use crate::{Part, Ports, Stack, services};

/// Describes a stack; [`Stack::builder`] makes one. By default: all parts, on free ports, with a
/// state folder that goes with the stack.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `start`"]
pub struct StackBuilder {
    parts: BTreeSet<Part>,
    ports: Ports,
    claimed: Option<StateDir>,
    bin_dir: Option<PathBuf>,
    env: BTreeMap<Part, Vec<(String, String)>>,
    fast_start: bool,
    breakable: bool,
    runtime: RuntimeChoice,
    images_are_built: bool,
    notices: Notices,
}

impl StackBuilder {
    /// Adds the three servers.
    pub fn servers(mut self) -> Self {
        self.parts.extend(Part::SERVERS);
        self
    }

    /// Adds our six services. They need the servers.
    pub fn services(mut self) -> Self {
        self.parts.extend(Part::SERVICES);
        self
    }

    /// Takes exactly these parts. The others have addresses too, where nobody listens.
    pub fn only(mut self, parts: impl IntoIterator<Item = Part>) -> Self {
        self.parts = parts.into_iter().collect();
        self
    }

    /// Keeps data, settings and logs in a folder that the caller has taken hold of.
    pub fn claimed(mut self, state: StateDir) -> Self {
        self.claimed = Some(state);
        self
    }

    /// How ports are chosen.
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// The folder of our services' binaries. By default that of the current executable, or the one
    /// above where that is cargo's `deps`.
    pub fn bin_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.bin_dir = Some(path.into());
        self
    }

    /// Gives a service one more environment variable; it wins over what the stack sets.
    pub fn env(mut self, part: Part, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env
            .entry(part)
            .or_default()
            .push((key.into(), value.into()));
        self
    }

    /// Starts Kafka sooner at the price of slower code. For tests; not for measuring.
    pub fn fast_start(mut self, fast_start: bool) -> Self {
        self.fast_start = fast_start;
        self
    }

    /// Leads the connections between parts through proxies of our own, so that they can be broken:
    /// [`Stack::link`].
    pub fn breakable(mut self, breakable: bool) -> Self {
        self.breakable = breakable;
        self
    }

    /// Where the parts run. By default: as processes of this machine.
    pub fn runtime(mut self, runtime: RuntimeChoice) -> Self {
        self.runtime = runtime;
        self
    }

    /// Takes the images of our services as they are, where the parts are containers; otherwise they are built.
    pub fn images_are_built(mut self, built: bool) -> Self {
        self.images_are_built = built;
        self
    }

    /// Where to tell what happens: installing, ready, a part that died. Standard error by default.
    pub fn log_to(mut self, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.notices = Notices::new(sink);
        self
    }

    /// Installs what is missing, starts the servers and then the services, and returns when every
    /// part answers.
    ///
    /// # Errors
    /// When something cannot be installed, a fixed port is in use, or a part does not get ready: the
    /// error then carries the end of its log. Nothing is left running.
    pub async fn start(mut self) -> anyhow::Result<Stack> {
        if self.parts.is_empty() {
            self.parts.extend(Part::ALL);
        }
        if self.runtime.is_docker(&self.notices).await? {
            return self.start_containers().await;
        }
        ensure!(
            !self.breakable || self.ports == Ports::Free,
            "a breakable stack has second processes, for which only free ports leave room"
        );
        let cache = Cache::locate()?;
        let state = match self.claimed.take() {
            Some(state) => state,
            None => StateDir::temporary(&cache.runs())?,
        };
        let installed = install::ensure(&cache, &self.parts, &self.notices).await?;
        let ports = PortTable::choose(self.ports, &self.parts, Role::ALL, &cache.port_locks())?;
        let links = if self.breakable {
            Links::through_proxies(&ports).await?
        } else {
            Links::default()
        };
        let launches = self.launches(&installed, state.path(), &ports, &links)?;
        let processes = Processes::new(launches, self.notices.clone())?;
        let runtime = Runtime::Native(processes);
        let login = RabbitmqLogin::default();
        let stack = Stack::assemble(runtime, self.parts, ports, login, state, self.notices);
        let stack = stack.with_links(links);
        stack.start_all().await?;
        Ok(stack)
    }

    async fn start_containers(mut self) -> anyhow::Result<Stack> {
        ensure!(
            self.bin_dir.is_none() && self.env.is_empty() && !self.fast_start && !self.breakable,
            "containers run the images of deploy/Dockerfile; other binaries and settings need the native runtime"
        );
        let state = self
            .claimed
            .take()
            .context("containers need a state folder that stays")?;
        let locks = Cache::locate()?.port_locks();
        let project = Project::of(state.path())?;
        let known = Settings::read(project.settings())?;
        let passwords_lost = known.is_none();
        let settings = known.unwrap_or_else(Settings::new);
        settings.write(project.settings(), &[])?;
        // First, since it frees ports.
        let removal = Removal::of(project.clone(), passwords_lost, self.notices.clone()).await?;
        let ports = PortTable::choose(self.ports, &self.parts, Role::PUBLISHED, &locks)?;
        let lines = port_lines(&ports, self.ports == Ports::Fixed);
        settings.write(project.settings(), &lines)?;
        let parts: Vec<Part> = self.parts.iter().copied().collect();
        let containers = Containers::create(
            project,
            removal,
            state.path(),
            &parts,
            !self.images_are_built,
            self.notices.clone(),
        );
        let runtime = Runtime::Docker(containers.await?);
        let login = settings.rabbitmq;
        let stack = Stack::assemble(runtime, self.parts, ports, login, state, self.notices);
        stack.start_all().await?;
        Ok(stack)
    }

    fn launches(
        &self,
        installed: &Installed,
        state: &Path,
        ports: &PortTable,
        links: &Links,
    ) -> anyhow::Result<BTreeMap<Part, Launch>> {
        let bin_dir = match &self.bin_dir {
            Some(path) => path.clone(),
            None => services::default_bin_dir()?,
        };
        let mut launches = BTreeMap::new();
        for &part in &self.parts {
            let launch = match part {
                Part::Kafka | Part::Rabbitmq | Part::Valkey => {
                    self.server(part, installed, state, ports, links)?
                }
                _ => {
                    let extra = self.env.get(&part).map(Vec::as_slice).unwrap_or_default();
                    services::launch(part, &bin_dir, state, ports, links, extra)?
                }
            };
            launches.insert(part, launch);
        }
        Ok(launches)
    }

    fn server(
        &self,
        part: Part,
        installed: &Installed,
        state: &Path,
        ports: &PortTable,
        links: &Links,
    ) -> anyhow::Result<Launch> {
        let port = |role| {
            ports
                .get(part, role)
                .context("the port table is incomplete")
        };
        let public = port(Role::Public)?;
        if part == Part::Kafka {
            let folder = installed
                .kafka
                .as_deref()
                .context("Kafka is not installed")?;
            let ports = kafka::NodePorts {
                clients: public,
                advertised: links.port(LINK_OF_KAFKA).unwrap_or(public),
                controller: port(Role::Controller)?,
            };
            return kafka::launch(folder, state, &ports, self.fast_start);
        }
        let root = installed
            .debian
            .as_deref()
            .context("the Debian folder is not installed")?;
        if part == Part::Valkey {
            return valkey::launch(root, state, public);
        }
        let ports = rabbitmq::NodePorts {
            amqp: public,
            distribution: port(Role::Distribution)?,
            epmd: port(Role::Epmd)?,
        };
        rabbitmq::launch(root, state, &ports)
    }
}
