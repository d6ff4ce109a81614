//! What the command line understands.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clima_local::Part;

use crate::commands::{bench, chaos, demo, up};

/// Runs the whole system on this machine: Kafka, RabbitMQ, Valkey and the six services
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Where data, logs and stack.json are kept
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "target/local"
    )]
    pub(crate) state_dir: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  clima-local demo                      the whole way, with 10,000 tweets from Locust
  clima-local up                        start everything, until Ctrl-C
  clima-local up --detach --port-base 0 start it in the background on free ports
  clima-local status                    what runs where
  clima-local kill kafka                as a crash would; see what the services do
  clima-local start kafka               bring it back with its data
  clima-local logs gateway --follow     what a part says
  clima-local down                      stop everything; the data stays for the next up

A part is one of: rest, gateway, writer_kafka, writer_rabbitmq, consumer_kafka,
consumer_rabbitmq, kafka, rabbitmq, valkey.
The servers are installed once, into $CLIMA_CACHE (default ~/.cache/tweets-del-clima).";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything and stay until Ctrl-C
    Up(up::Args),
    /// Start everything empty, load it with Locust, compare what was accepted with what was counted, stop
    Demo(demo::Args),
    /// Measure throughput, latency, CPU and memory on a fresh system of its own
    Bench(bench::Args),
    /// Kill, pause and cut off parts of a fresh system under load, and prove that every tweet was counted once
    Chaos(chaos::Args),
    /// Stop everything in order
    Down,
    /// Wait until everything is counted, then empty the counts
    Reset,
    /// Publish the records again that consumers had to set aside
    Redrive,
    /// Show where each part is and how it does
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a part with SIGKILL
    Kill { part: Part },
    /// End a part with SIGTERM
    Stop { part: Part },
    /// Start a part that was killed or stopped
    Start { part: Part },
    /// Print the output of a part
    Logs {
        /// The part
        part: Part,
        /// Go on printing as it grows
        #[arg(long, short)]
        follow: bool,
    },
}
