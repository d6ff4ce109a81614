//! The buckets of every histogram: few, and the same everywhere, so that stages can be compared.

/// Upper bounds of times, in seconds: 1 ms to the 30 s after which nobody waits any more.
pub const SECONDS: [f64; 14] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];

/// Upper bounds of batch sizes, in tweets or records.
pub const BATCH: [f64; 10] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0,
];
