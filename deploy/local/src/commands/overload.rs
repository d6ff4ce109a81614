//! `clima-local overload`: ten times what the system can carry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clima_local::overload::Overload;

/// Options of `overload`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The offered rate, in best rates
    #[arg(long, value_name = "TIMES", default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    times: u16,
    /// Connections that offer it, more than the front's limit of requests in flight (1,024)
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    connections: u16,
    /// Length of the overload, and of each of three closed loops that tell the best rate
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Write the report to this file too, as Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Overloads a fresh stack of its own, on free ports, of processes, and tells which goals were met.
pub(crate) async fn run(args: Args, state_dir: &Path) -> anyhow::Result<()> {
    let mut interrupted = super::end_signals()?;
    let overload = Overload {
        times: f64::from(args.times),
        connections: usize::from(args.connections),
        time: Duration::from_secs(args.seconds),
        state_dir: state_dir.join("overload"),
    };
    let report = tokio::select! {
        report = overload.run(|line| eprintln!("{line}")) => report?,
        // What was started ends with the future.
        _ = interrupted.recv() => anyhow::bail!("interrupted"),
    };
    let text = report.to_string();
    println!("{text}");
    if let Some(file) = args.report {
        std::fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    anyhow::ensure!(report.is_met(), "a goal was missed");
    Ok(())
}
