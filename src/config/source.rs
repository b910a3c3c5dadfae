//! `[[source]]`: what is fetched, from where, how often, and what is read from it.

mod arguments;
mod selection;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::arguments::{find_operation, read_arguments, read_query};
use self::selection::{read_pointer, read_selection};
use super::auth::{Auth, read_auth, warn_missing_auth};
use super::print::{is_likely_key, is_secret_name};
use super::reader::{Severity, TableEntry, TableReader, is_harmless_header};
use super::{Secret, read_zone};
use crate::api::connection_pool;
use crate::domain::percent;
use crate::domain::plan::{Numbers, SourcePlan};
use crate::domain::quota::request_interval;
use crate::domain::redact::MASK;
use crate::limits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::tz::TimeZone;
use openapi::operation::{Api, Argument, Operation};

/// One source: the domain's plan for it, and how it is called.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    pub plan: SourcePlan,
    pub target: SourceTarget,
    pub headers: Vec<Header>,
    pub auth: Option<Auth>,
    pub timeout: Duration,
    pub body_bytes: u64,
    pub redirects: u32,
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<String>,
    /// Connections to its server at once, shared with the other sources of that server.
    pub connections: usize,
    /// `plan.every` is what a quota leaves, so that a restart must not ask at once.
    pub quota: Option<Duration>,
    /// Where it stands, for messages of parts that find something wrong with it later.
    pub place: String,
}

/// What a source calls.
#[derive(Debug, Clone)]
pub enum SourceTarget {
    /// A compiled-in operation; `base` is where, if not where its file says.
    Operation {
        operation: &'static Operation,
        base: Option<String>,
        arguments: Vec<(String, Argument)>,
    },
    /// Any JSON address.
    Url {
        url: String,
        params: Vec<(String, String)>,
    },
    /// Another main-node, by its address.
    Follow { node: String },
}

impl SourceTarget {
    /// Where its first request goes.
    pub fn uri(&self) -> Option<ureq::http::Uri> {
        let url = match self {
            SourceTarget::Operation {
                operation, base, ..
            } => operation.base_url(base.as_deref()).ok()?,
            SourceTarget::Url { url, .. } => url.clone(),
            SourceTarget::Follow { node } => node.clone(),
        };
        url.parse().ok()
    }
}

/// A request header of the owner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Secret,
}

const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);
/// Another main-node answers from memory, and mostly with a 304.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(10);

/// Keys that the file names, each with its place.
type KeySpans = Vec<(Arc<str>, Range<usize>)>;

/// A source and the keys that it names.
pub type Named = (SourceConfig, KeySpans);

pub fn read_all(root: &mut TableReader<'_>, directory: &Path, apis: &[&'static Api]) -> Vec<Named> {
    let Some(list) = root.get("source") else {
        root.problem(
            "nothing to fetch: add a [[source]] with a name and an operation or a url \
             (`main-node operations` prints ready ones)",
        );
        return Vec::new();
    };
    let items = list.tables();
    if items.len() > limits::SOURCES {
        let most = limits::SOURCES;
        list.problem(format!(
            "expected at most {most} sources, found {}",
            items.len()
        ));
    }
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    for item in items {
        let Some(table) = item.table("[[source]]") else {
            continue;
        };
        if let Some((source, keys)) = read_one(table, directory, apis) {
            if !names.insert(source.plan.name.clone()) {
                let name = &source.plan.name;
                item.problem(format!("a second source is named {name:?}: rename one"));
            }
            sources.push((source, keys));
        }
    }
    sources
}

fn read_one(mut table: TableReader<'_>, directory: &Path, apis: &[&'static Api]) -> Option<Named> {
    let name = read_name(&mut table);
    if let Some(name) = &name {
        table.rename(format!("[[source]] {name:?}"));
    }
    let target = read_target(&mut table, apis);
    let every_item = table.get("every");
    let every = every_item.as_ref().and_then(TableEntry::duration);
    if let (Some(item), Some(every)) = (&every_item, every)
        && every < limits::SHORTEST_INTERVAL
    {
        item.expected("at least \"1s\"");
    }
    let every = every.unwrap_or(match target {
        Some(SourceTarget::Follow { .. }) => FOLLOW_INTERVAL,
        _ => DEFAULT_INTERVAL,
    });
    let duration = |item: Option<TableEntry>| item.and_then(|item| item.duration());
    let quota = table.get("quota").and_then(|item| read_quota(&item));
    let quota = quota.map(request_interval);
    let every = every.max(quota.unwrap_or_default());
    let stale_after = duration(table.get("stale_after"));
    let forget_after = duration(table.get("forget_after"));
    let timeout = duration(table.get("timeout")).unwrap_or(limits::FETCH_TIMEOUT);
    let body_bytes = table.get("body_limit").and_then(|item| item.bytes());
    let redirects = table.get("redirects").and_then(|item| item.integer(0..=20));
    let ca_file = table.get("ca_file").and_then(|item| item.text());
    let proxy = table.get("proxy").and_then(|item| read_url(&item));
    let connections = table
        .get("connections")
        .and_then(|item| item.integer(1..=limits::CONNECTIONS_ASKED));
    let pointer = |item: Option<TableEntry>| item.and_then(|item| read_pointer(&item));
    let observed_at = pointer(table.get("observed_at"));
    let units_at = pointer(table.get("units_at"));
    let observed_zone = table.get("observed_zone").and_then(|item| {
        let zone = read_zone(&item.text()?);
        zone.map_err(|message| item.problem(message)).ok()
    });
    let numbers = [("strict", Numbers::Strict), ("lenient", Numbers::Lenient)];
    let numbers = table.get("numbers").and_then(|item| item.choice(&numbers));
    let attribution = table.get("attribution").and_then(|item| item.text());
    let headers = table.get("headers").map(|item| read_headers(&item));
    let auth_item = table.get("auth");
    let auth = auth_item.as_ref();
    let auth = auth.and_then(|item| read_auth(item, target.as_ref()));
    if let (
        None,
        Some(SourceTarget::Operation {
            operation,
            arguments,
            ..
        }),
    ) = (&auth_item, &target)
        && let Some(item) = table.get("operation")
    {
        let given: Vec<&str> = arguments.iter().map(|(name, _)| name.as_str()).collect();
        warn_missing_auth(
            &item,
            operation,
            headers.as_deref().unwrap_or_default(),
            &given,
        );
    }
    if let Some(SourceTarget::Follow { .. }) = target {
        for option in ["records", "prefix", "observed_at", "units_at", "numbers"] {
            if let Some(item) = table.get(option) {
                item.remark(
                    Severity::Note,
                    format!(
                        "`{option}` means nothing to a `follow` source, whose keys are those of \
                         the other node: remove it, or read that node with url = \"…/snapshot\""
                    ),
                );
            }
        }
    }
    let (selection, keys) = read_selection(&mut table);
    let place = table.place();
    table.finish();
    let (name, target) = (name?, target?);
    let (calls, summary, description) = match &target {
        SourceTarget::Operation { operation, .. } => (
            operation.id.as_str(),
            operation.summary.as_str(),
            operation.description.as_str(),
        ),
        SourceTarget::Url { .. } => ("a JSON address", "", ""),
        SourceTarget::Follow { .. } => ("another main-node", "", ""),
    };
    let plan = SourcePlan {
        name: name.into(),
        every,
        stale_after,
        forget_after: forget_after.unwrap_or(limits::FORGET_AFTER),
        is_upstream_node: matches!(target, SourceTarget::Follow { .. }),
        selection,
        observed_at,
        observed_zone: observed_zone.unwrap_or(TimeZone::UTC),
        units_at,
        numbers: numbers.unwrap_or_default(),
        attribution: attribution.map(Into::into),
        target: calls.into(),
        summary: summary.into(),
        description: description.into(),
    };
    let host = target.uri().and_then(|uri| uri.host().map(str::to_owned));
    let usual = connection_pool::default_connections(&host.unwrap_or_default());
    let source = SourceConfig {
        plan,
        target,
        headers: headers.unwrap_or_default(),
        auth,
        timeout,
        body_bytes: body_bytes.unwrap_or(limits::BODY_BYTES),
        redirects: redirects.map_or(limits::REDIRECTS, |count| count as u32),
        ca_file: ca_file.map(|file| directory.join(file)),
        proxy,
        connections: connections.map_or(usual, |count| count as usize),
        quota,
        place,
    };
    Some((source, keys))
}

fn read_name(table: &mut TableReader<'_>) -> Option<String> {
    let Some(item) = table.get("name") else {
        table.problem("this source has no name: add name = \"…\"");
        return None;
    };
    let name = item.text()?;
    let is_fit = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    if name.is_empty() || name.len() > 40 || !name.chars().all(is_fit) {
        item.expected("a name of 1 to 40 letters, digits, blanks or -_.");
        return None;
    }
    Some(name)
}

fn read_target(table: &mut TableReader<'_>, apis: &[&'static Api]) -> Option<SourceTarget> {
    let kinds = [
        table.get("operation"),
        table.get("url"),
        table.get("follow"),
    ];
    let api = table.get("api");
    let base_url = table.get("base_url");
    let params = table.get("params");
    let mut named = kinds.iter().flatten();
    let Some(first) = named.next() else {
        table.problem(format!(
            "{} says nothing to fetch: add operation = \"…\" (`main-node operations` lists them), \
             url = \"http://…\" or follow = \"http://another-main-node:8000\"",
            table.name()
        ));
        return None;
    };
    if let Some(second) = named.next() {
        let (first, second_key) = (first.key(), second.key());
        second.problem(format!(
            "a source has one of `operation`, `url` and `follow`: remove `{first}` or `{second_key}`"
        ));
        return None;
    }
    if first.key() == "operation" {
        let found = find_operation(first, api.as_ref(), apis)?;
        let base = base_url.and_then(|item| {
            let url = read_url(&item)?;
            Some(url.trim_end_matches('/').to_owned())
        });
        let arguments = read_arguments(table, first, params.as_ref(), found);
        if base.is_none()
            && let Err(message) = found.base_url(None)
        {
            first.problem(message);
        }
        return Some(SourceTarget::Operation {
            operation: found,
            base,
            arguments,
        });
    }
    for item in [api, base_url].into_iter().flatten() {
        let (key, kind) = (item.key(), first.key());
        item.problem(format!(
            "`{key}` belongs to an `operation`, not to a `{kind}`"
        ));
    }
    let url = read_url(first)?;
    if first.key() == "follow" {
        if let Some(params) = params {
            params.problem("`params` means nothing to another main-node: remove it");
        }
        let node = url.trim_end_matches('/').to_owned();
        return Some(SourceTarget::Follow { node });
    }
    let params = params.as_ref().map(read_query).unwrap_or_default();
    Some(SourceTarget::Url { url, params })
}

/// What is wrong is said without the address's query and user-info, which may be secrets.
fn read_url(item: &TableEntry<'_>) -> Option<String> {
    const WHAT: &str = "an address that begins with http:// or https://";
    let url = item.text_as(WHAT)?;
    let key = item.key();
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|it| url.strip_prefix(it));
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
        // What stands before the first slash may be the machine; a path may be the secret.
        let rest = url.split_once("://").map_or(url.as_str(), |it| it.1);
        let (authority, behind) = rest.split_at(authority_end(rest));
        let shown = match behind.contains('@') {
            true => MASK,
            false => authority.rsplit_once('@').map_or(authority, |it| it.1),
        };
        hide_url_secrets(item, rest);
        item.problem(format!("{key}: expected {WHAT}, found the text {shown:?}"));
        return None;
    };
    hide_url_secrets(item, rest);
    let authority = &rest[..authority_end(rest)];
    if rest[authority.len()..].contains('@') && authority.contains(':') && !authority.contains('@')
    {
        // `me:pa/ss@host`: whatever is shown of it may be the password.
        let port = authority.rsplit_once(':').map_or("", |it| it.1);
        if port.parse::<u16>().is_err() {
            item.problem(format!(
                "{key}: expected {WHAT}, found an @ behind the first slash: in a user name or a \
                 password / is written as %2F, ? as %3F, # as %23"
            ));
            return None;
        }
    }
    let place = authority.rsplit_once('@').map_or(authority, |it| it.1);
    if !place.is_ascii() {
        item.problem(format!(
            "{key}: expected a host in ASCII, found {place:?}: write it as name servers know it \
             (xn--…)"
        ));
        return None;
    }
    // Behind an IPv6 address's bracket, or behind the one colon.
    let port = place.rsplit_once(']').map_or(place, |it| it.1);
    let port = port.rsplit_once(':').map(|it| it.1);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        item.problem(format!(
            "{key}: expected a port from 1 to 65535, found {place:?}"
        ));
        return None;
    }
    let parsed = url.parse::<ureq::http::Uri>().ok();
    if parsed.is_none_or(|uri| uri.host().is_none_or(str::is_empty)) {
        item.problem(format!(
            "{key}: expected {WHAT}, found one of {place:?} that is no address (RFC 3986): spaces \
             and letters beyond ASCII are written as %20, %C3%BC"
        ));
        return None;
    }
    Some(url)
}

/// Where the path, the query or the fragment begins.
fn authority_end(rest: &str) -> usize {
    rest.find(['/', '?', '#']).unwrap_or(rest.len())
}

/// Takes note of what in an address without its scheme may be a secret: the password, or the
/// user where there is none, values of the query by their names, parts of the path that look
/// like a key.
fn hide_url_secrets(item: &TableEntry<'_>, rest: &str) {
    let (authority, behind) = rest.split_at(authority_end(rest));
    if let Some((login, _)) = authority.rsplit_once('@') {
        let decoded = percent::decode_lossy(login);
        item.hide(BASE64.encode(&decoded));
        for login in [login, &decoded] {
            match login.split_once(':') {
                Some((_, password)) if !password.is_empty() => item.hide(password),
                Some((user, _)) => item.hide(user),
                None => item.hide(login),
            }
        }
    }
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    let query = query.split('#').next().unwrap_or_default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if is_secret_name(name) {
            item.hide(value);
            item.hide(percent::decode_lossy(value));
        }
    }
    for part in path.split('/').filter(|part| is_likely_key(part)) {
        item.hide(part);
        if let Some((_, token)) = part.split_once(':') {
            item.hide(token);
        }
    }
}

/// `"50/day"` or `"10/hour"` as requests a day.
fn read_quota(item: &TableEntry<'_>) -> Option<u32> {
    const WHAT: &str = "a quota such as \"50/day\" or \"10/hour\"";
    let text = item.text_as(WHAT)?;
    let per_day = text.split_once('/').and_then(|(count, span)| {
        let count: u32 = count.trim().parse().ok().filter(|count| *count > 0)?;
        match span.trim() {
            "day" => Some(count),
            "hour" => count.checked_mul(24),
            _ => None,
        }
    });
    if per_day.is_none() {
        item.expected(WHAT);
    }
    per_day
}

fn read_headers(item: &TableEntry<'_>) -> Vec<Header> {
    let mut headers = Vec::new();
    for entry in item.entries() {
        let Some(value) = entry.text() else {
            continue;
        };
        // A control character would begin a header of somebody else's.
        let name_fits = entry.key().parse::<ureq::http::HeaderName>().is_ok();
        let value_fits = value.parse::<ureq::http::HeaderValue>().is_ok();
        if !name_fits || !value_fits {
            // What is no name may be a whole header.
            let key = if name_fits { entry.key() } else { MASK };
            entry.problem(format!(
                "{key:?} or its value is no HTTP header field (RFC 9110)"
            ));
            continue;
        }
        if !is_harmless_header(entry.key()) {
            hide_header(&entry, &value);
        }
        headers.push(Header {
            name: entry.key().to_owned(),
            value: Secret::new(value),
        });
    }
    headers
}

/// A header's value, and in it what stands behind a scheme (`Bearer …`) or a cookie's name.
fn hide_header(entry: &TableEntry<'_>, value: &str) {
    entry.hide(value);
    if let Some((_, credential)) = value.split_once(' ') {
        entry.hide(credential.trim());
    }
    for (_, cookie) in value.split(';').filter_map(|pair| pair.split_once('=')) {
        entry.hide(cookie.trim().trim_matches('"'));
    }
}

impl SourceConfig {
    /// The machine that it calls, by name or address without brackets.
    pub fn host(&self) -> Option<String> {
        let uri = self.target.uri()?;
        Some(uri.host()?.trim_matches(['[', ']']).to_owned())
    }

    /// Sends the source to a simulation of its API, and asks it often.
    pub fn simulate(&mut self, base_of: &dyn Fn(&str) -> String, every: Duration) {
        if let SourceTarget::Operation {
            operation, base, ..
        } = &mut self.target
        {
            *base = Some(base_of(&operation.api));
        }
        self.plan.every = every;
        self.plan.stale_after = None;
    }
}
