//! Every setting of the six services, with values that are right and wrong; and the binaries with them.

use std::path::Path;
use std::process::{Command, Stdio};

use clima_local::Part;

/// A setting: its flag, a right value where it must be given, a wrong value where there is one.
pub(crate) type Setting = (&'static str, Option<&'static str>, Option<&'static str>);

/// What all services have.
const EVERY: [Setting; 4] = [
    ("admin-listen", None, Some("9090")),
    ("drain-timeout", None, Some("soon")),
    ("log", None, Some("clima=loud")),
    ("log-format", None, Some("xml")),
];

const GRPC: [Setting; 4] = [
    ("listen", None, Some("localhost")),
    ("internal-listen", None, Some("0.0.0.0:99999")),
    ("max-connections", None, Some("0")),
    ("max-in-flight", None, Some("0")),
];

const KAFKA: [Setting; 5] = [
    ("kafka-brokers", Some("127.0.0.1:9"), Some("kafka")),
    ("kafka-topic", None, None),
    ("kafka-dead-topic", None, None),
    ("kafka-partitions", None, Some("0")),
    ("kafka-replicas", None, Some("-2")),
];

const RABBITMQ: [Setting; 2] = [
    (
        "rabbitmq-url",
        Some("amqp://clima:hunter2@127.0.0.1:9/%2f"),
        Some("amqp:clima:hunter2@rabbitmq"),
    ),
    ("rabbitmq-prefix", None, None),
];

const VALKEY: [Setting; 4] = [
    (
        "valkey-url",
        Some("redis://clima:hunter2@127.0.0.1:9/0"),
        Some("clima:hunter2@valkey"),
    ),
    ("data-ttl", None, Some("1h")),
    ("valkey-replicas", None, Some("-1")),
    ("max-batch", None, Some("2001")),
];

const REST: [Setting; 9] = [
    ("listen", None, Some("0.0.0.0")),
    (
        "gateway-url",
        Some("http://127.0.0.1:9"),
        Some("https://gateway:1"),
    ),
    ("max-in-flight", None, Some("many")),
    ("max-connections", None, Some("65537")),
    ("max-body", None, Some("0")),
    ("max-headers", None, Some("100")),
    ("header-timeout", None, Some("75")),
    ("body-timeout", None, Some("-5s")),
    ("deadline", None, Some("15 parsecs")),
];

const WRITERS: [Setting; 2] = [
    (
        "writer-kafka-url",
        Some("http://127.0.0.1:9"),
        Some("http://writer"),
    ),
    (
        "writer-rabbitmq-url",
        Some("http://127.0.0.1:9"),
        Some("http://writer:1,"),
    ),
];

const PAGES: [Setting; 1] = [("cors-origins", None, Some("https://clima.example,null"))];

const GROUP: [Setting; 2] = [("kafka-group", None, None), ("kafka-instance", None, None)];

/// A service and what it can be told.
pub(crate) struct Service {
    pub(crate) part: Part,
    pub(crate) settings: Vec<Setting>,
}

pub(crate) fn services() -> [Service; 6] {
    let service = |part, groups: &[&[Setting]]| Service {
        part,
        settings: [groups, &[&EVERY]].concat().concat(),
    };
    [
        service(Part::Rest, &[&REST]),
        service(Part::Gateway, &[&GRPC, &WRITERS, &PAGES]),
        service(Part::WriterKafka, &[&GRPC, &KAFKA]),
        service(Part::WriterRabbitmq, &[&GRPC, &RABBITMQ]),
        service(Part::ConsumerKafka, &[&VALKEY, &KAFKA, &GROUP]),
        service(Part::ConsumerRabbitmq, &[&VALKEY, &RABBITMQ]),
    ]
}

/// The environment variable of a flag.
pub(crate) fn variable(flag: &str) -> String {
    format!("CLIMA_{}", flag.to_uppercase().replace('-', "_"))
}

impl Service {
    /// The binary, with an empty environment.
    pub(crate) fn command(&self) -> Command {
        // Cargo builds the binaries of other packages beside ours, but only tells us of ours.
        let ours = Path::new(env!("CARGO_BIN_EXE_clima-local"));
        let program = ours.with_file_name(self.part.binary().unwrap());
        assert!(
            program.is_file(),
            "cargo build --workspace builds {program:?}"
        );
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null());
        command
    }

    /// The binary with all that it needs, and free ports.
    pub(crate) fn right(&self) -> Command {
        let mut command = self.command();
        for (flag, right, _) in &self.settings {
            if flag.ends_with("listen") {
                command.env(variable(flag), "127.0.0.1:0");
            } else if let Some(right) = right {
                command.env(variable(flag), right);
            }
        }
        command
    }

    /// The flags of its ports.
    pub(crate) fn ports(&self) -> impl Iterator<Item = &'static str> {
        let flags = self.settings.iter().map(|(flag, ..)| *flag);
        flags.filter(|flag| flag.ends_with("listen"))
    }
}
