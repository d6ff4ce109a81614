//! Which pages may call, as browsers ask it (the CORS protocol of the Fetch standard).

use std::str::FromStr;
use std::time::Duration;

use clima_proto::id::{IDEMPOTENCY_KEY, TWEET_ID};
use http::{HeaderName, HeaderValue, Method, Uri, header};
use tonic::Status;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it was allowed.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// Where a page comes from, as browsers write it in `Origin`; or any place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `*`: every page of every site.
    Any,
    /// Scheme, host, and port unless it is the scheme's own, in lower case.
    Exactly(HeaderValue),
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be *, or http:// or https:// and a host, with a port or without, and nothing else")]
pub struct OriginError;

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let text = text.to_ascii_lowercase();
        let uri: Uri = text.parse().map_err(|_| OriginError)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(OriginError);
        };
        let own_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(OriginError),
        };
        // Put together again from what an origin has: with anything else in it, the text was another one.
        let port = authority.port_u16().map(|port| format!(":{port}"));
        let origin = format!(
            "{scheme}://{}{}",
            authority.host(),
            port.unwrap_or_default()
        );
        if text != origin || text.contains('*') {
            return Err(OriginError);
        }
        let text = text.strip_suffix(own_port).unwrap_or(&text);
        text.parse().map(Self::Exactly).map_err(|_| OriginError)
    }
}

/// What these origins may do; none where there are none, and browsers then keep foreign pages out.
pub(super) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    let listed: Option<Vec<HeaderValue>> = origins
        .iter()
        .map(|origin| match origin {
            Origin::Any => None,
            Origin::Exactly(origin) => Some(origin.clone()),
        })
        .collect();
    let allowed = match listed {
        Some(none) if none.is_empty() => return None,
        Some(listed) => AllowOrigin::list(listed),
        None => AllowOrigin::any(),
    };
    let own = HeaderName::from_static;
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::POST])
            .allow_headers([
                header::CONTENT_TYPE,
                own(IDEMPOTENCY_KEY),
                own("grpc-timeout"),
                own("x-grpc-web"),
                own("x-user-agent"),
            ])
            .expose_headers([
                Status::GRPC_STATUS,
                Status::GRPC_MESSAGE,
                Status::GRPC_STATUS_DETAILS,
                own(TWEET_ID),
                header::RETRY_AFTER,
            ])
            .max_age(MAX_AGE),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_browsers_write_it() {
        for (text, origin) in [
            ("https://clima.example", "https://clima.example"),
            ("HTTPS://Clima.Example:443", "https://clima.example"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://127.0.0.1:443", "http://127.0.0.1:443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            let origin = HeaderValue::from_static(origin);
            assert_eq!(text.parse(), Ok(Origin::Exactly(origin)), "{text}");
        }
        assert_eq!("*".parse(), Ok(Origin::Any));
    }

    #[test]
    fn what_no_browser_would_write_is_no_origin() {
        for text in [
            "",
            "null",
            "clima.example",
            "//clima.example",
            "https://",
            "https://clima.example/",
            "https://clima.example/page",
            "https://clima.example?x",
            "https://clima.example#x",
            "https://user@clima.example",
            "https://*.clima.example",
            "https://clima.example:",
            "https://clima.example:99999",
            "ftp://clima.example",
            "https://clima.example https://other.example",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(OriginError), "{text}");
        }
    }

    #[test]
    fn any_among_others_is_any_and_none_is_no_layer() {
        assert!(layer(&[]).is_none());
        let some = "http://localhost".parse().unwrap();
        assert!(layer(&[some, Origin::Any]).is_some());
    }
}
