//! URL → [`Route`]: one table of all that this server knows.
//!
//! Pure; any thread. It decides what a target names, never what the answer is.

use std::borrow::Cow;

use crate::domain::percent;
use crate::limits;

/// Everything that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    Home,
    Snapshot,
    SnapshotKey,
    Status,
    Healthz,
    Metrics,
    History,
    Events,
    Overview,
    Key,
    Source,
    Alerts,
    About,
    Style,
    Script,
    OpenApi,
    Robots,
    Favicon,
}

impl Route {
    /// Whether its answer comes from the database, which takes longer than the rest together.
    pub fn reads_database(self) -> bool {
        matches!(
            self,
            Route::History | Route::Overview | Route::Key | Route::Alerts
        )
    }
}

/// One row of the table.
pub struct RouteRow {
    pub route: Route,
    /// Path with `{name}` where one segment is variable.
    pub template: &'static str,
    /// The word for it in metrics.
    pub name: &'static str,
    pub parameters: &'static [&'static str],
    /// As `Allow` lists them.
    pub methods: &'static str,
}

/// The methods of everything that can be read.
pub const READ: &str = "GET, HEAD, OPTIONS";

#[rustfmt::skip]
pub const TABLE: [RouteRow; 19] = [
    row(Route::Snapshot,    "/snapshot",           "snapshot",     &["keys", "format", "full"]),
    row(Route::SnapshotKey, "/snapshot/{key}",     "snapshot_key", &["format", "full"]),
    row(Route::Status,      "/status",             "status",       &[]),
    row(Route::Healthz,     "/healthz",            "healthz",      &[]),
    row(Route::Metrics,     "/metrics",            "metrics",      &[]),
    row(Route::History,     "/history",            "history",      &["key", "from", "to", "points", "format"]),
    row(Route::Events,      "/events",             "events",       &[]),
    row(Route::Home,        "/",                   "home",         &[]),
    row(Route::Home,        "/web/",               "home",         &[]),
    row(Route::Overview,    "/web",                "web",          &["fragment"]),
    row(Route::Key,         "/web/key/{key}",      "web_key",      &["fragment", "span"]),
    row(Route::Source,      "/web/source/{name}",  "web_source",   &["fragment"]),
    row(Route::Alerts,      "/web/alerts",         "web_alerts",   &["fragment"]),
    row(Route::About,       "/web/about",          "web_about",    &["fragment"]),
    row(Route::Style,       "/web/style/{file}",   "asset",        &[]),
    row(Route::Script,      "/web/script/{file}",  "asset",        &[]),
    row(Route::OpenApi,     "/openapi.json",       "openapi",      &[]),
    row(Route::Robots,      "/robots.txt",         "robots",       &[]),
    row(Route::Favicon,     "/favicon.svg",        "favicon",      &["state"]),
];

const fn row(
    route: Route,
    template: &'static str,
    name: &'static str,
    parameters: &'static [&'static str],
) -> RouteRow {
    RouteRow {
        route,
        template,
        name,
        parameters,
        methods: READ,
    }
}

/// The word in metrics for what is not in the table.
pub const UNKNOWN: &str = "unknown";

/// A request's target, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget {
    pub route: Route,
    /// What stands for the `{…}` of the template, decoded; empty where it has none.
    pub path_parameter: String,
    parameters: Vec<QueryParameter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct QueryParameter {
    name: &'static str,
    raw: String,
    value: String,
}

/// Why a target names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetError {
    BadEscape,
    NotFound,
    TooManyParts,
    UnknownParameter {
        name: String,
        known: &'static [&'static str],
    },
    GivenTwice(&'static str),
}

impl RequestTarget {
    /// Reads a target in origin form.
    pub fn read(target: &str) -> Result<RequestTarget, TargetError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (row, subject) = find(path)?;
        let mut parameters: Vec<QueryParameter> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if parameters.len() >= limits::TARGET_PARTS {
                return Err(TargetError::TooManyParts);
            }
            let (name, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent_decode(name, true).ok_or(TargetError::BadEscape)?;
            let known = row.parameters.iter().find(|known| **known == name);
            let name = known.ok_or_else(|| TargetError::UnknownParameter {
                name: name.into_owned(),
                known: row.parameters,
            })?;
            if parameters.iter().any(|parameter| parameter.name == *name) {
                return Err(TargetError::GivenTwice(name));
            }
            parameters.push(QueryParameter {
                name,
                raw: raw.to_owned(),
                value: percent_decode(raw, true)
                    .ok_or(TargetError::BadEscape)?
                    .into_owned(),
            });
        }
        Ok(RequestTarget {
            route: row.route,
            path_parameter: subject.into_owned(),
            parameters,
        })
    }

    /// A query parameter, decoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|given| given.name == name);
        found.map(|parameter| parameter.value.as_str())
    }

    /// How many members [`Target::list`] has at most.
    pub fn list_len(&self, name: &str) -> usize {
        let value = self.parameter(name);
        value.map_or(0, |value| value.bytes().filter(|b| *b == b',').count() + 1)
    }

    /// The members of a comma-separated parameter. A literal comma separates; an escaped one
    /// belongs to a member, unless `is_member` knows no such member: many clients escape all.
    pub fn list(&self, name: &str, is_member: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let parameter = self.parameters.iter().find(|given| given.name == name)?;
        let mut members = Vec::new();
        for raw in parameter.raw.split(',') {
            // The whole was decoded before, so its parts between commas can be.
            let member = percent_decode(raw, true).unwrap_or_default();
            if member.contains(',') && !is_member(&member) {
                members.extend(member.split(',').map(str::to_owned));
            } else {
                members.push(member.into_owned());
            }
        }
        Some(members)
    }
}

/// The metrics' word for a target: of its path alone, so that a wrong query is counted where
/// it was sent.
pub fn route_name(target: &str) -> &'static str {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    find(path).map_or(UNKNOWN, |(row, _)| row.name)
}

/// The methods that a target's path takes; `*` is the server as a whole (RFC 9110, 9.3.7).
pub fn allowed_methods(target: &str) -> Result<&'static str, TargetError> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    match path {
        "*" => Ok(READ),
        path => find(path).map(|(row, _)| row.methods),
    }
}

fn find(path: &str) -> Result<(&'static RouteRow, Cow<'_, str>), TargetError> {
    // As displays and browsers write it, before whatever else may be meant.
    let is_as_written = |row: &&RouteRow| row.template == path && !path.ends_with('}');
    if let Some(row) = TABLE.iter().find(is_as_written) {
        return Ok((row, Cow::Borrowed("")));
    }
    // Decoded once, however many rows they are held against.
    let mut segments = Vec::new();
    for segment in path.split('/') {
        if segments.len() >= limits::TARGET_PARTS {
            return Err(TargetError::NotFound);
        }
        segments.push(percent_decode(segment, false).ok_or(TargetError::BadEscape)?);
    }
    TABLE
        .iter()
        .find_map(|row| Some((row, matches(row.template, &segments)?)))
        .ok_or(TargetError::NotFound)
}

/// What stands for the variable segment, if the path matches.
fn matches<'a>(template: &str, segments: &[Cow<'a, str>]) -> Option<Cow<'a, str>> {
    let mut subject = None;
    let mut given = segments.iter();
    for expected in template.split('/') {
        let given = given.next()?;
        if expected.starts_with('{') {
            if given.is_empty() {
                return None;
            }
            subject = Some(given);
        } else if given != expected {
            return None;
        }
    }
    let is_whole = given.next().is_none();
    is_whole.then(|| subject.cloned().unwrap_or_default())
}

/// Percent-decoding; `None` for a bad escape, or what is not UTF-8 then. In a query, `+` is
/// a blank.
fn percent_decode(text: &str, in_query: bool) -> Option<Cow<'_, str>> {
    if in_query && text.contains('+') {
        let text = text.replace('+', " ");
        return percent::decode_strict(&text).map(|it| Cow::Owned(it.into_owned()));
    }
    percent::decode_strict(text)
}

#[cfg(test)]
#[path = "tests/table.rs"]
mod tests;
