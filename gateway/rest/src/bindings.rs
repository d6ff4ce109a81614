//! The HTTP mapping of a service, read out of its descriptor.
//!
//! The proto is the only place where a path stands. What is read is `google.api.http` with its
//! `additional_bindings`; what this front cannot serve is refused at start, not at the first request.

use http::Method;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};

/// One way to call a method over HTTP, with the whole body as the request message.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) verb: Method,
    pub(crate) path: String,
    pub(crate) method: MethodDescriptor,
}

/// Why the mapping cannot be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BindingError {
    #[error("the descriptor has no {0}")]
    Missing(&'static str),
    #[error("{method}: {reason}")]
    Unsupported {
        method: String,
        reason: &'static str,
    },
}

const HTTP: &str = "google.api.http";

/// All bindings of `service`.
pub(crate) fn read(
    pool: &DescriptorPool,
    service: &'static str,
) -> Result<Vec<Binding>, BindingError> {
    let service = pool
        .get_service_by_name(service)
        .ok_or(BindingError::Missing(service))?;
    let http = pool
        .get_extension_by_name(HTTP)
        .ok_or(BindingError::Missing(HTTP))?;
    let mut bindings = Vec::new();
    for method in service.methods() {
        let options = method.options();
        let rule = options.get_extension(&http);
        let Some(rule) = rule.as_message().filter(|_| options.has_extension(&http)) else {
            continue;
        };
        bindings.push(binding(&method, rule)?);
        let more = rule.get_field_by_name("additional_bindings");
        for rule in more
            .iter()
            .filter_map(|more| more.as_list())
            .flatten()
            .filter_map(|rule| rule.as_message())
        {
            bindings.push(binding(&method, rule)?);
        }
    }
    Ok(bindings)
}

fn binding(method: &MethodDescriptor, rule: &DynamicMessage) -> Result<Binding, BindingError> {
    let unsupported = |reason| BindingError::Unsupported {
        method: method.full_name().to_owned(),
        reason,
    };
    let text = |field: &str| {
        rule.get_field_by_name(field)
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    if method.is_client_streaming() || method.is_server_streaming() {
        return Err(unsupported("is a stream"));
    }
    if text("body") != "*" || !text("response_body").is_empty() {
        return Err(unsupported("must map the whole message to the body"));
    }
    let (verb, path) = [
        ("post", Method::POST),
        ("put", Method::PUT),
        ("patch", Method::PATCH),
    ]
    .into_iter()
    .find_map(|(field, verb)| Some((verb, text(field))).filter(|(_, path)| !path.is_empty()))
    .ok_or_else(|| unsupported("must be a POST, PUT or PATCH"))?;
    if path.contains(['{', '*', ':']) {
        return Err(unsupported("has a path with variables"));
    }
    Ok(Binding {
        verb,
        path,
        method: method.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clima_proto::descriptors;

    #[test]
    fn the_protos_own_annotations_are_the_routes() {
        let bindings = read(&descriptors::pool(), "wethertweet.WeatherTweetService").unwrap();
        let routes: Vec<_> = bindings
            .iter()
            .map(|binding| (binding.verb.as_str(), binding.path.as_str()))
            .collect();
        assert_eq!(routes, [("POST", "/v1/tweets"), ("POST", "/clima")]);
        assert!(
            bindings
                .iter()
                .all(|binding| binding.method.name() == "SendTweet")
        );
    }

    #[test]
    fn a_service_without_annotations_has_no_routes() {
        let bindings = read(&descriptors::pool(), "clima.v1.TweetIngestService").unwrap();
        assert!(bindings.is_empty());
    }
}
