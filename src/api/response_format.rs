//! Response formats: the bytes of a body to the tree of values that selections read.
//!
//! Pure.

use super::charset;
use super::http_response::FetchedResponse;
use super::json::{self, BodyOrigin};
use super::parsed_body::ParsedBody;
use crate::domain::failure::Failure;

/// Parses a body.
pub fn parse(fetched: &FetchedResponse) -> Result<ParsedBody, Failure> {
    let content_type = fetched.content_type.as_deref();
    let text = charset::decode(&fetched.body, content_type);
    let origin = BodyOrigin {
        host: fetched.host(),
        is_html: fetched.is_html(),
        is_end_marked: fetched.is_end_marked,
    };
    if content_type.is_some_and(json::is_lines) {
        json::parse_lines(&text, origin)
    } else {
        json::parse(&text, origin)
    }
}
