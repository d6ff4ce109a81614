//! What the first of our processes does with a request: check it and give it an id.

use std::time::SystemTime;

use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use crate::clima::v1::TweetEvent;
use crate::event;
use crate::fate::Fate;
use crate::id::{IDEMPOTENCY_KEY, IdempotencyKey, TweetId, TweetIds};
use crate::tweet::Tweet;
use crate::wethertweet::WeatherTweetRequest;

/// The door of every public port. One per process run.
#[derive(Debug)]
pub struct Intake {
    ids: TweetIds,
}

impl Intake {
    /// A door whose ids have a new random source.
    ///
    /// # Errors
    ///
    /// The operating system has no random numbers to give.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self {
            ids: TweetIds::new()?,
        })
    }

    /// Admits a request that came with these values of `idempotency-key`.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT with `google.rpc.BadRequest`, all violations at once. Nothing has left: `NOT_COUNTED`.
    pub fn admit<'a>(
        &self,
        request: WeatherTweetRequest,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(TweetId, TweetEvent), Status> {
        let mut details = ErrorDetails::new();
        if let Err(violations) = Tweet::check(&request) {
            for violation in violations {
                details.add_bad_request_violation(violation.field, violation.description);
            }
        }
        let key = IdempotencyKey::from_values(keys).unwrap_or_else(|error| {
            details.add_bad_request_violation(IDEMPOTENCY_KEY, error.to_string());
            None
        });
        if details.has_bad_request_violations() {
            return Err(invalid("the tweet is not valid", details));
        }
        let id = self
            .ids
            .assign(key.as_ref(), &request)
            .map_err(|error| Fate::NotCounted.status(Code::ResourceExhausted, error.to_string()))?;
        Ok((id, event::new(id, request, SystemTime::now())))
    }
}

/// The refusal of a request that is wrong in itself.
pub fn invalid(message: impl Into<String>, details: ErrorDetails) -> Status {
    Fate::NotCounted.status_with(Code::InvalidArgument, message, details)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn violations_of_the_tweet_and_of_the_key_are_told_together() {
        let intake = Intake::new().unwrap();
        let refusal = intake
            .admit(WeatherTweetRequest::default(), [b"".as_slice()])
            .unwrap_err();
        let fields: Vec<_> = refusal
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(fields, ["municipality", "weather", "idempotency-key"]);
        assert_eq!(refusal.code(), Code::InvalidArgument);
        assert_eq!(Fate::of(&refusal), Fate::NotCounted);
    }

    #[test]
    fn an_admitted_tweet_is_an_event_with_its_id() {
        let tweet = WeatherTweetRequest {
            municipality: 2,
            temperature: 20,
            humidity: 50,
            weather: 3,
        };
        let (id, event) = Intake::new().unwrap().admit(tweet, []).unwrap();
        assert_eq!(event::CheckedEvent::check(&event).unwrap().id, id);
    }
}
