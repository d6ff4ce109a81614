//! How soon all is normal again.

use std::time::Duration;

use super::generator::{Offered, Outcome};

/// Time is looked at in pieces of this length.
const PIECE: Duration = Duration::from_millis(250);
/// So many pieces in a row must be normal.
const IN_A_ROW: usize = 4;

/// The longest p99 that is normal, given the one before the overload.
pub(super) fn normal(before: Duration) -> Duration {
    // The few milliseconds are for a p99 that was next to nothing.
    before * 2 + Duration::from_millis(10)
}

/// From the end of the overload until the first moment after which, for a second, nothing was refused and the p99 was
/// normal; none when there was no such moment.
pub(super) fn time(after: &Offered, normal: Duration) -> Option<Duration> {
    let pieces = after.elapsed.as_nanos() / PIECE.as_nanos();
    let is_normal: Vec<bool> = (0..pieces as u32)
        .map(|number| {
            let (from, to) = (PIECE * number, PIECE * (number + 1));
            let of_piece = |due: Duration| (from..to).contains(&due);
            let mut requests = after.requests.iter().filter(|it| of_piece(it.due));
            requests.all(|request| request.outcome == Outcome::Accepted)
                && after.quantile(0.99, |request| of_piece(request.due)) <= normal
        })
        .collect();
    let first = is_normal
        .windows(IN_A_ROW)
        .position(|pieces| pieces.iter().all(|normal| *normal))?;
    Some(PIECE * u32::try_from(first).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::generator::Request;
    use super::*;

    fn after(slow_until: Duration) -> Offered {
        let requests = (0..500_u32).map(|number| {
            let due = Duration::from_millis(10) * number;
            let slow = due < slow_until;
            Request {
                due,
                latency: Duration::from_millis(if slow { 300 } else { 2 }),
                outcome: Outcome::Accepted,
            }
        });
        Offered {
            requests: requests.collect(),
            elapsed: Duration::from_secs(5),
            ..Offered::default()
        }
    }

    #[test]
    fn all_is_normal_from_the_first_piece_of_a_normal_second() {
        let limit = normal(Duration::from_millis(2));
        for (slow_until, settled) in [(0, Some(0)), (1_100, Some(1_250)), (4_100, None)] {
            let after = after(Duration::from_millis(slow_until));
            assert_eq!(time(&after, limit), settled.map(Duration::from_millis));
        }
    }

    #[test]
    fn a_refusal_is_not_normal_however_quick() {
        let mut after = after(Duration::ZERO);
        after.requests[60].outcome = Outcome::Refused {
            status: 429,
            not_counted: true,
            retry_after: true,
        };
        let settled = time(&after, Duration::from_secs(1));
        assert_eq!(settled, Some(Duration::from_millis(750)));
    }
}
