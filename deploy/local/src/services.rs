//! Our six services: the environment that each is started with.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::Part;
use crate::launch::Launch;
use crate::links::Links;
use crate::ports::{PortTable, Role};
use crate::rabbitmq_login::RabbitmqLogin;

/// Says how to start a service; `extra` comes last and wins.
pub(crate) fn launch(
    part: Part,
    bin_dir: &Path,
    state: &Path,
    ports: &PortTable,
    links: &Links,
    extra: &[(String, String)],
) -> anyhow::Result<Launch> {
    let binary = part
        .binary()
        .with_context(|| format!("{part} is not a service"))?;
    let program = bin_dir.join(binary);
    if !program.is_file() {
        bail!(
            "{} is not there; build it first: cargo build --workspace",
            program.display()
        );
    }
    let mut env = environment(part, ports, links).context("the port table is incomplete")?;
    env.extend_from_slice(extra);
    Ok(Launch {
        program: std::path::absolute(program)?,
        args: Vec::new(),
        env,
        folder: state.to_owned(),
        log: state.join(format!("logs/{part}.log")),
        leader: None,
    })
}

fn environment(part: Part, ports: &PortTable, links: &Links) -> Option<Vec<(String, String)>> {
    let own = |role| ports.address(part, role);
    let public = |of| links.address(ports, (part, of), Role::Public);
    let internal = |of| {
        let addresses = links.addresses(ports, (part, of), Role::Internal)?;
        let urls: Vec<_> = addresses
            .iter()
            .map(|address| format!("http://{address}"))
            .collect();
        Some(urls.join(","))
    };
    let mut env = vec![
        ("CLIMA_ADMIN_LISTEN", own(Role::Admin)?),
        ("CLIMA_LOG_FORMAT", "human".to_owned()),
    ];
    if let Some(address) = own(Role::Public) {
        env.push(("CLIMA_LISTEN", address));
    }
    if let Some(address) = own(Role::Internal) {
        env.push(("CLIMA_INTERNAL_LISTEN", address));
    }
    match part {
        Part::Rest => env.push(("CLIMA_GATEWAY_URL", internal(Part::Gateway)?)),
        Part::Gateway => {
            env.push(("CLIMA_WRITER_KAFKA_URL", internal(Part::WriterKafka)?));
            env.push(("CLIMA_WRITER_RABBITMQ_URL", internal(Part::WriterRabbitmq)?));
        }
        _ => {}
    }
    if matches!(part, Part::WriterKafka | Part::ConsumerKafka) {
        env.push(("CLIMA_KAFKA_BROKERS", public(Part::Kafka)?));
    }
    if matches!(part, Part::WriterRabbitmq | Part::ConsumerRabbitmq) {
        let url = RabbitmqLogin::default().url(&public(Part::Rabbitmq)?);
        env.push(("CLIMA_RABBITMQ_URL", url));
    }
    if matches!(part, Part::ConsumerKafka | Part::ConsumerRabbitmq) {
        env.push(("CLIMA_VALKEY_URL", valkey_url(&public(Part::Valkey)?)));
    }
    Some(
        env.into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

/// What a second process of a writer or a consumer is told beside what the first one is: its own ports, by the part's roles.
pub(crate) fn ports_of_second(part: Part, ports: &PortTable) -> Vec<(String, String)> {
    let roles = [
        (Role::Public, "CLIMA_LISTEN"),
        (Role::Internal, "CLIMA_INTERNAL_LISTEN"),
        (Role::Admin, "CLIMA_ADMIN_LISTEN"),
    ];
    let known = roles.into_iter().filter_map(|(role, key)| {
        let address = ports.address_of_second(part, role)?;
        Some((key.to_owned(), address))
    });
    known.collect()
}

pub(crate) fn valkey_url(address: &str) -> String {
    format!("redis://{address}")
}

/// The folder of the current executable; cargo puts test binaries one folder deeper, in `deps`.
pub(crate) fn default_bin_dir() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot find the current executable")?;
    let folder = exe
        .parent()
        .context("the current executable has no folder")?;
    match folder.parent() {
        Some(parent) if folder.ends_with("deps") => Ok(parent.to_owned()),
        _ => Ok(folder.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ports;
    use std::collections::{BTreeMap, BTreeSet};

    fn demo(part: Part) -> BTreeMap<String, String> {
        let none = BTreeSet::new();
        let ports = PortTable::choose(Ports::Fixed, &none, Role::ALL, Path::new("/")).unwrap();
        environment(part, &ports, &Links::default())
            .unwrap()
            .into_iter()
            .collect()
    }

    #[test]
    fn the_front_knows_the_gateways_internal_port() {
        let env = demo(Part::Rest);
        assert_eq!(env["CLIMA_LISTEN"], "127.0.0.1:8080");
        assert_eq!(env["CLIMA_GATEWAY_URL"], "http://127.0.0.1:5061");
        assert!(!env.contains_key("CLIMA_INTERNAL_LISTEN"));
    }

    #[test]
    fn a_consumer_knows_its_broker_and_valkey_only() {
        let env = demo(Part::ConsumerRabbitmq);
        assert_eq!(
            env["CLIMA_RABBITMQ_URL"],
            "amqp://guest:guest@127.0.0.1:5672/%2f"
        );
        assert_eq!(env["CLIMA_VALKEY_URL"], "redis://127.0.0.1:6379");
        assert_eq!(env["CLIMA_ADMIN_LISTEN"], "127.0.0.1:9106");
        assert!(!env.contains_key("CLIMA_LISTEN") && !env.contains_key("CLIMA_KAFKA_BROKERS"));
    }
}
