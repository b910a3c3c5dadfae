//! Pagination options (`next`, `pages`), and what they cannot be combined with.

use super::records::{is_json_path, read_pointer};
use crate::api::pagination::{NextLink, Pagination};
use crate::config::option::fetch_beyond_quota;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::types::SourceTarget;
use crate::domain::plan::ResponseFormat;
use crate::domain::quota::Quota;
use openapi::operation::Method;

/// `"Link"`, or a JSON Pointer.
pub fn read_next(item: &TableEntry<'_>) -> Option<NextLink> {
    const WHAT: &str = "\"Link\" (the header), or a JSON Pointer such as \"/links/next\"";
    if is_json_path(item) {
        return read_pointer(item).map(NextLink::Pointer);
    }
    let text = item.text_as(WHAT)?;
    if text.eq_ignore_ascii_case("link") {
        return Some(NextLink::LinkHeader);
    }
    if text.starts_with('/') {
        return read_pointer(item).map(NextLink::Pointer);
    }
    item.expected(WHAT);
    None
}

/// Problems of a source whose pages are followed. `is_post`: its URL is requested by POST,
/// and `quota` is its own.
pub fn check_pagination(
    table: &mut TableReader<'_>,
    pagination: &Pagination,
    target: &SourceTarget,
    is_post: bool,
    format: ResponseFormat,
    quota: Option<Quota>,
) {
    let is_post = is_post
        || matches!(target, SourceTarget::Operation { operation, .. } if operation.method == Method::Post);
    let why = match target {
        SourceTarget::Follow { .. } => Some("another main-node answers with one page"),
        _ if is_post => Some("further pages are asked for by GET only, and this request is a POST"),
        _ => None,
    };
    if let Some(why) = why {
        for entry in ["next", "pages"].iter().filter_map(|name| table.get(name)) {
            entry.problem(format!(
                "`{}` has no effect here: {why}; remove it",
                entry.key()
            ));
        }
    }
    let has_fields = !matches!(
        format,
        ResponseFormat::Csv | ResponseFormat::Prometheus | ResponseFormat::Text
    );
    if let NextLink::Pointer(_) = pagination.next
        && !has_fields
        && let Some(entry) = table.get("next")
    {
        entry.problem(
            "next: a response of this `format` has no field for it: expected next = \"Link\", the \
             header",
        );
    }
    if let Some(message) = quota.and_then(|quota| fetch_beyond_quota(quota, pagination.pages))
        && let Some(entry) = table.get("quota")
    {
        entry.problem(message);
    }
}
