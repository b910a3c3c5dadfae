//! The route table: path, parameters, how a route is served and who may read it.
//!
//! Pure; any thread. A request target is parsed here; handlers respond to it.

use std::borrow::Cow;

use crate::domain::percent;
use crate::limits;

/// A handler; one may have several rows.
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
    Charts,
    Source,
    Alerts,
    Group,
    System,
    Style,
    Script,
    OpenApi,
    Robots,
    Favicon,
    Manifest,
    Wall,
    Icon,
    Display,
    DeviceSetup,
    DeviceDisplay,
    DeviceLog,
}

/// How a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// From memory, on the connection thread.
    Immediate,
    /// From memory; the response changes only when a snapshot is published.
    Cacheable,
    /// Rendered by a pool worker.
    Worker,
    /// Rendered by a pool worker that reads at most so many rows.
    Database(RowLimits),
    /// As server-sent events.
    EventStream,
}

/// Rows that one request may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLimits {
    pub rows: u64,
    /// Of these, how many are reserved for hourly and daily rollups.
    pub coarse: u64,
}

/// Who may read a route where a password is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Public,
    Password,
    /// With the password or the token.
    Token,
    /// By a device: the handler looks at its key. Not there while no `[[display]]` is.
    Device,
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteRow {
    pub route: Route,
    /// Path with `{name}` where one segment is variable.
    pub template: &'static str,
    /// Its name in metrics.
    pub name: &'static str,
    pub parameters: &'static [&'static str],
    pub serve: Serve,
    pub access: Access,
    /// As `Allow` lists them.
    pub methods: &'static str,
}

/// The methods of everything that can be read.
pub const READ: &str = "GET, HEAD, OPTIONS";
/// The methods of what is only sent.
const POST: &str = "OPTIONS, POST";

const HISTORY: Serve = Serve::Database(RowLimits {
    rows: limits::HISTORY_ROWS,
    coarse: limits::HISTORY_COARSE_ROWS,
});
/// Of several keys of `/history`: as many rows as a page with their charts.
const HISTORY_OF_KEYS: RowLimits = RowLimits {
    rows: limits::PAGE_ROWS,
    coarse: limits::HISTORY_COARSE_ROWS,
};
const PAGE: Serve = Serve::Database(RowLimits {
    rows: limits::PAGE_ROWS,
    coarse: limits::PAGE_COARSE_ROWS,
});

#[rustfmt::skip]
pub static TABLE: [RouteRow; 30] = {
    use Access::{Device, Password, Public, Token};
    use Serve::{Cacheable, EventStream, Immediate, Worker};
    [
        row(Route::Snapshot,    "/snapshot",          "snapshot",     Cacheable,   Token,    &["keys", "format", "full", "token"]),
        row(Route::SnapshotKey, "/snapshot/{key}",    "snapshot_key", Cacheable,   Token,    &["format", "full", "token"]),
        row(Route::Status,      "/status",            "status",       Worker,      Password, &[]),
        row(Route::Healthz,     "/healthz",           "healthz",      Immediate,   Public,   &[]),
        row(Route::Metrics,     "/metrics",           "metrics",      Worker,      Password, &[]),
        row(Route::History,     "/history",           "history",      HISTORY,     Password, &[HISTORY_KEY, "from", "to", "points", "format"]),
        row(Route::Events,      "/events",            "events",       EventStream, Token,    &["token", LAST_EVENT_ID]),
        row(Route::Home,        "/",                  "home",         Worker,      Password, &[]),
        row(Route::Home,        "/web/",              "home",         Worker,      Password, &[]),
        row(Route::Overview,    OVERVIEW_PATH,        "web",          PAGE,        Password, &["fragment"]),
        row(Route::Key,         "/web/key/{key}",     "web_key",      PAGE,        Password, &["fragment", "span", "at", "from", "to", "vs"]),
        row(Route::Charts,      "/web/chart",         "web_chart",    PAGE,        Password, &["fragment", "keys", "span", "at", "from", "to"]),
        row(Route::Source,      "/web/source/{name}", "web_source",   PAGE,        Password, &["fragment"]),
        row(Route::Alerts,      "/web/alerts",        "web_alerts",   PAGE,        Password, &["fragment"]),
        row(Route::Group,       "/web/group/{name}",  "web_group",    PAGE,        Password, &["fragment"]),
        row(Route::System,      "/web/system",        "web_system",   Worker,      Password, &["fragment"]),
        row(Route::System,      "/web/about",         "web_about",    Worker,      Password, &["fragment"]),
        row(Route::Style,       "/web/style/{file}",  "asset",        Worker,      Password, &[]),
        row(Route::Script,      "/web/script/{file}", "asset",        Worker,      Password, &[]),
        row(Route::OpenApi,     "/openapi.json",      "openapi",      Worker,      Password, &[]),
        row(Route::Robots,      "/robots.txt",        "robots",       Worker,      Password, &[]),
        row(Route::Favicon,     "/favicon.svg",       "favicon",      Worker,      Password, &["state"]),
        row(Route::Wall,        "/wall",              "wall",         Worker,      Password, &["fragment", "theme"]),
        row(Route::Wall,        "/wall/{name}",       "wall",         Worker,      Password, &["fragment", "theme"]),
        row(Route::Display,     "/display/{file}",    "display",      PAGE,        Token,    &["fragment", "token", SEEN]),
        row(Route::Icon,        "/web/icon/{file}",   "asset",        Worker,      Password, &[]),
        row(Route::DeviceSetup, "/api/setup",         "device_setup", Worker,      Device,   &[]),
        row(Route::DeviceDisplay, "/api/display",     "device_display", PAGE,      Device,   &[]),
        RouteRow { methods: POST, ..row(Route::DeviceLog, "/api/log", "device_log", Worker, Device, &[]) },
        row(Route::Manifest,    MANIFEST_PATH,        "asset",        Worker,      Password, &[]),
    ]
};

/// The parameter that `/history` takes several times.
pub const HISTORY_KEY: &str = "key";

/// A hash that pages put behind the address of a picture, so that a browser does not show an old one.
pub const SEEN: &str = "v";

/// The web app manifest.
pub const MANIFEST_PATH: &str = "/manifest.webmanifest";

/// `Last-Event-ID` as a parameter: what scripts that replace `EventSource` send, for which a
/// header needs a preflight.
pub const LAST_EVENT_ID: &str = "lastEventId";

/// Where `/` redirects to.
pub const OVERVIEW_PATH: &str = "/web";

const fn row(
    route: Route,
    template: &'static str,
    name: &'static str,
    serve: Serve,
    access: Access,
    parameters: &'static [&'static str],
) -> RouteRow {
    RouteRow {
        route,
        template,
        name,
        parameters,
        serve,
        access,
        methods: READ,
    }
}

/// The name in metrics for what is not in the table.
pub const UNKNOWN: &str = "unknown";

/// A parsed request target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget {
    pub row: &'static RouteRow,
    /// The value of the template's `{…}`, decoded; empty where it has none.
    pub path_parameter: String,
    /// What links begin with.
    pub base: String,
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
            let may_repeat = row.route == Route::History && *name == HISTORY_KEY;
            if !may_repeat && parameters.iter().any(|given| given.name == *name) {
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
            row,
            path_parameter: subject.into_owned(),
            base: String::new(),
            parameters,
        })
    }

    /// The same with this path prefix in links.
    pub fn below(self, base: &str) -> RequestTarget {
        RequestTarget {
            base: base.to_owned(),
            ..self
        }
    }

    /// A query parameter, decoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|given| given.name == name);
        found.map(|parameter| parameter.value.as_str())
    }

    /// All values of a query parameter that may be given several times, decoded.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self
            .parameters
            .iter()
            .filter(move |given| given.name == name);
        found.map(|parameter| parameter.value.as_str())
    }

    /// What a request for it may read; `None` where it reads nothing of the database.
    pub fn row_limits(&self) -> Option<RowLimits> {
        match self.row.serve {
            Serve::Database(_)
                if self.row.route == Route::History && self.values(HISTORY_KEY).count() > 1 =>
            {
                Some(HISTORY_OF_KEYS)
            }
            Serve::Database(limits) => Some(limits),
            _ => None,
        }
    }

    /// How many members [`RequestTarget::list`] has at most.
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

/// The name of a target in metrics: of its path alone, so that a wrong query is counted where
/// it was sent.
pub fn route_name(target: &str) -> &'static str {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    find(path).map_or(UNKNOWN, |(row, _)| row.name)
}

/// Whether a target is for those: only as the table spells its path.
pub fn has_access(target: &str, access: Access) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    TABLE
        .iter()
        .any(|row| row.access == access && row.template == path)
}

/// Whether the token opens a target.
pub fn takes_token(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    find(path).is_ok_and(|(row, _)| row.access == Access::Token)
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
    // The common spelling of displays and browsers is compared first.
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

/// The value of the variable segment, if the path matches.
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
pub fn percent_decode(text: &str, in_query: bool) -> Option<Cow<'_, str>> {
    if in_query && text.contains('+') {
        let text = text.replace('+', " ");
        return percent::decode_strict(&text).map(|it| Cow::Owned(it.into_owned()));
    }
    percent::decode_strict(text)
}

#[cfg(test)]
#[path = "tests/table.rs"]
mod tests;
