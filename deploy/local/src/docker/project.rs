//! A compose project: the containers, network and volumes of one state folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::command::docker;
use super::settings::Settings;
use crate::Part;

/// The project's description, in the folder that this crate is built from.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../compose.yaml");

/// Label that Compose puts on everything of a project.
const LABEL: &str = "com.docker.compose.project";

/// Which project, and what it is run with.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    name: String,
    file: PathBuf,
    settings: PathBuf,
}

impl Project {
    /// The project of a state folder: two folders never share one, and a folder always finds its own again.
    ///
    /// # Errors
    /// When the folder or the compose file is not there.
    pub(crate) fn of(state_dir: &Path) -> anyhow::Result<Self> {
        let folder = state_dir
            .canonicalize()
            .with_context(|| format!("there is no folder {}", state_dir.display()))?;
        let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
        let file = Path::new(FILE)
            .canonicalize()
            .with_context(|| format!("{FILE} is not there; is the project's folder gone?"))?;
        Ok(Self {
            name: format!("clima-local-{}", hex::encode(&digest[..5])),
            file,
            settings: folder.join(Settings::NAME),
        })
    }

    /// `docker compose` for this project.
    pub(crate) fn compose<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut compose = docker(["compose"]);
        compose
            .arg(format!("--project-name={}", self.name))
            .arg(format!("--file={}", self.file.display()))
            .arg(format!("--env-file={}", self.settings.display()))
            .arg("--progress=plain")
            .args(args);
        // What the environment says would win over the file.
        for (key, _) in std::env::vars_os() {
            if key.as_encoded_bytes().starts_with(b"CLIMA_") {
                compose.env_remove(key);
            }
        }
        compose
    }

    /// The filter for containers of this project.
    pub(crate) fn filter(&self) -> String {
        format!("--filter=label={LABEL}={}", self.name)
    }

    /// Where the settings are.
    pub(crate) fn settings(&self) -> &Path {
        &self.settings
    }
}

/// The name of a part in the compose file, which is its host name too: no underscore there.
pub(crate) fn service(part: Part) -> String {
    part.name().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_has_a_project_of_its_own() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = |folder: &Path| Project::of(folder).unwrap().name;
        assert_ne!(name(one.path()), name(two.path()));
        assert_eq!(name(one.path()), name(&one.path().join(".")));
        let gone = Project::of(&one.path().join("gone")).unwrap_err();
        assert!(gone.to_string().contains("there is no folder"), "{gone}");
    }

    #[test]
    fn the_compose_file_has_every_part_with_its_grace() {
        let text = std::fs::read_to_string(FILE).unwrap();
        for part in Part::ALL {
            assert!(
                text.contains(&format!("\n  {}:\n", service(part))),
                "{part}"
            );
            let grace = format!("stop_grace_period: {}s", part.grace().as_secs());
            assert!(text.contains(&grace), "{part}: {grace}");
        }
    }
}
