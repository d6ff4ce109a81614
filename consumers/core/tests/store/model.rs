//! What must be in Valkey, worked out anew from all tweets that were counted.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use clima_consumer_core::store::{Applied, Broker};
use clima_proto::event::CheckedEvent;
use clima_proto::id::TweetId;
use clima_proto::wethertweet::{Municipalities, Weathers};

use super::events::{MUNICIPALITIES, WEATHERS};
use super::server::Content;

type Hash = BTreeMap<String, String>;

/// A path that has counted nothing yet.
pub(crate) struct Model {
    path: Broker,
    seen: HashSet<TweetId>,
    counted: Vec<CheckedEvent>,
    series: BTreeMap<String, Vec<Hash>>,
}

impl Model {
    pub(crate) fn new(path: Broker) -> Self {
        Self {
            path,
            seen: HashSet::new(),
            counted: Vec::new(),
            series: BTreeMap::new(),
        }
    }

    pub(crate) fn apply(&mut self, events: &[CheckedEvent]) -> Applied {
        let fresh: Vec<_> = events
            .iter()
            .filter(|event| self.seen.insert(event.id))
            .copied()
            .collect();
        for municipality in MUNICIPALITIES {
            let here = of(&fresh, municipality);
            if !here.is_empty() {
                let entry = hash([
                    ("temperature", mean(temperatures(&here))),
                    ("humidity", mean(humidities(&here))),
                    ("count", here.len().to_string()),
                ]);
                let key = self.key(&format!("series:{}", name(municipality)));
                self.series.entry(key).or_default().push(entry);
            }
        }
        self.counted.extend(&fresh);
        Applied {
            counted: fresh.len() as u64,
            duplicates: (events.len() - fresh.len()) as u64,
        }
    }

    /// Every key of the path with its content.
    pub(crate) fn contents(&self) -> BTreeMap<String, Content> {
        let all = &self.counted;
        let mut contents: BTreeMap<_, _> = self.bits();
        if all.is_empty() {
            return contents;
        }
        let series = self.series.iter();
        contents
            .extend(series.map(|(key, entries)| (key.clone(), Content::Stream(entries.clone()))));
        let mut add = |name: &str, hash: Hash| contents.insert(self.key(name), Content::Hash(hash));

        let (mut counts, mut averages) = (Hash::new(), [Hash::new(), Hash::new()]);
        counts.insert("total".into(), all.len().to_string());
        for municipality in MUNICIPALITIES {
            let here = of(all, municipality);
            if here.is_empty() {
                continue;
            }
            let name = name(municipality).to_owned();
            for (weather, count) in weathers(&here) {
                counts.insert(format!("{name}:{weather}"), count.to_string());
            }
            averages[0].insert(name.clone(), mean(temperatures(&here)));
            averages[1].insert(name.clone(), mean(humidities(&here)));
            add(&format!("municipality:{name}"), summary(&here));
        }
        add("counts", counts);
        let [temperature, humidity] = averages;
        add("temperature_avg", temperature);
        add("humidity_avg", humidity);
        let reports = weathers(&all.iter().collect::<Vec<_>>());
        add(
            "weather",
            reports
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count.to_string()))
                .collect(),
        );
        let all: Vec<_> = all.iter().collect();
        add(
            "extremes",
            hash([
                (
                    "temperature_max",
                    temperatures(&all).max().unwrap().to_string(),
                ),
                (
                    "temperature_min",
                    temperatures(&all).min().unwrap().to_string(),
                ),
                ("humidity_max", humidities(&all).max().unwrap().to_string()),
                ("humidity_min", humidities(&all).min().unwrap().to_string()),
            ]),
        );
        contents
    }

    fn bits(&self) -> BTreeMap<String, Content> {
        let mut blocks: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for id in &self.seen {
            let key = self.key(&format!("seen:{}:{}", id.source(), id.sequence() / 65_536));
            blocks
                .entry(key)
                .or_default()
                .insert((id.sequence() % 65_536) as usize);
        }
        blocks
            .into_iter()
            .map(|(key, bits)| (key, Content::Bits(bits)))
            .collect()
    }

    fn key(&self, name: &str) -> String {
        format!("clima:{{{}}}:{name}", self.path)
    }
}

/// The hash `municipality:<m>`.
fn summary(here: &[&CheckedEvent]) -> Hash {
    let weathers = weathers(here);
    // `max_by_key` takes the last of equals, `min_by_key` the first.
    let most = weathers
        .iter()
        .rev()
        .max_by_key(|(_, count)| count)
        .unwrap();
    let least = weathers.iter().min_by_key(|(_, count)| count).unwrap();
    let last = here
        .iter()
        .max_by_key(|event| (event.received_at, event.id))
        .unwrap();
    hash([
        ("count", here.len().to_string()),
        (
            "temperature_sum",
            temperatures(here).sum::<i64>().to_string(),
        ),
        ("humidity_sum", humidities(here).sum::<i64>().to_string()),
        ("temperature_avg", mean(temperatures(here))),
        ("humidity_avg", mean(humidities(here))),
        ("most_common", most.0.to_owned()),
        ("least_common", least.0.to_owned()),
        ("last_temperature", last.tweet.temperature.to_string()),
        ("last_humidity", last.tweet.humidity.to_string()),
        ("last_weather", weather_name(last.tweet.weather).to_owned()),
        (
            "last_received_at",
            format!("{}.{:09}", last.received_at.seconds, last.received_at.nanos),
        ),
        ("last_id", last.id.to_string()),
    ])
}

fn of(events: &[CheckedEvent], municipality: Municipalities) -> Vec<&CheckedEvent> {
    events
        .iter()
        .filter(|event| event.tweet.municipality == municipality)
        .collect()
}

/// The weathers that were reported, in the order of the enum.
fn weathers(events: &[&CheckedEvent]) -> Vec<(&'static str, usize)> {
    let count = |weather| {
        events
            .iter()
            .filter(|event| event.tweet.weather == weather)
            .count()
    };
    let counts = WEATHERS.map(|weather| (weather_name(weather), count(weather)));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn temperatures(events: &[&CheckedEvent]) -> impl Iterator<Item = i64> + Clone {
    events
        .iter()
        .map(|event| i64::from(event.tweet.temperature))
}

fn humidities(events: &[&CheckedEvent]) -> impl Iterator<Item = i64> + Clone {
    events.iter().map(|event| i64::from(event.tweet.humidity))
}

fn mean(values: impl Iterator<Item = i64> + Clone) -> String {
    let sum: i64 = values.clone().sum();
    let text = format!("{:.2}", sum as f64 / values.count() as f64);
    if text == "-0.00" {
        "0.00".to_owned()
    } else {
        text
    }
}

fn name(municipality: Municipalities) -> &'static str {
    match municipality {
        Municipalities::Mixco => "mixco",
        Municipalities::Guatemala => "guatemala",
        Municipalities::Amatitlan => "amatitlan",
        Municipalities::Chinautla => "chinautla",
        Municipalities::Unknown => panic!("not in a checked event"),
    }
}

fn weather_name(weather: Weathers) -> &'static str {
    match weather {
        Weathers::Sunny => "sunny",
        Weathers::Cloudy => "cloudy",
        Weathers::Rainy => "rainy",
        Weathers::Foggy => "foggy",
        Weathers::Unknown => panic!("not in a checked event"),
    }
}

fn hash<const N: usize>(fields: [(&str, String); N]) -> Hash {
    fields
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value))
        .collect()
}
