//! The names of all keys of one path.

use std::fmt;

use clima_proto::id::Source;

/// The broker of a path. Each path has counts of its own, under a prefix of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broker {
    /// Kafka.
    Kafka,
    /// RabbitMQ.
    Rabbitmq,
}

impl Broker {
    /// The name in keys, logs and labels of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Rabbitmq => "rabbitmq",
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// In the order in which the function expects them (`DATA` in count/argument.lua).
const DATA: [&str; 13] = [
    "counts",
    "weather",
    "temperature_avg",
    "humidity_avg",
    "extremes",
    "municipality:mixco",
    "municipality:guatemala",
    "municipality:amatitlan",
    "municipality:chinautla",
    "series:mixco",
    "series:guatemala",
    "series:amatitlan",
    "series:chinautla",
];

/// Sequences per seen block: 2^16, so that a full block is a bitmap of 8 KiB.
pub(super) const BLOCK: u64 = 1 << 16;

/// The keys of one path, made once.
#[derive(Debug)]
pub(super) struct Keys {
    data: [String; DATA.len()],
    seen: String,
}

impl Keys {
    pub(super) fn new(path: Broker) -> Self {
        // The braces are a hash tag: in a cluster, all keys of a path lie in one slot.
        let key = |name| format!("clima:{{{path}}}:{name}");
        Self {
            data: DATA.map(key),
            seen: key("seen"),
        }
    }

    /// The keys that every call writes.
    pub(super) fn data(&self) -> &[String] {
        &self.data
    }

    /// The bitmap in which the ids of one block of one source are remembered.
    pub(super) fn seen(&self, source: Source, block: u64) -> String {
        format!("{}:{source}:{block}", self.seen)
    }
}

#[cfg(test)]
mod tests {
    use clima_proto::id::TweetId;

    use super::*;

    #[test]
    fn keys_carry_the_path_as_a_hash_tag() {
        let keys = Keys::new(Broker::Rabbitmq);
        assert_eq!(keys.data()[0], "clima:{rabbitmq}:counts");
        assert_eq!(keys.data()[12], "clima:{rabbitmq}:series:chinautla");
        let source = TweetId::from_parts(&[0x0a; 16], 0).unwrap().source();
        assert_eq!(
            keys.seen(source, 7),
            "clima:{rabbitmq}:seen:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a:7"
        );
    }
}
