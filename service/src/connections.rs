//! Connections to the servers: how many are up, how many were made.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Connections of a process, by server and purpose.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    up: Family<Labels, Gauge>,
    made: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    server: &'static str,
    purpose: &'static str,
}

impl ConnectionMetrics {
    /// Metrics in this registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            up: Family::default(),
            made: Family::default(),
        };
        registry.register(
            "connections",
            "Connections that are up, by server and purpose",
            metrics.up.clone(),
        );
        registry.register(
            "connects",
            "Connections made, by server and purpose; it grows when one takes the place of another",
            metrics.made.clone(),
        );
        metrics
    }

    /// The connections to `server` (`kafka`, `rabbitmq`, `valkey`) for one purpose.
    pub fn to(&self, server: &'static str, purpose: &'static str) -> Connections {
        let labels = Labels { server, purpose };
        Connections {
            up: self.up.get_or_create_owned(&labels),
            made: self.made.get_or_create_owned(&labels),
        }
    }
}

/// Connections to one server for one purpose. The default is seen by nobody.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    up: Gauge,
    made: Counter,
}

/// A connection that is up until this is dropped.
#[derive(Debug)]
pub struct Up(Gauge);

impl Connections {
    /// A connection was made.
    pub fn made(&self) -> Up {
        self.made.inc();
        self.up.inc();
        Up(self.up.clone())
    }

    /// A client that connects by itself tells now and then how many connections it has. One that is lost and made
    /// again in between is not seen.
    pub fn told(&self, up: usize) {
        let up = i64::try_from(up).unwrap_or(i64::MAX);
        let before = self.up.set(up);
        self.made.inc_by(u64::try_from(up - before).unwrap_or(0));
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_up_until_it_is_dropped_and_stays_counted() {
        let connections = Connections::default();
        let (one, two) = (connections.made(), connections.made());
        drop(one);
        assert_eq!((connections.up.get(), connections.made.get()), (1, 2));
        drop(two);
        assert_eq!((connections.up.get(), connections.made.get()), (0, 2));
        connections.told(3);
        connections.told(1);
        connections.told(2);
        assert_eq!((connections.up.get(), connections.made.get()), (2, 6));
    }
}
