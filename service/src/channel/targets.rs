//! Where the replicas of a service are, as a setting.

use std::str::FromStr;

use tonic::transport::Uri;

/// One or more `http://host:port`, separated by commas: where the replicas of a service are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets(pub(super) Vec<Target>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) uri: Uri,
    pub(super) host: String,
    pub(super) port: u16,
}

impl FromStr for Targets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|url| target(url.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn target(url: &str) -> Result<Target, String> {
    let uri: Uri = url.parse().map_err(|error| format!("`{url}`: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("`{url}`: must start with http://"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(format!("`{url}`: must be http://host:port without a path"));
    }
    let host = uri.host().unwrap_or_default().to_owned();
    let port = uri
        .port_u16()
        .ok_or_else(|| format!("`{url}`: the port is missing"))?;
    Ok(Target { uri, host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_more_urls_are_targets() {
        let targets: Targets = "http://writer:50061, http://127.0.0.1:5".parse().unwrap();
        let found: Vec<_> = targets
            .0
            .iter()
            .map(|target| (target.host.as_str(), target.port))
            .collect();
        assert_eq!(found, [("writer", 50061), ("127.0.0.1", 5)]);
    }

    #[test]
    fn what_is_no_target_is_refused_with_a_reason() {
        for (url, reason) in [
            ("writer:50061", "http://"),
            ("https://writer:1", "http://"),
            ("http://writer", "port"),
            ("http://writer:1/path", "path"),
            ("", "``"),
        ] {
            let error = url.parse::<Targets>().unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
