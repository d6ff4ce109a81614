//! Which part listens where: fixed ports for the demo, free ones for tests.
//!
//! All ports stay below 32768, where Linux begins to hand out the ports of outgoing connections: a
//! busy client could otherwise hold the port of a server that is about to be restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, bail};
use rand::RngExt as _;

use crate::Part;

/// How the ports are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// The ports of the demo: 8080, 5051, 9092, 5672, 6379, …
    Fixed,
    /// Free ports, found by trying; stacks of several processes do not get in each other's way.
    #[default]
    Free,
    /// Consecutive ports from this one on; 19 are used.
    Base(u16),
}

impl Ports {
    /// What `--port-base` means: none is [`Fixed`](Self::Fixed), 0 is [`Free`](Self::Free).
    #[must_use]
    pub fn of(base: Option<u16>) -> Self {
        match base {
            None => Self::Fixed,
            Some(0) => Self::Free,
            Some(base) => Self::Base(base),
        }
    }
}

/// What a part uses a port for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// What its clients connect to.
    Public,
    /// Ingest between our own processes.
    Internal,
    /// `/livez`, `/readyz`, `/metrics`.
    Admin,
    /// Kafka's controller.
    Controller,
    /// RabbitMQ's Erlang distribution.
    Distribution,
    /// RabbitMQ's Erlang port mapper: its own, so that several nodes never meet.
    Epmd,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
            Self::Controller => "controller",
            Self::Distribution => "distribution",
            Self::Epmd => "epmd",
        }
    }

    /// Where every part is a process of this machine.
    pub(crate) const ALL: &[Self] = &[
        Self::Public,
        Self::Internal,
        Self::Admin,
        Self::Controller,
        Self::Distribution,
        Self::Epmd,
    ];

    /// What deploy/compose.yaml publishes of its containers.
    pub(crate) const PUBLISHED: &[Self] = &[Self::Public, Self::Admin];
}

/// Every port of the system, with its number in the demo.
const SLOTS: [(Part, Role, u16); 19] = [
    (Part::Rest, Role::Public, 8080),
    (Part::Gateway, Role::Public, 5051),
    (Part::WriterKafka, Role::Public, 5052),
    (Part::WriterRabbitmq, Role::Public, 5053),
    (Part::Gateway, Role::Internal, 5061),
    (Part::WriterKafka, Role::Internal, 5062),
    (Part::WriterRabbitmq, Role::Internal, 5063),
    (Part::Rest, Role::Admin, 9101),
    (Part::Gateway, Role::Admin, 9102),
    (Part::WriterKafka, Role::Admin, 9103),
    (Part::WriterRabbitmq, Role::Admin, 9104),
    (Part::ConsumerKafka, Role::Admin, 9105),
    (Part::ConsumerRabbitmq, Role::Admin, 9106),
    (Part::Kafka, Role::Public, 9092),
    (Part::Kafka, Role::Controller, 9093),
    (Part::Rabbitmq, Role::Public, 5672),
    (Part::Rabbitmq, Role::Distribution, 25672),
    (Part::Rabbitmq, Role::Epmd, 14369),
    (Part::Valkey, Role::Public, 6379),
];

/// Ports for a second process of a part, beside the first; only where ports are free ones.
const SECOND: [(Part, Role); 8] = [
    (Part::WriterKafka, Role::Public),
    (Part::WriterRabbitmq, Role::Public),
    (Part::WriterKafka, Role::Internal),
    (Part::WriterRabbitmq, Role::Internal),
    (Part::WriterKafka, Role::Admin),
    (Part::WriterRabbitmq, Role::Admin),
    (Part::ConsumerKafka, Role::Admin),
    (Part::ConsumerRabbitmq, Role::Admin),
];

/// Every port of the demo: the part, what it uses the port for in one word, and the number.
#[must_use]
pub fn fixed_ports() -> Vec<(Part, &'static str, u16)> {
    let slots = SLOTS.into_iter();
    slots
        .map(|(part, role, port)| (part, role.name(), port))
        .collect()
}

/// Free ports come from blocks of this many, each held by one stack at a time.
const BLOCK: u16 = 32;
const FREE_FROM: u16 = 10_000;
const FREE_TO: u16 = 32_767;

/// The ports of one stack.
#[derive(Debug)]
pub(crate) struct PortTable {
    ports: BTreeMap<(Part, Role), u16>,
    second: BTreeMap<(Part, Role), u16>,
    /// Locked while the stack lives, so that no other stack looks for free ports in this block.
    _block: Option<File>,
}

impl PortTable {
    /// Chooses the ports of `parts` and checks that those of `roles` are free; the others are nobody's. `locks` is a folder
    /// that all stacks of this user share.
    pub(crate) fn choose(
        ports: Ports,
        parts: &BTreeSet<Part>,
        roles: &[Role],
        locks: &Path,
    ) -> anyhow::Result<Self> {
        let mut table = match ports {
            Ports::Fixed => Self::check(SLOTS.iter().map(|&(_, _, port)| port), parts, roles),
            Ports::Base(base) => {
                if base.checked_add(SLOTS.len() as u16).is_none() {
                    bail!("port base {base} leaves no room for {} ports", SLOTS.len());
                }
                Self::check(base.., parts, roles)
            }
            Ports::Free => Self::find(locks),
        }?;
        table.ports.retain(|(_, role), _| roles.contains(role));
        Ok(table)
    }

    /// The port of a part in a role; `None` when the part has no such port.
    pub(crate) fn get(&self, part: Part, role: Role) -> Option<u16> {
        self.ports.get(&(part, role)).copied()
    }

    /// The address of a part in a role, on loopback.
    pub(crate) fn address(&self, part: Part, role: Role) -> Option<String> {
        self.get(part, role).map(on_loopback)
    }

    /// The address of a second process of a part in a role, on loopback.
    pub(crate) fn address_of_second(&self, part: Part, role: Role) -> Option<String> {
        self.second.get(&(part, role)).copied().map(on_loopback)
    }

    fn check(
        ports: impl Iterator<Item = u16>,
        parts: &BTreeSet<Part>,
        roles: &[Role],
    ) -> anyhow::Result<Self> {
        let mut table = BTreeMap::new();
        for ((part, role, _), port) in SLOTS.into_iter().zip(ports) {
            if parts.contains(&part) && roles.contains(&role) && !is_free(port) {
                let role = role.name();
                bail!(
                    "port {port} for {part} ({role}) is in use; end what uses it, \
                     or choose free ports with --port-base 0"
                );
            }
            table.insert((part, role), port);
        }
        Ok(Self {
            ports: table,
            second: BTreeMap::new(),
            _block: None,
        })
    }

    fn find(locks: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(locks).with_context(|| format!("cannot create {}", locks.display()))?;
        let blocks = (FREE_TO - FREE_FROM) / BLOCK;
        for _ in 0..200 {
            let first = FREE_FROM + BLOCK * rand::rng().random_range(0..blocks);
            let Some(block) = hold(&locks.join(format!("{first}.lock")))? else {
                continue;
            };
            let free: Vec<u16> = (first..first + BLOCK)
                .filter(|&port| is_free(port))
                .collect();
            if free.len() >= SLOTS.len() + SECOND.len() {
                let mut free = free.into_iter();
                let ports = SLOTS
                    .into_iter()
                    .zip(free.by_ref())
                    .map(|((part, role, _), port)| ((part, role), port));
                return Ok(Self {
                    ports: ports.collect(),
                    second: SECOND.into_iter().zip(free).collect(),
                    _block: Some(block),
                });
            }
        }
        bail!(
            "found no block of {} free ports below {FREE_TO}",
            SLOTS.len() + SECOND.len()
        )
    }
}

fn on_loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Locks a file, or returns `None` when another stack has it.
fn hold(path: &Path) -> anyhow::Result<Option<File>> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn is_free(port: u16) -> bool {
    // Any other error (no permission for a port below 1024) would stop the server as well.
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrInUse && port >= 1024,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> BTreeSet<Part> {
        Part::ALL.into_iter().collect()
    }

    #[test]
    fn the_demo_has_the_documented_ports() {
        let table =
            PortTable::choose(Ports::Fixed, &BTreeSet::new(), Role::ALL, Path::new("/")).unwrap();
        assert_eq!(table.get(Part::Rest, Role::Public), Some(8080));
        assert_eq!(table.get(Part::Gateway, Role::Public), Some(5051));
        assert_eq!(table.get(Part::WriterRabbitmq, Role::Internal), Some(5063));
        for (index, part) in Part::SERVICES.into_iter().enumerate() {
            assert_eq!(table.get(part, Role::Admin), Some(9101 + index as u16));
        }
        assert_eq!(
            table.address(Part::Valkey, Role::Public).unwrap(),
            "127.0.0.1:6379"
        );
        assert_eq!(table.get(Part::Valkey, Role::Admin), None);
    }

    #[test]
    fn no_two_slots_share_a_port_or_reach_the_ephemeral_range() {
        let ports: BTreeSet<u16> = SLOTS.iter().map(|slot| slot.2).collect();
        assert_eq!(ports.len(), SLOTS.len());
        assert!(ports.iter().all(|&port| port < 32_768));
    }

    #[test]
    fn a_busy_port_is_named_with_its_part_and_the_way_out() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base = holder.local_addr().unwrap().port() - 1;
        let only = BTreeSet::from([Part::Gateway]);
        let error =
            PortTable::choose(Ports::Base(base), &only, Role::ALL, Path::new("/")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("port {} for gateway", base + 1)),
            "{text}"
        );
        assert!(text.contains("--port-base 0"), "{text}");
    }

    #[test]
    fn free_ports_of_two_stacks_never_overlap() {
        let locks = tempfile::tempdir().unwrap();
        let tables: Vec<_> = (0..20)
            .map(|_| PortTable::choose(Ports::Free, &all(), Role::ALL, locks.path()).unwrap())
            .collect();
        let ports: Vec<u16> = tables
            .iter()
            .flat_map(|table| table.ports.values().chain(table.second.values()).copied())
            .collect();
        assert_eq!(
            ports.iter().collect::<BTreeSet<_>>().len(),
            20 * (SLOTS.len() + SECOND.len())
        );
        assert!(
            ports
                .iter()
                .all(|port| (FREE_FROM..=FREE_TO).contains(port))
        );
    }
}
