//! The faults of a run, drawn from its seed before it begins.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::fault::{Back, Fault};
use crate::Part;
use crate::links::WAYS;

/// Who can have a second process beside the first.
const DOUBLED: [Part; 4] = [
    Part::WriterKafka,
    Part::WriterRabbitmq,
    Part::ConsumerKafka,
    Part::ConsumerRabbitmq,
];

/// Kills after which Kafka's group is seldom sent back to the very start: the topic is long by then, and all of it is
/// delivered again.
const SHORT_TOPIC: u64 = 100;

/// A fault, after this much time in which nothing new begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) fault: Fault,
    /// It begins when all else is over, and the next begins when counting goes on, which is timed.
    pub(super) measured: bool,
}

/// The steps of a run that kills `kills` processes: the same for the same seed.
pub(super) fn draw(kills: u64, seed: u64) -> Vec<Step> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut steps = Vec::new();
    let mut killed = 0;
    // Every part dies once before chance decides.
    let mut first = Part::ALL.to_vec();
    while killed < kills {
        let (fault, is_first) = match first.len() {
            0 => (fault(&mut random, killed, kills - killed), false),
            left => {
                let part = first.swap_remove(random.random_range(0..left));
                (Fault::Kill(part), true)
            }
        };
        killed += fault.kills();
        let chosen = is_first || random.random_range(0..3) == 0;
        steps.push(Step {
            after: millis(&mut random, 100, 1_500),
            fault,
            measured: chosen && matches!(fault, Fault::Kill(_)),
        });
    }
    steps
}

fn fault(random: &mut Xoshiro256PlusPlus, killed: u64, kills_left: u64) -> Fault {
    let one = part(random, &Part::ALL);
    let mut other = part(random, &Part::ALL);
    while other == one {
        other = part(random, &Part::ALL);
    }
    let (from, to, _) = *WAYS.choose(random).unwrap_or(&WAYS[0]);
    let way = (from, to);
    match random.random_range(0..100) {
        0..14 if kills_left > 1 => Fault::KillBoth(one, other),
        14..28 if kills_left > 1 => Fault::KillInRecovery(one, other),
        0..50 => Fault::Kill(one),
        50..56 => Fault::KillInHurry(one, short(random)),
        56..67 => {
            // Mostly short ones, up to 20 s.
            let longest = 1_000 << random.random_range(0..=4);
            Fault::Pause(one, millis(random, 1_000, longest + longest / 4))
        }
        67..73 => Fault::Cut(way, millis(random, 10, 2_000)),
        73..79 => Fault::Stall(way, millis(random, 500, 8_000)),
        79..87 => Fault::Double(part(random, &DOUBLED), millis(random, 500, 4_000)),
        87..95 => Fault::Halve(part(random, &DOUBLED), millis(random, 500, 4_000)),
        _ if killed < SHORT_TOPIC || random.random_range(0..8) == 0 => Fault::Rewind(Back::Start),
        _ => Fault::Rewind(Back::Records(random.random_range(1..=5_000))),
    }
}

fn part(random: &mut Xoshiro256PlusPlus, parts: &[Part]) -> Part {
    *parts.choose(random).unwrap_or(&parts[0])
}

fn millis(random: &mut Xoshiro256PlusPlus, least: u64, most: u64) -> Duration {
    Duration::from_millis(random.random_range(least..=most))
}

/// A deadline of 1 to 500 ms; short ones as likely as long ones.
pub(super) fn short(random: &mut Xoshiro256PlusPlus) -> Duration {
    let most = (2 << random.random_range(0..=8)).min(500);
    millis(random, most / 2, most)
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
        for (kills, seed) in [(9, 1), (30, 2), (100, 3), (101, 4), (1_000, 5)] {
            let killed: u64 = draw(kills, seed)
                .iter()
                .map(|step| step.fault.kills())
                .sum();
            assert_eq!(killed, kills);
        }
    }

    #[test]
    fn nine_kills_are_enough_for_every_part_to_die_once_and_be_timed() {
        let steps = draw(9, 5);
        let killed: BTreeSet<_> = steps.iter().flat_map(|step| step.fault.killed()).collect();
        assert_eq!(killed, Part::ALL.into());
        assert!(steps.iter().all(|step| step.measured));
    }

    #[test]
    fn about_a_third_of_the_kills_of_one_part_is_timed_and_nothing_else() {
        let steps = draw(1_000, 6);
        let (mut kills, mut timed) = (0, 0);
        for step in &steps[9..] {
            let alone = matches!(step.fault, Fault::Kill(_));
            assert!(alone || !step.measured, "{step:?}");
            kills += u32::from(alone);
            timed += u32::from(step.measured);
        }
        assert!(
            timed * 4 > kills && timed * 5 < kills * 2,
            "{timed} of {kills}"
        );
    }

    #[test]
    fn a_hundred_kills_come_with_every_other_kind_of_fault() {
        let steps = draw(100, 1);
        let has = |is: &dyn Fn(&Fault) -> bool| steps.iter().any(|step| is(&step.fault));
        assert!(has(&|fault| matches!(fault, Fault::KillBoth(..))));
        assert!(has(&|fault| matches!(fault, Fault::KillInRecovery(..))));
        assert!(has(&|fault| matches!(fault, Fault::KillInHurry(..))));
        assert!(has(&|fault| matches!(fault, Fault::Pause(..))));
        assert!(has(&|fault| matches!(fault, Fault::Cut(..))));
        assert!(has(&|fault| matches!(fault, Fault::Stall(..))));
        assert!(has(&|fault| matches!(fault, Fault::Rewind(Back::Start))));
        for part in DOUBLED {
            let of = |fault: &Fault| matches!(fault, Fault::Double(it, _) | Fault::Halve(it, _) if *it == part);
            assert!(has(&of), "{part} stays alone");
        }
        for step in steps {
            match step.fault {
                Fault::Pause(_, time) => assert!((1..=20).contains(&time.as_secs()), "{time:?}"),
                Fault::KillInHurry(_, limit) => {
                    assert!((1..=500).contains(&limit.as_millis()), "{limit:?}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_long_topic_is_seldom_read_again_from_its_start() {
        let steps = draw(1_000, 1);
        let sent_back = |steps: &[Step], back: fn(&Back) -> bool| {
            let is = |step: &&Step| matches!(step.fault, Fault::Rewind(it) if back(&it));
            steps.iter().filter(is).count()
        };
        let late = &steps[110..];
        let to_start = sent_back(late, |back| *back == Back::Start);
        let by_some = sent_back(late, |back| matches!(back, Back::Records(_)));
        assert!((1..=12).contains(&to_start), "{to_start} times");
        assert!(by_some > 2 * to_start, "{by_some} times a part of the way");
    }

    #[test]
    fn short_deadlines_are_of_1_to_500_ms_and_half_of_them_below_50() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut limits: Vec<_> = (0..1_000).map(|_| short(&mut random).as_millis()).collect();
        limits.sort_unstable();
        assert!(limits[0] >= 1 && limits[999] <= 500, "{limits:?}");
        assert!(limits[500] < 50 && limits[800] > 50, "{limits:?}");
    }
}
