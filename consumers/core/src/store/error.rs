//! What can go wrong between us and Valkey.

use bb8_redis::redis::{ErrorKind, RedisError};

/// Why a batch may not have been counted.
///
/// None of these says anything about the tweets, so none makes them poison: a caller keeps the batch and
/// tries again. That counts nothing twice, also where the failed attempt did count (after a timeout, say).
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// What would be counted could be lost in a crash: a setting is wrong, or too few servers have it on disk.
    #[error("Valkey is not durable: {what}")]
    NotDurable {
        /// The setting, or the number, with what is asked for.
        what: String,
    },
    /// There is no connection, or it broke.
    #[error("Valkey cannot be reached")]
    Unreachable(#[source] RedisError),
    /// No connection or no answer within the time allowed; the call may have been executed.
    #[error("Valkey did not answer in time")]
    Timeout(#[source] Option<RedisError>),
    /// Valkey answered with an error and has counted nothing of the call.
    #[error("Valkey refused the call: {code}")]
    Refused {
        /// The first word of the answer, such as `WRONGTYPE`, `LOADING`, `READONLY`, `MISCONF`, `OOM`, or one of
        /// our function: `CLIMA_BADKEY`, `CLIMA_NOPERM`, `CLIMA_BADARG`.
        code: String,
        /// The whole answer.
        source: RedisError,
    },
    /// Valkey answered something that this build does not understand.
    #[error("Valkey gave an unexpected reply: {what}")]
    UnexpectedReply {
        /// What was wrong with it.
        what: String,
    },
}

/// Refusals that end by themselves: the server loads its data, runs a script, or waits for its primary.
const PASSING: [&str; 5] = ["LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"];

impl StoreError {
    /// All kinds.
    pub(crate) const KINDS: [&str; 5] = [
        "not_durable",
        "unreachable",
        "timeout",
        "refused",
        "unexpected_reply",
    ];

    /// A name for logs and labels of metrics.
    pub fn kind(&self) -> &'static str {
        let [not_durable, unreachable, timeout, refused, unexpected] = Self::KINDS;
        match self {
            Self::NotDurable { .. } => not_durable,
            Self::Unreachable(_) => unreachable,
            Self::Timeout(_) => timeout,
            Self::Refused { .. } => refused,
            Self::UnexpectedReply { .. } => unexpected,
        }
    }

    /// Whether somebody has to act: the server is there, and will say no until it is repaired. An outage is
    /// none of these, and a server that is about to answer neither.
    pub(crate) fn needs_repair(&self) -> bool {
        match self {
            Self::NotDurable { .. } | Self::UnexpectedReply { .. } => true,
            Self::Refused { code, .. } => !PASSING.contains(&code.as_str()),
            Self::Unreachable(_) | Self::Timeout(_) => false,
        }
    }

    /// What Valkey said when it refused the call, without the code.
    pub(super) fn refusal(&self) -> Option<(&str, &str)> {
        match self {
            Self::Refused { code, source } => Some((code, source.detail().unwrap_or_default())),
            _ => None,
        }
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout(Some(error));
        }
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::UnexpectedReply {
                what: error.to_string(),
            },
            // The client names a failed login by itself and drops the code.
            ErrorKind::AuthenticationFailed => Self::Refused {
                code: "authentication failed".to_owned(),
                source: error,
            },
            _ => match error.code().map(str::to_owned) {
                Some(code) => Self::Refused {
                    code,
                    source: error,
                },
                None => Self::Unreachable(error),
            },
        }
    }
}
