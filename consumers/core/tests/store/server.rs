//! One Valkey for all tests of this binary, and what the tests look at in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{AsyncConnectionConfig, Client, FromRedisValue, Value, cmd};
use clima_consumer_core::store::{Broker, CountStore, StoreConfig};
use clima_local::{Part, Stack};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

static STACK: OnceCell<Stack> = OnceCell::const_new();

/// Tests take turns, each beginning with an empty server: databases of their own would not keep them
/// apart, because settings, functions and the life of the process belong to the whole server.
static TURN: Mutex<()> = Mutex::const_new(());

/// The server, for one test alone.
pub(crate) struct Server {
    pub(crate) stack: &'static Stack,
    raw: MultiplexedConnection,
    _turn: MutexGuard<'static, ()>,
}

/// A Valkey with nothing else in its stack.
pub(crate) async fn start() -> Stack {
    let stack = Stack::builder().only([Part::Valkey]).start().await;
    stack.expect("Valkey starts")
}

pub(crate) async fn connect(url: &str) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)));
    let client = Client::open(url).unwrap();
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await.unwrap()
}

/// A value as a client sees it, whatever its encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Hash(BTreeMap<String, String>),
    /// Without the ids, which are times.
    Stream(Vec<BTreeMap<String, String>>),
    /// Numbers of the bits that are set, as SETBIT counts.
    Bits(BTreeSet<usize>),
}

impl Server {
    /// Waits for its turn, and leaves the server as it was started: whatever the test before did, also
    /// when it failed half way.
    pub(crate) async fn take() -> Self {
        let turn = TURN.lock().await;
        let stack = STACK.get_or_init(start).await;
        if !stack.is_running(Part::Valkey) {
            stack.start_part(Part::Valkey).await.unwrap();
        }
        stack.resume(Part::Valkey).await.unwrap();
        let server = Self {
            stack,
            raw: connect(&stack.valkey_url()).await,
            _turn: turn,
        };
        // It may have been cut short between a start and the end of loading.
        while cmd("PING").exec_async(&mut server.raw()).await.is_err() {}
        server.run::<()>("REPLICAOF NO ONE").await;
        server
            .run::<()>("CONFIG SET maxmemory 0 maxmemory-policy noeviction appendfsync always")
            .await;
        server.run::<()>("CONFIG SET appendonly yes").await;
        server.run::<Value>("ACL DELUSER counter").await;
        server.run::<()>("FUNCTION FLUSH").await;
        server.run::<()>("FLUSHALL").await;
        server
    }

    /// Runs a command whose words have no spaces.
    pub(crate) async fn run<T: FromRedisValue>(&self, words: &str) -> T {
        let words: Vec<_> = words.split(' ').collect();
        self.run_words(&words).await
    }

    pub(crate) async fn run_words<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        let reply = command.query_async(&mut self.raw.clone()).await;
        reply.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Connects again, after the server was ended and started.
    pub(crate) async fn reconnect(&mut self) {
        self.raw = connect(&self.stack.valkey_url()).await;
    }

    pub(crate) fn raw(&self) -> MultiplexedConnection {
        self.raw.clone()
    }

    pub(crate) fn config(&self, path: Broker) -> StoreConfig {
        StoreConfig::new(self.stack.valkey_url(), path)
    }

    pub(crate) fn store(&self, path: Broker) -> CountStore {
        CountStore::new(self.config(path)).unwrap()
    }

    pub(crate) async fn keys(&self) -> BTreeSet<String> {
        self.run("KEYS *").await
    }

    /// Every key with its bytes and its time to live: what must not change when nothing may.
    pub(crate) async fn image(&self) -> BTreeMap<String, (Vec<u8>, i64)> {
        let mut image = BTreeMap::new();
        for key in self.keys().await {
            let dump = self.run_words(&["DUMP", &key]).await;
            let expiry = self.run_words(&["PEXPIRETIME", &key]).await;
            image.insert(key, (dump, expiry));
        }
        image
    }

    /// Every key with its content.
    pub(crate) async fn contents(&self) -> BTreeMap<String, Content> {
        let mut contents = BTreeMap::new();
        for key in self.keys().await {
            let kind: String = self.run_words(&["TYPE", &key]).await;
            let content = match kind.as_str() {
                "hash" => Content::Hash(self.run_words(&["HGETALL", &key]).await),
                "stream" => {
                    let entries: Vec<(String, BTreeMap<String, String>)> =
                        self.run_words(&["XRANGE", &key, "-", "+"]).await;
                    Content::Stream(entries.into_iter().map(|(_, entry)| entry).collect())
                }
                "string" => {
                    let bytes: Vec<u8> = self.run_words(&["GET", &key]).await;
                    let bits = 0..bytes.len() * 8;
                    Content::Bits(
                        bits.filter(|bit| bytes[bit / 8] & (0x80 >> (bit % 8)) != 0)
                            .collect(),
                    )
                }
                other => panic!("{key} is a {other}"),
            };
            contents.insert(key, content);
        }
        contents
    }

    pub(crate) async fn total(&self, path: Broker) -> u64 {
        let total: Option<u64> = self
            .run(&format!("HGET clima:{{{path}}}:counts total"))
            .await;
        total.unwrap_or(0)
    }
}
