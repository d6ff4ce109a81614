//! What is killed, in which setting, and how soon tweets must flow again.

use std::fmt;
use std::time::Duration;

use crate::Part;

/// How a part runs while it is killed, where there is more than one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Setting {
    /// As `clima-local up` starts it.
    Plain,
    /// The Kafka consumer is a static member of its group (`CLIMA_KAFKA_INSTANCE`).
    StaticMember,
    /// The gateway has another replica of the killed writer.
    TwoReplicas,
}

impl Setting {
    /// Where its stack keeps data and logs.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::StaticMember => "static-member",
            Self::TwoReplicas => "two-replicas",
        }
    }
}

/// A part that is killed, and the setting that it is killed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) setting: Setting,
    pub(super) part: Part,
}

/// What a recovery is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Accepted and counted within this time from the kill on.
    AfterKill(Duration),
    /// Accepted and counted within this time from the moment on at which the server takes connections again.
    AfterOpen(Duration),
    /// As the first, and no request fails meanwhile.
    Unnoticed(Duration),
}

const SECOND: Duration = Duration::from_secs(1);

impl Target {
    const fn plain(part: Part) -> Self {
        let setting = Setting::Plain;
        Self { setting, part }
    }

    const fn with_static_member(part: Part) -> Self {
        let setting = Setting::StaticMember;
        Self { setting, part }
    }

    const fn of_two(part: Part) -> Self {
        let setting = Setting::TwoReplicas;
        Self { setting, part }
    }

    /// All of them: every part as it is; what static membership changes; and a writer that is not the only one.
    pub(super) const ALL: [Self; 13] = [
        Self::plain(Part::Rest),
        Self::plain(Part::Gateway),
        Self::plain(Part::WriterKafka),
        Self::plain(Part::WriterRabbitmq),
        Self::plain(Part::ConsumerKafka),
        Self::plain(Part::ConsumerRabbitmq),
        Self::plain(Part::Kafka),
        Self::plain(Part::Rabbitmq),
        Self::plain(Part::Valkey),
        Self::with_static_member(Part::ConsumerKafka),
        Self::with_static_member(Part::Kafka),
        Self::of_two(Part::WriterKafka),
        Self::of_two(Part::WriterRabbitmq),
    ];

    /// How soon tweets must flow again.
    pub(super) fn goal(self) -> Goal {
        match (self.part, self.setting) {
            (Part::Kafka | Part::Rabbitmq | Part::Valkey, _) => Goal::AfterOpen(2 * SECOND),
            (_, Setting::TwoReplicas) => Goal::Unnoticed(SECOND),
            // Its old session has to run out first.
            (Part::ConsumerKafka, Setting::Plain) => Goal::AfterKill(7 * SECOND),
            _ => Goal::AfterKill(SECOND),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.part;
        match self.setting {
            Setting::Plain => write!(f, "{part}"),
            Setting::StaticMember if part == Part::ConsumerKafka => {
                write!(f, "{part}, a static member")
            }
            Setting::StaticMember => write!(f, "{part}, the consumer a static member"),
            Setting::TwoReplicas => write!(f, "{part}, one of two"),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfterKill(limit) => write!(f, "{limit:?} after the kill"),
            Self::AfterOpen(limit) => write!(f, "{limit:?} after it takes connections"),
            Self::Unnoticed(limit) => write!(f, "{limit:?}, and no request fails"),
        }
    }
}
