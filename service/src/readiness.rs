//! Readiness that several parts of a process hold closed until each has what it needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

/// The readiness of a process: true while every part is ready and the process is not draining.
#[derive(Debug, Clone)]
pub struct Readiness {
    parts: Arc<watch::Sender<BTreeMap<&'static str, bool>>>,
}

/// One part's say in the readiness of its process.
#[derive(Debug, Clone)]
pub struct Part {
    name: &'static str,
    readiness: Readiness,
}

/// Name under which a draining process is reported as not ready.
const DRAINING: &str = "draining";

impl Default for Readiness {
    fn default() -> Self {
        Self {
            parts: Arc::new(watch::Sender::new(BTreeMap::new())),
        }
    }
}

impl Readiness {
    /// Adds a part, which is not ready yet.
    pub fn part(&self, name: &'static str) -> Part {
        let part = Part {
            name,
            readiness: self.clone(),
        };
        part.set(false);
        part
    }

    /// Closes readiness for good: the process is about to end.
    pub fn drain(&self) {
        self.part(DRAINING).set(false);
    }

    /// The parts that are not ready; empty when the process is.
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = self.parts.borrow();
        parts
            .iter()
            .filter(|(_, ready)| !**ready)
            .map(|(name, _)| *name)
            .collect()
    }

    /// The changes of this readiness, from now on.
    pub fn changes(&self) -> Changes {
        let mut parts = self.parts.subscribe();
        parts.mark_changed();
        Changes { parts }
    }
}

/// The changes of a process's readiness.
#[derive(Debug)]
pub struct Changes {
    parts: watch::Receiver<BTreeMap<&'static str, bool>>,
}

impl Changes {
    /// The readiness, at once the first time and after each change from then on; none when its process is gone.
    pub async fn next(&mut self) -> Option<bool> {
        self.parts.changed().await.ok()?;
        Some(self.parts.borrow_and_update().values().all(|ready| *ready))
    }
}

impl Collector for Readiness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Whether a part holds the readiness of the process open (1) or closed (0)";
        let mut gauge = encoder.encode_descriptor("ready", help, None, MetricType::Gauge)?;
        for (&part, &ready) in self.parts.borrow().iter() {
            let ready = ConstGauge::new(i64::from(ready));
            ready.encode(gauge.encode_family(&[("part", part)])?)?;
        }
        Ok(())
    }
}

impl Part {
    /// Opens or closes this part.
    pub fn set(&self, ready: bool) {
        self.readiness
            .parts
            .send_if_modified(|parts| parts.insert(self.name, ready) != Some(ready));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_every_part_is_and_never_again_once_draining() {
        let readiness = Readiness::default();
        let (broker, valkey) = (readiness.part("broker"), readiness.part("valkey"));
        assert_eq!(readiness.missing(), ["broker", "valkey"]);
        broker.set(true);
        assert_eq!(readiness.missing(), ["valkey"]);
        valkey.set(true);
        assert!(readiness.missing().is_empty());
        readiness.drain();
        assert_eq!(readiness.missing(), ["draining"]);
    }

    #[test]
    fn each_part_is_a_gauge() {
        let readiness = Readiness::default();
        readiness.part("broker").set(true);
        readiness.part("valkey");
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register_collector(Box::new(readiness));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("ready{part=\"broker\"} 1\n"), "{text}");
        assert!(text.contains("ready{part=\"valkey\"} 0\n"), "{text}");
    }
}
