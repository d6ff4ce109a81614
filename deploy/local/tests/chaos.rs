//! The promise under attack: thirty kills, with pauses, cuts, second processes and short deadlines between them.
//!
//! A binary of its own, since it has the machine to itself: cargo runs one test binary after the other.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

use clima_local::chaos::Chaos;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_kills_lose_no_tweet_and_double_none() {
    let chaos = Chaos {
        kills: 30,
        seed: 30,
        rest_clients: 16,
        grpc_clients: 8,
        aim: None,
        state_dir: None,
        keep: false,
    };
    let never = CancellationToken::new();
    let report = chaos.run(never, |line| println!("{line}")).await.unwrap();
    assert!(report.is_kept(), "{report}\n{:?}", report.kept());
    assert!(report.accepted() > 1_000, "{report}");
}
