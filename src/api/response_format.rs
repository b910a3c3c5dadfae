//! Response formats: the bytes of a body to the tree of values that selections read.
//!
//! Pure.

use serde_json::Value as Json;

use super::http_response::FetchedResponse;
use super::json;
use crate::domain::failure::Failure;

/// Parses a body.
pub fn parse(fetched: &FetchedResponse) -> Result<Json, Failure> {
    json::parse(&fetched.body, fetched.is_html(), fetched.host())
}
