//! The counts as they must be, added up anew from single tweets.

use std::collections::BTreeMap;

use super::ledger::Packed;

/// Names as they stand in keys, by the number of the proto.
const MUNICIPALITIES: [&str; 5] = ["", "mixco", "guatemala", "amatitlan", "chinautla"];
const WEATHERS: [&str; 5] = ["", "sunny", "cloudy", "rainy", "foggy"];

/// The aggregates of one path that a recount checks, in the form in which Valkey shows them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Aggregates {
    /// `<municipality>:<weather>` and `total`.
    pub(super) counts: BTreeMap<String, u64>,
    /// Reports by weather.
    pub(super) weather: BTreeMap<String, u64>,
    /// Average by municipality, two decimals.
    pub(super) temperature_avg: BTreeMap<String, String>,
    /// Average by municipality, two decimals.
    pub(super) humidity_avg: BTreeMap<String, String>,
    /// Greatest and least of all.
    pub(super) extremes: BTreeMap<String, i64>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    tweets: u64,
    temperature: i64,
    humidity: i64,
}

/// Adds tweets up.
#[derive(Debug, Default)]
pub(super) struct Recount {
    counts: BTreeMap<(u8, u8), u64>,
    sums: BTreeMap<u8, Sums>,
    temperature: Option<(i64, i64)>,
    humidity: Option<(i64, i64)>,
}

impl Recount {
    pub(super) fn add(&mut self, tweet: Packed) {
        let (temperature, humidity) = (i64::from(tweet.temperature), i64::from(tweet.humidity));
        *self
            .counts
            .entry((tweet.municipality, tweet.weather))
            .or_default() += 1;
        let sums = self.sums.entry(tweet.municipality).or_default();
        sums.tweets += 1;
        sums.temperature += temperature;
        sums.humidity += humidity;
        widen(&mut self.temperature, temperature);
        widen(&mut self.humidity, humidity);
    }

    pub(super) fn finish(&self) -> Aggregates {
        let mut all = Aggregates::default();
        for (&(municipality, weather), &tweets) in &self.counts {
            let (municipality, weather) = (
                MUNICIPALITIES[usize::from(municipality)],
                WEATHERS[usize::from(weather)],
            );
            all.counts
                .insert(format!("{municipality}:{weather}"), tweets);
            *all.weather.entry(weather.to_owned()).or_default() += tweets;
            *all.counts.entry("total".to_owned()).or_default() += tweets;
        }
        for (&municipality, sums) in &self.sums {
            let name = MUNICIPALITIES[usize::from(municipality)];
            let average = |sum: i64| format!("{:.2}", sum as f64 / sums.tweets as f64);
            all.temperature_avg
                .insert(name.to_owned(), average(sums.temperature));
            all.humidity_avg
                .insert(name.to_owned(), average(sums.humidity));
        }
        for (name, range) in [
            ("temperature", self.temperature),
            ("humidity", self.humidity),
        ] {
            if let Some((least, most)) = range {
                all.extremes.insert(format!("{name}_min"), least);
                all.extremes.insert(format!("{name}_max"), most);
            }
        }
        all
    }
}

fn widen(range: &mut Option<(i64, i64)>, value: i64) {
    let (least, most) = range.unwrap_or((value, value));
    *range = Some((least.min(value), most.max(value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_tweets_add_up_as_by_hand() {
        let mut recount = Recount::default();
        for (municipality, weather, temperature, humidity) in
            [(1, 1, -5, 10), (1, 1, 20, 20), (4, 3, 7, 100)]
        {
            recount.add(Packed {
                municipality,
                weather,
                temperature,
                humidity,
            });
        }
        let all = recount.finish();
        assert_eq!(all.counts["mixco:sunny"], 2);
        assert_eq!(all.counts["chinautla:rainy"], 1);
        assert_eq!(all.counts["total"], 3);
        assert_eq!(all.weather["sunny"], 2);
        assert_eq!(all.temperature_avg["mixco"], "7.50");
        assert_eq!(all.humidity_avg["chinautla"], "100.00");
        assert_eq!(all.extremes["temperature_min"], -5);
        assert_eq!(all.extremes["temperature_max"], 20);
        assert_eq!(all.extremes["humidity_max"], 100);
    }
}
