//! The settings of a compose project: what `deploy/compose.yaml` leaves to its environment.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use rand::RngExt as _;

use crate::Part;
use crate::ports::{PortTable, Role};
use crate::rabbitmq_login::RabbitmqLogin;

const USER: &str = "CLIMA_RABBITMQ_USER";
const PASSWORD: &str = "CLIMA_RABBITMQ_PASSWORD";
const GRAFANA: &str = "CLIMA_GRAFANA_PASSWORD";

/// Ports that no part of ours is reached by. Docker chooses them unless the ports are those of the demo.
const OTHERS: [&str; 3] = ["RABBITMQ_MANAGEMENT", "PROMETHEUS", "GRAFANA"];

/// Passwords of a project. RabbitMQ and Grafana keep theirs in their volumes, so the file lives as long as those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Of RabbitMQ's only user.
    pub(crate) rabbitmq: RabbitmqLogin,
    grafana: String,
}

impl Settings {
    /// The name of the file in the state folder.
    pub(crate) const NAME: &str = "docker.env";

    /// New passwords, of 128 random bits.
    pub(crate) fn new() -> Self {
        Self {
            rabbitmq: RabbitmqLogin {
                user: "clima".to_owned(),
                password: password(),
            },
            grafana: password(),
        }
    }

    /// Those of a file; none where there is no file.
    ///
    /// # Errors
    /// When it cannot be read, or a password is missing in it.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Option<Self>> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let value = |key: &str| {
            let line = |line: &str| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned());
            text.lines()
                .find_map(line)
                .with_context(|| format!("{} lacks {key}", file.display()))
        };
        Ok(Some(Self {
            rabbitmq: RabbitmqLogin {
                user: value(USER)?,
                password: value(PASSWORD)?,
            },
            grafana: value(GRAFANA)?,
        }))
    }

    /// Writes them, with these lines for the ports, for nobody else to read.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn write(&self, file: &Path, ports: &[String]) -> anyhow::Result<()> {
        let write = || {
            let mut options = OpenOptions::new();
            options.create(true).truncate(true).write(true).mode(0o600);
            options.open(file)?.write_all(self.text(ports).as_bytes())
        };
        write().with_context(|| format!("cannot write {}", file.display()))
    }

    fn text(&self, ports: &[String]) -> String {
        let lines = [
            "# Made by clima-local for deploy/compose.yaml. The passwords are those in the volumes.".to_owned(),
            format!("{USER}={}", self.rabbitmq.user),
            format!("{PASSWORD}={}", self.rabbitmq.password),
            format!("{GRAFANA}={}", self.grafana),
            format!("CLIMA_VERSION={}", env!("CARGO_PKG_VERSION")),
            // A part that dies stays dead until somebody starts it: how else could one see what the others do?
            "CLIMA_RESTART=no".to_owned(),
        ];
        [&lines, ports].concat().join("\n") + "\n"
    }
}

/// The lines that say which ports are published. `fixed` says that they are those of the demo.
pub(crate) fn port_lines(ports: &PortTable, fixed: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for part in Part::ALL {
        let name = part.name().to_uppercase();
        for (role, suffix) in [(Role::Public, ""), (Role::Admin, "_ADMIN")] {
            if let Some(port) = ports.get(part, role) {
                lines.push(format!("CLIMA_PORT_{name}{suffix}={port}"));
            }
        }
    }
    if !fixed {
        lines.extend(OTHERS.map(|name| format!("CLIMA_PORT_{name}=")));
    }
    lines
}

fn password() -> String {
    hex::encode(rand::rng().random::<[u8; 16]>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ports;
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt as _;

    /// The real file: what it leaves open, and what it takes where nothing is said.
    const COMPOSE: &str = include_str!("../../../compose.yaml");

    fn demo() -> PortTable {
        PortTable::choose(
            Ports::Fixed,
            &BTreeSet::new(),
            Role::PUBLISHED,
            Path::new("/"),
        )
        .unwrap()
    }

    #[test]
    fn passwords_outlive_a_new_choice_of_ports_and_are_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(Settings::NAME);
        assert_eq!(Settings::read(&file).unwrap(), None);
        let settings = Settings::new();
        assert_ne!(settings, Settings::new());
        settings.write(&file, &port_lines(&demo(), true)).unwrap();
        assert_eq!(Settings::read(&file).unwrap().as_ref(), Some(&settings));
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&file, "CLIMA_RABBITMQ_USER=clima\n").unwrap();
        let error = Settings::read(&file).unwrap_err().to_string();
        assert!(error.contains("lacks CLIMA_RABBITMQ_PASSWORD"), "{error}");
    }

    #[test]
    fn the_compose_file_asks_for_what_is_written_and_has_the_ports_of_the_demo() {
        let text = Settings::new().text(&port_lines(&demo(), true));
        let set: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .collect();
        for key in &set {
            assert!(COMPOSE.contains(&format!("${{{key}:")), "{key} is not used");
        }
        for asked in COMPOSE.split("${").skip(1) {
            let key = asked.split([':', '-', '}']).next().unwrap();
            let other = OTHERS
                .iter()
                .any(|name| key == format!("CLIMA_PORT_{name}"));
            assert!(other || set.contains(key), "{key} is not set");
        }
        for (key, port) in text.lines().filter_map(|line| line.split_once('=')) {
            if key.starts_with("CLIMA_PORT_") {
                assert!(
                    COMPOSE.contains(&format!("127.0.0.1:${{{key}:-{port}}}:")),
                    "{key}"
                );
            }
        }
    }

    #[test]
    fn ports_that_are_not_the_demos_leave_the_others_to_docker() {
        let text = Settings::new().text(&port_lines(&demo(), false));
        for name in OTHERS {
            assert!(text.contains(&format!("\nCLIMA_PORT_{name}=\n")), "{name}");
            // Set and empty is not the same as not set: the default must not come back.
            assert!(
                COMPOSE.contains(&format!("${{CLIMA_PORT_{name}-")),
                "{name}"
            );
        }
    }
}
