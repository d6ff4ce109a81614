//! What Valkey holds: the counts of both paths, and the bits of single ids.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{AsyncCommands as _, Client, cmd, pipe};
use clima_proto::id::TweetId;
use tokio::time::{Instant, sleep};

/// The two paths, as they stand in key names.
pub const PATHS: [&str; 2] = ["kafka", "rabbitmq"];

/// Sequences of one block of a bitmap, as `docs/data-model.md` describes it.
const BLOCK: u64 = 65_536;

/// How often counts are read while somebody waits for them.
const POLL: Duration = Duration::from_millis(25);

/// A reader of the counts.
pub struct Counts {
    connection: MultiplexedConnection,
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").finish_non_exhaustive()
    }
}

/// Looks at the bits of single ids in a Valkey that may be away.
#[derive(Debug)]
pub(crate) struct BitWatch {
    valkey: String,
    counts: Option<Counts>,
}

impl BitWatch {
    /// Of the Valkey at this `host:port`.
    pub(crate) fn new(valkey: String) -> Self {
        Self {
            valkey,
            counts: None,
        }
    }

    /// Whether the path has counted the id. No, while Valkey is away.
    pub(crate) async fn is_counted(&mut self, path: &str, id: TweetId) -> bool {
        let mut counts = match self.counts.take() {
            Some(counts) => counts,
            None => match Counts::connect(&self.valkey).await {
                Ok(counts) => counts,
                Err(_) => return false,
            },
        };
        let Ok(missing) = counts.missing(path, &[id]).await else {
            return false;
        };
        self.counts = Some(counts);
        missing.is_empty()
    }
}

/// Totals of both paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Counted on Kafka's path.
    pub kafka: u64,
    /// Counted on RabbitMQ's path.
    pub rabbitmq: u64,
}

impl Counts {
    /// Connects to Valkey at this `host:port`.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn connect(address: &str) -> anyhow::Result<Self> {
        let client = Client::open(format!("redis://{address}"))?;
        let connection = client
            .get_multiplexed_async_connection()
            .await
            .with_context(|| format!("cannot reach Valkey at {address}"))?;
        Ok(Self { connection })
    }

    /// How many tweets each path has counted.
    ///
    /// # Errors
    /// When Valkey does not answer.
    pub async fn totals(&mut self) -> anyhow::Result<Totals> {
        let [kafka, rabbitmq] = PATHS.map(|path| format!("clima:{{{path}}}:counts"));
        let (kafka, rabbitmq): (Option<u64>, Option<u64>) = pipe()
            .hget(kafka, "total")
            .hget(rabbitmq, "total")
            .query_async(&mut self.connection)
            .await?;
        Ok(Totals {
            kafka: kafka.unwrap_or(0),
            rabbitmq: rabbitmq.unwrap_or(0),
        })
    }

    /// The counts of a path, `municipality:weather` each, without the total.
    ///
    /// # Errors
    /// When Valkey does not answer.
    pub async fn table(&mut self, path: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut table: BTreeMap<String, u64> = self
            .connection
            .hgetall(format!("clima:{{{path}}}:counts"))
            .await?;
        table.remove("total");
        Ok(table)
    }

    /// Waits until both paths have counted at least `tweets`.
    ///
    /// # Errors
    /// When neither count has grown for `patience`; the error tells both.
    pub async fn reach(&mut self, tweets: u64, patience: Duration) -> anyhow::Result<Totals> {
        let mut last = self.totals().await?;
        let mut moved = Instant::now();
        while last.kafka < tweets || last.rabbitmq < tweets {
            sleep(POLL).await;
            let now = self.totals().await?;
            if now != last {
                (last, moved) = (now, Instant::now());
            } else if moved.elapsed() > patience {
                bail!(
                    "the counts stand still at kafka={} rabbitmq={}, short of {tweets}",
                    last.kafka,
                    last.rabbitmq
                );
            }
        }
        Ok(last)
    }

    /// Those of `ids` whose bit is clear on this path: not counted there.
    ///
    /// # Errors
    /// When Valkey does not answer.
    pub async fn missing(&mut self, path: &str, ids: &[TweetId]) -> anyhow::Result<Vec<TweetId>> {
        let mut missing = Vec::new();
        for ids in ids.chunks(1_000) {
            let mut bits = pipe();
            for id in ids {
                let block = id.sequence() / BLOCK;
                let bit = usize::try_from(id.sequence() % BLOCK)?;
                bits.getbit(
                    format!("clima:{{{path}}}:seen:{}:{block}", id.source()),
                    bit,
                );
            }
            let bits: Vec<bool> = bits.query_async(&mut self.connection).await?;
            missing.extend(
                ids.iter()
                    .zip(bits)
                    .filter_map(|(id, set)| (!set).then_some(*id)),
            );
        }
        Ok(missing)
    }

    /// How many ids of this path are remembered as counted.
    ///
    /// # Errors
    /// When Valkey does not answer.
    pub async fn bits(&mut self, path: &str) -> anyhow::Result<u64> {
        let pattern = format!("clima:{{{path}}}:seen:*");
        // SCAN may tell a key more than once.
        let mut seen = HashSet::new();
        let (mut cursor, mut bits) = (0_u64, 0);
        loop {
            let (next, keys): (u64, Vec<String>) = cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(1_000)
                .query_async(&mut self.connection)
                .await?;
            let mut counts = pipe();
            for key in keys {
                if !seen.contains(&key) {
                    counts.cmd("BITCOUNT").arg(&key);
                    seen.insert(key);
                }
            }
            let counts: Vec<u64> = counts.query_async(&mut self.connection).await?;
            bits += counts.into_iter().sum::<u64>();
            cursor = next;
            if cursor == 0 {
                return Ok(bits);
            }
        }
    }

    /// Empties the database.
    ///
    /// # Errors
    /// When Valkey does not answer.
    pub async fn clear(&mut self) -> anyhow::Result<()> {
        Ok(self.connection.flushall().await?)
    }
}
