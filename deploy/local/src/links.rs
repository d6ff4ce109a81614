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
            links.insert((from, to), Link::to(target).await?);
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
        self.get(from, to).map(Link::port)
    }

    /// Where `from` finds `to`: at the proxy, where there is one.
    pub(crate) fn address(
        &self,
        ports: &PortTable,
        (from, to): (Part, Part),
        role: Role,
    ) -> Option<String> {
        match self.port((from, to)) {
            Some(port) => Some(format!("127.0.0.1:{port}")),
            None => ports.address(to, role),
        }
    }
}
