//! Taking a project's containers and network away.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use super::command::run;
use super::project::Project;
use crate::log_file;
use crate::notices::Notices;

/// Whatever a project has in the engine while this lives; dropping it removes that. Volumes stay.
#[derive(Debug)]
pub(crate) struct Removal {
    project: Project,
    done: AtomicBool,
    notices: Notices,
}

impl Removal {
    /// Removes what an earlier stack left, whose owner was killed: containers do not die with it. Where that one's passwords
    /// are lost, its data is of no use and goes too.
    pub(crate) async fn of(
        project: Project,
        passwords_lost: bool,
        notices: Notices,
    ) -> anyhow::Result<Self> {
        let down = ["down", "--remove-orphans"];
        let volumes = passwords_lost.then_some("--volumes");
        run(project.compose(down.into_iter().chain(volumes))).await?;
        Ok(Self {
            project,
            done: AtomicBool::new(false),
            notices,
        })
    }

    /// Removes everything now.
    pub(super) async fn carry_out(&self) -> anyhow::Result<()> {
        run(self.project.compose(["down", "--remove-orphans"])).await?;
        self.done.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if self.done.load(Ordering::Acquire) {
            return;
        }
        // Blocks: whoever drops this counts on nothing being left.
        let mut down = self
            .project
            .compose(["down", "--remove-orphans", "--timeout=0"]);
        down.stdin(Stdio::null());
        match down.output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                let text = log_file::last_lines(&text, 5);
                self.notices.say(format!("containers are left: {text}"));
            }
            Err(error) => self.notices.say(format!("containers are left: {error}")),
        }
    }
}
