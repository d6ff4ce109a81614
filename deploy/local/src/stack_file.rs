//! `stack.json`: where the parts of a running stack are, for scripts and other programs.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::docker::Settings;
use crate::rabbitmq_login::RabbitmqLogin;
use crate::{Part, Stack};

/// The content of `stack.json`. It exists while the stack of its folder is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackFile {
    /// Where clients of each part go: the front as a URL, the others as `host:port`.
    #[serde(flatten)]
    pub addresses: BTreeMap<Part, String>,
    /// `host:port` of internal ingest, for the gateway and the writers.
    pub internal: BTreeMap<Part, String>,
    /// `host:port` of the admin port, for our services.
    pub admin: BTreeMap<Part, String>,
    /// The process of each part; null when it does not run.
    pub pids: BTreeMap<Part, Option<u32>>,
    /// `docker` where the parts are containers; nothing where they are processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) runtime: Option<String>,
    /// Not in the file, which everybody may read.
    #[serde(skip)]
    pub(crate) rabbitmq: RabbitmqLogin,
}

/// What `runtime` says of containers.
const DOCKER: &str = "docker";

impl StackFile {
    /// The name of the file in the state folder.
    pub const NAME: &str = "stack.json";

    /// Describes a stack as it is now. Every part has an address and an entry in `pids`, also one
    /// that this stack does not have.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        let table = |address: &dyn Fn(Part) -> Option<String>| {
            Part::ALL
                .into_iter()
                .filter_map(|part| Some((part, address(part)?)))
                .collect()
        };
        Self {
            addresses: table(&|part| {
                let address = stack.address(part);
                Some(if part == Part::Rest {
                    format!("http://{address}")
                } else {
                    address
                })
            }),
            internal: table(&|part| stack.internal_address(part)),
            admin: table(&|part| stack.admin_address(part)),
            pids: Part::ALL
                .into_iter()
                .map(|part| (part, stack.pid(part)))
                .collect(),
            runtime: stack.is_docker().then(|| DOCKER.to_owned()),
            rabbitmq: stack.rabbitmq_login().clone(),
        }
    }

    /// Whether the parts are containers.
    #[must_use]
    pub fn is_docker(&self) -> bool {
        self.runtime.as_deref() == Some(DOCKER)
    }

    /// Reads the file of a state folder.
    ///
    /// # Errors
    /// When it is not there, which means that no stack is up, or is not such a file.
    pub fn read(state_dir: &Path) -> anyhow::Result<Self> {
        let path = state_dir.join(Self::NAME);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}: is the stack up?", path.display()))?;
        let mut file: Self = serde_json::from_str(&text)
            .with_context(|| format!("cannot understand {}", path.display()))?;
        if file.is_docker() {
            let settings = Settings::read(&state_dir.join(Settings::NAME))?;
            file.rabbitmq = settings.context("the passwords are not there")?.rabbitmq;
        }
        Ok(file)
    }

    /// Writes the file in one step: a reader sees the old content or the new.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, state_dir: &Path) -> anyhow::Result<()> {
        let path = state_dir.join(Self::NAME);
        let write = || -> anyhow::Result<()> {
            let unfinished = tempfile::Builder::new()
                .permissions(Permissions::from_mode(0o644))
                .tempfile_in(state_dir)?;
            serde_json::to_writer_pretty(&unfinished, self)?;
            unfinished.as_file().write_all(b"\n")?;
            unfinished.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_at_the_top_and_a_dead_part_is_null() {
        let file = StackFile {
            addresses: BTreeMap::from([
                (Part::Rest, "http://127.0.0.1:8080".to_owned()),
                (Part::WriterKafka, "127.0.0.1:5052".to_owned()),
            ]),
            internal: BTreeMap::from([(Part::WriterKafka, "127.0.0.1:5062".to_owned())]),
            admin: BTreeMap::from([(Part::ConsumerRabbitmq, "127.0.0.1:9106".to_owned())]),
            pids: BTreeMap::from([(Part::Rest, None), (Part::Kafka, Some(7))]),
            runtime: None,
            rabbitmq: RabbitmqLogin::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        file.write(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(StackFile::NAME)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "rest": "http://127.0.0.1:8080",
            "writer_kafka": "127.0.0.1:5052",
            "internal": { "writer_kafka": "127.0.0.1:5062" },
            "admin": { "consumer_rabbitmq": "127.0.0.1:9106" },
            "pids": { "rest": null, "kafka": 7 },
        });
        assert_eq!(json, expected);
        assert_eq!(StackFile::read(folder.path()).unwrap(), file);
    }
}
