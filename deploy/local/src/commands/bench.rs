//! `clima-local bench`: what the whole system does on this machine, and what it costs.
//!
//! Everything shares the machine: load generator, services, brokers, Valkey. So the number that carries over
//! to another machine is CPU time per tweet, and the ratio of our six processes to the three servers they
//! feed, taken in the same rounds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clima_local::load::{Load, LoadReport, Until};
use clima_local::{Counts, Part, Ports, Stack, StateDir};

/// How long the counts may stand still before something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of `bench`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep-alive clients, each with one request in flight
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=4_000))]
    clients: u16,
    /// Length of a round
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds; the median and the spread are printed
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=50))]
    rounds: u16,
}

/// What one round measured.
struct Round {
    load: LoadReport,
    /// From the first request until both paths had counted the last tweet.
    until_counted: Duration,
    /// CPU time that each part used meanwhile.
    cpu: BTreeMap<Part, Duration>,
}

/// Measures on a fresh stack of its own, on free ports, of processes: their CPU time and memory are read from `/proc`.
pub(crate) async fn run(args: Args, state_dir: &Path) -> anyhow::Result<()> {
    let mut interrupted = super::end_signals()?;
    tokio::select! {
        outcome = measure(&args, state_dir) => outcome,
        // What was started ends with the future.
        _ = interrupted.recv() => anyhow::bail!("interrupted"),
    }
}

async fn measure(args: &Args, state_dir: &Path) -> anyhow::Result<()> {
    let state = StateDir::claim(&state_dir.join("bench"))?;
    state.clear()?;
    let stack = Stack::builder()
        .servers()
        .services()
        .claimed(state)
        .ports(Ports::Free)
        .start()
        .await?;
    let idle = resident(&stack);
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await?;
    eprintln!("warming up");
    round(args, Duration::from_secs(3), &stack, &mut counts).await?;
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        let round = round(args, Duration::from_secs(args.seconds), &stack, &mut counts).await?;
        eprintln!("round {number}: {}", round.load);
        rounds.push(round);
    }
    let loaded = resident(&stack);
    let starts = starts(&stack).await?;
    stack.shutdown().await?;
    print_summary(args, &rounds);
    print_parts(&rounds, &idle, &loaded, &starts);
    Ok(())
}

async fn round(
    args: &Args,
    time: Duration,
    stack: &Stack,
    counts: &mut Counts,
) -> anyhow::Result<Round> {
    let load = Load {
        address: stack.address(Part::Rest),
        clients: usize::from(args.clients),
        until: Until::Elapsed(time),
        keys: false,
    };
    let before = (counts.totals().await?, cpu(stack), Instant::now());
    let load = load.run().await;
    let accepted = load.accepted_count();
    let expected = before.0.kafka + accepted;
    let after = counts.reach(expected, PATIENCE).await?;
    let until_counted = before.2.elapsed();
    ensure!(load.failed_count() == 0, "requests failed: {load}");
    ensure!(
        after.kafka == expected && after.rabbitmq == before.0.rabbitmq + accepted,
        "accepted and counted differ: {accepted} accepted, {after:?} counted, {:?} before",
        before.0
    );
    let cpu = cpu(stack)
        .into_iter()
        .map(|(part, used)| (part, used.saturating_sub(before.1[&part])))
        .collect();
    Ok(Round {
        load,
        until_counted,
        cpu,
    })
}

fn cpu(stack: &Stack) -> BTreeMap<Part, Duration> {
    stack
        .parts()
        .map(|part| (part, stack.cpu_time(part).unwrap_or_default()))
        .collect()
}

fn resident(stack: &Stack) -> BTreeMap<Part, u64> {
    stack
        .parts()
        .map(|part| (part, stack.resident_bytes(part).unwrap_or_default()))
        .collect()
}

/// How long each service takes to be ready, started alone while what it needs is up.
async fn starts(stack: &Stack) -> anyhow::Result<BTreeMap<Part, Duration>> {
    let mut starts = BTreeMap::new();
    for part in Part::SERVICES {
        stack.stop(part).await?;
        let started = Instant::now();
        stack.start_part(part).await?;
        starts.insert(part, started.elapsed());
    }
    Ok(starts)
}

fn print_summary(args: &Args, rounds: &[Round]) {
    println!(
        "\n{} keep-alive clients on REST, closed loop, {} rounds of {} s, on {} cores with everything on them",
        args.clients,
        rounds.len(),
        args.seconds,
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    println!("\n{:<40}{:>10}{:>10}{:>10}", "", "median", "least", "most");
    print_line(rounds, "accepted tweets/s", |round| round.load.rate());
    print_line(rounds, "accepted and counted on both paths/s", |round| {
        round.load.accepted_count() as f64 / round.until_counted.as_secs_f64()
    });
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        print_line(rounds, &format!("latency {name}, ms"), |round| {
            round.load.quantile(share).as_secs_f64() * 1e3
        });
    }
    let (ours, theirs) = (&Part::SERVICES, &Part::SERVERS);
    print_line(rounds, "CPU of our six processes, µs/tweet", |round| {
        micros(round, ours)
    });
    print_line(rounds, "CPU of the three servers, µs/tweet", |round| {
        micros(round, theirs)
    });
    print_line(rounds, "ratio of CPU, ours to servers", |round| {
        micros(round, ours) / micros(round, theirs)
    });
}

/// CPU time of these parts for each accepted tweet.
fn micros(round: &Round, parts: &[Part]) -> f64 {
    let used: Duration = parts.iter().map(|part| round.cpu[part]).sum();
    used.as_secs_f64() * 1e6 / round.load.accepted_count() as f64
}

fn print_line(rounds: &[Round], name: &str, value: impl Fn(&Round) -> f64) {
    let (median, least, most) = spread(rounds.iter().map(value).collect());
    println!("{name:<40}{median:>10.2}{least:>10.2}{most:>10.2}");
}

fn print_parts(
    rounds: &[Round],
    idle: &BTreeMap<Part, u64>,
    loaded: &BTreeMap<Part, u64>,
    starts: &BTreeMap<Part, Duration>,
) {
    println!(
        "\n{:<20}{:>14}{:>12}{:>12}{:>12}",
        "", "CPU µs/tweet", "idle MiB", "loaded MiB", "ready ms"
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    for part in Part::ALL {
        let (micros, _, _) = spread(rounds.iter().map(|round| micros(round, &[part])).collect());
        let ready = starts.get(&part).map_or_else(
            || "-".to_owned(),
            |start| format!("{:.0}", start.as_secs_f64() * 1e3),
        );
        println!(
            "{part:<20}{micros:>14.1}{:>12.1}{:>12.1}{ready:>12}",
            mib(idle[&part]),
            mib(loaded[&part])
        );
    }
}

/// Median, least and greatest of at least one value.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len() - 1;
    let median = (values[last / 2] + values[last.div_ceil(2)]) / 2.0;
    (median, values[0], values[last])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_values_is_between_the_middle_two() {
        assert_eq!(spread(vec![4.0, 1.0, 3.0, 2.0]), (2.5, 1.0, 4.0));
        assert_eq!(spread(vec![7.0, 5.0, 9.0]), (7.0, 5.0, 9.0));
        assert_eq!(spread(vec![1.0]), (1.0, 1.0, 1.0));
    }
}
