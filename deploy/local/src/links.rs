//! The connections between the parts of a stack, where they can be broken.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::Part;
use crate::link::Link;
use crate::ports::{PortTable, Role};

/// Who connects to whom, and to which of its ports.
pub(crate) const WAYS: [(Part, Part, Role); 8] = [
    (Part::Rest, Part::Gateway, Role::Internal),
    (Part::Gateway, Part::WriterKafka, Role::Internal),
    (Part::Gateway, Part::WriterRabbitmq, Role::Internal),
    (Part::WriterKafka, Part::Kafka, Role::Public),
    (Part::WriterRabbitmq, Part::Rabbitmq, Role::Public),
    (Part::ConsumerRabbitmq, Part::Rabbitmq, Role::Public),
    (Part::ConsumerKafka, Part::Valkey, Role::Public),
    (Part::ConsumerRabbitmq, Part::Valkey, Role::Public),
];

/// Behind which a second process may stand beside the first: the one who connects balances over two addresses.
const DOUBLED: [Part; 2] = [Part::WriterKafka, Part::WriterRabbitmq];

/// The gate of a second process. Until there is one, it leads to the first.
const GATE_OF_SECOND: usize = 1;

/// All clients of Kafka share one: it tells its clients one address of its own.
pub(crate) const LINK_OF_KAFKA: (Part, Part) = (Part::WriterKafka, Part::Kafka);

/// The proxies of a stack; empty when its connections are direct.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<(Part, Part), Link>,
}

impl Links {
    pub(crate) async fn through_proxies(ports: &PortTable) -> anyhow::Result<Self> {
        let mut links = BTreeMap::new();
        for (from, to, role) in WAYS {
            let target = ports.address(to, role).context("no such port")?;
            let gates = if DOUBLED.contains(&to) { 2 } else { 1 };
            links.insert((from, to), Link::to(&target, gates).await?);
        }
        Ok(Self { links })
    }

    pub(crate) fn get(&self, from: Part, to: Part) -> Option<&Link> {
        let way = if to == Part::Kafka {
            LINK_OF_KAFKA
        } else {
            (from, to)
        };
        self.links.get(&way)
    }

    pub(crate) fn port(&self, (from, to): (Part, Part)) -> Option<u16> {
        self.get(from, to)?.ports().next()
    }

    /// Where `from` finds `to`: at the proxy, where there is one.
    pub(crate) fn address(
        &self,
        ports: &PortTable,
        way: (Part, Part),
        role: Role,
    ) -> Option<String> {
        self.addresses(ports, way, role)?.into_iter().next()
    }

    /// Where `from` finds `to` and a second process of it: at every gate of the proxy, where there is one.
    pub(crate) fn addresses(
        &self,
        ports: &PortTable,
        (from, to): (Part, Part),
        role: Role,
    ) -> Option<Vec<String>> {
        match self.get(from, to) {
            Some(link) => Some(
                link.ports()
                    .map(|port| format!("127.0.0.1:{port}"))
                    .collect(),
            ),
            None => Some(vec![ports.address(to, role)?]),
        }
    }

    /// Leads every second gate in front of a part to this address.
    pub(crate) fn lead_second(&self, to: Part, address: &str) {
        for (_, link) in self.links.iter().filter(|((_, end), _)| *end == to) {
            link.lead(GATE_OF_SECOND, address);
        }
    }
}
