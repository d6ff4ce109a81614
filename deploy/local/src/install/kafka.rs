//! Kafka: its jars from Maven Central, a formatted storage folder and a class archive.
//!
//! Formatting takes a Java process two seconds and its result depends on nothing that changes from
//! stack to stack, so it is done once here and copied. The class archive (JEP 350) nearly halves
//! the time of every later start.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::time::sleep;

use super::tools;
use crate::notices::Notices;
use crate::servers::kafka::{ARCHIVE, FORMATTED, LIBS, LOGGING, NodePorts, Settings};
use crate::versions;

/// Names the storage's owner; the same everywhere, since a stack's broker meets no other.
const CLUSTER: &str = "Y2xpbWEtbG9jYWwtc3RhY2s";

/// The name of the folder in the cache.
pub(crate) fn folder() -> String {
    format!("kafka-{}-{}", versions::KAFKA, versions::RECIPE)
}

/// Fills `folder` with everything a broker is started from.
pub(crate) async fn install(folder: &Path, notices: &Notices) -> anyhow::Result<()> {
    tools::ensure(&[tools::MAVEN], notices).await?;
    notices.say(format!(
        "installing Kafka {} from Maven Central: 54 MB",
        versions::KAFKA
    ));
    let pom = folder.join("pom.xml");
    fs::write(&pom, include_str!("../../kafka-pom.xml"))?;
    let mut maven = Command::new("mvn");
    maven
        .args(["-B", "-f"])
        .arg(&pom)
        .arg(format!("-Dkafka.version={}", versions::KAFKA))
        .arg(format!("-Dlog4j.version={}", versions::LOG4J))
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", folder.join(LIBS).display()))
        .current_dir(folder);
    tools::run(maven).await.context("cannot download Kafka")?;
    fs::write(
        folder.join(LOGGING),
        include_str!("../servers/log4j2.properties"),
    )?;

    let scratch = tempfile::tempdir_in(folder)?;
    let data = scratch.path().join("data");
    format(folder, data, &scratch.path().join("server.properties")).await?;
    notices.say("preparing a faster start of Kafka");
    if let Err(error) = archive_classes(folder, scratch.path()).await {
        // Only slower without it.
        notices.say(format!("Kafka will start more slowly: {error:#}"));
    }
    Ok(())
}

async fn format(folder: &Path, data: PathBuf, file: &Path) -> anyhow::Result<()> {
    // The tool checks the ports, though it opens none.
    let ports = NodePorts {
        clients: 9092,
        advertised: 9092,
        controller: 9093,
    };
    let settings = Settings { ports, data };
    fs::write(file, settings.text())?;
    let mut format = Command::new("java");
    format
        .arg("-cp")
        .arg(format!("{LIBS}/*"))
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
        .arg(file)
        .current_dir(folder);
    tools::run(format)
        .await
        .context("cannot format Kafka's storage")?;
    fs::rename(&settings.data, folder.join(FORMATTED))?;
    Ok(())
}

/// Runs a broker once and lets Java write down the classes that it loaded.
async fn archive_classes(folder: &Path, scratch: &Path) -> anyhow::Result<()> {
    let settings = Settings::on_free_ports(scratch.join("data"))?;
    let probe = settings.probe();
    settings.prepare(folder)?;
    let file = scratch.join("server.properties");
    fs::write(&file, settings.text())?;
    let mut java = Command::new("java");
    java.arg(format!("-XX:ArchiveClassesAtExit={ARCHIVE}"))
        .args(settings.java_args(&file, true))
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true);
    let mut broker = java.spawn()?;
    let deadline = Instant::now() + Duration::from_secs(90);
    while !probe.answers().await {
        if broker.try_wait()?.is_some() || Instant::now() > deadline {
            bail!("the trial start failed");
        }
        sleep(Duration::from_millis(100)).await;
    }
    let pid = broker.id().context("the trial broker has ended")?;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid.try_into()?),
        nix::sys::signal::Signal::SIGTERM,
    )?;
    tokio::time::timeout(Duration::from_secs(60), broker.wait()).await??;
    anyhow::ensure!(
        folder.join(ARCHIVE).is_file(),
        "Java wrote no class archive"
    );
    Ok(())
}
