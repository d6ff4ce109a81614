//! Proto3 JSON, read strictly.
//!
//! prost-reflect knows the mapping: enums by name or number, integers as numbers or strings, null for
//! "absent", unknown fields refused. Two things are added: a key may stand only once, and nothing may
//! follow the message.

use std::collections::HashSet;
use std::fmt;

use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Reads one message.
pub(crate) fn decode(
    descriptor: MessageDescriptor,
    text: &[u8],
) -> Result<DynamicMessage, serde_json::Error> {
    let mut keys = serde_json::Deserializer::from_slice(text);
    UniqueKeys.deserialize(&mut keys)?;
    keys.end()?;
    DynamicMessage::deserialize(descriptor, &mut serde_json::Deserializer::from_slice(text))
}

/// Writes one message, with every field that is set.
pub(crate) fn encode(message: &DynamicMessage) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::Serializer::new(Vec::with_capacity(128));
    message.serialize_with_options(&mut text, &SerializeOptions::new())?;
    Ok(text.into_inner())
}

/// Walks any JSON value and fails at an object in which a key stands twice.
struct UniqueKeys;

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Self)?;
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format_args!("duplicate key `{twice}`")));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clima_proto::descriptors;
    use clima_proto::wethertweet::WeatherTweetRequest;

    fn read(text: &str) -> Result<WeatherTweetRequest, String> {
        let descriptor = descriptors::pool()
            .get_message_by_name("wethertweet.WeatherTweetRequest")
            .unwrap();
        let message = decode(descriptor, text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(message.transcode_to().unwrap())
    }

    #[test]
    fn each_legal_form_of_a_value_is_the_same_tweet() {
        let expected = WeatherTweetRequest {
            municipality: 1,
            temperature: 25,
            humidity: 60,
            weather: 1,
        };
        for text in [
            r#"{"municipality":"mixco","temperature":25,"humidity":60,"weather":"sunny"}"#,
            r#"{"municipality":1,"temperature":25,"humidity":60,"weather":1}"#,
            r#"{"municipality":"mixco","temperature":"25","humidity":"60","weather":"sunny"}"#,
            r#"{"municipality":1,"temperature":25.0,"humidity":6e1,"weather":1}"#,
            " {\n\"weather\" : 1, \"humidity\":60,\"temperature\":25,\"municipality\":1 } \n",
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_absent_or_null_reads_as_zero() {
        let zero = Ok(WeatherTweetRequest::default());
        assert_eq!(read("{}"), zero);
        assert_eq!(read(r#"{"municipality":null,"humidity":null}"#), zero);
    }

    #[test]
    fn a_number_without_a_name_is_left_to_validation() {
        assert_eq!(read(r#"{"municipality":99}"#).unwrap().municipality, 99);
    }

    #[test]
    fn what_is_no_tweet_is_refused() {
        for text in [
            "",
            "[]",
            "null",
            "7",
            "{",
            r#"{"humidity":60} x"#,
            r#"{"humidity":60}{}"#,
            r#"{"humidity":25.5}"#,
            r#"{"humidity":2147483648}"#,
            r#"{"humidity":true}"#,
            r#"{"humidity":"a lot"}"#,
            r#"{"humidity":[1]}"#,
            r#"{"municipality":"MIXCO"}"#,
            r#"{"municipality":"villa nueva"}"#,
            r#"{"wind":3}"#,
            "{\"municipality\":\"\u{0}\"}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        let error = read(r#"{"humidity":1,"humidity":1}"#).unwrap_err();
        assert!(error.contains("duplicate key `humidity`"), "{error}");
    }
}
