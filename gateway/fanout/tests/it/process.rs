//! The gateway as a process: ready, drained.

use clima_testing::{Endpoint, Reserved, until, until_true};
use tokio::net::TcpStream;
use tonic::Request;
use tonic::transport::Channel;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::gateway::{LONG, Running};

async fn health(gateway: &Running) -> HealthClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{}", gateway.address)).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

async fn status(health: &HealthClient<Channel>) -> i32 {
    let request = HealthCheckRequest::default();
    let answer = health.clone().check(request).await.unwrap();
    answer.get_ref().status
}

#[tokio::test]
async fn the_gateway_serves_once_both_writers_were_reached() {
    let (kafka, rabbitmq) = (Endpoint::start(), Reserved::new());
    let gateway = Running::between(&kafka.url(), &rabbitmq.url(), &[]).await;
    let health = health(&gateway).await;
    assert_eq!(status(&health).await, ServingStatus::NotServing as i32);
    let _rabbitmq = rabbitmq.start();
    until("the gateway to serve", async || {
        (status(&health).await == ServingStatus::Serving as i32).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stopped_gateway_answers_what_is_in_flight_and_waits_for_no_watcher() {
    let (gateway, kafka, _rabbitmq) = Running::with_writers(&[]).await;
    let request = Request::new(HealthCheckRequest::default());
    let watching = health(&gateway).await.watch(request).await.unwrap();
    let mut watching = watching.into_inner();
    watching.message().await.unwrap();
    kafka.hold();
    let (answer, ()) = tokio::join!(gateway.send(LONG), async {
        until_true("a tweet in flight", || kafka.events().len() == 1).await;
        gateway.stop();
        until("a closed port", async || {
            TcpStream::connect(gateway.address).await.err()
        })
        .await;
        TcpStream::connect(gateway.admin).await.unwrap();
        kafka.release();
    });
    answer.unwrap();
    gateway.ended().await.unwrap();
}
