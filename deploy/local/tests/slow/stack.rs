//! One whole stack for all tests, which take turns on it and leave every part running, and what it has counted.

use std::time::Duration;

use clima_local::{Backlog, Counts, Part, Stack, StackFile, Totals};

pub(crate) use shared::stack;

#[path = "../it/shared.rs"]
mod shared;

/// How long a count may stand still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What both paths have counted, once nothing is on its way.
pub(crate) async fn totals(stack: &Stack) -> Totals {
    Backlog::drained(&StackFile::of(stack), PATIENCE)
        .await
        .unwrap();
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    counts.totals().await.unwrap()
}
