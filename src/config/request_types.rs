//! Parts of configured requests: method, body, headers, the origin of a URL.
//!
//! Values.

use ureq::http::Uri;

use super::secret::Secret;
use openapi::operation::Argument;

/// HTTP method of a source's requests; a POST may have a body.
#[derive(Debug, Clone, PartialEq)]
pub enum RequestMethod {
    Get,
    Post(Option<ConfiguredBody>),
}

/// Body of a POST request, which may have date placeholders.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfiguredBody {
    /// A table, sent as JSON; with `operation` as its OpenAPI file says, and perhaps a list.
    Json(Argument),
    Text {
        text: String,
        content_type: String,
    },
}

/// A configured request header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Secret,
}

/// A URL without what is behind its host and port.
pub fn origin_of(url: &str) -> Option<Uri> {
    let scheme = url.find("://").map_or(0, |at| at + 3);
    let behind = url[scheme..].find(['/', '?', '#']);
    behind.map_or(url, |at| &url[..scheme + at]).parse().ok()
}
