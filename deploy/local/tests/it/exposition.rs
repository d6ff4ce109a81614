//! What a service exposes at `/metrics`, and the table that describes it.

use std::collections::{BTreeMap, BTreeSet};

use clima_local::{Part, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::block;

/// The metrics of one service at one moment, in the OpenMetrics text format.
pub(crate) struct Exposition(String);

/// What the documentation says of a metric.
#[derive(Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    unit: String,
    help: String,
    labels: BTreeSet<String>,
    parts: BTreeSet<Part>,
}

impl Exposition {
    pub(crate) async fn of(stack: &Stack, part: Part) -> Self {
        Self::at(&stack.admin_address(part).unwrap()).await
    }

    /// Those of the service whose admin port is at this address.
    pub(crate) async fn at(admin: &str) -> Self {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        let request = format!("GET /metrics HTTP/1.0\r\nhost: {admin}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body.ends_with("# EOF\n"), "{answer}");
        Self(body.to_owned())
    }

    /// The sum over all samples of this name that have all of these labels (`key="value"`).
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let values: Vec<f64> = self
            .samples()
            .filter(|(found, has, _)| *found == name && labels.iter().all(|l| has.contains(l)))
            .map(|(_, _, value)| value)
            .collect();
        assert!(!values.is_empty(), "{name} {labels:?} is not in {}", self.0);
        values.iter().sum()
    }

    /// Whether there is any sample of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.has_series(name, &[])
    }

    /// Whether there is any sample of this name that has all of these labels.
    pub(crate) fn has_series(&self, name: &str, labels: &[&str]) -> bool {
        self.samples()
            .any(|(found, has, _)| found == name && labels.iter().all(|l| has.contains(l)))
    }

    /// Name, labels and value.
    fn samples(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        self.0
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                (name, labels.trim_end_matches('}'), value.parse().unwrap())
            })
    }

    fn describe(&self, part: Part, families: &mut BTreeMap<String, Family>) {
        let mut name = String::new();
        for line in self.0.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ');
                let (what, of) = (words.next().unwrap(), words.next().unwrap_or_default());
                let text = words.next().unwrap_or_default().to_owned();
                if what == "EOF" {
                    continue;
                }
                of.clone_into(&mut name);
                let family = families.entry(name.clone()).or_default();
                family.parts.insert(part);
                let field = match what {
                    "HELP" => &mut family.help,
                    "TYPE" => &mut family.kind,
                    "UNIT" => &mut family.unit,
                    other => panic!("{other}: {line}"),
                };
                assert!(
                    field.is_empty() || *field == text,
                    "{name} is {field} and {text}"
                );
                *field = text;
                continue;
            }
            assert!(line.starts_with(&name), "{line} stands below {name}");
            let labels = line
                .split_once('{')
                .map_or("", |(_, rest)| rest.split_once("} ").unwrap().0);
            let keys = labels
                .split("\",")
                .filter_map(|label| label.split_once('='))
                .map(|(key, _)| key.to_owned())
                .filter(|key| key != "le");
            families.get_mut(&name).unwrap().labels.extend(keys);
        }
    }
}

/// The table of all metrics of these services, by name.
pub(crate) fn table(of: &BTreeMap<Part, Exposition>) -> String {
    let mut families = BTreeMap::new();
    for (&part, exposition) in of {
        exposition.describe(part, &mut families);
    }
    let row = |(name, family): (String, Family)| {
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels: Vec<_> = family.labels.iter().map(|l| format!("`{l}`")).collect();
        let labels = labels.join(" ");
        let or_none = |text: &str| if text.is_empty() { "–" } else { text }.to_owned();
        assert!(!family.help.is_empty(), "{name} has no help");
        vec![
            format!("`{name}{suffix}`"),
            family.kind,
            or_none(&family.unit),
            or_none(&labels),
            family.help.trim_end_matches('.').to_owned(),
            places(&family.parts),
        ]
    };
    let rows: Vec<_> = families.into_iter().map(row).collect();
    let head = ["metric", "type", "unit", "labels", "what", "in"];
    block::table(&head, &rows)
}

/// Names of services, families of two by one word.
fn places(parts: &BTreeSet<Part>) -> String {
    if parts.len() == Part::SERVICES.len() {
        return "all".to_owned();
    }
    let mut names: Vec<String> = parts.iter().map(ToString::to_string).collect();
    for (word, pair) in [
        ("writers", [Part::WriterKafka, Part::WriterRabbitmq]),
        ("consumers", [Part::ConsumerKafka, Part::ConsumerRabbitmq]),
    ] {
        if pair.iter().all(|part| parts.contains(part)) {
            names.retain(|name| pair.iter().all(|part| part.to_string() != *name));
            names.push(word.to_owned());
        }
    }
    names.join(", ")
}
