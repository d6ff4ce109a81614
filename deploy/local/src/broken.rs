//! Where services are that can break the promise: the example `clima-broken`, under six names.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::{Part, services};

const PROGRAM: &str = "clima-broken";

/// A folder with a link to the program for each service, beside the program itself.
pub(crate) fn bin_dir() -> anyhow::Result<PathBuf> {
    let examples = services::default_bin_dir()?.join("examples");
    ensure!(
        examples.join(PROGRAM).is_file(),
        "{} is not there: the services were not built to be broken; build it first: \
         cargo build --package clima-local --example {PROGRAM} --features sabotage",
        examples.join(PROGRAM).display()
    );
    let folder = examples.join("broken");
    std::fs::create_dir_all(&folder)?;
    for binary in Part::SERVICES.into_iter().filter_map(Part::binary) {
        link(&folder.join(binary))?;
    }
    Ok(folder)
}

fn link(path: &Path) -> anyhow::Result<()> {
    match symlink(Path::new("..").join(PROGRAM), path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make {}", path.display()))
        }
        _ => Ok(()),
    }
}
