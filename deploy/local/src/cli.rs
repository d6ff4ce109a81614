//! What the command line understands.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clima_local::Part;

use crate::commands::{bench, chaos, demo, overload, recovery, up};

/// Runs the whole system on this machine: Kafka, RabbitMQ, Valkey and the six services; as containers where a Docker engine
/// answers
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The folder of this stack: data, logs, stack.json. Two stacks at a time need two folders
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
  clima-local up --runtime native       as processes, also where Docker is
  clima-local status                    what runs where
  clima-local kill kafka                as a crash would; see what the services do
  clima-local start kafka               bring it back with its data
  clima-local logs gateway --follow     what a part says
  clima-local chaos --kills 30          kill parts under load; prove that nothing was lost
  clima-local down                      stop everything; the data stays for the next up

A part is one of: rest, gateway, writer_kafka, writer_rabbitmq, consumer_kafka,
consumer_rabbitmq, kafka, rabbitmq, valkey.
Without Docker the servers are installed once, into $CLIMA_CACHE (default ~/.cache/tweets-del-clima).";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything and stay until Ctrl-C
    Up(up::Args),
    /// Start everything empty, load it with Locust, compare what was accepted with what was counted, stop
    Demo(demo::Args),
    /// Measure throughput, latency, CPU and memory on a fresh system of its own, always natively
    Bench(bench::Args),
    /// Kill, pause and cut off parts of a fresh system under load, and prove that every tweet was counted once
    Chaos(chaos::Args),
    /// Kill one part at a time of a system at rest, and measure how soon tweets flow again, against the goals
    Recovery(recovery::Args),
    /// Offer a fresh system ten times what it can carry, and check what it does; always natively
    Overload(overload::Args),
    /// Stop everything in order; the data stays for the next up
    Down,
    /// Wait until everything accepted is counted, then empty Valkey
    Reset,
    /// Publish the dead letters again: records that consumers had to set aside
    Redrive,
    /// Show address, process, memory and state of each part
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a part with SIGKILL, as a crash would
    Kill {
        /// Its name, as in `clima-local status`
        part: Part,
    },
    /// End a part with SIGTERM, and with SIGKILL where it does not end in time
    Stop {
        /// Its name, as in `clima-local status`
        part: Part,
    },
    /// Start a part that was killed or stopped, and return when it is ready
    Start {
        /// Its name, as in `clima-local status`
        part: Part,
    },
    /// Print the log of a part, over all its starts
    Logs {
        /// Its name, as in `clima-local status`
        part: Part,
        /// Print the last 100 lines, then what is added
        #[arg(long, short)]
        follow: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_agrees_with_itself() {
        Cli::command().debug_assert();
    }
}
