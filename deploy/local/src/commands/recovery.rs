//! `clima-local recovery`: how soon tweets flow again after each kill.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clima_local::Part;
use clima_local::recovery::Measurement;

/// Options of `recovery`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Kills of each part, in each of its settings
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    kills: u16,
    /// Tweets per second meanwhile: few enough to leave the processor mostly idle
    #[arg(long, value_name = "TWEETS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=1_000))]
    rate: u32,
    /// Kill only these parts, separated by commas [default: all]
    #[arg(long, value_name = "PART,…", value_delimiter = ',')]
    parts: Vec<Part>,
    /// Write the report to this file too, as Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Measures on fresh stacks of its own, on free ports, of processes. A missed goal is an error.
pub(crate) async fn run(args: Args, state_dir: &Path) -> anyhow::Result<()> {
    let mut interrupted = super::end_signals()?;
    let measurement = Measurement {
        kills: args.kills,
        rate: args.rate,
        parts: args.parts,
        state_dir: state_dir.join("recovery"),
    };
    let report = tokio::select! {
        report = measurement.run(|line| eprintln!("{line}")) => report?,
        // What was started ends with the future.
        _ = interrupted.recv() => anyhow::bail!("interrupted"),
    };
    let text = report.to_string();
    println!("{text}");
    if let Some(file) = args.report {
        std::fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let missed = report.missed();
    for target in &missed {
        eprintln!("missed: {target}");
    }
    anyhow::ensure!(missed.is_empty(), "{} goals were missed", missed.len());
    Ok(())
}
