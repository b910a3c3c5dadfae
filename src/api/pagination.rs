//! Pagination: finds the next page of a response, and concatenates the pages.
//!
//! Pure: requests are made by the function that [`collect`] is given. Nothing that a server
//! sends leads to more than `pages` requests, to another origin, or twice to the same URL.

use std::fmt;

use serde_json::Value as Json;
use ureq::http::Uri;
use ureq::http::uri::PathAndQuery;

use super::http_response::{FetchError, FetchedResponse};
use super::parsed_body::ParsedBody;
use super::{json, origin, redirect};
use crate::domain::failure::{Cause, Failure};
use crate::domain::reading::{Issue, Reason};
use crate::domain::value_path::{ValuePath, escape, unescape};
use crate::limits;

/// How the pages of a source are found, and how many are fetched at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pagination {
    pub next: NextLink,
    pub pages: u32,
}

impl Default for Pagination {
    fn default() -> Pagination {
        Pagination {
            next: NextLink::LinkHeader,
            pages: limits::PAGES,
        }
    }
}

/// Where a response names the URL of the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextLink {
    /// A path into the body.
    Path(ValuePath),
    /// The header `Link` with `rel="next"` (RFC 8288).
    LinkHeader,
}

impl fmt::Display for NextLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NextLink::Path(path) => path.fmt(f),
            NextLink::LinkHeader => f.write_str("Link"),
        }
    }
}

/// All pages of one fetch.
#[derive(Debug, PartialEq)]
pub struct Pages {
    pub body: ParsedBody,
    /// Set if there are more pages than were fetched.
    pub more: Option<Issue>,
    pub bytes: u64,
}

/// Fetches and concatenates the pages that follow `first`; `source` is the URL that was
/// configured. A page that fails fails the fetch: half a list would look as if the rest
/// were gone.
pub fn collect(
    pagination: &Pagination,
    source: &Uri,
    first: &mut FetchedResponse,
    parse: impl Fn(&FetchedResponse) -> Result<ParsedBody, Failure>,
    mut fetch: impl FnMut(&Uri) -> Result<FetchedResponse, FetchError>,
) -> Result<Pages, FetchError> {
    let mut asked = vec![page_key(source), page_key(&first.uri)];
    let mut page = first.clone();
    let mut pages = Pages {
        body: ParsedBody::from(Json::Null),
        more: None,
        bytes: 0,
    };
    let (mut number, mut values) = (1, 0);
    loop {
        let named = |failure| name_page(failure, number);
        // Before two trees of the largest size are in memory.
        if values + least_values(&page.body) > limits::JSON_VALUES {
            return Err(named(too_many_values(page.host())));
        }
        let body = parse(&page).map_err(named)?;
        pages.bytes += page.body.len() as u64;
        values += count_values(&body.tree);
        if values > limits::JSON_VALUES {
            return Err(named(too_many_values(page.host())));
        }
        let next = next_page(&pagination.next, &body.tree, &page, source).map_err(named)?;
        if number == 1 {
            pages.body = body;
        } else {
            append(&mut pages.body, body, page.host()).map_err(named)?;
            first.merge_head(&page);
        }
        let Some(next) = next else { break };
        if asked.contains(&page_key(&next)) {
            log::debug!(
                "page {number} of {} names a page already fetched",
                page.host()
            );
            break;
        }
        if number == pagination.pages {
            pages.more = Some(more_pages(pagination));
            break;
        }
        number += 1;
        page = fetch(&next).map_err(|error| match error {
            FetchError::Failed(failure) => name_page(failure, number),
            FetchError::Stopped => FetchError::Stopped,
        })?;
        asked.extend([page_key(&next), page_key(&page.uri)]);
    }
    Ok(pages)
}

/// The same for every spelling of a URL, without user-info.
fn page_key(uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    format!("{}{path}", origin::pool_key(uri))
}

/// The URL of the page after `page`, if it names one; only on the origin of `source`.
fn next_page(
    link: &NextLink,
    body: &Json,
    page: &FetchedResponse,
    source: &Uri,
) -> Result<Option<Uri>, Failure> {
    let reference = match link {
        NextLink::LinkHeader => page.next_link.as_deref(),
        NextLink::Path(path) => match path.find(body).map(|node| node.map(|it| it.value)) {
            Ok(None | Some(Json::Null | Json::Bool(false))) => None,
            Ok(Some(Json::String(text))) => Some(text.as_str()),
            Ok(Some(other)) => return Err(not_a_url(path, described(other), page.host())),
            Err(several) => {
                let found = format!("several values, {several}");
                return Err(not_a_url(path, &found, page.host()));
            }
        },
    };
    let reference = reference.unwrap_or_default().trim();
    if reference.is_empty() {
        return Ok(None);
    }
    let target = redirect::resolve_reference(&page.uri, reference).map_err(|why| {
        let detail = format!("invalid URL of the next page from {}: {why}", page.host());
        Failure::new(Cause::Redirect, detail)
    })?;
    if origin::same_origin(&target, source) {
        return Ok(Some(target));
    }
    let (target, source) = (
        origin::display_origin(&target),
        origin::display_origin(source),
    );
    let detail = format!(
        "the next page is at {target}, and this source is {source}: pages are fetched from the same \
         scheme, host and port only; if {target} is right, write it in `url` (`base_url` of an \
         operation)"
    );
    Err(Failure::new(Cause::Redirect, detail))
}

fn described(found: &Json) -> &'static str {
    match found {
        Json::Object(_) => {
            "an object: point `next` at the URL inside it, such as \"/_links/next/href\""
        }
        Json::Array(_) => "a list",
        Json::Number(_) => "a number: pages that are only numbered cannot be followed",
        _ => "true",
    }
}

fn not_a_url(path: &ValuePath, found: &str, host: &str) -> Failure {
    let detail = format!(
        "the response of {host} has no URL of the next page at {path}: expected a text or null, \
         found {found}"
    );
    Failure::new(Cause::Schema, detail)
}

/// The failure of a page says which one it is.
fn name_page(failure: Failure, number: u32) -> FetchError {
    FetchError::Failed(if number == 1 {
        failure
    } else {
        Failure {
            detail: format!("page {number}: {}", failure.detail),
            ..failure
        }
    })
}

fn more_pages(pagination: &Pagination) -> Issue {
    Issue {
        reason: Reason::TooMany,
        key: None,
        pointer: match &pagination.next {
            NextLink::Path(path) => path.to_string(),
            NextLink::LinkHeader => "the header Link".to_owned(),
        },
        expected: format!("at most {} pages (`pages`)", pagination.pages),
        found: "one more, which was not fetched".to_owned(),
    }
}

fn too_many_values(host: &str) -> Failure {
    let most = limits::JSON_VALUES;
    let detail = format!("the pages of {host} hold more than {most} values together");
    Failure::new(Cause::TooLarge, detail)
}

/// What the values of a page count, as far as that is known before it is parsed: of JSON.
fn least_values(body: &[u8]) -> usize {
    match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => json::max_values(body),
        _ => 0,
    }
}

fn count_values(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(count_values).sum::<usize>(),
        Json::Object(fields) => {
            1 + limits::OBJECT_VALUES + fields.values().map(count_values).sum::<usize>()
        }
        _ => 1,
    }
}

/// Appends a page; what it says about its values is about the joined ones then.
fn append(all: &mut ParsedBody, page: ParsedBody, host: &str) -> Result<(), Failure> {
    for mut issue in page.issues {
        issue.pointer = shift_index(&all.tree, &issue.pointer);
        all.issues.push(issue);
    }
    for mut not_number in page.not_numbers {
        not_number.pointer = shift_index(&all.tree, &not_number.pointer);
        all.not_numbers.push(not_number);
    }
    concatenate(&mut all.tree, page.tree, "", host)
}

/// Where a value of the next page will be: the first index of its pointer counts from the end
/// of the array that is there already.
fn shift_index(all: &Json, pointer: &str) -> String {
    let mut here = all;
    let mut tokens: Vec<String> = pointer.split('/').map(str::to_owned).collect();
    for token in tokens.iter_mut().skip(1) {
        if let Json::Array(items) = here {
            if let Ok(index) = token.parse::<usize>() {
                *token = (items.len() + index).to_string();
            }
            break;
        }
        match here.get(unescape(token)) {
            Some(field) => here = field,
            None => break,
        }
    }
    tokens.join("/")
}

/// Appends the arrays of `page` to those at the same places of `all`. What is no array stays
/// as on the first page; a field that it lacks is added. A null counts as an empty array.
fn concatenate(all: &mut Json, page: Json, pointer: &str, host: &str) -> Result<(), Failure> {
    match (all, page) {
        (Json::Array(items), Json::Array(more)) => items.extend(more),
        (Json::Array(_), Json::Null) => {}
        (all @ Json::Null, page @ Json::Array(_)) => *all = page,
        (Json::Object(fields), Json::Object(more)) => {
            for (name, value) in more {
                match fields.get_mut(&name) {
                    Some(field) => {
                        let name = escape(&name);
                        concatenate(field, value, &format!("{pointer}/{name}"), host)?;
                    }
                    None => drop(fields.insert(name, value)),
                }
            }
        }
        (Json::Array(_), page) => return Err(other_kind("an array", &page, pointer, host)),
        (Json::Object(_), page) if pointer.is_empty() => {
            return Err(other_kind("an object", &page, pointer, host));
        }
        _ => {}
    }
    Ok(())
}

fn other_kind(expected: &str, found: &Json, pointer: &str, host: &str) -> Failure {
    let place = match pointer {
        "" => "the whole response",
        pointer => pointer,
    };
    let found = match found {
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
        Json::String(_) => "a text",
        Json::Number(_) => "a number",
        Json::Bool(_) => "a boolean",
        Json::Null => "null",
    };
    let detail =
        format!("{place} of {host}: expected {expected} as on the first page, found {found}");
    Failure::new(Cause::Schema, detail)
}

#[cfg(test)]
#[path = "tests/pagination.rs"]
mod tests;
