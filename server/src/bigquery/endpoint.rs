//! The address of BigQuery's REST API, and URLs in it.

use std::net::IpAddr;

use reqwest::Url;

use super::BigQueryError;

/// Where the resources of the API begin.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    base: Url,
}

impl Endpoint {
    /// The API at this address, with or without the path `/bigquery/v2`.
    pub(super) fn new(address: &str) -> Result<Self, BigQueryError> {
        let unusable = |why: &str| {
            BigQueryError::Settings(format!(
                "`endpoint` {address:?} cannot be used: {why}; an address is such as http://127.0.0.1:9050"
            ))
        };
        let mut base = Url::parse(address).map_err(|error| unusable(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(unusable("it is no http or https address"));
        }
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/bigquery/v2").unwrap_or(path);
        base.set_path(&format!("{path}/bigquery/v2"));
        base.set_query(None);
        Ok(Self { base })
    }

    /// The URL of a resource; each part of its path is escaped.
    pub(super) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Host and port, for messages.
    pub(super) fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Whether it is on this machine, where no proxy leads.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.base)
    }
}

/// Whether an address is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_and_without_the_path_is_the_same() {
        for address in ["http://127.0.0.1:9050", "http://127.0.0.1:9050/bigquery/v2/"] {
            let endpoint = Endpoint::new(address).expect("an address");
            let url = endpoint.url(&["projects", "a.com:b", "datasets"], &[("pageToken", "x&y")]);
            assert_eq!(
                url.as_str(),
                "http://127.0.0.1:9050/bigquery/v2/projects/a.com:b/datasets?pageToken=x%26y"
            );
            assert_eq!(endpoint.host(), "127.0.0.1:9050");
            assert!(endpoint.is_loopback());
        }
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let endpoint = Endpoint::new("https://bigquery.googleapis.com").expect("an address");
        let url = endpoint.url(&["projects", "p", "datasets", "a/b?c"], &[]);
        assert!(url.as_str().ends_with("/datasets/a%2Fb%3Fc"), "{url}");
        assert!(!endpoint.is_loopback());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["127.0.0.1:9050", "ftp://host", ""] {
            let error = Endpoint::new(address).expect_err(address);
            assert!(error.to_string().contains("http://127.0.0.1:9050"), "{error}");
        }
    }
}
