//! The settings of the six services, from the commands that also print their `--help`.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::block::{Block, table};

/// Settings that several services have, told once: the block, and who has them.
const SHARED: [(&str, &[&str]); 5] = [
    (
        "every-process",
        &[
            "clima-rest",
            "clima-gateway",
            "clima-writer-kafka",
            "clima-writer-rabbitmq",
            "clima-consumer-kafka",
            "clima-consumer-rabbitmq",
        ],
    ),
    (
        "grpc-ports",
        &[
            "clima-gateway",
            "clima-writer-kafka",
            "clima-writer-rabbitmq",
        ],
    ),
    ("kafka", &["clima-writer-kafka", "clima-consumer-kafka"]),
    (
        "rabbitmq",
        &["clima-writer-rabbitmq", "clima-consumer-rabbitmq"],
    ),
    (
        "valkey",
        &["clima-consumer-kafka", "clima-consumer-rabbitmq"],
    ),
];

fn services() -> [Command; 6] {
    [
        clima_rest::Config::command(),
        clima_gateway::Config::command(),
        clima_writer_kafka::Config::command(),
        clima_writer_rabbitmq::Config::command(),
        clima_consumer_kafka::Config::command(),
        clima_consumer_rabbitmq::Config::command(),
    ]
}

/// A block for each group of shared settings, and one for what each service has alone.
pub(crate) fn blocks() -> Vec<Block> {
    let services = services();
    let mut owners: BTreeMap<Vec<String>, BTreeSet<&str>> = BTreeMap::new();
    for service in &services {
        for row in rows(service) {
            owners.entry(row).or_default().insert(service.get_name());
        }
    }
    let group_of = |row: &Vec<String>| {
        SHARED
            .iter()
            .find(|(_, members)| owners[row] == BTreeSet::from_iter(members.iter().copied()))
            .map(|(group, _)| *group)
    };
    let head = ["flag", "variable", "default", "what it is"];
    let shared = SHARED.iter().map(|(group, members)| {
        let member = services
            .iter()
            .find(|service| service.get_name() == members[0]);
        let mut rows = rows(member.unwrap());
        rows.retain(|row| group_of(row) == Some(*group));
        Block::new(*group, table(&head, &rows))
    });
    let own = services.iter().map(|service| {
        let about = service.get_about().unwrap();
        let mut text = format!("{about}.\n\n```text\n{}\n```\n", usage(service));
        let mut rows = rows(service);
        rows.retain(|row| group_of(row).is_none());
        if !rows.is_empty() {
            text += &format!("\n{}", table(&head, &rows));
        }
        Block::new(service.get_name(), text)
    });
    shared.chain(own).collect()
}

fn usage(service: &Command) -> String {
    let usage = service.clone().render_usage().to_string();
    usage.trim_start_matches("Usage: ").to_owned()
}

/// One row for each setting, in the order of `--help`.
fn rows(service: &Command) -> Vec<Vec<String>> {
    let settings = service
        .get_arguments()
        .filter(|arg| !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version));
    settings.map(row).collect()
}

fn row(setting: &Arg) -> Vec<String> {
    let value = setting.get_value_names().unwrap_or_default().join(" ");
    let variable = setting.get_env().unwrap().to_string_lossy();
    let default = match setting.get_default_values() {
        [] if setting.is_required_set() => "**must be given**".to_owned(),
        [] => "none".to_owned(),
        values => values
            .iter()
            .map(|value| format!("`{}`", value.to_string_lossy()))
            .collect(),
    };
    let help = setting.get_long_help().or(setting.get_help()).unwrap();
    let mut what = code_names(&help.to_string());
    for value in setting.get_possible_values() {
        let help = value
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        what += &format!(". `{}`: {}", value.get_name(), lower_first(&help));
    }
    vec![
        format!("`--{} {value}`", setting.get_long().unwrap()),
        format!("`{variable}`"),
        default,
        what,
    ]
}

/// Angle brackets, which Markdown would take for a tag, stand in code.
fn code_names(text: &str) -> String {
    let word = |word: &str| match word.find('<') {
        Some(_) => {
            let bare = word.trim_end_matches([',', '.']);
            format!("`{bare}`{}", &word[bare.len()..])
        }
        None => word.to_owned(),
    };
    text.split_whitespace()
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
