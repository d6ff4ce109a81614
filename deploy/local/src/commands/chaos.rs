//! `clima-local chaos`: the promise, attacked.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clima_local::chaos::{Aim, Chaos};
use clima_service::sabotage::Sabotage;
use tokio_util::sync::CancellationToken;

/// Options of `chaos`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Processes to kill; other faults come with them
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    kills: u64,
    /// What faults and tweets are drawn from; the same seed gives the same ones again
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Keep-alive clients of the front, each with one request in flight
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rest_clients: u16,
    /// Clients of the gateway's gRPC port, each with one call in flight
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    grpc_clients: u16,
    /// Instead of faults drawn from the seed, do the few that would expose this mistake of the services
    #[arg(long, value_name = "MISTAKE", value_parser = mistakes(), conflicts_with = "kills")]
    aim: Option<Sabotage>,
    /// The same, with services that make this mistake on purpose: exit code 1, or the check is blind. See
    /// docs/failure-modes.md for how they are built
    #[arg(long, value_name = "MISTAKE", value_parser = mistakes(), hide_possible_values = true, conflicts_with_all = ["kills", "aim"])]
    broken: Option<Sabotage>,
    /// Write the report to this file too, as Markdown
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep data and logs, in the folder `chaos` below --state-dir, also where the promise was kept
    #[arg(long)]
    keep: bool,
}

const AFTER_HELP: &str = "\
Ctrl-C ends the attack early: what was accepted until then is drained and checked. A second one ends at once.

The last line is `lost=0 doubled=0 …` and the exit code 0 where the promise was kept. Otherwise the report tells of \
every suspect id what clients were told, what brokers were given, what is counted, and what the parts said at that \
time; data and logs are kept.";

fn mistakes() -> impl TypedValueParser<Value = Sabotage> {
    PossibleValuesParser::new(Sabotage::ALL.map(Sabotage::name)).try_map(|name| name.parse())
}

impl Args {
    fn aim(&self) -> Option<Aim> {
        Some(Aim {
            mistake: self.broken.or(self.aim)?,
            is_made: self.broken.is_some(),
        })
    }
}

/// Attacks a fresh stack of its own, on free ports, and tells whether the promise was kept.
pub(crate) async fn run(args: Args, state_dir: &Path) -> anyhow::Result<()> {
    let mut interrupted = super::end_signals()?;
    let chaos = Chaos {
        kills: args.kills,
        seed: args.seed,
        rest_clients: args.rest_clients,
        grpc_clients: args.grpc_clients,
        aim: args.aim(),
        state_dir: Some(state_dir.join("chaos")),
        keep: args.keep,
    };
    let stop = CancellationToken::new();
    let interruption = async {
        interrupted.recv().await;
        eprintln!(
            "ending early: what was accepted is drained and checked; once more to end at once"
        );
        stop.cancel();
        interrupted.recv().await;
    };
    let report = tokio::select! {
        report = chaos.run(stop.clone(), |line| eprintln!("{line}")) => report?,
        // What was started ends with the future.
        () = interruption => anyhow::bail!("interrupted; nothing was checked"),
    };
    let text = report.to_string();
    println!("{text}");
    if let Some(file) = args.report {
        std::fs::write(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(kept) = report.kept() {
        println!("data and logs are kept in {}\n", kept.display());
    }
    println!("{}", report.summary());
    anyhow::ensure!(report.is_kept(), "the promise was broken");
    Ok(())
}
