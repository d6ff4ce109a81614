//! The life of a process: configuration, telemetry, bound ports, ready, drain, exit code.

use std::fmt::Display;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::config::{self, Check};
use crate::grpc_connections::GrpcConnections;
use crate::healthcheck;
use crate::process_metrics;
use crate::readiness::Readiness;
use crate::sabotage;
use crate::tasks::{TaskError, Tasks};
use crate::telemetry::{self, TelemetryConfig};

/// Settings of every process.
#[derive(Debug, Clone, Args)]
pub struct ProcessConfig {
    /// The admin port.
    #[command(flatten)]
    pub admin: AdminConfig,

    /// Longest time to finish what is in flight after SIGTERM; then the process ends with exit code 1.
    #[arg(long, env = "CLIMA_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "20s", value_parser = humantime::parse_duration)]
    pub drain_timeout: Duration,

    /// Logs.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

/// Where a process tells how it is.
#[derive(Debug, Clone, Args)]
pub struct AdminConfig {
    /// Where the admin port listens: /livez, /readyz, /metrics over HTTP. Port 0 picks a free one.
    #[arg(
        long,
        env = "CLIMA_ADMIN_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:9090"
    )]
    pub admin_listen: SocketAddr,
}

/// A configuration that holds the settings of every process.
pub trait Configured: Parser + Check {
    /// These settings.
    fn process(&self) -> &ProcessConfig;
}

/// Why a process ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A port cannot be opened.
    #[error("cannot listen on {address} ({port})")]
    Bind {
        /// What the port is for.
        port: &'static str,
        /// Its address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Something that the process cannot do without is not there.
    #[error("cannot start: {0}")]
    Setup(String),
    /// A task ended, or would not end.
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl RunError {
    /// A start that failed for this reason.
    pub fn setup(reason: impl Display) -> Self {
        Self::Setup(reason.to_string())
    }
}

/// The body of every `main`: reads the configuration, installs telemetry, runs until SIGTERM or SIGINT.
///
/// With `healthcheck` as the first argument it only asks whether such a process is ready.
///
/// Exit codes: 0 after an orderly end, 64 for a wrong configuration, 1 for anything else.
pub fn main<C: Configured>(
    run: impl AsyncFnOnce(C, CancellationToken) -> Result<(), RunError>,
) -> ExitCode {
    if let Some(answer) = healthcheck::requested(std::env::args_os()) {
        return answer;
    }
    let config = match config::load::<C>() {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    telemetry::install(&config.process().telemetry);
    sabotage::warn();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        cancel_on_signal(shutdown.clone()).map_err(RunError::setup)?;
        run(config, shutdown).await
    });
    // A blocking call into a broker's client must not hold back a process that has said all it had to say.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "ended");
            ExitCode::FAILURE
        }
    }
}

/// Cancels on SIGTERM or SIGINT. Both are caught from now on, also before the task has its first turn.
fn cancel_on_signal(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("draining");
        shutdown.cancel();
    });
    Ok(())
}

/// What a process is made of while it is put together.
#[derive(Debug)]
pub struct Process {
    /// Its tasks.
    pub tasks: Tasks,
    /// Its readiness, which parts may hold closed.
    pub readiness: Readiness,
    /// Its metrics, all below `clima_`.
    pub registry: Registry,
    /// Cancelled when the process is to drain.
    pub shutdown: CancellationToken,
    pub(crate) grpc_connections: GrpcConnections,
    admin: TcpListener,
    drain_timeout: Duration,
}

impl Process {
    /// Opens the admin port.
    ///
    /// # Errors
    ///
    /// The port cannot be opened.
    pub async fn bind(
        config: &ProcessConfig,
        shutdown: CancellationToken,
    ) -> Result<Self, RunError> {
        let mut registry = Registry::with_prefix("clima");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The build that runs", build);
        let readiness = Readiness::default();
        registry.register_collector(Box::new(readiness.clone()));
        Ok(Self {
            tasks: Tasks::default(),
            readiness,
            grpc_connections: GrpcConnections::register(&mut registry),
            registry,
            shutdown,
            admin: bind("admin", config.admin.admin_listen)?,
            drain_timeout: config.drain_timeout,
        })
    }

    /// Address of the admin port.
    ///
    /// # Errors
    ///
    /// The socket has none, which the operating system would have to explain.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Runs until shutdown, then drains within the budget.
    ///
    /// # Errors
    ///
    /// A task ended before, or did not end after.
    pub async fn run(mut self) -> Result<(), RunError> {
        // Served to the last moment: a probe is told that the process drains, and the last counts can be read.
        let registries = vec![self.registry, process_metrics::registry()];
        let admin = admin::serve(self.admin, self.readiness.clone(), registries);
        let readiness = self.readiness;
        let draining = self.shutdown.clone();
        self.tasks.spawn("drain", async move {
            draining.cancelled().await;
            readiness.drain();
            Ok::<_, std::convert::Infallible>(())
        });
        tokio::select! {
            outcome = self.tasks.run(&self.shutdown, self.drain_timeout) => Ok(outcome?),
            ended = admin => {
                let reason = ended.err().map_or_else(|| "without an error".to_owned(), |e| e.to_string());
                Err(TaskError::Ended { task: "admin", reason }.into())
            }
        }
    }
}

/// Opens a port and logs its address.
///
/// # Errors
///
/// The address is taken, not ours, or not allowed.
pub fn bind(port: &'static str, address: SocketAddr) -> Result<TcpListener, RunError> {
    let failed = |source| RunError::Bind {
        port,
        address,
        source,
    };
    let listener = listen(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(port, address = %bound, "listening");
    Ok(listener)
}

/// Connections that the operating system keeps until they are accepted. `TcpListener::bind` asks for so few
/// that a burst of new clients overflows it; each of those waits a second for its next SYN then.
const BACKLOG: u32 = 1_024;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restarted process takes its port back from connections of its predecessor that are still closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
