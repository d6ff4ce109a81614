//! Mistakes that a build for tests makes when it is told to, so that a test can show that it would notice them.
//!
//! Each breaks one rule of the promise. Only a build with the feature `sabotage` can make one, the one that
//! [`VARIABLE`] names; no image and no binary of a release has the feature. Without it the variable is not read, [`is`]
//! is always false, and the optimiser removes what depends on it. `clima-local chaos --broken` is who asks.

use std::str::FromStr;

use clima_proto::clima::v1::TweetEvent;

/// Names the mistake that a process is to make.
pub const VARIABLE: &str = "CLIMA_SABOTAGE";

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Consumers acknowledge a batch before Valkey has counted it.
    AckBeforeCounting,
    /// Consumers count a tweet without asking its bit, and set the bit afterwards.
    BitsAfterCounts,
    /// Writers say OK without waiting for the broker's confirmation.
    NoConfirms,
    /// Front and gateway give a tweet a new id when they try again.
    NewIdPerAttempt,
    /// The Kafka consumer begins at the end of a partition for which its group has no offset.
    OffsetLatest,
}

impl Sabotage {
    /// All mistakes.
    pub const ALL: [Self; 5] = [
        Self::AckBeforeCounting,
        Self::BitsAfterCounts,
        Self::NoConfirms,
        Self::NewIdPerAttempt,
        Self::OffsetLatest,
    ];

    /// The name, as the variable and the command line have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCounting => "ack-before-counting",
            Self::BitsAfterCounts => "bits-after-counts",
            Self::NoConfirms => "no-confirms",
            Self::NewIdPerAttempt => "new-id-per-attempt",
            Self::OffsetLatest => "offset-latest",
        }
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mistake| mistake.name() == text)
            .ok_or_else(|| format!("no mistake is called `{text}`"))
    }
}

/// What the variable says; nothing in a build without the feature.
#[cfg(not(feature = "sabotage"))]
#[inline]
const fn asked_for() -> Option<&'static str> {
    None
}

#[cfg(feature = "sabotage")]
fn asked_for() -> Option<&'static str> {
    // Read once, so that a process keeps to its mistake. Only a build for tests has this global state.
    static TEXT: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var(VARIABLE).ok());
    TEXT.as_deref()
}

/// Whether this process is to make this mistake.
#[inline]
#[must_use]
pub fn is(mistake: Sabotage) -> bool {
    asked_for().is_some_and(|name| name == mistake.name())
}

/// What is wrong with the variable.
pub(crate) fn problem() -> Option<String> {
    let error = asked_for()?.parse::<Sabotage>().err()?;
    Some(format!("{VARIABLE}: {error}"))
}

/// Says at start, where nobody can miss it, that this process must not be trusted.
pub(crate) fn warn() {
    if let Some(mistake) = asked_for() {
        tracing::error!(
            mistake,
            "BROKEN ON PURPOSE: this process loses or doubles tweets, it is for tests only"
        );
    }
}

/// The same tweet under another id, which nobody knows.
pub(crate) fn with_new_id(event: &TweetEvent) -> TweetEvent {
    TweetEvent {
        source: rand::random::<[u8; 16]>().to_vec(),
        sequence: 0,
        ..event.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_known_by_its_name() {
        for mistake in Sabotage::ALL {
            assert_eq!(mistake.name().parse(), Ok(mistake));
        }
        assert!("no-confirm".parse::<Sabotage>().is_err());
    }

    #[test]
    fn nobody_makes_a_mistake_without_being_told_to() {
        assert!(!Sabotage::ALL.into_iter().any(is));
        assert_eq!(problem(), None);
    }
}
