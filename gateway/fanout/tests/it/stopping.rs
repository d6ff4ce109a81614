//! Readiness, and an orderly end.

use clima_proto::wethertweet::{WeatherTweetRequest, WeatherTweetResponse};
use clima_testing::upstream::{Act, Upstream, free_port, url};
use clima_testing::wait::until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Request;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;

use super::gateway::{LONG, Running, call};

/// Status line and body of the admin port.
async fn admin(gateway: &Running, path: &str) -> String {
    let mut stream = TcpStream::connect(gateway.admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn serving(gateway: &Running) -> bool {
    let channel = Endpoint::from_shared(url(gateway.public))
        .unwrap()
        .connect_lazy();
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
}

#[tokio::test]
async fn a_gateway_is_ready_after_both_writers_served_once_and_names_what_is_missing() {
    let (kafka, rabbitmq) = (free_port().await, free_port().await);
    let gateway = Running::start(&url(kafka), &url(rabbitmq), &[]).await;
    let missing = admin(&gateway, "/readyz").await;
    assert!(
        missing.ends_with("not ready: writer-kafka, writer-rabbitmq\n"),
        "{missing}"
    );
    assert!(!serving(&gateway).await);
    let _kafka = Upstream::start_at(kafka).await;
    until("only one to be missing", async || {
        let missing = admin(&gateway, "/readyz").await;
        missing
            .ends_with("not ready: writer-rabbitmq\n")
            .then_some(())
    })
    .await;
    let _rabbitmq = Upstream::start_at(rabbitmq).await;
    until("the gateway to be serving", async || {
        serving(&gateway).await.then_some(())
    })
    .await;
    assert!(admin(&gateway, "/readyz").await.ends_with("\nready\n"));
    assert!(admin(&gateway, "/livez").await.ends_with("\nalive\n"));
}

#[tokio::test]
async fn a_stopping_gateway_answers_what_is_in_flight_and_ends_well() {
    let (gateway, kafka, _rabbitmq) = Running::with_writers(&[]).await;
    kafka.always(Act::Hold);
    let mut sent = Box::pin(gateway.send(call(LONG)));
    tokio::select! {
        answer = &mut sent => panic!("{answer:?}"),
        () = kafka.received(1) => {}
    }
    gateway.stop();
    until("the admin port to tell of the drain", async || {
        admin(&gateway, "/readyz")
            .await
            .contains("draining")
            .then_some(())
    })
    .await;
    kafka.release(1);
    sent.await.expect("accepted");
    gateway.ended().await.expect("an orderly end");
}

#[tokio::test]
async fn who_watches_the_health_does_not_hold_up_the_end() {
    let (gateway, _kafka, _rabbitmq) = Running::with_writers(&[]).await;
    let channel = Endpoint::from_shared(url(gateway.public))
        .unwrap()
        .connect_lazy();
    let mut health = HealthClient::new(channel);
    let watching = health.watch(HealthCheckRequest::default()).await;
    let mut watching = watching.unwrap().into_inner();
    assert!(watching.message().await.unwrap().is_some());
    gateway.stop();
    gateway.ended().await.expect("an orderly end");
}

#[tokio::test]
async fn a_call_that_never_says_what_it_wants_does_not_hold_up_the_end() {
    let (gateway, _kafka, _rabbitmq) = Running::with_writers(&[]).await;
    let channel = Endpoint::from_shared(url(gateway.public))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = ProstCodec::<WeatherTweetRequest, WeatherTweetResponse>::default();
    let path = PathAndQuery::from_static("/wethertweet.WeatherTweetService/SendTweet");
    let nothing = Request::new(futures::stream::pending());
    let call = client.client_streaming(nothing, path, codec);
    tokio::pin!(call);
    tokio::select! {
        answer = &mut call => panic!("{answer:?}"),
        () = async { gateway.send(super::gateway::call(LONG)).await.map(drop).expect("accepted") } => {}
    }
    gateway.stop();
    let ended = gateway.ended();
    tokio::pin!(ended);
    let outcome = tokio::select! {
        outcome = &mut ended => outcome,
        answer = &mut call => {
            assert!(answer.is_err(), "{answer:?}");
            ended.await
        }
    };
    outcome.expect("an orderly end");
}
