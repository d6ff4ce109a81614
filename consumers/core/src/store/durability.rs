//! Is what this server answers still true after a crash?

use bb8_redis::redis::cmd;
use std::collections::HashMap;
use tracing::warn;

use super::connection::Connection;
use super::error::StoreError;

/// What the promise needs. `always`: an answer is sent after its fsync, else a crash takes back what the
/// broker was already told. `noeviction`: nothing that was counted or remembered is dropped to make room.
const SETTINGS: [(&str, &str); 3] = [
    ("appendonly", "yes"),
    ("appendfsync", "always"),
    ("maxmemory-policy", "noeviction"),
];

/// Refuses a replica, and a server whose settings could lose what it answered.
///
/// INFO tells all but `appendfsync`; that one takes CONFIG, which some services forbid.
pub(super) async fn check(connection: &mut Connection) -> Result<(), StoreError> {
    let info: String = connection
        .call(
            cmd("INFO")
                .arg("persistence")
                .arg("memory")
                .arg("replication"),
        )
        .await?;
    check_info(&info)?;
    let mut config = cmd("CONFIG");
    config.arg("GET");
    for (setting, _) in SETTINGS {
        config.arg(setting);
    }
    match connection.call(&config).await {
        Ok(values) => check_settings(&values),
        Err(error) if is_forbidden(&error) => {
            warn!(%error, "appendfsync cannot be read, it must be always");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn is_forbidden(error: &StoreError) -> bool {
    error
        .refusal()
        .is_some_and(|(code, detail)| code == "NOPERM" || detail.starts_with("unknown command"))
}

fn check_info(info: &str) -> Result<(), StoreError> {
    let facts: HashMap<_, _> = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let fact = |name| facts.get(name).copied().unwrap_or("not known");
    let appendonly = match fact("aof_enabled") {
        "1" => "yes",
        "0" => "no",
        other => other,
    };
    require("role", fact("role"), "master")?;
    require("appendonly", appendonly, "yes")?;
    require("maxmemory-policy", fact("maxmemory_policy"), "noeviction")
}

fn check_settings(values: &HashMap<String, String>) -> Result<(), StoreError> {
    for (setting, wanted) in SETTINGS {
        let found = values.get(setting).map_or("not known", String::as_str);
        require(setting, found, wanted)?;
    }
    Ok(())
}

fn require(setting: &str, found: &str, wanted: &str) -> Result<(), StoreError> {
    if found == wanted {
        return Ok(());
    }
    Err(StoreError::NotDurable {
        what: format!("{setting} is {found}, must be {wanted}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Persistence\r\naof_enabled:1\r\n\r\n# Memory\r\n\
                        maxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\n";

    #[test]
    fn each_fact_that_could_lose_counts_is_named() {
        assert!(check_info(GOOD).is_ok());
        for (good, bad, text) in [
            ("role:master", "role:slave", "role is slave, must be master"),
            (
                "aof_enabled:1",
                "aof_enabled:0",
                "appendonly is no, must be yes",
            ),
            (
                "noeviction",
                "allkeys-lru",
                "maxmemory-policy is allkeys-lru, must be noeviction",
            ),
            ("role:master", "", "role is not known, must be master"),
        ] {
            let error = check_info(&GOOD.replace(good, bad)).unwrap_err();
            assert_eq!(error.to_string(), format!("Valkey is not durable: {text}"));
        }
    }
}
