//! What a client can be answered. Which HTTP status goes with which gRPC code is asked of the services' own tables.

use clima_proto::fate::RETRY_AFTER;
use clima_proto::http_code;
use http::StatusCode;
use tonic::Code;

use crate::block::{Block, table};

const NOT: &str = "`NOT_COUNTED`";
const MAYBE: &str = "`MAYBE_COUNTED`";
const EITHER: &str = "either";

/// Outcomes of a tweet: code, reason, when, what to do.
const OUTCOMES: [(Code, &str, &str, &str); 7] = [
    (
        Code::Ok,
        "none",
        "the tweet is durable in the brokers",
        "nothing: it is counted, once on each path",
    ),
    (
        Code::InvalidArgument,
        NOT,
        "the tweet, the key or the JSON breaks a rule; `google.rpc.BadRequest` has every violation",
        "correct it",
    ),
    (
        Code::ResourceExhausted,
        EITHER,
        "as many tweets are in flight as the process takes on; `google.rpc.RetryInfo`",
        "repeat it after `Retry-After`",
    ),
    (
        Code::Unavailable,
        EITHER,
        "a process or a broker cannot be reached, or refuses; `google.rpc.RetryInfo`",
        "repeat it after `Retry-After`",
    ),
    (
        Code::DeadlineExceeded,
        MAYBE,
        "not confirmed before the deadline",
        "repeat it",
    ),
    (
        Code::Internal,
        MAYBE,
        "a fault that nobody foresaw; what it was is in the log",
        "repeat it, and tell the operator",
    ),
    (
        Code::Unimplemented,
        "none",
        "gRPC only: the port has no such method, for example `IngestTweets` at a public port",
        "call another port",
    ),
];

/// What the front refuses before a tweet has an id: status, when, what to do. All are `NOT_COUNTED`.
const FRONT: [(StatusCode, &str, &str); 9] = [
    (
        StatusCode::BAD_REQUEST,
        "the bytes are not HTTP/1.1; the connection is closed",
        "correct it",
    ),
    (StatusCode::NOT_FOUND, "no such path", "correct it"),
    (
        StatusCode::METHOD_NOT_ALLOWED,
        "another method than POST; `Allow` names it",
        "correct it",
    ),
    (
        StatusCode::REQUEST_TIMEOUT,
        "the body did not come within `CLIMA_BODY_TIMEOUT`",
        "repeat it",
    ),
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        "the body is larger than `CLIMA_MAX_BODY`",
        "correct it",
    ),
    (
        StatusCode::URI_TOO_LONG,
        "the path is too long; the connection is closed",
        "correct it",
    ),
    (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "`content-type` is not `application/json`",
        "correct it",
    ),
    (
        StatusCode::TOO_MANY_REQUESTS,
        "`CLIMA_MAX_IN_FLIGHT` requests are in flight",
        "repeat it after `Retry-After`",
    ),
    (
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the headers are larger than `CLIMA_MAX_HEADERS`, or more than 64; the connection is closed",
        "correct it",
    ),
];

/// Two tables, and how long a refused client is asked to wait.
pub(crate) fn blocks() -> Vec<Block> {
    let outcomes = OUTCOMES.map(|(code, reason, when, then)| {
        let http = match code {
            Code::Unimplemented => "–".to_owned(),
            code => http_code::from_grpc(code).as_u16().to_string(),
        };
        vec![
            grpc(code),
            http,
            reason.to_owned(),
            when.to_owned(),
            then.to_owned(),
        ]
    });
    let front = FRONT.map(|(status, when, then)| {
        let code = http_code::to_grpc(status);
        vec![
            status.as_u16().to_string(),
            grpc(code),
            when.to_owned(),
            then.to_owned(),
        ]
    });
    let outcomes = table(&["gRPC", "HTTP", "reason", "when", "then"], &outcomes);
    let front = table(&["HTTP", "`code` in the body", "when", "then"], &front);
    let wait = format!(
        "`Retry-After` and `RetryInfo` ask for {} s.",
        RETRY_AFTER.as_secs()
    );
    vec![
        Block::new("outcomes", format!("{outcomes}\n{wait}")),
        Block::new("front", front),
    ]
}

/// `InvalidArgument` as `INVALID_ARGUMENT (3)`, as the gRPC specification writes it.
fn grpc(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    format!("{name} ({})", i32::from(code))
}
