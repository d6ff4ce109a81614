//! A rolling restart of every service under load: no request fails, nothing is lost or counted twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clima_local::{Counts, PATHS, Part, Stack, Totals};
use futures::future::join_all;

use crate::movers::{Told, by_grpc, by_rest};
use crate::replica::Replicas;
use crate::wait::until;

/// Consumers first, front last: who reads before who writes.
const ORDER: [Part; 6] = [
    Part::ConsumerKafka,
    Part::ConsumerRabbitmq,
    Part::WriterKafka,
    Part::WriterRabbitmq,
    Part::Gateway,
    Part::Rest,
];

/// Clients of each kind.
const CLIENTS: usize = 6;

/// What both paths have counted, once that is at least so many. Asked again where a busy Valkey does not answer in time.
async fn counted(servers: &Stack, tweets: u64) -> (Counts, Totals) {
    until(&format!("{tweets} tweets are counted"), async || {
        let mut counts = Counts::connect(&servers.address(Part::Valkey)).await.ok()?;
        let totals = counts.totals().await.ok()?;
        (totals.kafka.min(totals.rabbitmq) >= tweets).then_some((counts, totals))
    })
    .await
}

#[tokio::test]
async fn a_rolling_restart_of_every_service_under_load_fails_no_request_and_loses_nothing() {
    let servers = Stack::builder().only(Part::SERVERS).fast_start(true);
    let servers = servers.start().await.unwrap();
    let replicas = Replicas::beside(&servers);
    let mut running = Vec::new();
    // Whoever is called first is there first.
    for part in ORDER {
        running.push(replicas.start(part, 0).await);
    }

    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (stop, fronts) = (Arc::clone(&stop), replicas.public(Part::Rest));
        clients.push(tokio::spawn(async move { by_rest(fronts, &stop).await }));
    }
    for _ in 0..CLIENTS {
        let (stop, gateways) = (Arc::clone(&stop), replicas.public(Part::Gateway));
        clients.push(tokio::spawn(async move { by_grpc(gateways, &stop).await }));
    }
    counted(&servers, 200).await;

    let mut replaced = Vec::new();
    for (part, old) in ORDER.into_iter().zip(running) {
        replaced.push(replicas.start(part, 1).await);
        let status = old.drain().await;
        assert!(status.success(), "{part}: {status}");
        // The load goes on behind it.
        let (_, before) = counted(&servers, 0).await;
        counted(&servers, before.kafka.max(before.rabbitmq) + 200).await;
    }

    stop.store(true, Ordering::Relaxed);
    let told: Vec<Told> = join_all(clients)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let failures: Vec<_> = told.iter().flat_map(|told| &told.failures).collect();
    assert!(
        failures.is_empty(),
        "{} failed: {failures:#?}",
        failures.len()
    );
    let accepted: Vec<_> = told.into_iter().flat_map(|told| told.accepted).collect();
    counted(&servers, accepted.len() as u64).await;
    for replica in replaced.into_iter().rev() {
        assert!(replica.drain().await.success());
    }
    let (mut counts, totals) = counted(&servers, 0).await;
    for (path, counted) in PATHS.into_iter().zip([totals.kafka, totals.rabbitmq]) {
        assert_eq!(counted, accepted.len() as u64, "{path}");
        assert_eq!(counts.missing(path, &accepted).await.unwrap(), [], "{path}");
    }
}
