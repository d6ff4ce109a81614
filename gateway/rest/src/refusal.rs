//! Refusals: always `google.rpc.Status` as JSON, whoever produced them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use clima_proto::descriptors;
use clima_proto::fate::{Fate, RETRY_AFTER, to_message};
use clima_proto::http_code;
use clima_proto::id::{TWEET_ID, TweetId};
use http::{HeaderValue, StatusCode, header};
use prost_reflect::DynamicMessage;
use tonic::Status;

use crate::json;

/// What a client is told instead of 200.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    http: StatusCode,
    status: Status,
    /// The status as JSON.
    body: Bytes,
    id: Option<TweetId>,
}

impl Refusal {
    /// A refusal of the front itself, before anything left.
    pub(crate) fn own(http: StatusCode, message: impl Into<String>) -> Self {
        let status = Fate::NotCounted.status(http_code::to_grpc(http), message);
        Self::new(http, status)
    }

    fn new(http: StatusCode, status: Status) -> Self {
        Self {
            http,
            body: body(&status).into(),
            status,
            id: None,
        }
    }

    /// The status that it tells.
    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    /// The body of the answer: the status as JSON.
    pub(crate) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// The answer to a tweet that had its id already.
    pub(crate) fn with_id(mut self, id: TweetId) -> Self {
        self.id = Some(id);
        self
    }
}

/// A gRPC status, by the table of grpc-gateway.
impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::new(http_code::from_grpc(status.code()), status)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.http;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        if matches!(
            self.http,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
        }
        if let Some(id) = self.id.and_then(|id| id.to_string().try_into().ok()) {
            headers.insert(TWEET_ID, id);
        }
        response
    }
}

/// Media type of every body of ours.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn body(status: &Status) -> Vec<u8> {
    let encoded = descriptors::pool()
        .get_message_by_name("google.rpc.Status")
        .and_then(|descriptor| {
            let mut message = DynamicMessage::new(descriptor);
            message
                .transcode_from(&to_message(&Err(status.clone())))
                .ok()?;
            json::encode(&message).ok()
        });
    encoded.unwrap_or_else(|| {
        // A detail that the descriptor set does not know, sent by a newer build: the rest is still true.
        tracing::warn!(code = ?status.code(), "cannot print the details of a status");
        serde_json::json!({ "code": i32::from(status.code()), "message": status.message() })
            .to_string()
            .into_bytes()
    })
}
