//! What a valid tweet is.

use std::fmt;
use std::ops::RangeInclusive;

use crate::wethertweet::{Municipalities, WeatherTweetRequest, Weathers};

/// Air temperature in whole degrees Celsius that a tweet may report. The bounds leave room around
/// the extremes on record: −89.2 °C and 56.7 °C (WMO, World Weather & Climate Extremes Archive).
pub const TEMPERATURE: RangeInclusive<i32> = -90..=60;

/// Relative humidity in whole per cent that a tweet may report.
pub const HUMIDITY: RangeInclusive<i32> = 0..=100;

/// The number that no enum of a tweet may have: what an absent field reads as.
pub const UNKNOWN: i32 = 0;

/// The range of an integer field, by its full name in the proto; none where every integer is valid.
pub fn range_of(field: &str) -> Option<RangeInclusive<i32>> {
    match field {
        "wethertweet.WeatherTweetRequest.temperature" => Some(TEMPERATURE),
        "wethertweet.WeatherTweetRequest.humidity" => Some(HUMIDITY),
        _ => None,
    }
}

/// A tweet that has been checked: every value is in range, every enum is a named one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tweet {
    /// One of the four named municipalities.
    pub municipality: Municipalities,
    /// One of the four named weathers.
    pub weather: Weathers,
    /// Degrees Celsius, within [`TEMPERATURE`].
    pub temperature: i8,
    /// Per cent, within [`HUMIDITY`].
    pub humidity: u8,
}

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Name of the field, as in the proto.
    pub field: &'static str,
    /// What is wrong with it, for the caller to read.
    pub description: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

impl Tweet {
    /// Checks a request.
    ///
    /// # Errors
    ///
    /// All violations at once, in the order of the fields.
    pub fn check(request: &WeatherTweetRequest) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let municipality = named::<Municipalities>(request.municipality);
        if municipality.is_none() {
            violations.push(not_named(
                "municipality",
                request.municipality,
                "mixco (1), guatemala (2), amatitlan (3), chinautla (4)",
            ));
        }
        let temperature = in_range("temperature", request.temperature, TEMPERATURE, "°C");
        let humidity = in_range("humidity", request.humidity, HUMIDITY, "%");
        let temperature = temperature.map_err(|v| violations.push(v)).ok();
        let humidity = humidity.map_err(|v| violations.push(v)).ok();
        let weather = named::<Weathers>(request.weather);
        if weather.is_none() {
            violations.push(not_named(
                "weather",
                request.weather,
                "sunny (1), cloudy (2), rainy (3), foggy (4)",
            ));
        }
        match (municipality, weather, temperature, humidity) {
            (Some(municipality), Some(weather), Some(temperature), Some(humidity)) => Ok(Self {
                municipality,
                weather,
                temperature,
                humidity,
            }),
            _ => Err(violations),
        }
    }
}

/// The enum's value, unless it is the unknown one or has no name.
fn named<E: TryFrom<i32>>(number: i32) -> Option<E> {
    E::try_from(number).ok().filter(|_| number != UNKNOWN)
}

fn not_named(field: &'static str, number: i32, names: &str) -> Violation {
    Violation {
        field,
        description: format!("is {number}, must be one of {names}"),
    }
}

fn in_range<T: TryFrom<i32>>(
    field: &'static str,
    value: i32,
    range: RangeInclusive<i32>,
    unit: &str,
) -> Result<T, Violation> {
    let violation = || Violation {
        field,
        description: format!(
            "is {value} {unit}, must be {} to {} {unit}",
            range.start(),
            range.end()
        ),
    };
    if !range.contains(&value) {
        return Err(violation());
    }
    T::try_from(value).map_err(|_| violation())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(
        municipality: i32,
        temperature: i32,
        humidity: i32,
        weather: i32,
    ) -> WeatherTweetRequest {
        WeatherTweetRequest {
            municipality,
            temperature,
            humidity,
            weather,
        }
    }

    #[test]
    fn every_named_value_and_both_ends_of_each_range_are_valid() {
        for number in 1..=4 {
            for (temperature, humidity) in [(-90, 0), (60, 100)] {
                let tweet = Tweet::check(&request(number, temperature, humidity, number)).unwrap();
                assert_eq!(tweet.municipality as i32, number);
                assert_eq!(tweet.weather as i32, number);
                assert_eq!(i32::from(tweet.temperature), temperature);
                assert_eq!(i32::from(tweet.humidity), humidity);
            }
        }
    }

    #[test]
    fn all_violations_are_told_at_once_in_the_order_of_the_fields() {
        let violations = Tweet::check(&request(0, 61, -1, 5)).unwrap_err();
        let fields: Vec<_> = violations.iter().map(|v| v.field).collect();
        assert_eq!(
            fields,
            ["municipality", "temperature", "humidity", "weather"]
        );
        assert_eq!(
            violations[1].to_string(),
            "temperature: is 61 °C, must be -90 to 60 °C"
        );
    }

    #[test]
    fn each_integer_field_of_the_proto_has_its_range() {
        let message = crate::descriptors::pool()
            .get_message_by_name("wethertweet.WeatherTweetRequest")
            .unwrap();
        let ranges: Vec<_> = message
            .fields()
            .filter(|field| field.kind() == prost_reflect::Kind::Int32)
            .map(|field| range_of(field.full_name()))
            .collect();
        assert_eq!(ranges, [Some(TEMPERATURE), Some(HUMIDITY)]);
    }

    #[test]
    fn a_value_just_outside_its_range_is_refused() {
        for (temperature, humidity) in [(-91, 0), (61, 0), (0, -1), (0, 101), (i32::MIN, 0)] {
            assert_eq!(
                Tweet::check(&request(1, temperature, humidity, 1))
                    .unwrap_err()
                    .len(),
                1
            );
        }
    }
}
