//! Deadlines: read from a call, passed on with what is left of them.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// The time limit of a tweet whose caller set none: what the REST port grants.
pub const DEFAULT: Duration = Duration::from_secs(15);

/// Held back from the time that is left, so that our answer arrives before the caller gives up on us.
pub const MARGIN: Duration = Duration::from_millis(50);

/// When a call that came with this metadata must be answered: after `grpc-timeout` less [`MARGIN`],
/// or after [`DEFAULT`], whichever is sooner.
pub fn of_call(metadata: &MetadataMap) -> Instant {
    let asked = metadata
        .get("grpc-timeout")
        .and_then(|value| value.to_str().ok())
        .and_then(parse);
    let left = asked.map_or(DEFAULT, |asked| asked.saturating_sub(MARGIN).min(DEFAULT));
    Instant::now() + left
}

/// Reads `TimeoutValue TimeoutUnit` of the gRPC protocol over HTTP/2: at most eight digits, then H, M, S, m, u or n.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_of_the_protocol_is_read() {
        for (text, millis) in [
            ("1H", 3_600_000),
            ("2M", 120_000),
            ("3S", 3_000),
            ("40m", 40),
            ("5000u", 5),
            ("6000000n", 6),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_timeout_is_not_read() {
        for text in ["", "S", "1", "1x", "-1S", "123456789S", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
