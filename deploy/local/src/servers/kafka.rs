//! One Kafka broker that is its own controller (KRaft).

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::launch::Launch;
use crate::probe::Probe;

/// What the installed folder contains.
pub(crate) const LIBS: &str = "libs";
pub(crate) const FORMATTED: &str = "formatted";
pub(crate) const LOGGING: &str = "log4j2.properties";
pub(crate) const ARCHIVE: &str = "kafka.jsa";

/// The ports of one broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodePorts {
    pub(crate) clients: u16,
    /// What clients are told to connect to: a proxy's, where there is one.
    pub(crate) advertised: u16,
    pub(crate) controller: u16,
}

/// What differs from broker to broker.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ports: NodePorts,
    pub(crate) data: PathBuf,
}

impl Settings {
    /// For a broker that lives only a moment.
    pub(crate) fn on_free_ports(data: PathBuf) -> anyhow::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        let ports = NodePorts {
            clients: port,
            advertised: port,
            controller: second.local_addr()?.port(),
        };
        Ok(Self { ports, data })
    }

    /// The content of `server.properties`.
    pub(crate) fn text(&self) -> String {
        let NodePorts {
            clients: port,
            advertised,
            controller: controller_port,
        } = self.ports;
        let data = self.data.display();
        format!(
            "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
# One broker cannot replicate.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
# A group of one process need not wait for others to join.
group.initial.rebalance.delay.ms=0
# A killed broker may serve again only when its old session has ended: 9 s by default.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=2
"
        )
    }

    pub(crate) fn probe(&self) -> Probe {
        Probe::Kafka(format!("127.0.0.1:{}", self.ports.clients))
    }

    /// Gives a new data folder its formatted storage; one that has it keeps it.
    pub(crate) fn prepare(&self, installed: &Path) -> anyhow::Result<()> {
        let meta = self.data.join("meta.properties");
        if meta.is_file() {
            return Ok(());
        }
        fs::create_dir_all(&self.data)?;
        let formatted = installed.join(FORMATTED);
        fs::copy(
            formatted.join("bootstrap.checkpoint"),
            self.data.join("bootstrap.checkpoint"),
        )?;
        // Last and in one step: it is what says that the storage is formatted.
        let unfinished = self.data.join("meta.properties.new");
        fs::copy(formatted.join("meta.properties"), &unfinished)?;
        fs::rename(unfinished, meta)?;
        Ok(())
    }

    /// Java's arguments, relative to the installed folder. `fast_start` compiles less: the start
    /// takes less time and everything after it more.
    pub(crate) fn java_args(&self, properties: &Path, fast_start: bool) -> Vec<OsString> {
        let mut args: Vec<OsString> = [
            "-Xms256m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
        ]
        .map(Into::into)
        .into();
        if fast_start {
            args.push("-XX:TieredStopAtLevel=1".into());
        }
        args.push(format!("-Dlog4j2.configurationFile={LOGGING}").into());
        args.extend(["-cp".into(), format!("{LIBS}/*").into()]);
        args.extend(["kafka.Kafka".into(), properties.into()]);
        args
    }
}

/// Writes the settings and the storage of a broker, and says how to start it.
pub(crate) fn launch(
    installed: &Path,
    state: &Path,
    ports: &NodePorts,
    fast_start: bool,
) -> anyhow::Result<Launch> {
    let folder = state.join("kafka");
    fs::create_dir_all(&folder)?;
    let settings = Settings {
        ports: *ports,
        data: folder.join("data"),
    };
    settings
        .prepare(installed)
        .context("cannot prepare Kafka's storage")?;
    let properties = folder.join("server.properties");
    fs::write(&properties, settings.text())?;
    // Without the archive, or with another Java, `auto` starts as if there were none.
    let mut args = vec![
        "-Xshare:auto".into(),
        format!("-XX:SharedArchiveFile={ARCHIVE}").into(),
    ];
    args.extend(settings.java_args(&properties, fast_start));
    Ok(Launch {
        program: "java".into(),
        args,
        env: Vec::new(),
        // The class archive is bound to the class path as written, which is relative.
        folder: installed.to_owned(),
        log: state.join("logs/kafka.log"),
        leader: None,
    })
}
