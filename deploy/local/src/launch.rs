//! How one part is started as a process of this machine.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Everything needed to start a part, any number of times, on the same ports and data.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) folder: PathBuf,
    pub(crate) log: PathBuf,
    /// The name of the real server where the child only wraps it; signals go to that process.
    pub(crate) leader: Option<&'static str>,
}

impl Launch {
    /// Starts the process. It dies with the *thread* that calls this (`PR_SET_PDEATHSIG`).
    pub(crate) fn spawn(&self) -> io::Result<Child> {
        if let Some(parent) = self.log.parent() {
            fs::create_dir_all(parent)?;
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&self.program)
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Its own group: a Ctrl-C in the terminal must reach us alone, who stop all in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}
