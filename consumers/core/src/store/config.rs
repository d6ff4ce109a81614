//! How to reach Valkey, and for how long it keeps what.

use std::time::Duration;

use bb8_redis::redis::{Client, RedisError};

use super::keys::Broker;

/// Shortest time to live. A broker may deliver again what it has kept for 12 h, and an idempotency key is
/// remembered for 24 h; in that time an id must not be forgotten.
pub const MIN_TTL: Duration = Duration::from_hours(24);

/// Longest time to live: ten years. The function refuses more.
pub const MAX_TTL: Duration = Duration::from_hours(24 * 3_660);

/// What a [`CountStore`](super::CountStore) is made from.
#[derive(Clone)]
pub struct StoreConfig {
    /// `redis://` or `valkey://`, with user, password and database where needed.
    pub url: String,
    /// Whose counts these are.
    pub path: Broker,
    /// How long counts live after the last call, [`MIN_TTL`] to [`MAX_TTL`], in whole seconds.
    pub data_ttl: Duration,
    /// How long an id is remembered after the last use of its block, [`MIN_TTL`] to [`MAX_TTL`], in whole seconds.
    pub seen_ttl: Duration,
    /// Where set, a batch is counted only when this many servers have it on disk.
    pub waitaof: Option<WaitAof>,
    /// Most connections. They are opened when needed.
    pub connections: u32,
    /// Longest wait for a connection to open.
    pub connect_timeout: Duration,
    /// Longest wait for an answer. An fsync on a busy disk can take a second.
    pub response_timeout: Duration,
}

/// The arguments of the command WAITAOF: how many servers must have a batch in their append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitAof {
    /// 1: the server that was called.
    pub local: u8,
    /// Its replicas.
    pub replicas: u32,
    /// Longest wait, at least 1 ms and shorter than the response timeout.
    pub timeout: Duration,
}

/// A configuration that is refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreConfigError {
    /// Not a URL of a Valkey server.
    #[error("not a URL of Valkey")]
    Url(#[source] RedisError),
    /// A time to live is too short, too long, or not in whole seconds.
    #[error("{0} must be whole seconds, 24 h to 10 years")]
    Ttl(&'static str),
    /// There must be a connection.
    #[error("connections must be at least 1")]
    Connections,
    /// WAITAOF would wait for nothing, for more than there can be, or longer than for any answer.
    #[error(
        "waitaof must ask for local 0 or 1 and any replicas, within 1 ms to the response timeout"
    )]
    WaitAof,
}

impl StoreConfig {
    /// The defaults: counts live 7 days, ids 24 h, no WAITAOF, 4 connections, 2 s to connect, 5 s to answer.
    pub fn new(url: impl Into<String>, path: Broker) -> Self {
        Self {
            url: url.into(),
            path,
            data_ttl: Duration::from_hours(7 * 24),
            seen_ttl: MIN_TTL,
            waitaof: None,
            connections: 4,
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(5),
        }
    }

    /// The first setting that is out of its range, if any.
    pub fn problem(&self) -> Option<StoreConfigError> {
        self.check().err()
    }

    /// Whether this is the URL of a server. Nothing is connected.
    ///
    /// # Errors
    ///
    /// [`StoreConfigError::Url`]; its source may repeat the URL.
    pub fn check_url(url: &str) -> Result<(), StoreConfigError> {
        Client::open(url).map(drop).map_err(StoreConfigError::Url)
    }

    /// Whether a time to live, named so in the error, is in its range.
    ///
    /// # Errors
    ///
    /// [`StoreConfigError::Ttl`].
    pub fn check_ttl(name: &'static str, ttl: Duration) -> Result<(), StoreConfigError> {
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) || ttl.subsec_nanos() != 0 {
            return Err(StoreConfigError::Ttl(name));
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), StoreConfigError> {
        Self::check_ttl("data_ttl", self.data_ttl)?;
        Self::check_ttl("seen_ttl", self.seen_ttl)?;
        if self.connections == 0 {
            return Err(StoreConfigError::Connections);
        }
        let in_time = Duration::from_millis(1)..self.response_timeout;
        match self.waitaof {
            Some(wait)
                if wait.local > 1
                    || (wait.local == 0 && wait.replicas == 0)
                    || !in_time.contains(&wait.timeout) =>
            {
                Err(StoreConfigError::WaitAof)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_weaken_the_promise_is_refused() {
        let wait = |local, replicas, millis| {
            Some(WaitAof {
                local,
                replicas,
                timeout: Duration::from_millis(millis),
            })
        };
        let good = StoreConfig::new("redis://127.0.0.1", Broker::Kafka);
        assert!(good.check().is_ok());
        let broken: [fn(&mut StoreConfig); 4] = [
            |c| c.data_ttl = MIN_TTL - Duration::from_secs(1),
            |c| c.seen_ttl = MIN_TTL - Duration::from_secs(1),
            |c| c.data_ttl = MAX_TTL + Duration::from_secs(1),
            |c| c.connections = 0,
        ];
        for break_it in broken {
            let mut config = good.clone();
            break_it(&mut config);
            assert!(config.check().is_err());
        }
        for (waitaof, ok) in [
            (wait(1, 0, 1_000), true),
            (wait(0, 2, 4_999), true),
            (wait(2, 0, 1_000), false),
            (wait(0, 0, 1_000), false),
            (wait(1, 0, 0), false),
            (wait(1, 0, 5_000), false),
        ] {
            let config = StoreConfig {
                waitaof,
                ..good.clone()
            };
            assert_eq!(config.check().is_ok(), ok, "{waitaof:?}");
        }
    }
}
