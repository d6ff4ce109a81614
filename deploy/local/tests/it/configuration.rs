//! How the six binaries take their configuration, as a user runs them.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Each binary, with the settings that it cannot do without.
const BINARIES: [(&str, &[&str]); 6] = [
    ("clima-rest", &["CLIMA_GATEWAY_URL"]),
    (
        "clima-gateway",
        &["CLIMA_WRITER_KAFKA_URL", "CLIMA_WRITER_RABBITMQ_URL"],
    ),
    ("clima-writer-kafka", &["CLIMA_KAFKA_BROKERS"]),
    ("clima-writer-rabbitmq", &["CLIMA_RABBITMQ_URL"]),
    (
        "clima-consumer-kafka",
        &["CLIMA_KAFKA_BROKERS", "CLIMA_VALKEY_URL"],
    ),
    (
        "clima-consumer-rabbitmq",
        &["CLIMA_RABBITMQ_URL", "CLIMA_VALKEY_URL"],
    ),
];

/// A value that is right for a setting; nobody listens there.
fn right(setting: &str) -> &'static str {
    match setting {
        "CLIMA_KAFKA_BROKERS" => "127.0.0.1:1",
        "CLIMA_RABBITMQ_URL" => "amqp://somebody:secret-word@127.0.0.1:1/%2f",
        "CLIMA_VALKEY_URL" => "redis://somebody:secret-word@127.0.0.1:1",
        _ => "http://127.0.0.1:1",
    }
}

fn binary(name: &str) -> Command {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_clima-local")).with_file_name(name);
    let mut command = Command::new(path);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The binary with everything that it needs, on free ports.
fn configured(name: &str, needs: &[&str]) -> Command {
    let mut command = binary(name);
    command.envs(needs.iter().map(|setting| (setting, right(setting))));
    for port in [
        "CLIMA_LISTEN",
        "CLIMA_INTERNAL_LISTEN",
        "CLIMA_ADMIN_LISTEN",
    ] {
        command.env(port, "127.0.0.1:0");
    }
    command
}

async fn run(mut command: Command) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn help_names_every_needed_setting_and_shows_no_password() {
    for (name, needs) in BINARIES {
        let mut command = configured(name, needs);
        command.arg("--help");
        let (code, text) = run(command).await;
        assert_eq!(code, Some(0), "{name}: {text}");
        for setting in
            needs
                .iter()
                .chain(&["CLIMA_ADMIN_LISTEN", "CLIMA_LOG", "CLIMA_DRAIN_TIMEOUT"])
        {
            assert!(text.contains(setting), "{name} --help lacks {setting}");
        }
        assert!(!text.contains("secret-word"), "{name}: {text}");
    }
}

#[tokio::test]
async fn everything_that_is_missing_is_told_at_once() {
    for (name, needs) in BINARIES {
        let (code, text) = run(binary(name)).await;
        assert_eq!(code, Some(64), "{name}: {text}");
        for setting in needs {
            let told = text
                .lines()
                .any(|line| line.contains(setting) && line.contains("missing"));
            assert!(told, "{name} does not miss {setting}: {text}");
        }
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_and_no_password_with_it() {
    for (name, needs) in BINARIES {
        let mut command = configured(name, needs);
        command
            .env("CLIMA_ADMIN_LISTEN", "everywhere")
            .env("CLIMA_DRAIN_TIMEOUT", "soon")
            .env("CLIMA_LOG_FORMAT", "loud");
        let (code, text) = run(command).await;
        assert_eq!(code, Some(64), "{name}: {text}");
        for wrong in ["everywhere", "soon", "loud"] {
            assert!(
                text.contains(wrong),
                "{name} does not tell of `{wrong}`: {text}"
            );
        }
        assert!(!text.contains("secret-word"), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_ends_the_start_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (name, needs) in BINARIES {
        let mut command = configured(name, needs);
        command.env("CLIMA_ADMIN_LISTEN", &address);
        let (code, text) = run(command).await;
        assert_eq!(code, Some(1), "{name}: {text}");
        assert!(
            text.contains(&address) && text.contains("admin"),
            "{name}: {text}"
        );
    }
}

#[tokio::test]
async fn sigterm_ends_a_process_in_good_order_also_when_nothing_it_needs_is_there() {
    for (name, needs) in BINARIES {
        let mut command = configured(name, needs);
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let first = log.next_line().await.unwrap();
        assert!(
            first.is_some_and(|line| line.contains("listening")),
            "{name}"
        );
        let pid = Pid::from_raw(process.id().unwrap().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        while let Ok(Some(line)) = log.next_line().await {
            assert!(!line.contains("secret-word"), "{name}: {line}");
        }
        assert!(process.wait().await.unwrap().success(), "{name}");
    }
}
