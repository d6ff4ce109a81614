//! A second process of a writer or a consumer, beside the first.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::links::Links;
use crate::ports::{PortTable, Role};
use crate::probe::Probe;
use crate::processes::Processes;
use crate::{Part, services};

/// The process. It is killed when this is dropped, and calls that were led to it go to the first again.
#[derive(Debug)]
pub struct Second<'a> {
    part: Part,
    child: Child,
    admin: String,
    ports: &'a PortTable,
    links: &'a Links,
}

impl<'a> Second<'a> {
    pub(crate) fn start(
        part: Part,
        processes: &Processes,
        ports: &'a PortTable,
        links: &'a Links,
    ) -> anyhow::Result<Self> {
        let admin = ports
            .address_of_second(part, Role::Admin)
            .with_context(|| format!("this stack has no room for a second {part}"))?;
        let child = processes.start_second(part, services::ports_of_second(part, ports))?;
        Ok(Self {
            part,
            child,
            admin,
            ports,
            links,
        })
    }

    /// `host:port` of its `/livez`, `/readyz` and `/metrics`.
    #[must_use]
    pub fn admin_address(&self) -> &str {
        &self.admin
    }

    /// Waits until it is ready, and lets it have its share of the calls.
    pub(crate) async fn ready(mut self, limit: Duration) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let probe = Probe::Readyz(self.admin.clone());
        while !probe.answers().await {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the second {} ended before it was ready: {status}",
                    self.part
                );
            }
            ensure!(
                begun.elapsed() < limit,
                "the second {} was not ready after {limit:?}",
                self.part
            );
            sleep(Duration::from_millis(50)).await;
        }
        if let Some(address) = self.ports.address_of_second(self.part, Role::Internal) {
            self.links.lead_second(self.part, &address);
        }
        Ok(self)
    }

    /// Ends it with SIGKILL and returns when it is gone.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Ends it with SIGTERM, and with SIGKILL when it takes longer than a service may; tells how it ended.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        }
        if let Ok(status) = timeout(self.part.grace(), self.child.wait()).await {
            return Ok(status?);
        }
        self.child.kill().await?;
        Ok(self.child.wait().await?)
    }
}

impl Drop for Second<'_> {
    fn drop(&mut self) {
        if let Some(first) = self.ports.address(self.part, Role::Internal) {
            self.links.lead_second(self.part, &first);
        }
    }
}
