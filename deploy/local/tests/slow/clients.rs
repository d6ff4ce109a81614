//! The example programs of `docs/clients`, with the clients that `make gen` makes: each gets its tweets accepted, and counted
//! once, while a writer stalls, is killed and comes back.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use clima_local::{Part, Stack, Totals};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::stack::{PATIENCE, stack, totals};
use crate::tools::tool;

/// How many tweets an example sends, and how many of them at the same time.
const TWEETS: u64 = 100;
const IN_FLIGHT: u64 = 8;

static BUILT: OnceCell<PathBuf> = OnceCell::const_new();

/// The folder of the built examples. Clients and examples are made once per run of the tests, before anybody uses either.
pub(crate) async fn examples() -> &'static Path {
    BUILT.get_or_init(|| tool("client-examples.sh")).await
}

async fn example(language: &str, args: &[&str]) -> Command {
    let mut command = Command::new(examples().await.join(language));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(language: &str, args: &[&str]) -> Output {
    let output = example(language, args).await.output();
    timeout(PATIENCE, output).await.unwrap().unwrap()
}

fn last_line(output: &Output) -> (u64, u64) {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let line = text.trim().strip_prefix("accepted=");
    let numbers = line.and_then(|line| line.split_once(" retried="));
    let (accepted, retried) = numbers.unwrap_or_else(|| panic!("{output:?}"));
    (accepted.parse().unwrap(), retried.parse().unwrap())
}

fn grown(before: Totals, tweets: u64) -> Totals {
    Totals {
        kafka: before.kafka + tweets,
        rabbitmq: before.rabbitmq + tweets,
    }
}

/// Waits until a running example has told so many times that it repeats an attempt, and what the error said of the tweet.
async fn repeats(lines: &mut Lines<BufReader<ChildStderr>>, times: u64) {
    let told = async {
        let mut left = times;
        while left > 0 {
            let line = lines.next_line().await.unwrap();
            let line =
                line.unwrap_or_else(|| panic!("the example has ended with {left} retries to go"));
            if line.starts_with("retry: ") && line.contains("MAYBE_COUNTED") {
                left -= 1;
            }
        }
    };
    timeout(PATIENCE, told).await.unwrap();
}

/// Its output; what it still says on standard error is read meanwhile, so that it cannot block.
async fn ended(child: Child, mut lines: Lines<BufReader<ChildStderr>>) -> Output {
    let rest = async { while let Ok(Some(_)) = lines.next_line().await {} };
    let (output, ()) = tokio::join!(timeout(PATIENCE, child.wait_with_output()), rest);
    output.unwrap().unwrap()
}

/// `deadline` is one second, as the example reads it. It is short, so that a stalled writer costs little time.
async fn survives_its_writer(language: &str, deadline: &str, writer: Part) {
    examples().await;
    let stack = stack().await;
    let before = totals(&stack).await;
    let address = stack.address(Part::Gateway);
    let args = ["--address", &address, "--deadline", deadline];
    let patient = ["--attempts", "60"];

    stack.pause(writer).await.unwrap();
    let mut child = example(language, &[args.as_slice(), &patient].concat())
        .await
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    repeats(&mut lines, 1).await;
    stack.kill(writer).await.unwrap();
    // As many as are in flight once more: one of them at least has been tried again since.
    repeats(&mut lines, IN_FLIGHT).await;
    stack.start_part(writer).await.unwrap();

    let output = ended(child, lines).await;
    let (accepted, retried) = last_line(&output);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(accepted, TWEETS);
    assert!(retried > IN_FLIGHT, "{output:?}");
    assert_eq!(totals(&stack).await, grown(before, TWEETS));
}

#[tokio::test]
async fn the_go_example_is_counted_once_while_the_kafka_writer_stalls_and_dies() {
    survives_its_writer("go", "1s", Part::WriterKafka).await;
}

#[tokio::test]
async fn the_python_example_is_counted_once_while_the_rabbitmq_writer_stalls_and_dies() {
    survives_its_writer("python", "1", Part::WriterRabbitmq).await;
}

#[tokio::test]
async fn the_typescript_example_is_counted_once_while_the_kafka_writer_stalls_and_dies() {
    survives_its_writer("typescript", "1", Part::WriterKafka).await;
}

const LANGUAGES: [&str; 3] = ["go", "python", "typescript"];

#[tokio::test]
async fn the_same_run_in_three_languages_is_counted_once() {
    examples().await;
    let stack = stack().await;
    let before = totals(&stack).await;
    let address = stack.address(Part::Gateway);
    for language in LANGUAGES {
        let output = run(language, &["--address", &address, "--run", "the same run"]).await;
        assert!(output.status.success(), "{language}: {output:?}");
        assert_eq!(last_line(&output).0, TWEETS, "{language}");
    }
    assert_eq!(totals(&stack).await, grown(before, TWEETS));
}

#[tokio::test]
async fn what_is_not_valid_is_not_repeated_and_fails_the_example() {
    examples().await;
    let stack = stack().await;
    let before = totals(&stack).await;
    let address = stack.address(Part::Gateway);
    let too_long = "x".repeat(256);
    for language in LANGUAGES {
        let args = ["--address", &address, "--tweets", "3", "--run", &too_long];
        let output = run(language, &args).await;
        assert_eq!(output.status.code(), Some(1), "{language}: {output:?}");
        assert_eq!(last_line(&output), (0, 0), "{language}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors.matches("NOT_COUNTED").count(), 3, "{errors}");
    }
    assert_eq!(totals(&stack).await, before);
}

/// How long an example waits before it repeats what was refused for overload, in milliseconds, for each line that tells.
fn waits(errors: &str) -> Vec<u64> {
    let overload = |line: &&str| line.starts_with("retry: ") && line.contains("(NOT_COUNTED)");
    let wait = |line: &str| {
        let (_, rest) = line.split_once(" in ")?;
        let (millis, _) = rest.split_once(" ms: ")?;
        millis.parse().ok()
    };
    errors.lines().filter(overload).filter_map(wait).collect()
}

#[tokio::test]
async fn an_overloaded_gateway_gets_the_second_that_it_asks_for() {
    examples().await;
    let stack = Stack::builder()
        .fast_start(true)
        .env(Part::Gateway, "CLIMA_MAX_IN_FLIGHT", "1")
        .start()
        .await
        .unwrap();
    let address = stack.address(Part::Gateway);
    for language in LANGUAGES {
        let before = totals(&stack).await;
        let args = ["--address", &address, "--attempts", "60"];
        let output = run(language, &args).await;
        assert!(output.status.success(), "{language}: {output:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        let waits = waits(&errors);
        assert!(!waits.is_empty(), "{language}: {errors}");
        assert!(waits.iter().all(|&wait| wait >= 1_000), "{errors}");
        assert_eq!(totals(&stack).await, grown(before, TWEETS), "{language}");
    }
}
