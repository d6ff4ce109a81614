//! What Valkey holds of one path.

use bb8_redis::redis::{AsyncCommands as _, Client};

use super::recount::Aggregates;

/// Reads the aggregates of a path from the Valkey at this `host:port`.
pub(super) async fn aggregates(valkey: &str, path: &str) -> anyhow::Result<Aggregates> {
    let client = Client::open(format!("redis://{valkey}"))?;
    let mut valkey = client.get_multiplexed_async_connection().await?;
    let key = |name: &str| format!("clima:{{{path}}}:{name}");
    Ok(Aggregates {
        counts: valkey.hgetall(key("counts")).await?,
        weather: valkey.hgetall(key("weather")).await?,
        temperature_avg: valkey.hgetall(key("temperature_avg")).await?,
        humidity_avg: valkey.hgetall(key("humidity_avg")).await?,
        extremes: valkey.hgetall(key("extremes")).await?,
    })
}
