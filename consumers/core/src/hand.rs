//! The batch in hand: taken from the broker, sorted, not acknowledged yet.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clima_proto::event::{CheckedEvent, EventError};

use crate::Record;

/// A batch, sorted into what can be counted and what cannot.
#[derive(Debug)]
pub(crate) struct Hand<P> {
    /// As they came.
    pub(crate) records: Vec<Record<P>>,
    /// Those that can be counted.
    pub(crate) events: Vec<CheckedEvent>,
    /// Those that can never be, by their place among the records.
    pub(crate) poison: Vec<(usize, EventError)>,
    /// The first that a newer build wrote.
    pub(crate) newer: Option<EventError>,
    taken: SystemTime,
}

impl<P> Hand<P> {
    /// Sorts records. `newest` is the newest schema that is understood.
    pub(crate) fn sort(records: Vec<Record<P>>, newest: u32) -> Self {
        let mut hand = Self {
            events: Vec::with_capacity(records.len()),
            poison: Vec::new(),
            newer: None,
            taken: SystemTime::now(),
            records,
        };
        for (place, record) in hand.records.iter().enumerate() {
            match CheckedEvent::decode_up_to(newest, &record.payload) {
                Ok(event) => hand.events.push(event),
                Err(reason) if reason.is_poison() => hand.poison.push((place, reason)),
                Err(newer) => hand.newer = hand.newer.or(Some(newer)),
            }
        }
        hand
    }

    /// When its oldest tweet was received. What is no tweet of ours tells no time: it counts from now.
    pub(crate) fn oldest(&self) -> SystemTime {
        let received = self.events.iter().map(|event| event.received_at).min();
        received.map_or(self.taken, |at| {
            let oldest = UNIX_EPOCH + Duration::new(at.seconds, at.nanos);
            oldest.min(self.taken)
        })
    }
}
