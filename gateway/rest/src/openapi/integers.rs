//! An integer as proto3 JSON takes it: a number, or a string of decimal digits.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

/// The schema of an integer in `range`.
pub(super) fn schema(range: &RangeInclusive<i32>) -> Value {
    json!({ "type": "integer", "format": "int32", "minimum": range.start(), "maximum": range.end() })
}

/// The schema of the same integer as a string; none for a range without 0, which no field has.
pub(super) fn text_schema(range: &RangeInclusive<i32>) -> Option<Value> {
    if !range.contains(&0) {
        return None;
    }
    let (below, above) = (range.start().unsigned_abs(), range.end().unsigned_abs());
    let pattern = format!("^(?:\\+?0*(?:{})|-0*(?:{}))$", up_to(above), up_to(below));
    Some(json!({ "type": "string", "pattern": pattern }))
}

/// A regular expression of the numbers 0 to `most`, after any leading zeros.
fn up_to(most: u32) -> String {
    let most = most.to_string();
    let mut choices = Vec::new();
    for (at, digit) in most.bytes().enumerate() {
        let rest = most.len() - at - 1;
        let lower = match digit {
            b'0' => continue,
            b'1' => "0".to_owned(),
            _ => format!("[0-{}]", char::from(digit - 1)),
        };
        choices.push(match (at, rest) {
            // Fewer digits than the largest number has.
            (0, 1) => format!("{lower}?[0-9]"),
            (0, 2..) => format!("{lower}?[0-9]{{1,{rest}}}"),
            (_, 0) => format!("{}{lower}", &most[..at]),
            _ => format!("{}{lower}[0-9]{{{rest}}}", &most[..at]),
        });
    }
    choices.push(most);
    choices.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_of_a_range_names_its_ends() {
        let pattern = |range| text_schema(&range).unwrap()["pattern"].clone();
        assert_eq!(
            pattern(-90..=60),
            "^(?:\\+?0*(?:[0-5]?[0-9]|60)|-0*(?:[0-8]?[0-9]|90))$"
        );
        assert_eq!(
            pattern(0..=100),
            "^(?:\\+?0*(?:0?[0-9]{1,2}|100)|-0*(?:0))$"
        );
        assert!(text_schema(&(1..=2)).is_none());
    }

    #[test]
    fn each_digit_of_the_largest_number_bounds_the_ones_below_it() {
        assert_eq!(up_to(325), "[0-2]?[0-9]{1,2}|3[0-1][0-9]{1}|32[0-4]|325");
    }
}
