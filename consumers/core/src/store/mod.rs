//! The counts of one path, in Valkey.
//!
//! A batch is one call of one function (`count/*.lua`), which tests and sets the bit of every id and adds
//! up the tweets whose bit was clear. It does all of that or nothing, so a batch may be handed over again
//! after any error. `docs/data-model.md` describes the keys.

mod batch;
mod config;
mod connection;
mod durability;
mod error;
mod keys;
mod pool;

use std::fmt;

use bb8_redis::redis::{Client, Cmd, Value, cmd};
use clima_proto::event::CheckedEvent;
use clima_service::connections::Connections;
use tracing::warn;

pub use config::{MAX_TTL, MIN_TTL, StoreConfig, StoreConfigError, WaitAof};
pub use error::StoreError;
pub use keys::Broker;

use batch::{Batch, MAX_TWEETS};
use connection::{Connection, Connector};
use keys::Keys;
use pool::Pool;

/// The function that counts. The name carries the version.
const FUNCTION: &str = "clima_count_v1";

/// How a batch was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Tweets that were counted by this call.
    pub counted: u64,
    /// Tweets that had been counted before, or stood in the batch twice.
    pub duplicates: u64,
}

/// The counts of one path.
pub struct CountStore {
    pool: Pool,
    keys: Keys,
    config: StoreConfig,
}

impl CountStore {
    /// A store that has no connection yet. To be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// A value of the configuration is out of its range.
    pub fn new(config: StoreConfig) -> Result<Self, StoreConfigError> {
        Self::counted(config, Connections::default())
    }

    /// The same, with its connections told to these metrics.
    ///
    /// # Errors
    ///
    /// A value of the configuration is out of its range.
    pub fn counted(
        config: StoreConfig,
        connections: Connections,
    ) -> Result<Self, StoreConfigError> {
        config.check()?;
        let client = Client::open(config.url.as_str()).map_err(StoreConfigError::Url)?;
        let connector = Connector::new(
            client,
            config.connect_timeout,
            config.response_timeout,
            connections,
        );
        let wait = config.connect_timeout + config.response_timeout;
        Ok(Self {
            pool: Pool::new(connector, config.connections, wait),
            keys: Keys::new(config.path),
            config,
        })
    }

    /// Whether tweets can be counted now: there is a durable server, with the function, and it answers.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.pool.get().await?.ping().await
    }

    /// Counts the events whose ids have not been counted yet. One attempt; the caller repeats it.
    ///
    /// When it returns, what was counted is on disk. More than 2,000 events take several calls of the
    /// function; after an error the first of them may have been counted.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`]. Nothing, a part or all may have been counted; nothing ever is twice.
    pub async fn apply(&self, events: &[CheckedEvent]) -> Result<Applied, StoreError> {
        let mut sum = Applied::default();
        if events.is_empty() {
            return Ok(sum);
        }
        let mut connection = self.pool.get().await?;
        for events in events.chunks(MAX_TWEETS) {
            let applied = self.count(&mut connection, events).await?;
            sum.counted += applied.counted;
            sum.duplicates += applied.duplicates;
        }
        // Once for all calls: WAITAOF speaks of everything that this connection has written. Also when
        // every tweet was a duplicate: the attempt that counted them may have failed just here.
        self.wait_for_disks(&mut connection).await?;
        Ok(sum)
    }

    async fn count(
        &self,
        connection: &mut Connection,
        events: &[CheckedEvent],
    ) -> Result<Applied, StoreError> {
        let call = self.call_of(&Batch::pack(&self.keys, events));
        let reply = match connection.call(&call).await {
            Err(error) if is_unknown_function(&error) => {
                warn!("the counting function is gone from valkey, loading it again");
                connection.load_library().await?;
                connection.call(&call).await
            }
            reply => reply,
        };
        let (counted, duplicates) = pair(reply?)?;
        if counted + duplicates != events.len() as u64 {
            return Err(StoreError::UnexpectedReply {
                what: format!("{counted} + {duplicates} of {} tweets", events.len()),
            });
        }
        Ok(Applied {
            counted,
            duplicates,
        })
    }

    fn call_of(&self, batch: &Batch) -> Cmd {
        let data = self.keys.data();
        let mut call = cmd("FCALL");
        call.arg(FUNCTION)
            .arg(data.len() + batch.seen.len())
            .arg(data)
            .arg(&batch.seen)
            .arg(batch.records.as_slice())
            .arg(self.config.data_ttl.as_secs())
            .arg(self.config.seen_ttl.as_secs());
        call
    }

    async fn wait_for_disks(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let Some(wait) = self.config.waitaof else {
            return Ok(());
        };
        let mut waitaof = cmd("WAITAOF");
        waitaof
            .arg(wait.local)
            .arg(wait.replicas)
            .arg(wait.timeout.as_millis().to_string());
        let (local, replicas) = pair(connection.call(&waitaof).await?)?;
        // On a timeout of its own WAITAOF answers too, with what it has got.
        if local < u64::from(wait.local) || replicas < u64::from(wait.replicas) {
            return Err(StoreError::NotDurable {
                what: format!(
                    "on {local} of {} local disks and {replicas} of {} replicas",
                    wait.local, wait.replicas
                ),
            });
        }
        Ok(())
    }
}

impl fmt::Debug for CountStore {
    // Not the URL: it may carry a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountStore")
            .field("path", &self.config.path)
            .finish_non_exhaustive()
    }
}

fn is_unknown_function(error: &StoreError) -> bool {
    error
        .refusal()
        .is_some_and(|(_, detail)| detail.starts_with("Function not found"))
}

/// Two numbers; anything else would be taken for a success that it is not.
fn pair(reply: Value) -> Result<(u64, u64), StoreError> {
    if let Value::Array(values) = &reply
        && let [Value::Int(first), Value::Int(second)] = values[..]
        && let (Ok(first), Ok(second)) = (u64::try_from(first), u64::try_from(second))
    {
        return Ok((first, second));
    }
    Err(StoreError::UnexpectedReply {
        what: format!("{reply:?} is no pair of numbers"),
    })
}
