//! The command line of the local stack; what it does is in the library and in `commands`.

mod cli;
mod commands;
mod control;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use commands::{
    bench, chaos, demo, down, logs, overload, part, recovery, redrive, reset, status, up,
};
use control::Request;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Up(args) => up::run(args, &cli.state_dir).await,
        Command::Demo(args) => demo::run(args, &cli.state_dir).await,
        Command::Bench(args) => bench::run(args, &cli.state_dir).await,
        Command::Chaos(args) => chaos::run(args, &cli.state_dir).await,
        Command::Recovery(args) => recovery::run(args, &cli.state_dir).await,
        Command::Overload(args) => overload::run(args, &cli.state_dir).await,
        Command::Redrive => redrive::run(&cli.state_dir).await,
        Command::Reset => reset::run(&cli.state_dir).await,
        Command::Down => down::run(&cli.state_dir).await,
        Command::Status { json } => status::run(json, &cli.state_dir).await,
        Command::Kill { part } => part::run(Request::Kill { part }, &cli.state_dir).await,
        Command::Stop { part } => part::run(Request::Stop { part }, &cli.state_dir).await,
        Command::Start { part } => part::run(Request::Start { part }, &cli.state_dir).await,
        Command::Logs { part, follow } => logs::run(part, follow, &cli.state_dir),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
