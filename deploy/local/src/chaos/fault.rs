//! What an adversary does.

use std::fmt;
use std::time::Duration;

use crate::Part;

/// A connection between two parts, by who connects to whom.
pub(super) type Way = (Part, Part);

/// How far Kafka's group is sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// To the first record of the topic.
    Start,
    /// By as many records of each partition.
    Records(u32),
}

/// One thing that it does. When it is over, every part runs again, as a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, then a start.
    Kill(Part),
    /// SIGKILL of two at once, then a start of both.
    KillBoth(Part, Part),
    /// SIGKILL and a start of the first; the second is killed while the first comes back.
    KillInRecovery(Part, Part),
    /// SIGKILL and a start, while no client grants a request more than this time.
    KillInHurry(Part, Duration),
    /// SIGSTOP, then SIGCONT.
    Pause(Part, Duration),
    /// Connections between two parts end, and none can be made for a while.
    Cut(Way, Duration),
    /// Connections between two parts stay and carry nothing for a while.
    Stall(Way, Duration),
    /// A second process of a writer or a consumer comes, works for a while beside the first, and is killed.
    Double(Part, Duration),
    /// A second process comes, and the first is killed. The second carries on alone for a while; then the first comes
    /// back, and the second ends in order.
    Halve(Part, Duration),
    /// Consumers are stopped, Kafka's group is sent back, consumers start.
    Rewind(Back),
}

impl Fault {
    /// Its kind, for a table.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "a part is killed",
            Self::KillBoth(..) => "two parts are killed at once",
            Self::KillInRecovery(..) => "a part is killed while another comes back",
            Self::KillInHurry(..) => "a part is killed while every deadline is short",
            Self::Pause(..) => "a part is stopped for 1 to 20 s",
            Self::Cut(..) => "connections are cut",
            Self::Stall(..) => "connections are stalled",
            Self::Double(..) => "a second writer or consumer comes and is killed",
            Self::Halve(..) => "a writer or consumer is killed while a second one serves",
            Self::Rewind(Back::Start) => "Kafka's group is sent back to the start",
            Self::Rewind(Back::Records(_)) => "Kafka's group is sent back a part of the way",
        }
    }

    /// What it kills.
    pub(super) fn killed(self) -> Vec<Part> {
        match self {
            Self::Kill(part)
            | Self::KillInHurry(part, _)
            | Self::Double(part, _)
            | Self::Halve(part, _) => vec![part],
            Self::KillBoth(one, other) | Self::KillInRecovery(one, other) => vec![one, other],
            Self::Pause(..) | Self::Cut(..) | Self::Stall(..) | Self::Rewind(_) => Vec::new(),
        }
    }

    /// How many processes it kills.
    pub(super) fn kills(self) -> u64 {
        self.killed().len() as u64
    }

    /// The parts whose processes it has to itself.
    fn parts(self) -> Vec<Part> {
        match self {
            Self::Pause(part, _) => vec![part],
            Self::Rewind(_) => vec![Part::Kafka, Part::ConsumerKafka],
            _ => self.killed(),
        }
    }

    /// The connection that it breaks; all connections to Kafka are one.
    fn way(self) -> Option<Way> {
        match self {
            Self::Cut((_, Part::Kafka), _) | Self::Stall((_, Part::Kafka), _) => {
                Some((Part::Kafka, Part::Kafka))
            }
            Self::Cut(way, _) | Self::Stall(way, _) => Some(way),
            _ => None,
        }
    }

    /// Whether the two cannot be done at the same time, since one would undo what the other does.
    pub(super) fn clashes(self, other: Self) -> bool {
        let hurries = |fault| matches!(fault, Self::KillInHurry(..));
        let parts = other.parts();
        (hurries(self) && hurries(other))
            || (self.way().is_some() && self.way() == other.way())
            || self.parts().iter().any(|part| parts.contains(part))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(part) => write!(f, "kill {part}"),
            Self::KillBoth(one, other) => write!(f, "kill {one} and {other}"),
            Self::KillInRecovery(one, other) => {
                write!(f, "kill {one}, and {other} while it comes back")
            }
            Self::KillInHurry(part, limit) => {
                write!(f, "kill {part} while every deadline is {limit:?}")
            }
            Self::Pause(part, time) => write!(f, "pause {part} for {time:.1?}"),
            Self::Cut((from, to), time) => write!(f, "cut {from} from {to} for {time:.1?}"),
            Self::Stall((from, to), time) => write!(f, "stall {from} to {to} for {time:.1?}"),
            Self::Double(part, time) => write!(f, "a second {part} for {time:.1?}, then killed"),
            Self::Halve(part, time) => {
                write!(f, "kill {part}, a second one alone for {time:.1?}")
            }
            Self::Rewind(Back::Start) => f.write_str("send Kafka's group back to the start"),
            Self::Rewind(Back::Records(records)) => {
                write!(
                    f,
                    "send Kafka's group back by {records} records of each partition"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(1);

    #[test]
    fn faults_of_one_part_or_one_connection_clash() {
        let pause = Fault::Pause(Part::Valkey, TIME);
        assert!(pause.clashes(Fault::KillBoth(Part::Rest, Part::Valkey)));
        assert!(!pause.clashes(Fault::Double(Part::WriterKafka, TIME)));
        assert!(Fault::Rewind(Back::Start).clashes(Fault::Halve(Part::ConsumerKafka, TIME)));
        let way = (Part::Gateway, Part::WriterKafka);
        assert!(Fault::Cut(way, TIME).clashes(Fault::Stall(way, TIME)));
        assert!(!Fault::Cut(way, TIME).clashes(Fault::Kill(Part::WriterKafka)));
        let (one, other) = (
            (Part::WriterKafka, Part::Kafka),
            (Part::ConsumerKafka, Part::Kafka),
        );
        assert!(Fault::Cut(one, TIME).clashes(Fault::Stall(other, TIME)));
        let hurry = |part| Fault::KillInHurry(part, TIME);
        assert!(hurry(Part::Rest).clashes(hurry(Part::Kafka)));
    }
}
