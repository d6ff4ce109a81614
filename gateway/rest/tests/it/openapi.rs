//! The OpenAPI document, and whether the front does what it says.

use clima_testing::upstream::Act;
use serde_json::{Value, json};
use tonic::Status;

use super::front::Front;
use super::http::{Answer, TWEET, request, tweet};

const PATH: &str = "/openapi.json";

async fn document(front: &Front) -> Value {
    let answer = front.ask(request("GET", PATH, &[], b"")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// What a reference leads to; the value itself where it is none.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.strip_prefix('#').unwrap())
            .unwrap(),
        None => value,
    }
}

fn operations(document: &Value) -> Vec<(&str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap();
            assert_eq!(methods.keys().collect::<Vec<_>>(), ["post"], "{path}");
            methods
                .values()
                .map(move |operation| (path.as_str(), operation))
        })
        .collect()
}

fn request_schema<'a>(document: &'a Value, operation: &'a Value) -> &'a Value {
    resolved(
        document,
        &operation["requestBody"]["content"]["application/json"]["schema"],
    )
}

/// The answer is one that the document has, with the headers that it promises and no others of its own.
fn assert_documented(document: &Value, answer: &Answer) {
    let (_, operation) = operations(document)[0];
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "not documented: {answer:?}");
    let response = resolved(document, response);
    let none = json!({});
    let headers = response
        .get("headers")
        .unwrap_or(&none)
        .as_object()
        .unwrap();
    for (name, header) in headers {
        if resolved(document, header)["required"] == true {
            assert!(answer.header(&name.to_lowercase()).is_some(), "{answer:?}");
        }
    }
    for name in ["allow", "retry-after", "clima-tweet-id"] {
        let told = headers.keys().any(|known| known.to_lowercase() == name);
        assert!(told || answer.header(name).is_none(), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn the_document_is_there_to_be_read_and_for_nothing_else() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let document = document(&front).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut connection = front.connect().await;
    connection.send(request("HEAD", PATH, &[], b"")).await;
    let head = connection.answer_to_head().await.expect("an answer");
    let length = head.header("content-length").unwrap();
    assert_eq!(
        (head.status, length),
        (200, document.to_string().len().to_string().as_str())
    );
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = front.ask(request(method, PATH, &[], b"")).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method}");
        assert_eq!(
            (answer.json()["code"].clone(), answer.fate()),
            (json!(12), "NOT_COUNTED".to_owned())
        );
    }
    assert!(upstream.calls().is_empty());
}

#[tokio::test]
async fn each_path_of_the_proto_is_documented_with_an_example_that_is_accepted() {
    let (front, upstream) = Front::with_upstream(&[]).await;
    let document = document(&front).await;
    let operations = operations(&document);
    let paths: Vec<_> = operations.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, ["/clima", "/v1/tweets"]);
    let ids: Vec<_> = operations
        .iter()
        .map(|(_, operation)| &operation["operationId"])
        .collect();
    assert_eq!(ids, ["SendTweet2", "SendTweet"]);
    for (path, operation) in operations {
        let content = &operation["requestBody"]["content"];
        let media: Vec<_> = content.as_object().unwrap().keys().collect();
        assert_eq!(media, ["application/json"]);
        let example = content["application/json"]["example"].to_string();
        let headers = ["content-type: application/json"];
        let answer = front
            .ask(request("POST", path, &headers, example.as_bytes()))
            .await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_documented(&document, &answer);
    }
    assert_eq!(upstream.calls().len(), 2);
}

#[tokio::test]
async fn each_documented_value_is_accepted_and_the_next_one_is_not() {
    let (front, _upstream) = Front::with_upstream(&[]).await;
    let document = document(&front).await;
    let schema = request_schema(&document, operations(&document)[0].1);
    let names = |field: &str| schema["properties"][field]["anyOf"][0]["enum"].clone();
    assert_eq!(
        names("municipality"),
        json!(["mixco", "guatemala", "amatitlan", "chinautla"])
    );
    assert_eq!(
        names("weather"),
        json!(["sunny", "cloudy", "rainy", "foggy"])
    );
    let mut tried = 0;
    for (field, property) in schema["properties"].as_object().unwrap() {
        let mut accepted = Vec::new();
        let mut refused = vec![json!(true), json!([]), json!({}), json!(0.5), json!("")];
        for form in property["anyOf"].as_array().unwrap() {
            let values = form["enum"].as_array().cloned().unwrap_or_default();
            accepted.extend(values);
            match (
                form["type"].as_str().unwrap(),
                &form["minimum"],
                &form["maximum"],
            ) {
                ("integer", Value::Number(least), Value::Number(most)) => {
                    let (least, most) = (least.as_i64().unwrap(), most.as_i64().unwrap());
                    for value in [least, most] {
                        accepted.extend([json!(value), json!(value.to_string())]);
                    }
                    for value in [least - 1, most + 1] {
                        refused.extend([json!(value), json!(value.to_string())]);
                    }
                }
                ("integer", ..) => refused.extend([json!(0), json!(5), json!(-1)]),
                ("null", ..) => accepted.push(json!(null)),
                _ => {}
            }
        }
        if !accepted.contains(&json!(null)) {
            refused.push(json!(null));
        }
        for (values, status) in [(accepted, 200), (refused, 400)] {
            assert!(values.len() > 4, "{field}: {values:?}");
            for value in values {
                let mut body: Value = serde_json::from_str(TWEET).unwrap();
                body[field] = value;
                let answer = front.send(&[], &body.to_string()).await;
                assert_eq!(answer.status, status, "{body}: {answer:?}");
                assert_documented(&document, &answer);
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
    let required = schema["required"].as_array().unwrap();
    for field in ["municipality", "temperature", "humidity", "weather"] {
        let mut body: Value = serde_json::from_str(TWEET).unwrap();
        body.as_object_mut().unwrap().remove(field);
        let accepted = front.send(&[], &body.to_string()).await.status == 200;
        assert_eq!(accepted, !required.contains(&json!(field)), "{field}");
    }
}

#[tokio::test]
async fn each_refusal_of_the_front_is_one_that_is_documented() {
    let settings = [
        "--max-body=100",
        "--max-in-flight=1",
        "--body-timeout=100ms",
    ];
    let (front, upstream) = Front::with_upstream(&settings).await;
    let document = document(&front).await;
    let ask = async |status: u16, bytes: Vec<u8>| {
        let answer = front.ask(bytes).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_documented(&document, &answer);
    };
    ask(400, tweet(&[], "{}")).await;
    ask(400, b"hello\r\n\r\n".to_vec()).await;
    ask(405, request("GET", "/v1/tweets", &[], b"")).await;
    ask(408, tweet(&[], TWEET)[..100].to_vec()).await;
    ask(413, tweet(&[], &" ".repeat(101))).await;
    ask(415, request("POST", "/v1/tweets", &[], b"")).await;
    ask(431, tweet(&vec!["x-many: 1"; 100], TWEET)).await;
    upstream.always(Act::Hold);
    let mut waiting = front.connect().await;
    waiting.send(tweet(&[], TWEET)).await;
    upstream.received(1).await;
    ask(429, tweet(&[], TWEET)).await;
}

#[tokio::test]
async fn each_failure_behind_the_front_is_one_that_is_documented() {
    let (front, upstream) = Front::with_upstream(&["--deadline=500ms"]).await;
    let document = document(&front).await;
    let rows = [
        (Act::Silence, &[504][..]),
        // The deadline may pass in the middle of the last attempt.
        (Act::Fail(Status::unavailable("down")), &[503, 504]),
        (
            Act::Items(vec![Err(Status::resource_exhausted("full"))]),
            &[429],
        ),
        (Act::Items(vec![Err(Status::internal("broken"))]), &[500]),
    ];
    for (act, statuses) in rows {
        upstream.always(act);
        let answer = front.send(&[], TWEET).await;
        assert!(statuses.contains(&answer.status), "{answer:?}");
        assert_documented(&document, &answer);
    }
}

#[tokio::test]
async fn the_document_tells_the_limits_of_this_front_and_the_comments_of_the_proto() {
    let settings = [
        "--max-body=100",
        "--max-headers=8192",
        "--deadline=7s",
        "--body-timeout=3s",
    ];
    let (front, _upstream) = Front::with_upstream(&settings).await;
    let document = document(&front).await;
    let responses = &document["components"]["responses"];
    for (status, limit) in [
        ("408", "3s"),
        ("413", "100 bytes"),
        ("431", "8192 bytes"),
        ("504", "7s"),
    ] {
        let text = responses[status]["description"].as_str().unwrap();
        assert!(text.contains(limit), "{text}");
    }
    let (_, operation) = operations(&document)[1];
    assert_eq!(operation["summary"], "Accepts one tweet");
    let text = operation["description"].as_str().unwrap();
    assert!(text.contains("counted exactly once"), "{text}");
    let schema = request_schema(&document, operation);
    let text = schema["description"].as_str().unwrap();
    assert!(text.starts_with("A report of the weather"), "{text}");
    let humidity = schema["properties"]["humidity"]["description"].as_str();
    let text = humidity.unwrap();
    assert!(text.starts_with("Relative humidity"), "{text}");
}

#[tokio::test]
async fn the_key_has_the_limits_that_are_documented() {
    let (front, _upstream) = Front::with_upstream(&[]).await;
    let document = document(&front).await;
    let (_, operation) = operations(&document)[0];
    let parameter = resolved(&document, &operation["parameters"][0]);
    assert_eq!(
        (&parameter["name"], &parameter["in"]),
        (&json!("Idempotency-Key"), &json!("header"))
    );
    let most = usize::try_from(parameter["schema"]["maxLength"].as_u64().unwrap()).unwrap();
    for (length, status) in [(0, 400), (1, 200), (most, 200), (most + 1, 400)] {
        let key = format!("idempotency-key: {}", "k".repeat(length));
        let answer = front.send(&[&key], TWEET).await;
        assert_eq!(answer.status, status, "{length}: {answer:?}");
        assert_documented(&document, &answer);
    }
}
