//! The configuration of all six services, as a person meets it who runs the binaries.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};

use clima_local::Part;
use futures::future::try_join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::settings::{services, variable};
use crate::shared::stack;
use crate::wait::until;

/// All that a process printed. A password must never be in it.
fn printed(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    text
}

/// The problems of a configuration that is refused.
fn problems(output: &Output) -> Vec<String> {
    let text = printed(output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    lines.map(str::to_owned).collect()
}

fn assert_named<'a>(problems: &[String], flags: impl Iterator<Item = &'a str>) {
    let mut expected: Vec<_> = flags
        .map(|flag| format!("--{flag} ({})", variable(flag)))
        .collect();
    let mut named: Vec<_> = problems
        .iter()
        .map(|problem| problem.split_inclusive(')').next().unwrap().to_owned())
        .collect();
    expected.sort();
    named.sort();
    assert_eq!(named, expected, "{problems:?}");
}

#[test]
fn help_names_every_flag_with_its_variable_and_shows_no_password() {
    for service in services() {
        let output = service.right().arg("--help").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        let help = printed(&output);
        for (flag, ..) in &service.settings {
            assert!(help.contains(&format!("--{flag} ")), "{flag}: {help}");
            let named = [']', '='].map(|end| format!("[env: {}{end}", variable(flag)));
            assert!(
                named.iter().any(|named| help.contains(named)),
                "{flag}: {help}"
            );
        }
        let told = help.matches("[env: CLIMA_").count();
        assert_eq!(
            told,
            service.settings.len(),
            "more settings than expected: {help}"
        );
    }
}

#[test]
fn without_any_configuration_all_that_is_missing_is_named() {
    for service in services() {
        let problems = problems(&service.command().output().unwrap());
        let needed = service
            .settings
            .iter()
            .filter(|(_, right, _)| right.is_some());
        assert_named(&problems, needed.map(|(flag, ..)| *flag));
        assert!(
            problems
                .iter()
                .all(|problem| problem.ends_with("is missing")),
            "{problems:?}"
        );
    }
}

#[test]
fn all_wrong_values_are_named_at_once_by_flag_as_by_variable() {
    for service in services() {
        let (mut flags, mut variables) = (service.command(), service.command());
        let wrong = service
            .settings
            .iter()
            .filter_map(|(flag, _, wrong)| Some((*flag, (*wrong)?)));
        for (flag, wrong) in wrong.clone() {
            flags.arg(format!("--{flag}={wrong}"));
            variables.env(variable(flag), wrong);
        }
        for command in [&mut flags, &mut variables] {
            let problems = problems(&command.output().unwrap());
            assert_named(&problems, wrong.clone().map(|(flag, _)| flag));
        }
    }
}

#[test]
fn one_wrong_value_beside_a_password_shows_the_one_and_not_the_other() {
    for service in services() {
        let output = service
            .right()
            .env("CLIMA_LOG_FORMAT", "xml")
            .output()
            .unwrap();
        let problems = problems(&output);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("'xml'"), "{problems:?}");
        let unknown = service.right().arg("--nonsense").output().unwrap();
        assert!(printed(&unknown).contains("--nonsense"));
        assert_eq!(unknown.status.code(), Some(64));
    }
}

#[test]
fn a_url_of_another_kind_is_refused_without_its_password() {
    for (part, variable, url) in [
        (
            Part::WriterRabbitmq,
            "CLIMA_RABBITMQ_URL",
            "amqps://clima:hunter2@rabbitmq:1/%2f",
        ),
        (Part::WriterRabbitmq, "CLIMA_RABBITMQ_URL", "hunter2"),
        (
            Part::WriterRabbitmq,
            "CLIMA_RABBITMQ_URL",
            "amqp://clima:hunter2@rabbitmq:port/%2f",
        ),
        (
            Part::ConsumerKafka,
            "CLIMA_VALKEY_URL",
            "http://clima:hunter2@valkey:6379",
        ),
        (
            Part::ConsumerKafka,
            "CLIMA_VALKEY_URL",
            "redis://clima:hunter2@valkey:6379/zero",
        ),
        (Part::ConsumerRabbitmq, "CLIMA_VALKEY_URL", "hunter2"),
    ] {
        let service = services()
            .into_iter()
            .find(|service| service.part == part)
            .unwrap();
        let output = service.right().env(variable, url).output().unwrap();
        let problems = problems(&output);
        assert!(
            problems.len() == 1 && problems[0].contains(variable),
            "{problems:?}"
        );
    }
}

#[test]
fn a_port_that_is_taken_ends_the_process_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for service in services() {
        for port in service.ports() {
            let output = service
                .right()
                .env(variable(port), &address)
                .output()
                .unwrap();
            let text = printed(&output);
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(
                text.contains(&format!("cannot listen on {address}")),
                "{port}: {text}"
            );
        }
    }
}

/// A process that dies with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn terminate(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_reached_anything_ends_well_and_logs_no_password() {
    for service in services() {
        let mut command = service.right();
        command.stderr(Stdio::piped()).env("CLIMA_LOG", "debug");
        let mut running = Running(command.spawn().unwrap());
        let mut log = BufReader::new(running.0.stderr.take().unwrap());
        let mut text = String::new();
        // The admin port comes first; the other lines follow when it has begun to try.
        for _ in 0..service.ports().count() + 2 {
            assert_ne!(log.read_line(&mut text).unwrap(), 0, "{text}");
        }
        let rest = tokio::task::spawn_blocking(move || {
            log.read_to_string(&mut text).unwrap();
            text
        });
        terminate(running.0.id());
        let ended = until("the end of the process", async || {
            running.0.try_wait().unwrap()
        })
        .await;
        let text = rest.await.unwrap();
        assert_eq!(ended.code(), Some(0), "{}: {text}", service.part);
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_log_cannot_be_written_goes_on() {
    for service in services() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = free.local_addr().unwrap();
        drop(free);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = service.right();
        command
            .stderr(full)
            .env("CLIMA_LOG", "debug")
            .env("CLIMA_ADMIN_LISTEN", admin.to_string());
        let mut running = Running(command.spawn().unwrap());
        until("the admin port", async || {
            assert_eq!(running.0.try_wait().unwrap(), None, "{}", service.part);
            TcpStream::connect(admin).ok()
        })
        .await;
        terminate(running.0.id());
        let ended = until("the end of the process", async || {
            running.0.try_wait().unwrap()
        })
        .await;
        assert_eq!(ended.code(), Some(0), "{}", service.part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_that_is_ready_ends_with_exit_code_0_after_sigterm() {
    let stack = stack().await;
    for part in Part::SERVICES {
        terminate(stack.pid(part).unwrap());
        let how = until("the end of the service", async || stack.how_it_ended(part)).await;
        assert_eq!(how, "ended with exit status 0", "{part}");
    }
    // Together, as each is ready only when what is behind it is.
    let parts = Part::SERVICES.map(|part| stack.start_part(part));
    try_join_all(parts).await.unwrap();
}
