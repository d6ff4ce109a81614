//! The faults of a run, drawn from its seed before it begins.

use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::Part;
use crate::links::WAYS;

/// A connection between two parts, by who connects to whom.
pub(super) type Way = (Part, Part);

/// What an adversary does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, then a start.
    Kill(Part),
    /// SIGKILL of two at once, then a start of both.
    KillBoth(Part, Part),
    /// SIGKILL and a start of the first; the second is killed while the first comes back.
    KillInRecovery(Part, Part),
    /// SIGSTOP, then SIGCONT.
    Pause(Part, Duration),
    /// Connections between two parts end, and none can be made for a while.
    Cut(Way, Duration),
    /// Connections between two parts stay and carry nothing for a while.
    Stall(Way, Duration),
    /// A second process of a consumer comes, works for a while, and is killed.
    Double(Part, Duration),
    /// Consumers are stopped, Kafka's group is sent back to the first record of the topic, consumers start.
    Rewind,
}

impl Fault {
    /// Its kind, for a table.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "a part is killed",
            Self::KillBoth(..) => "two parts are killed at once",
            Self::KillInRecovery(..) => "a part is killed while another comes back",
            Self::Pause(..) => "a part is stopped for 1 to 20 s",
            Self::Cut(..) => "connections are cut",
            Self::Stall(..) => "connections are stalled",
            Self::Double(..) => "a second consumer comes and is killed",
            Self::Rewind => "Kafka's group is sent back to the start",
        }
    }

    /// How many processes it kills.
    pub(super) fn kills(self) -> u64 {
        match self {
            Self::Kill(_) | Self::Double(..) => 1,
            Self::KillBoth(..) | Self::KillInRecovery(..) => 2,
            Self::Pause(..) | Self::Cut(..) | Self::Stall(..) | Self::Rewind => 0,
        }
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
            Self::Pause(part, time) => write!(f, "pause {part} for {time:.1?}"),
            Self::Cut((from, to), time) => write!(f, "cut {from} from {to} for {time:.1?}"),
            Self::Stall((from, to), time) => write!(f, "stall {from} to {to} for {time:.1?}"),
            Self::Double(part, time) => write!(f, "a second {part} for {time:.1?}, then killed"),
            Self::Rewind => f.write_str("send Kafka's group back to the start"),
        }
    }
}

/// A fault, after this much undisturbed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) fault: Fault,
}

/// The steps of a run that kills `kills` processes: the same for the same seed.
pub(super) fn draw(kills: u64, seed: u64) -> Vec<Step> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut steps = Vec::new();
    let mut killed = 0;
    // Every part dies once before chance decides.
    let mut first = Part::ALL.to_vec();
    while killed < kills {
        let fault = match first.len() {
            0 => fault(&mut random, kills - killed),
            left => Fault::Kill(first.swap_remove(random.random_range(0..left))),
        };
        killed += fault.kills();
        steps.push(Step {
            after: millis(&mut random, 100, 1_500),
            fault,
        });
    }
    steps
}

fn fault(random: &mut Xoshiro256PlusPlus, kills_left: u64) -> Fault {
    let one = part(random, &Part::ALL);
    let mut other = part(random, &Part::ALL);
    while other == one {
        other = part(random, &Part::ALL);
    }
    let (from, to, _) = *WAYS.choose(random).unwrap_or(&WAYS[0]);
    let way = (from, to);
    match random.random_range(0..100) {
        0..15 if kills_left > 1 => Fault::KillBoth(one, other),
        15..30 if kills_left > 1 => Fault::KillInRecovery(one, other),
        0..55 => Fault::Kill(one),
        55..70 => {
            // Mostly short ones, up to 20 s.
            let longest = 1_000 << random.random_range(0..=4);
            Fault::Pause(one, millis(random, 1_000, longest.max(1_001) + longest / 4))
        }
        70..78 => Fault::Cut(way, millis(random, 10, 2_000)),
        78..86 => Fault::Stall(way, millis(random, 500, 8_000)),
        86..95 => {
            let consumer = part(random, &[Part::ConsumerKafka, Part::ConsumerRabbitmq]);
            Fault::Double(consumer, millis(random, 500, 4_000))
        }
        _ => Fault::Rewind,
    }
}

fn part(random: &mut Xoshiro256PlusPlus, parts: &[Part]) -> Part {
    *parts.choose(random).unwrap_or(&parts[0])
}

fn millis(random: &mut Xoshiro256PlusPlus, least: u64, most: u64) -> Duration {
    Duration::from_millis(random.random_range(least..=most))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_again() {
        assert_eq!(draw(100, 7), draw(100, 7));
        assert_ne!(draw(100, 7), draw(100, 8));
    }

    #[test]
    fn exactly_as_many_are_killed_as_asked_for() {
        for (kills, seed) in [(9, 1), (30, 2), (100, 3), (101, 4)] {
            let killed: u64 = draw(kills, seed)
                .iter()
                .map(|step| step.fault.kills())
                .sum();
            assert_eq!(killed, kills);
        }
    }

    #[test]
    fn nine_kills_are_enough_for_every_part_to_die_once() {
        let killed: BTreeSet<_> = draw(9, 5)
            .iter()
            .map(|step| format!("{}", step.fault))
            .collect();
        assert_eq!(killed.len(), 9, "{killed:?}");
    }

    #[test]
    fn a_hundred_kills_come_with_every_other_kind_of_fault() {
        let steps = draw(100, 1);
        let has = |is: &dyn Fn(&Fault) -> bool| steps.iter().any(|step| is(&step.fault));
        assert!(has(&|fault| matches!(fault, Fault::KillBoth(..))));
        assert!(has(&|fault| matches!(fault, Fault::KillInRecovery(..))));
        assert!(has(&|fault| matches!(fault, Fault::Pause(..))));
        assert!(has(&|fault| matches!(fault, Fault::Cut(..))));
        assert!(has(&|fault| matches!(fault, Fault::Stall(..))));
        assert!(has(&|fault| matches!(fault, Fault::Double(..))));
        assert!(has(&|fault| matches!(fault, Fault::Rewind)));
        for step in steps {
            if let Fault::Pause(_, time) = step.fault {
                assert!((1..=20).contains(&time.as_secs()), "{time:?}");
            }
        }
    }
}
