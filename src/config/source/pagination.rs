//! Pagination options (`next`, `pages`), and what they cannot be combined with.

use crate::api::pagination::{NextLink, Pagination};
use crate::config::option::fetch_beyond_quota;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request::value_path::{read_path_text, read_value_path};
use crate::config::types::SourceTarget;
use crate::domain::json_path::JsonPath;
use crate::domain::plan::ResponseFormat;
use crate::domain::quota::Quota;
use openapi::operation::Method;

/// `"Link"`, or where the response has the URL.
pub fn read_next(item: &TableEntry<'_>) -> Option<NextLink> {
    const WHAT: &str =
        "\"Link\" (the header), or a JSON Pointer or JSONPath such as \"/links/next\"";
    let text = read_path_text(item, WHAT)?;
    if JsonPath::is_meant(&text) {
        let path = read_value_path(item)?;
        if path.is_dated() {
            item.problem(
                "next: date placeholders are not filled in here: write the path without them",
            );
            return None;
        }
        return Some(NextLink::Path(path));
    }
    if text.eq_ignore_ascii_case("link") {
        return Some(NextLink::LinkHeader);
    }
    if text.starts_with('/') {
        return read_value_path(item).map(NextLink::Path);
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
    if let NextLink::Path(_) = pagination.next
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
