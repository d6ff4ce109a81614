//! One Valkey server, run from the Debian root folder by that folder's own loader.

use std::fs;
use std::path::{Path, PathBuf};

use crate::launch::Launch;

/// How a program of the root folder runs outside it: the loader, and its arguments.
pub(crate) fn command(root: &Path, program: &str) -> (PathBuf, Vec<String>) {
    let inside = |path: &str| root.join(path).display().to_string();
    let (loader, libraries) = if cfg!(target_arch = "aarch64") {
        ("lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu")
    } else {
        ("lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu")
    };
    let args = vec![
        "--library-path".to_owned(),
        inside(libraries),
        inside(&format!("usr/bin/{program}")),
    ];
    (root.join(loader), args)
}

/// Writes the settings of a server and says how to start it.
pub(crate) fn launch(root: &Path, state: &Path, port: u16) -> anyhow::Result<Launch> {
    let data = state.join("valkey");
    fs::create_dir_all(&data)?;
    let settings = data.join("valkey.conf");
    fs::write(
        &settings,
        format!(
            "\
bind 127.0.0.1
port {port}
dir \"{}\"
# What was answered is on disk, and nothing is dropped to make room: counts depend on both.
appendonly yes
appendfsync always
maxmemory-policy noeviction
save \"\"
# A restart reads this much at most, beside the data itself: the default of 64 MB takes seconds.
auto-aof-rewrite-min-size 16mb
",
            data.display()
        ),
    )?;
    let (program, mut args) = command(root, "valkey-server");
    args.push(settings.display().to_string());
    Ok(Launch {
        program,
        args: args.into_iter().map(Into::into).collect(),
        env: Vec::new(),
        folder: data,
        log: state.join("logs/valkey.log"),
        leader: None,
    })
}
