//! The OpenAPI document of the front, made at start from the descriptor that the routes come from.
//!
//! Paths, messages and comments are the proto's; ranges are those of its validation; limits are the running
//! front's. What no descriptor says (refusals, headers) stands in `responses`.

mod comments;
mod integers;
mod responses;
mod schema;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use clima_proto::id::{IDEMPOTENCY_KEY, KEY_LIMIT};
use clima_proto::wethertweet::{Municipalities, WeatherTweetRequest, Weathers};
use clima_service::ports::ACCEPTED;
use http::header;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::{Map, Value, json};

use self::schema::Schemas;
use crate::bindings::{Binding, BindingError};
use crate::config::Limits;
use crate::json;
use crate::refusal::JSON;

/// Where the document is served.
pub(crate) const PATH: &str = "/openapi.json";

/// A router that serves the document and nothing else.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(document: &Value) -> Router<S> {
    let text = Bytes::from(document.to_string());
    Router::new().route(
        PATH,
        get(async move || {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            response
        }),
    )
}

/// The document of these bindings.
///
/// Version 3.1, whose schemas are JSON Schema: a value that may be a number, a string or null is said in one place.
pub(crate) fn document(
    pool: &DescriptorPool,
    bindings: &[Binding],
    limits: &Limits,
) -> Result<Value, BindingError> {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for (index, binding) in bindings.iter().enumerate() {
        let earlier = bindings[..index].iter();
        let same = earlier
            .filter(|other| other.method == binding.method)
            .count();
        let operation = operation(&binding.method, same, limits, &mut schemas)?;
        let path = paths.entry(&binding.path).or_insert_with(|| json!({}));
        path[binding.verb.as_str().to_lowercase()] = operation;
    }
    let responses = responses::components(pool, limits, &mut schemas)?;
    Ok(json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.into_value(),
            "responses": responses,
            "headers": responses::headers(),
            "parameters": { IDEMPOTENCY_KEY: idempotency_key() },
        },
    }))
}

fn info() -> Value {
    json!({
        "title": "Tweets del Clima",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        "description": "Takes in small reports of the weather. 200 means: the tweet is, or will be, counted exactly once on \
            the path of each broker. Any other answer means: at most once on each. A path that is not listed here is \
            answered with 404. Every refusal is a `google.rpc.Status`.",
    })
}

/// One way to call a method; `same` others were listed before it.
fn operation(
    method: &MethodDescriptor,
    same: usize,
    limits: &Limits,
    schemas: &mut Schemas,
) -> Result<Value, BindingError> {
    let mut responses = responses::references(limits);
    let mut accepted = schemas.answer(&method.output())?;
    accepted["required"] = json!(["status"]);
    accepted["properties"] = json!({ "status": { "const": ACCEPTED } });
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "Accepted: durable in both brokers.",
            "headers": responses::accepted_headers(),
            "content": { "application/json": { "schema": accepted } },
        }),
    );
    let mut body = json!({ "schema": schemas.request(&method.input())? });
    if let Some(example) = example(method) {
        body["example"] = example;
    }
    let ordinal = match same {
        0 => String::new(),
        _ => (same + 1).to_string(),
    };
    let mut operation = json!({
        "operationId": format!("{}{ordinal}", method.name()),
        "tags": [method.parent_service().name()],
        "parameters": [{ "$ref": format!("#/components/parameters/{IDEMPOTENCY_KEY}") }],
        "requestBody": { "required": true, "content": { "application/json": body } },
        "responses": responses,
    });
    let file = method.parent_service().parent_file();
    if let Some(text) = comments::above(&file, method.path()) {
        operation["summary"] = comments::first_sentence(&text).into();
        operation["description"] = text.into();
    }
    Ok(operation)
}

/// A request that is accepted, as its JSON.
fn example(method: &MethodDescriptor) -> Option<Value> {
    let tweet = WeatherTweetRequest {
        municipality: Municipalities::Mixco.into(),
        temperature: 25,
        humidity: 60,
        weather: Weathers::Sunny.into(),
    };
    let mut message = DynamicMessage::new(method.input());
    message.transcode_from(&tweet).ok()?;
    serde_json::from_slice(&json::encode(&message).ok()?).ok()
}

fn idempotency_key() -> Value {
    // What a header can carry (RFC 9110, 5.5), and not blanks alone: those around a value are no part of it.
    let (any, no_blank) = (r"[^\x00-\x08\x0a-\x1f\x7f]", r"[^\x00-\x20\x7f]");
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": format!(
            "Makes repeated requests with the same key and the same content one tweet, for 24 h. 1 to {KEY_LIMIT} bytes, \
             given once. A client that retries with it heals what a failed attempt left undone."
        ),
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": KEY_LIMIT,
            "pattern": format!("^{any}*{no_blank}{any}*$"),
        },
    })
}
