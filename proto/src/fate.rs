//! What an error says about counting, and how a status carries it.
//!
//! OK means: counted exactly once. An error means at most once, and its `google.rpc.ErrorInfo` says which of
//! two it is: refused before anything left (`NOT_COUNTED`), or not known (`MAYBE_COUNTED`). The second is
//! sticky: once any attempt may have left, no later answer can take it back.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, ConnectError, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// `google.rpc.Status`: a status as a message.
pub use tonic_types::pb::Status as StatusMessage;

/// Domain of our `ErrorInfo`.
pub const DOMAIN: &str = "clima.v1";

/// What `RetryInfo`, and `Retry-After` of the REST port, tell a refused client to wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// In `ErrorInfo.metadata`: the broker that takes nothing for now, so that another attempt soon is of no use.
const HELD_BY: &str = "held_by";

/// Whether a tweet that was not accepted may have been counted.
///
/// Ordered: the greater one wins when attempts, or paths, are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Nothing left this process or any after it: no path counts the tweet.
    NotCounted,
    /// An attempt may have left: each path counts the tweet once or not at all.
    MaybeCounted,
}

impl Fate {
    /// The reason in `google.rpc.ErrorInfo`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotCounted => "NOT_COUNTED",
            Self::MaybeCounted => "MAYBE_COUNTED",
        }
    }

    /// An error status of this fate. UNAVAILABLE and RESOURCE_EXHAUSTED also say when to retry.
    pub fn status(self, code: Code, message: impl Into<String>) -> Status {
        self.status_with(code, message, ErrorDetails::new())
    }

    /// UNAVAILABLE because this broker takes nothing, and not only for a moment: it has said so, or has been away for
    /// long. Who gets it does not repeat the attempt, but tells its caller.
    pub fn held(self, broker: &str, message: impl Into<String>) -> Status {
        let mut details = ErrorDetails::new();
        let held_by = HashMap::from([(HELD_BY.to_owned(), broker.to_owned())]);
        details.set_error_info(self.reason(), DOMAIN, held_by);
        self.status_with(Code::Unavailable, message, details)
    }

    /// The same, with details beside the fate.
    pub fn status_with(
        self,
        code: Code,
        message: impl Into<String>,
        mut details: ErrorDetails,
    ) -> Status {
        let metadata = details
            .error_info()
            .filter(|info| info.domain == DOMAIN)
            .map(|info| info.metadata.clone());
        details.set_error_info(self.reason(), DOMAIN, metadata.unwrap_or_default());
        if matches!(code, Code::Unavailable | Code::ResourceExhausted) {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Status::with_error_details(code, message, details)
    }

    /// The same status with this fate in place of the one that it carries.
    pub fn restate(self, status: &Status) -> Status {
        self.status_with(status.code(), status.message(), status.get_error_details())
    }

    /// The fate that an error of a call tells. One that does not tell may have done anything, unless
    /// the connection was never made.
    pub fn of(status: &Status) -> Self {
        let told = status.get_details_error_info();
        match told {
            Some(info) if info.domain == DOMAIN && info.reason == Self::NotCounted.reason() => {
                Self::NotCounted
            }
            None if never_connected(status) => Self::NotCounted,
            _ => Self::MaybeCounted,
        }
    }
}

/// Whether a broker takes nothing for now: [`Fate::held`].
pub fn is_held(status: &Status) -> bool {
    status.code() == Code::Unavailable
        && status
            .get_details_error_info()
            .is_some_and(|info| info.domain == DOMAIN && info.metadata.contains_key(HELD_BY))
}

fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The status as a message, for one item of a batch.
pub fn to_message(outcome: &Result<(), Status>) -> StatusMessage {
    let Err(status) = outcome else {
        return StatusMessage::default();
    };
    match StatusMessage::decode(status.details()) {
        Ok(message) if message.code == i32::from(status.code()) => message,
        _ => StatusMessage {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        },
    }
}

/// The outcome that one item of a batch tells.
///
/// # Errors
///
/// The item's status, when it is not OK.
pub fn from_message(message: &StatusMessage) -> Result<(), Status> {
    match Code::from(message.code) {
        Code::Ok => Ok(()),
        code => Err(Status::with_details(
            code,
            message.message.clone(),
            message.encode_to_vec().into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_survives_the_wire_form_of_a_batch() {
        for fate in [Fate::NotCounted, Fate::MaybeCounted] {
            let status = fate.status(Code::Unavailable, "no broker");
            let back = from_message(&to_message(&Err(status))).unwrap_err();
            assert_eq!(Fate::of(&back), fate);
            assert_eq!(
                (back.code(), back.message()),
                (Code::Unavailable, "no broker")
            );
            assert!(back.get_details_retry_info().is_some());
        }
        assert!(from_message(&to_message(&Ok(()))).is_ok());
    }

    #[test]
    fn a_broker_that_takes_nothing_is_told_to_every_caller_with_the_fate_of_each() {
        let held = Fate::NotCounted.held("RabbitMQ", "RabbitMQ takes nothing for now");
        let back = from_message(&to_message(&Err(held))).unwrap_err();
        let restated = Fate::MaybeCounted.restate(&back);
        for (status, fate) in [(back, Fate::NotCounted), (restated, Fate::MaybeCounted)] {
            assert!(is_held(&status));
            assert_eq!(Fate::of(&status), fate);
            assert!(status.get_details_retry_info().is_some());
        }
        assert!(!is_held(
            &Fate::NotCounted.status(Code::Unavailable, "not connected")
        ));
    }

    #[test]
    fn an_error_that_tells_nothing_may_have_been_counted() {
        assert_eq!(
            Fate::of(&Status::unavailable("broken pipe")),
            Fate::MaybeCounted
        );
        let foreign = Status::with_error_details(
            Code::Unavailable,
            "",
            ErrorDetails::with_error_info("NOT_COUNTED", "elsewhere", HashMap::new()),
        );
        assert_eq!(Fate::of(&foreign), Fate::MaybeCounted);
    }

    #[test]
    fn a_connection_that_was_never_made_counted_nothing() {
        let refused = ConnectError("connection refused".into());
        assert_eq!(
            Fate::of(&Status::from_error(Box::new(refused))),
            Fate::NotCounted
        );
    }
}
