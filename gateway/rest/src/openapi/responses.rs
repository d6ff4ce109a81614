//! Every answer of the front to a request on a documented path: which status, why, with which headers.

use clima_proto::fate::{DOMAIN, Fate};
use clima_proto::id::TWEET_ID;
use prost_reflect::DescriptorPool;
use serde_json::{Map, Value, json};

use super::schema::Schemas;
use crate::bindings::BindingError;
use crate::config::Limits;

const STATUS: &str = "google.rpc.Status";
const ERROR_INFO: &str = "google.rpc.ErrorInfo";

/// What may stand in the details of a refusal.
const DETAILS: [&str; 3] = [ERROR_INFO, "google.rpc.BadRequest", "google.rpc.RetryInfo"];

/// A refusal: its status, the headers that it has beside `content-type`, and when it comes.
struct Refusal {
    status: u16,
    headers: &'static [Header],
    why: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Allow,
    RetryAfter,
    TweetId,
}

impl Header {
    fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::RetryAfter => "Retry-After",
            Self::TweetId => TWEET_ID,
        }
    }

    fn reference(self) -> Value {
        json!({ "$ref": format!("#/components/headers/{}", self.name()) })
    }
}

fn refusals(limits: &Limits) -> Vec<Refusal> {
    let refusal = |status, headers, why: &str| Refusal {
        status,
        headers,
        why: why.to_owned(),
    };
    let Limits {
        max_body,
        max_headers,
        ..
    } = limits;
    let body_timeout = humantime::format_duration(limits.body_timeout);
    let deadline = humantime::format_duration(limits.deadline);
    vec![
        refusal(
            400,
            &[],
            "The request is not HTTP/1.1, the body is not the JSON of the message, or a value breaks a rule. \
             `google.rpc.BadRequest` has all violations of the message and of its headers at once.",
        ),
        refusal(405, &[Header::Allow], "The path has no such method."),
        refusal(
            408,
            &[],
            &format!("The body did not come within {body_timeout}."),
        ),
        refusal(
            413,
            &[],
            &format!("The body has more than {max_body} bytes."),
        ),
        refusal(414, &[], "The path is too long. The connection is closed."),
        refusal(415, &[], "`content-type` is not `application/json`."),
        refusal(
            429,
            &[Header::RetryAfter, Header::TweetId],
            "Refused for overload: too many tweets are in flight.",
        ),
        refusal(
            431,
            &[],
            &format!(
                "The headers have more than {max_headers} bytes, or are too many. The connection is closed."
            ),
        ),
        refusal(500, &[Header::TweetId], "A fault that nobody foresaw."),
        refusal(
            503,
            &[Header::RetryAfter, Header::TweetId],
            "A part that the tweet needs cannot be reached.",
        ),
        refusal(
            504,
            &[Header::TweetId],
            &format!("There was no answer within {deadline}, retries included."),
        ),
    ]
}

/// References to all refusals, by their status.
pub(super) fn references(limits: &Limits) -> Map<String, Value> {
    let reference = |refusal: Refusal| {
        let status = refusal.status.to_string();
        let reference = json!({ "$ref": format!("#/components/responses/{status}") });
        (status, reference)
    };
    refusals(limits).into_iter().map(reference).collect()
}

/// What the references lead to: `components/responses`.
pub(super) fn components(
    pool: &DescriptorPool,
    limits: &Limits,
    schemas: &mut Schemas,
) -> Result<Value, BindingError> {
    let schema = status(pool, schemas)?;
    let response = |refusal: Refusal| {
        let headers: Map<_, _> = refusal
            .headers
            .iter()
            .map(|header| (header.name().to_owned(), header.reference()))
            .collect();
        let mut response = json!({
            "description": refusal.why,
            "content": { "application/json": { "schema": schema } },
        });
        if !headers.is_empty() {
            response["headers"] = Value::Object(headers);
        }
        (refusal.status.to_string(), response)
    };
    Ok(Value::Object(
        refusals(limits).into_iter().map(response).collect(),
    ))
}

/// The headers of all answers: `components/headers`.
pub(super) fn headers() -> Value {
    json!({
        Header::Allow.name(): {
            "description": "The methods that the path has.",
            "required": true,
            "schema": { "type": "string" },
        },
        Header::RetryAfter.name(): {
            "description": "Seconds to wait before the next attempt.",
            "required": true,
            "schema": { "type": "integer", "minimum": 0 },
        },
        Header::TweetId.name(): {
            "description": "The id under which the tweet is counted, once a tweet has one.",
            "schema": { "type": "string", "pattern": "^[0-9a-f]{32}-[0-9]+$" },
        },
    })
}

/// The headers of an accepted tweet.
pub(super) fn accepted_headers() -> Value {
    let mut header = headers()[TWEET_ID].take();
    header["required"] = true.into();
    json!({ TWEET_ID: header })
}

fn status(pool: &DescriptorPool, schemas: &mut Schemas) -> Result<Value, BindingError> {
    let message = |name| {
        pool.get_message_by_name(name)
            .ok_or(BindingError::Missing(name))
    };
    let mut details = Vec::new();
    for name in DETAILS {
        details.push(schemas.detail(&message(name)?)?);
    }
    let reference = schemas.answer(&message(STATUS)?)?;
    let details = json!({ "items": { "anyOf": details } });
    schemas.refine(STATUS, "details", details);
    let code = json!({ "description": "The gRPC code, by number.", "minimum": 1, "maximum": 16 });
    schemas.refine(STATUS, "code", code);
    let message = json!({ "description": "For people to read." });
    schemas.refine(STATUS, "message", message);
    let domain = json!({ "const": DOMAIN });
    schemas.refine(ERROR_INFO, "domain", domain);
    let reasons = [Fate::NotCounted, Fate::MaybeCounted].map(Fate::reason);
    let reason = json!({
        "enum": reasons,
        "description": "NOT_COUNTED: no path counts the tweet. MAYBE_COUNTED: each path counts it once or not at all.",
    });
    schemas.refine(ERROR_INFO, "reason", reason);
    Ok(reference)
}
