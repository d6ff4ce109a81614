//! What `docker inspect` tells of containers.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::runtime::State;
use crate::{Part, proc_fs};

/// The part of `docker inspect`'s answer that is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    state: ContainerState,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerState {
    status: String,
    paused: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    pid: u32,
    exit_code: i32,
    started_at: String,
}

/// The states of these containers, from the JSON that `docker inspect` prints. Those never started have none. `asked` is
/// what was asked of a part that has ended: exit codes of what was asked for say little.
///
/// # Errors
/// When that is no such JSON, or tells of none of them, as when the engine does not answer.
pub(super) fn states(
    json: &str,
    parts: &BTreeMap<String, Part>,
    asked: &BTreeMap<Part, &'static str>,
) -> anyhow::Result<BTreeMap<Part, State>> {
    let containers: Vec<Container> =
        serde_json::from_str(json).context("cannot understand docker inspect")?;
    ensure!(!containers.is_empty(), "the engine knows no container");
    let mut states: BTreeMap<Part, State> = parts
        .iter()
        .filter(|(id, _)| !containers.iter().any(|there| there.id == **id))
        .map(|(_, &part)| {
            let how = "was removed".to_owned();
            (part, State::Ended { how })
        })
        .collect();
    for Container { id, state } in containers {
        let Some(&part) = parts.get(&id) else {
            continue;
        };
        let state = match state.status.as_str() {
            "created" => continue,
            "exited" | "dead" | "removing" => State::Ended {
                how: match asked.get(&part) {
                    Some(&how) => how.to_owned(),
                    None => how_it_ended(&state),
                },
            },
            _ => State::Running {
                // Of another machine, or unseen from here, where the engine does not run beside us.
                child: Some(state.pid).filter(|&pid| proc_fs::is_in_container(pid, &id)),
                leader: (part == Part::Rabbitmq).then_some("beam.smp"),
                since: humantime::parse_rfc3339(&state.started_at)
                    .unwrap_or_else(|_| SystemTime::now()),
                paused: state.paused,
            },
        };
        states.insert(part, state);
    }
    Ok(states)
}

fn how_it_ended(state: &ContainerState) -> String {
    if state.oom_killed {
        return "was killed for its use of memory".to_owned();
    }
    // A shell's way to tell of a signal, which runc has too.
    match Signal::try_from(state.exit_code - 128) {
        Ok(signal) => format!("ended with {signal}"),
        Err(_) => format!("ended with exit status {}", state.exit_code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker 20.10 printed it, with short stories made of several, other ids, and less of what is not read.
    const JSON: &str = include_str!("inspect.json");

    fn read(asked: &[(Part, &'static str)]) -> BTreeMap<Part, State> {
        let parts = [
            ("1", Part::Rest),
            ("2", Part::Gateway),
            ("3", Part::Valkey),
            ("4", Part::WriterKafka),
            ("5", Part::Kafka),
            ("6", Part::Rabbitmq),
        ];
        let parts = parts.map(|(digit, part)| (digit.repeat(64), part)).into();
        states(JSON, &parts, &asked.iter().copied().collect()).unwrap()
    }

    fn how(states: &BTreeMap<Part, State>, part: Part) -> &str {
        match &states[&part] {
            State::Ended { how } => how,
            running => panic!("{running:?}"),
        }
    }

    #[test]
    fn running_paused_and_never_started_containers_are_told_apart() {
        let states = read(&[]);
        let State::Running { paused, since, .. } = &states[&Part::Rest] else {
            panic!("{states:?}");
        };
        let since = humantime::format_rfc3339_seconds(*since).to_string();
        assert!(!paused && since.starts_with("2026-11-24T"), "{since}");
        let paused = &states[&Part::Gateway];
        assert!(
            matches!(paused, State::Running { paused: true, .. }),
            "{paused:?}"
        );
        assert!(!states.contains_key(&Part::Kafka));
    }

    #[test]
    fn what_was_asked_for_says_how_a_container_ended_before_its_exit_code_does() {
        let states = read(&[]);
        assert_eq!(how(&states, Part::Valkey), "ended with SIGKILL");
        assert_eq!(how(&states, Part::WriterKafka), "ended with exit status 64");
        let states = read(&[(Part::Valkey, "was killed")]);
        assert_eq!(how(&states, Part::Valkey), "was killed");
    }

    #[test]
    fn a_container_that_somebody_removed_has_ended_and_an_engine_that_is_gone_is_an_error() {
        assert_eq!(how(&read(&[]), Part::Rabbitmq), "was removed");
        let parts = BTreeMap::from([("1".repeat(64), Part::Rest)]);
        assert!(states("[]\n", &parts, &BTreeMap::new()).is_err());
        assert!(states("", &parts, &BTreeMap::new()).is_err());
    }

    #[test]
    fn a_process_id_that_is_not_the_containers_here_is_not_shown() {
        // The file comes from elsewhere, so its process ids are nobody's, or somebody else's.
        let states = read(&[]);
        assert_eq!(states[&Part::Rest].pid(), None);
    }
}
