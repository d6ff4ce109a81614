//! `clima-local demo`: the main job from one end to the other, with real servers and real Locust.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clima_local::{Counts, PATHS, Part, Ports, Stack, StateDir, Totals};
use serde::Deserialize;
use tokio::process::Command;

/// How long the counts may stand still before something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of `demo`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Tweets that Locust posts [default: that of the load profile]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Use 19 consecutive ports from this one on; 0 finds free ones [default: 8080 and the others of
    /// docs/running.md]
    #[arg(long, value_name = "PORT")]
    port_base: Option<u16>,
    /// The folder of the project, with locust/ in it [default: where clima-local was built]
    #[arg(long, value_name = "DIR", default_value = PROJECT, hide_default_value = true)]
    project: PathBuf,
    #[command(flatten)]
    runtime: super::runtime::RuntimeArgs,
}

/// Two folders above this crate.
const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What Locust tells in its summary.
#[derive(Debug, Deserialize)]
struct Summary {
    accepted: u64,
    failed: u64,
    rps: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Starts everything empty, loads it, compares, stops everything. The last line of the output is the result.
pub(crate) async fn run(args: Args, state_dir: &Path) -> anyhow::Result<()> {
    let locust = locust(&args.project).await?;
    let state = StateDir::claim(state_dir)?;
    state.clear()?;
    let mut interrupted = super::end_signals()?;
    let demo = async {
        let builder = Stack::builder()
            .servers()
            .services()
            .claimed(state)
            .ports(Ports::of(args.port_base));
        let stack = args.runtime.apply(builder).start().await?;
        let outcome = show(&args, &locust, &stack).await;
        stack.shutdown().await?;
        outcome
    };
    tokio::select! {
        outcome = demo => outcome,
        // What was started ends with the future.
        _ = interrupted.recv() => bail!("interrupted"),
    }
}

async fn show(args: &Args, locust: &Path, stack: &Stack) -> anyhow::Result<()> {
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await?;
    let before = counts.totals().await?;
    ensure!(
        before
            == Totals {
                kafka: 0,
                rabbitmq: 0
            },
        "the database is not empty: {before:?}"
    );
    let summary = load(args, locust, stack).await?;
    eprintln!("waiting until both paths have counted everything");
    let totals = match counts.reach(summary.accepted, PATIENCE).await {
        Ok(totals) => totals,
        Err(error) => {
            eprintln!("{error:#}");
            counts.totals().await?
        }
    };
    print_counts(&mut counts).await?;
    println!(
        "\nLocust: {:.0} tweets/s, p50 {:.0} ms, p99 {:.0} ms",
        summary.rps, summary.p50_ms, summary.p99_ms
    );
    println!("{}", result(&summary, totals));
    judge(&summary, totals)
}

/// The last line of the output.
fn result(summary: &Summary, totals: Totals) -> String {
    format!(
        "accepted={} failed={} kafka={} rabbitmq={}",
        summary.accepted, summary.failed, totals.kafka, totals.rabbitmq
    )
}

/// The demo has failed when a tweet was not accepted, or the counts are not those of the accepted tweets.
fn judge(summary: &Summary, totals: Totals) -> anyhow::Result<()> {
    ensure!(summary.failed == 0, "not every tweet was accepted");
    ensure!(
        totals.kafka == summary.accepted && totals.rabbitmq == summary.accepted,
        "accepted and counted differ"
    );
    Ok(())
}

/// Installs Locust where it is missing, and tells where it is.
async fn locust(project: &Path) -> anyhow::Result<PathBuf> {
    let script = project.join("deploy/local/tools/locust-venv.sh");
    let output = Command::new(&script)
        .stderr(std::process::Stdio::inherit())
        .output()
        .await
        .with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(output.status.success(), "Locust cannot be installed");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

async fn load(args: &Args, locust: &Path, stack: &Stack) -> anyhow::Result<Summary> {
    let file = stack.state_dir().join("locust.json");
    // That of an earlier demo must not pass for this one's.
    std::fs::remove_file(&file).ok();
    let mut command = Command::new(locust);
    command
        .arg("--headless")
        .arg("--host")
        .arg(format!("http://{}", stack.address(Part::Rest)))
        .arg("-f")
        .arg(args.project.join("locust/locustfile.py"))
        .arg("--summary")
        .arg(&file)
        .kill_on_drop(true);
    if let Some(requests) = args.requests {
        command.arg("--requests").arg(requests.to_string());
    }
    let status = command.status().await.context("cannot run Locust")?;
    let summary = std::fs::read(&file)
        .with_context(|| format!("Locust ended with {status} and left no summary"))?;
    serde_json::from_slice(&summary).context("cannot understand the summary of Locust")
}

async fn print_counts(counts: &mut Counts) -> anyhow::Result<()> {
    let [kafka, rabbitmq] = PATHS;
    let (of_kafka, of_rabbitmq) = (counts.table(kafka).await?, counts.table(rabbitmq).await?);
    println!("\n{:<22}{kafka:>10}{rabbitmq:>10}", "counted");
    for (name, count) in &of_kafka {
        let other = of_rabbitmq.get(name).copied().unwrap_or(0);
        println!("{name:<22}{count:>10}{other:>10}");
    }
    for (name, count) in of_rabbitmq
        .iter()
        .filter(|(name, _)| !of_kafka.contains_key(*name))
    {
        println!("{name:<22}{:>10}{count:>10}", 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_fails_when_the_numbers_differ() {
        let summary = |accepted, failed| Summary {
            accepted,
            failed,
            rps: 0.0,
            p50_ms: 0.0,
            p99_ms: 0.0,
        };
        let totals = |kafka, rabbitmq| Totals { kafka, rabbitmq };
        assert!(judge(&summary(10, 0), totals(10, 10)).is_ok());
        assert!(judge(&summary(9, 1), totals(9, 9)).is_err());
        assert!(judge(&summary(10, 0), totals(9, 10)).is_err());
        assert!(judge(&summary(10, 0), totals(10, 11)).is_err());
        assert_eq!(
            result(&summary(10, 0), totals(10, 9)),
            "accepted=10 failed=0 kafka=10 rabbitmq=9"
        );
    }
}
