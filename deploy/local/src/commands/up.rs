//! `clima-local up`: starts the system and stays with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use clima_local::{Part, Ports, Stack, StateDir};

use super::{detach, runtime};
use crate::control::Server;

/// Options of `up`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Return when everything is ready and leave it running; end it with `clima-local down`
    #[arg(long)]
    pub(crate) detach: bool,
    /// Use 19 consecutive ports from this one on; 0 finds free ones [default: 8080 and the others of
    /// docs/running.md]
    #[arg(long, value_name = "PORT")]
    pub(crate) port_base: Option<u16>,
    /// Begin empty: forget the data and logs of earlier runs in the state folder
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Start Kafka, RabbitMQ and Valkey, and none of our services
    #[arg(long)]
    pub(crate) servers_only: bool,
    /// The folder of the services' binaries, which run natively [default: that of clima-local]
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) runtime: runtime::RuntimeArgs,
}

/// Starts the stack; without `--detach`, returns when it is down again.
pub(crate) async fn run(args: Args, state_dir: &Path) -> anyhow::Result<()> {
    let state = StateDir::claim(state_dir)?;
    if args.detach {
        drop(state); // for the process that will have it
        return detach::run(&args, state_dir).await;
    }
    if args.fresh {
        state.clear()?;
    }
    state.forget()?;
    let mut ends = super::end_signals()?;
    let mut server = Server::open(state.path())?;
    let started = tokio::select! {
        started = start(&args, state) => Some(started?),
        asker = server.asked_down() => { asker.tell(&Ok(())).await; None }
        _ = ends.recv() => None,
    };
    // What was started so far died with the future.
    let Some(stack) = started else {
        bail!("ended before everything was ready")
    };
    server.serve(Arc::clone(&stack));
    announce(&stack, state_dir);
    let pages = async {
        if !args.servers_only {
            for (name, address) in stack.show_pages(!args.runtime.no_build).await {
                println!("{name:<18} {address}");
            }
        }
        std::future::pending::<()>().await;
    };

    let asker = tokio::select! {
        asker = server.asked_down() => Some(asker),
        _ = ends.recv() => None,
        () = pages => None, // cannot be: it never ends
    };
    eprintln!("stopping everything; once more to kill");
    let outcome = tokio::select! {
        outcome = stack.shutdown() => outcome,
        _ = ends.recv() => Err(anyhow::anyhow!("killed before everything had stopped")),
    };
    server.close().await;
    if let Some(asker) = asker {
        asker.tell(&outcome).await;
    }
    outcome
}

async fn start(args: &Args, state: StateDir) -> anyhow::Result<Arc<Stack>> {
    let mut builder = Stack::builder()
        .servers()
        .claimed(state)
        .ports(Ports::of(args.port_base));
    if !args.servers_only {
        builder = builder.services();
    }
    builder = args.runtime.apply(builder);
    if let Some(bin_dir) = &args.bin_dir {
        builder = builder.bin_dir(bin_dir);
    }
    Ok(Arc::new(builder.start().await?))
}

fn announce(stack: &Stack, state_dir: &Path) {
    println!();
    for part in stack.parts() {
        let scheme = if part == Part::Rest { "http://" } else { "" };
        let admin = stack
            .admin_address(part)
            .filter(|admin| *admin != stack.address(part));
        let admin = admin
            .map(|admin| format!("   admin http://{admin}"))
            .unwrap_or_default();
        println!("{part:<18} {scheme}{}{admin}", stack.address(part));
    }
    println!(
        "\neverything is ready; data and logs are in {}",
        state_dir.display()
    );
}
