//! What is a tweet in JSON, and what is not.

use clima_proto::wethertweet::WeatherTweetRequest;

use crate::front::{Front, JSON, TWEET};
use crate::http;

const fn tweet(
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

#[tokio::test]
async fn each_legal_form_of_a_tweet_reaches_the_gateway_as_what_it_says() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    let cases = [
        (TWEET, tweet(1, 25, 60, 1)),
        (
            r#"{"municipality":1,"temperature":25,"humidity":60,"weather":1}"#,
            tweet(1, 25, 60, 1),
        ),
        (
            r#"{"municipality":"guatemala","temperature":"25","humidity":"60","weather":"cloudy"}"#,
            tweet(2, 25, 60, 2),
        ),
        (
            r#"{"municipality":"amatitlan","temperature":25.0,"humidity":6e1,"weather":"rainy"}"#,
            tweet(3, 25, 60, 3),
        ),
        (
            r#"{"municipality":"chinautla","temperature":-90,"humidity":0,"weather":"foggy"}"#,
            tweet(4, -90, 0, 4),
        ),
        (
            r#"{"municipality":4,"temperature":60,"humidity":100,"weather":4}"#,
            tweet(4, 60, 100, 4),
        ),
        // A number that is absent, or null, is 0.
        (
            r#"{"municipality":"mixco","weather":"sunny"}"#,
            tweet(1, 0, 0, 1),
        ),
        (
            r#"{"municipality":"mixco","temperature":null,"humidity":null,"weather":"sunny"}"#,
            tweet(1, 0, 0, 1),
        ),
        (
            " {\n\t\"weather\" : \"sunny\", \"municipality\":\"mixco\" }\r\n",
            tweet(1, 0, 0, 1),
        ),
    ];
    for path in ["/v1/tweets", "/clima", "/v1/tweets?from=a%20form"] {
        for (body, expected) in cases {
            let before = gateway.calls().len();
            let answer = front.ask("POST", path, &[JSON], body.as_bytes()).await;
            assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
            assert_eq!(answer.body, r#"{"status":"accepted"}"#);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let events = gateway.calls().pop().unwrap().events;
            assert_eq!(gateway.calls().len(), before + 1);
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].tweet, Some(expected), "{body}");
            assert_eq!(events[0].schema_version, 1);
        }
    }
    let chunked = http::chunked("/v1/tweets", &[JSON], TWEET.as_bytes());
    assert_eq!(http::send(front.address, chunked).await.status, 200);
}

/// Bodies that are no valid tweet, and the fields that are told to be wrong: `body` for what cannot be read.
const WRONG: [(&str, &str, &[&str]); 46] = [
    ("nothing", "", &["body"]),
    ("space", " \n", &["body"]),
    ("null", "null", &["body"]),
    ("a number", "7", &["body"]),
    ("a string", r#""mixco""#, &["body"]),
    ("a list", "[]", &["body"]),
    (
        "a list of a tweet",
        r#"[{"municipality":1,"weather":1}]"#,
        &["body"],
    ),
    (
        "half an object",
        r#"{"municipality":1,"weather":1"#,
        &["body"],
    ),
    (
        "a comma too many",
        r#"{"municipality":1,"weather":1,}"#,
        &["body"],
    ),
    ("single quotes", "{'municipality':1,'weather':1}", &["body"]),
    (
        "a comment",
        r#"{"municipality":1,"weather":1/**/}"#,
        &["body"],
    ),
    (
        "a mark of byte order",
        "\u{feff}{\"municipality\":1,\"weather\":1}",
        &["body"],
    ),
    (
        "garbage after it",
        r#"{"municipality":1,"weather":1} x"#,
        &["body"],
    ),
    (
        "a second tweet",
        r#"{"municipality":1,"weather":1}{}"#,
        &["body"],
    ),
    ("a form", "municipality=mixco&weather=sunny", &["body"]),
    (
        "a key twice",
        r#"{"municipality":1,"weather":1,"weather":2}"#,
        &["body"],
    ),
    (
        "the same twice",
        r#"{"municipality":1,"municipality":1,"weather":1}"#,
        &["body"],
    ),
    (
        "a key twice, escaped",
        r#"{"municipality":1,"weather":1,"we\u0061ther":1}"#,
        &["body"],
    ),
    (
        "an unknown field",
        r#"{"municipality":1,"weather":1,"wind":3}"#,
        &["body"],
    ),
    (
        "another case of a field",
        r#"{"Municipality":1,"weather":1}"#,
        &["body"],
    ),
    (
        "an id from outside",
        r#"{"municipality":1,"weather":1,"source":"AA=="}"#,
        &["body"],
    ),
    (
        "an unknown name",
        r#"{"municipality":"villa nueva","weather":1}"#,
        &["body"],
    ),
    (
        "another case of a name",
        r#"{"municipality":"MIXCO","weather":1}"#,
        &["body"],
    ),
    (
        "a number as a name",
        r#"{"municipality":"one","weather":1}"#,
        &["body"],
    ),
    (
        "half a municipality",
        r#"{"municipality":1.5,"weather":1}"#,
        &["body"],
    ),
    (
        "a weather of truth",
        r#"{"municipality":1,"weather":true}"#,
        &["body"],
    ),
    (
        "half a degree",
        r#"{"municipality":1,"temperature":25.5,"weather":1}"#,
        &["body"],
    ),
    (
        "half a degree as text",
        r#"{"municipality":1,"temperature":"25.5","weather":1}"#,
        &["body"],
    ),
    (
        "words",
        r#"{"municipality":1,"temperature":"hot","weather":1}"#,
        &["body"],
    ),
    (
        "2^31",
        r#"{"municipality":1,"temperature":2147483648,"weather":1}"#,
        &["body"],
    ),
    (
        "-2^31-1 as text",
        r#"{"municipality":1,"humidity":"-2147483649","weather":1}"#,
        &["body"],
    ),
    (
        "a huge number",
        r#"{"municipality":1,"humidity":1e400,"weather":1}"#,
        &["body"],
    ),
    (
        "not a number",
        r#"{"municipality":1,"humidity":NaN,"weather":1}"#,
        &["body"],
    ),
    (
        "an object for a number",
        r#"{"municipality":1,"humidity":{},"weather":1}"#,
        &["body"],
    ),
    ("no field", "{}", &["municipality", "weather"]),
    ("no municipality", r#"{"weather":1}"#, &["municipality"]),
    ("no weather", r#"{"municipality":1}"#, &["weather"]),
    (
        "null names",
        r#"{"municipality":null,"weather":null}"#,
        &["municipality", "weather"],
    ),
    (
        "the unknown ones",
        r#"{"municipality":0,"weather":0}"#,
        &["municipality", "weather"],
    ),
    (
        "a number without a name",
        r#"{"municipality":99,"weather":-1}"#,
        &["municipality", "weather"],
    ),
    (
        "-91 degrees",
        r#"{"municipality":1,"temperature":-91,"weather":1}"#,
        &["temperature"],
    ),
    (
        "61 degrees",
        r#"{"municipality":1,"temperature":61,"weather":1}"#,
        &["temperature"],
    ),
    (
        "-1 per cent",
        r#"{"municipality":1,"humidity":-1,"weather":1}"#,
        &["humidity"],
    ),
    (
        "101 per cent",
        r#"{"municipality":1,"humidity":101,"weather":1}"#,
        &["humidity"],
    ),
    (
        "the ends of 32 bits",
        r#"{"municipality":1,"temperature":-2147483648,"humidity":2147483647,"weather":1}"#,
        &["temperature", "humidity"],
    ),
    (
        "everything wrong",
        r#"{"municipality":5,"temperature":99,"humidity":"200","weather":5}"#,
        &["municipality", "temperature", "humidity", "weather"],
    ),
];

#[tokio::test]
async fn what_is_no_valid_tweet_is_refused_with_every_violation_and_goes_nowhere() {
    let (front, gateway) = Front::with_gateway(&[]).await;
    for (what, body, fields) in WRONG {
        let answer = front.post(&[], body).await;
        answer.assert_refusal(400, 3, "NOT_COUNTED", what);
        assert_eq!(answer.violations(), fields, "{what}: {answer:?}");
    }
    let bytes: [(&str, &[u8]); 3] = [
        (
            "bad UTF-8",
            b"{\"municipality\":\"mix\xffco\",\"weather\":1}",
        ),
        (
            "half of UTF-16",
            br#"{"municipality":"\ud800","weather":1}"#,
        ),
        ("zeros", &[0; 64]),
    ];
    for (what, body) in bytes {
        let answer = front.post(&[], body).await;
        answer.assert_refusal(400, 3, "NOT_COUNTED", what);
        assert_eq!(answer.violations(), ["body"], "{what}");
    }
    let deep = "[".repeat(4_000);
    front
        .post(&[], deep)
        .await
        .assert_refusal(400, 3, "NOT_COUNTED", "a deep list");
    assert!(gateway.calls().is_empty());
}
