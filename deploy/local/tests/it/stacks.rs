//! Starting, ending and pausing.

use std::sync::{Arc, Mutex};

use clima_local::{Part, Stack, StackFile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpStream;

use crate::wait::{lives, until};

pub(crate) async fn only(parts: impl IntoIterator<Item = Part>) -> Stack {
    Stack::builder()
        .only(parts)
        .fast_start(true)
        .start()
        .await
        .unwrap()
}

async fn accepts(stack: &Stack, part: Part) -> bool {
    TcpStream::connect(stack.address(part)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_start_on_free_ports_and_end_when_dropped() {
    let stack = Stack::builder()
        .servers()
        .fast_start(true)
        .start()
        .await
        .unwrap();
    let folder = stack.state_dir().to_owned();
    let mut pids = Vec::new();
    for part in Part::SERVERS {
        assert!(
            stack.is_running(part) && accepts(&stack, part).await,
            "{part}"
        );
        assert!(stack.resident_bytes(part).unwrap() > 1_000_000);
        pids.push(stack.pid(part).unwrap());
    }
    let file = StackFile::of(&stack);
    assert_eq!(file.pids[&Part::Rabbitmq], stack.pid(Part::Rabbitmq));
    assert_eq!(file.pids[&Part::Gateway], None);
    drop(stack);
    assert!(!pids.into_iter().any(lives));
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stacks_run_side_by_side() {
    let (one, two) = tokio::join!(only(Part::SERVERS), only(Part::SERVERS));
    for part in Part::SERVERS {
        assert_ne!(one.address(part), two.address(part));
        one.kill(part).await.unwrap();
        assert!(!accepts(&one, part).await);
        assert!(two.is_running(part) && accepts(&two, part).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_stops_every_server_in_order_and_frees_its_port() {
    let stack = only(Part::SERVERS).await;
    stack.shutdown().await.unwrap();
    for part in Part::SERVERS {
        assert!(
            !stack.is_running(part) && !accepts(&stack, part).await,
            "{part}"
        );
        assert_eq!(stack.how_it_ended(part).as_deref(), Some("was stopped"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_from_outside_is_told_with_the_end_of_the_log() {
    let told = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&told);
    let stack = Stack::builder()
        .only([Part::Rabbitmq, Part::Valkey])
        .log_to(move |message| *sink.lock().unwrap() += message)
        .start()
        .await
        .unwrap();
    for part in [Part::Rabbitmq, Part::Valkey] {
        let pid = stack.pid(part).unwrap();
        kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
        until("the crash to be noticed", async || {
            (!stack.is_running(part)).then_some(())
        })
        .await;
        assert!(!lives(pid) && stack.pid(part).is_none());
        assert!(stack.how_it_ended(part).unwrap().starts_with("ended with"));
    }
    until("both to be told", async || {
        let told = told.lock().unwrap();
        let both =
            told.contains("rabbitmq ended with") && told.contains("valkey ended with SIGKILL");
        (both && told.contains("Ready to accept connections")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_is_silent_until_it_is_resumed() {
    let stack = only([Part::Valkey]).await;
    stack.pause(Part::Valkey).await.unwrap();
    until("the pause", async || {
        stack.is_paused(Part::Valkey).then_some(())
    })
    .await;
    assert!(stack.is_running(Part::Valkey));
    stack.resume(Part::Valkey).await.unwrap();
    until("the end of the pause", async || {
        (!stack.is_paused(Part::Valkey)).then_some(())
    })
    .await;
    stack.pause(Part::Valkey).await.unwrap();
    // Still an orderly stop: it is resumed for it.
    stack.stop(Part::Valkey).await.unwrap();
    assert_eq!(
        stack.how_it_ended(Part::Valkey).as_deref(),
        Some("was stopped")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_runs_or_is_not_there_cannot_be_started() {
    let stack = only([Part::Valkey]).await;
    let error = stack.start_part(Part::Valkey).await.unwrap_err();
    assert!(error.to_string().contains("valkey runs already"), "{error}");
    let error = stack.start_part(Part::Kafka).await.unwrap_err();
    assert!(
        error.to_string().contains("this stack has no kafka"),
        "{error}"
    );
}
