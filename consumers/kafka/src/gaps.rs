//! Records that Kafka has deleted before they were counted.
//!
//! The offsets of a partition have no gaps: the topic is not compacted, and nothing is written to it in transactions.
//! So where a record is not the one after the last, Kafka has deleted what was between, and nobody has counted that.
//! The client says nothing of it: it goes on with the first record that there is (`auto.offset.reset`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use clima_consumer_core::store::Broker;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::poll::Position;

/// Tells of records that are gone, of each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaps(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    deleted: Counter,
    /// Of each partition: the offset up to which it was told.
    up_to: Mutex<BTreeMap<i32, i64>>,
}

impl Gaps {
    /// Counts them in this registry.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let gaps = Self::default();
        registry
            .sub_registry_with_label(("broker".into(), Broker::Kafka.name().into()))
            .sub_registry_with_prefix("consumer")
            .register(
                "deleted_records",
                "Records that the broker deleted before they were acknowledged: accepted tweets that may be lost",
                gaps.0.deleted.clone(),
            );
        gaps
    }

    /// These offsets of a partition are gone, and nobody has acknowledged them.
    pub(crate) fn found(&self, partition: i32, gone: Range<i64>) {
        let mut told = self.0.up_to.lock().unwrap_or_else(PoisonError::into_inner);
        let up_to = told.entry(partition).or_default();
        let from = gone.start.max(*up_to);
        if from >= gone.end {
            return;
        }
        *up_to = gone.end;
        drop(told);
        let records = (gone.end - from).unsigned_abs();
        self.0.deleted.inc_by(records);
        tracing::error!(
            partition,
            from,
            records,
            "kafka has deleted records before they were counted: accepted tweets may be lost"
        );
    }
}

/// The offsets that are to come next, in one assignment.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    assignment: u64,
    next: BTreeMap<i32, i64>,
}

impl Reading {
    /// Takes note of a record that was read, and tells which offsets it has left out. `committed` is asked about the
    /// first of a partition: where reading should have begun, if that is known.
    pub(crate) fn read(
        &mut self,
        at: Position,
        committed: impl FnOnce() -> Option<i64>,
    ) -> Range<i64> {
        if self.assignment != at.assignment {
            self.assignment = at.assignment;
            self.next.clear();
        }
        let expected = match self.next.insert(at.partition, at.offset + 1) {
            Some(next) => next,
            None => committed().unwrap_or(at.offset),
        };
        expected..at.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(assignment: u64, partition: i32, offset: i64) -> Position {
        Position {
            partition,
            offset,
            assignment,
        }
    }

    fn known() -> Option<i64> {
        panic!("only the first record of a partition is compared with what was committed")
    }

    #[test]
    fn what_lies_between_two_records_of_a_partition_is_gone() {
        let mut reading = Reading::default();
        assert!(reading.read(at(1, 0, 10), || Some(10)).is_empty());
        assert!(reading.read(at(1, 1, 70), || Some(70)).is_empty());
        assert!(reading.read(at(1, 0, 11), known).is_empty());
        assert_eq!(reading.read(at(1, 0, 15), known), 12..15);
        assert!(reading.read(at(1, 0, 16), known).is_empty());
        assert!(reading.read(at(1, 1, 71), known).is_empty());
    }

    #[test]
    fn the_first_record_of_an_assignment_is_compared_with_what_was_committed() {
        let mut reading = Reading::default();
        assert_eq!(reading.read(at(1, 0, 10), || Some(4)), 4..10);
        // Read again from what was committed, or from an offset that nobody could tell.
        assert!(reading.read(at(2, 0, 4), || Some(4)).is_empty());
        assert!(reading.read(at(3, 0, 90), || None).is_empty());
    }

    #[test]
    fn each_record_that_is_gone_is_told_of_once() {
        let gaps = Gaps::default();
        let deleted = || gaps.0.deleted.get();
        gaps.found(0, 10..15);
        gaps.found(0, 10..15);
        assert_eq!(deleted(), 5);
        gaps.found(0, 12..20);
        gaps.found(1, 12..20);
        gaps.found(0, 30..30);
        assert_eq!(deleted(), 5 + 5 + 8);
    }
}
