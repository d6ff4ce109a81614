//! From an HTTP request to a tweet, and from its fate to an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use clima_proto::descriptors;
use clima_proto::fate::Fate;
use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID, TweetId};
use clima_proto::intake::{self, Intake};
use clima_proto::wethertweet::{WeatherTweetRequest, WeatherTweetResponse};
use clima_service::ingest::IngestClient;
use clima_service::ports::{ACCEPTED, PUBLIC_SERVICE, TweetMetrics};
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tonic_types::ErrorDetails;

use crate::bindings::{self, BindingError};
use crate::config::Limits;
use crate::json;
use crate::openapi;
use crate::refusal::{JSON, Refusal};

/// The method that the front knows how to forward.
const SEND_TWEET: &str = "wethertweet.WeatherTweetService.SendTweet";

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Front {
    intake: Intake,
    gateway: IngestClient,
    limits: Limits,
    in_flight: Semaphore,
    /// What is answered beyond the limit.
    too_many: Refusal,
    metrics: TweetMetrics,
}

impl Front {
    pub(crate) fn new(
        intake: Intake,
        gateway: IngestClient,
        limits: Limits,
        metrics: TweetMetrics,
    ) -> Arc<Self> {
        metrics.limited_to(limits.max_in_flight as usize);
        Arc::new(Self {
            intake,
            gateway,
            in_flight: Semaphore::new(limits.max_in_flight as usize),
            too_many: Refusal::own(StatusCode::TOO_MANY_REQUESTS, "too many requests in flight"),
            limits,
            metrics,
        })
    }
}

/// The routes of the public service, as its proto maps them.
pub(crate) fn router(front: Arc<Front>) -> Result<Router, BindingError> {
    let pool = descriptors::pool();
    let bindings = bindings::read(&pool, PUBLIC_SERVICE)?;
    let document = openapi::document(&pool, &bindings, &front.limits)?;
    let mut router = openapi::router(&document);
    for binding in bindings {
        if binding.method.full_name() != SEND_TWEET {
            return Err(BindingError::Unsupported {
                method: binding.method.full_name().to_owned(),
                reason: "is not a method that the front forwards",
            });
        }
        let types = (binding.method.input(), binding.method.output());
        let handler = async move |State(front): State<Arc<Front>>, request: Request| {
            front.send_tweet(types, request).await
        };
        let filter = MethodFilter::try_from(binding.verb).unwrap_or(MethodFilter::POST);
        let route: MethodRouter<Arc<Front>> = on(filter, handler);
        router = router.route(&binding.path, route);
    }
    let router = router.method_not_allowed_fallback(method_not_allowed);
    Ok(router.fallback(not_found).with_state(front))
}

async fn not_found(State(front): State<Arc<Front>>) -> Refusal {
    front.refuse(StatusCode::NOT_FOUND, "no such path")
}

async fn method_not_allowed(State(front): State<Arc<Front>>) -> Refusal {
    front.refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        "the path has no such method",
    )
}

impl Front {
    /// The answer to a request that comes when as many as may be are in flight; none when there is a place. It is asked
    /// before a request is even routed: refusing has to cost least when there is most to do. So it is told to every POST,
    /// also one that would be refused for another reason.
    pub(crate) fn shed(&self, verb: &Method) -> Option<Response> {
        if self.in_flight.available_permits() > 0 || verb != Method::POST {
            return None;
        }
        Some(self.refuse_for_overload())
    }

    fn refuse_for_overload(&self) -> Response {
        self.metrics
            .refused(Code::ResourceExhausted, Fate::NotCounted);
        self.too_many.clone().into_response()
    }

    /// Refuses what is not for any method of the service.
    fn refuse(&self, http: StatusCode, message: &str) -> Refusal {
        let refusal = Refusal::own(http, message);
        let status = refusal.status();
        self.metrics.refused(status.code(), Fate::of(status));
        refusal
    }

    async fn send_tweet(
        &self,
        (input, output): (MessageDescriptor, MessageDescriptor),
        request: Request,
    ) -> Response {
        // Before anything else is done for the request, its body read above all.
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return self.refuse_for_overload();
        };
        let arrival = self.metrics.arrived();
        let outcome = self.accept(input, request, arrival.at()).await;
        let (response, outcome) = match outcome {
            Ok(id) => (accepted(output, id), Ok(())),
            Err(refusal) => {
                let status = refusal.status().clone();
                (refusal.into_response(), Err(status))
            }
        };
        arrival.answered(&outcome);
        response
    }

    async fn accept(
        &self,
        input: MessageDescriptor,
        request: Request,
        started: Instant,
    ) -> Result<TweetId, Refusal> {
        let _in_flight = self.metrics.admitted();
        let (parts, body) = request.into_parts();
        check_content_type(&parts.headers)?;
        let body = read(
            body,
            self.limits.max_body as usize,
            self.limits.body_timeout,
        )
        .await?;
        let tweet = transcode(input, &body)?;
        let keys = parts.headers.get_all(IDEMPOTENCY_KEY);
        let (id, event) = self
            .intake
            .admit(tweet, keys.iter().map(|key| key.as_bytes()))?;
        let outcome = self
            .gateway
            .ingest(&event, started + self.limits.deadline)
            .await;
        match outcome {
            Ok(()) => Ok(id),
            Err(status) => Err(Refusal::from(status).with_id(id)),
        }
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().unwrap_or_default(),
        _ => "",
    };
    let essence = essence.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::own(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content-type must be application/json",
    ))
}

async fn read(body: Body, limit: usize, time: Duration) -> Result<Bytes, Refusal> {
    let collected = timeout(time, Limited::new(body, limit).collect())
        .await
        .map_err(|_| Refusal::own(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::own(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {limit} bytes"),
        )),
        Err(_) => Err(Refusal::own(
            StatusCode::BAD_REQUEST,
            "the body cannot be read",
        )),
    }
}

/// The request message of a body. What cannot be decoded is one violation, of the body.
fn transcode(input: MessageDescriptor, body: &[u8]) -> Result<WeatherTweetRequest, Status> {
    let violation = |reason: String| {
        let details = ErrorDetails::with_bad_request_violation("body", reason);
        intake::invalid("the body is not a tweet", details)
    };
    let message = json::decode(input, body).map_err(|error| violation(error.to_string()))?;
    message
        .transcode_to()
        .map_err(|error| violation(error.to_string()))
}

fn accepted(output: MessageDescriptor, id: TweetId) -> Response {
    let mut message = DynamicMessage::new(output);
    let answer = WeatherTweetResponse {
        status: ACCEPTED.to_owned(),
    };
    let body = message
        .transcode_from(&answer)
        .ok()
        .and_then(|()| json::encode(&message).ok())
        .unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    if let Ok(id) = id.to_string().try_into() {
        response.headers_mut().insert(TWEET_ID, id);
    }
    response
}
