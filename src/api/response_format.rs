//! Response formats: the bytes of a body to the tree of values that selections read.
//!
//! Pure.

use serde_json::Value as Json;

use super::charset;
use super::http_response::FetchedResponse;
use super::json;
use crate::domain::failure::Failure;
use crate::domain::reading::Issue;

/// A parsed body.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedBody {
    pub tree: Json,
    /// What of the body could not be read.
    pub issues: Vec<Issue>,
}

impl From<Json> for ParsedBody {
    fn from(tree: Json) -> ParsedBody {
        ParsedBody {
            tree,
            issues: Vec::new(),
        }
    }
}

/// Parses a body.
pub fn parse(fetched: &FetchedResponse) -> Result<ParsedBody, Failure> {
    let text = charset::decode(&fetched.body, fetched.content_type.as_deref());
    json::parse(&text, fetched.is_html(), fetched.host()).map(ParsedBody::from)
}
