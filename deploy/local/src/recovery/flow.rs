//! Whether tweets flow: accepted by the front, and counted on each path.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clima_proto::id::TweetId;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::load::{Accepted, SteadyLoad};
use crate::PATHS;
use crate::counts::BitWatch;

/// Between two looks at a bit.
pub(super) const POLL: Duration = Duration::from_millis(5);

/// Nothing may take longer: a tweet, until it is accepted or counted.
const PATIENCE: Duration = Duration::from_secs(60);

/// A tweet that went the whole way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    /// When its OK was there.
    pub(super) accepted: Instant,
    /// When each path had counted it.
    pub(super) counted: [Instant; 2],
}

/// Follows single tweets on their way.
#[derive(Debug)]
pub(super) struct Flow {
    newest: watch::Receiver<Option<Accepted>>,
    valkey: String,
}

impl Flow {
    /// Follows tweets of this load into the Valkey at this `host:port`.
    pub(super) fn of(load: &SteadyLoad, valkey: String) -> Self {
        let newest = load.newest();
        Self { newest, valkey }
    }

    /// Follows the first tweet that is accepted of those that are sent after `moment`, as seen from here on.
    pub(super) async fn passes(&self, moment: Instant) -> anyhow::Result<Passed> {
        let mut newest = self.newest.clone();
        let sent_after = |newest: &Option<Accepted>| newest.is_some_and(|it| it.sent > moment);
        let first = timeout(PATIENCE, newest.wait_for(sent_after)).await;
        let first = first
            .with_context(|| format!("no tweet was accepted for {PATIENCE:?}"))?
            .context("the load has ended")?
            .context("no tweet")?;
        let [kafka, rabbitmq] = PATHS.map(|path| self.counted(path, first.id));
        let (kafka, rabbitmq) = tokio::try_join!(kafka, rabbitmq)?;
        Ok(Passed {
            accepted: first.answered,
            counted: [kafka, rabbitmq],
        })
    }

    async fn counted(&self, path: &'static str, id: TweetId) -> anyhow::Result<Instant> {
        let counting = async {
            // Valkey may be what was killed.
            let mut bits = BitWatch::new(self.valkey.clone());
            while !bits.is_counted(path, id).await {
                sleep(POLL).await;
            }
            Instant::now()
        };
        timeout(PATIENCE, counting)
            .await
            .with_context(|| format!("{id} is not counted on {path} after {PATIENCE:?}"))
    }
}
