//! Connections that are fit for counting: durable, with the function loaded, and never half used.

use std::borrow::Cow;
use std::time::Duration;

use bb8_redis::bb8;
use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, cmd};
use clima_service::connections::{Connections, Up};
use clima_service::sabotage::{self, Sabotage};
use tracing::{debug, info};

use super::durability;
use super::error::StoreError;

/// The library that holds the function. Once released it never changes: a change gets a new name, so that
/// consumers of two versions can work side by side.
const LIBRARY: &str = concat!(
    include_str!("count/argument.lua"),
    include_str!("count/state.lua"),
    include_str!("count/writes.lua"),
);

fn library() -> Cow<'static, str> {
    if sabotage::is(Sabotage::BitsAfterCounts) {
        return LIBRARY
            .replace("if remember(tweet) then", "if remember(tweet) or true then")
            .into();
    }
    LIBRARY.into()
}

/// One connection. It is held by one caller at a time, although its type could be shared: WAITAOF blocks
/// a connection, and it speaks of the last write of the same connection.
pub(super) struct Connection {
    redis: MultiplexedConnection,
    usable: bool,
    _up: Up,
}

impl Connection {
    /// Sends a command and waits for the reply.
    pub(super) async fn call<T: FromRedisValue>(&mut self, cmd: &Cmd) -> Result<T, StoreError> {
        // Until the reply is here. After a timeout, or when the caller goes away meanwhile, it is still on
        // its way, and the next caller would wait behind it.
        self.usable = false;
        let reply = cmd.query_async(&mut self.redis).await;
        let reply = reply.map_err(StoreError::from);
        self.usable = matches!(reply, Ok(_) | Err(StoreError::Refused { .. }));
        reply
    }

    /// Whether the server is there and can take calls.
    pub(super) async fn ping(&mut self) -> Result<(), StoreError> {
        self.call::<String>(&cmd("PING")).await.map(drop)
    }

    /// Loads the library where it is unknown. What is there is never replaced.
    pub(super) async fn load_library(&mut self) -> Result<(), StoreError> {
        let loaded = self
            .call::<String>(cmd("FUNCTION").arg("LOAD").arg(&*library()))
            .await;
        let Err(error) = loaded else {
            info!("loaded the counting function into valkey");
            return Ok(());
        };
        match error.refusal() {
            Some((_, detail)) if detail.ends_with("already exists") => Ok(()),
            // An operator may load it instead of us; when nobody did, the first call will say so.
            Some(("NOPERM", _)) => {
                debug!("not allowed to load the counting function");
                Ok(())
            }
            _ => Err(error),
        }
    }
}

/// Opens connections for the pool.
#[derive(Clone)]
pub(super) struct Connector {
    client: Client,
    config: AsyncConnectionConfig,
    connections: Connections,
}

impl Connector {
    pub(super) fn new(
        client: Client,
        connect: Duration,
        response: Duration,
        connections: Connections,
    ) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect))
            .set_response_timeout(Some(response));
        Self {
            client,
            config,
            connections,
        }
    }
}

impl bb8::ManageConnection for Connector {
    type Connection = Connection;
    type Error = StoreError;

    async fn connect(&self) -> Result<Connection, StoreError> {
        let redis = self
            .client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?;
        let mut connection = Connection {
            redis,
            usable: true,
            _up: self.connections.made(),
        };
        // First, because a server that is loading its data tells wrong settings, but does not answer this.
        connection.ping().await?;
        durability::check(&mut connection).await?;
        connection.load_library().await?;
        Ok(connection)
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), StoreError> {
        connection.ping().await
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.usable
    }
}
