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
mod tests {
    use super::*;

    #[test]
    fn every_url_names_a_route_or_says_why_not() {
        use TargetError::*;
        let unknown = |name: &str, known| {
            Err(UnknownParameter {
                name: name.to_owned(),
                known,
            })
        };
        type Expected<'a> = Result<(Route, &'a str), TargetError>;
        let rows: [(&str, Expected); 45] = [
            ("/", Ok((Route::Home, ""))),
            ("/?", Ok((Route::Home, ""))),
            ("/web/", Ok((Route::Home, ""))),
            ("/web", Ok((Route::Overview, ""))),
            ("/web?fragment=all", Ok((Route::Overview, ""))),
            ("/web/key/a", Ok((Route::Key, "a"))),
            ("/web/key/a%2Fb%20c?span=7d", Ok((Route::Key, "a/b c"))),
            ("/web/source/weather", Ok((Route::Source, "weather"))),
            ("/web/alerts", Ok((Route::Alerts, ""))),
            ("/web/about", Ok((Route::About, ""))),
            ("/web/style/1.css", Ok((Route::Style, "1.css"))),
            ("/web/script/1.js", Ok((Route::Script, "1.js"))),
            ("/snapshot", Ok((Route::Snapshot, ""))),
            ("/%73napshot", Ok((Route::Snapshot, ""))),
            ("/snapshot?keys=a,b&format=text", Ok((Route::Snapshot, ""))),
            (
                "/snapshot/current.temp",
                Ok((Route::SnapshotKey, "current.temp")),
            ),
            ("/snapshot/%C3%A4", Ok((Route::SnapshotKey, "ä"))),
            ("/snapshot/a+b", Ok((Route::SnapshotKey, "a+b"))),
            ("/status", Ok((Route::Status, ""))),
            ("/healthz", Ok((Route::Healthz, ""))),
            ("/metrics", Ok((Route::Metrics, ""))),
            ("/history?key=a", Ok((Route::History, ""))),
            ("/events", Ok((Route::Events, ""))),
            ("/openapi.json", Ok((Route::OpenApi, ""))),
            ("/robots.txt", Ok((Route::Robots, ""))),
            ("/favicon.svg?state=warn", Ok((Route::Favicon, ""))),
            ("/snapshot/", Err(NotFound)),
            ("/snapshot/a/b", Err(NotFound)),
            ("//snapshot", Err(NotFound)),
            ("/Snapshot", Err(NotFound)),
            ("/web/../snapshot", Err(NotFound)),
            ("/snapshot/{key}", Ok((Route::SnapshotKey, "{key}"))),
            ("/web/key/", Err(NotFound)),
            ("/web/key", Err(NotFound)),
            ("", Err(NotFound)),
            ("*", Err(NotFound)),
            ("/{key}", Err(NotFound)),
            ("/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", Err(NotFound)),
            ("/snapshot/%", Err(BadEscape)),
            ("/snapshot/%f", Err(BadEscape)),
            ("/snapshot/%ff", Err(BadEscape)),
            ("/snapshot/%+1", Err(BadEscape)),
            ("/snapshot?keys=%zz", Err(BadEscape)),
            ("/status?verbose=1", unknown("verbose", &[])),
            ("/snapshot?keys=a&keys=b", Err(GivenTwice("keys"))),
        ];
        for (target, expected) in rows {
            let read = RequestTarget::read(target);
            let found = read
                .as_ref()
                .map(|target| (target.route, target.path_parameter.as_str()));
            assert_eq!(found.map_err(Clone::clone), expected, "{target}");
        }
    }

    #[test]
    fn every_route_is_in_the_table_and_has_a_name() {
        for row in &TABLE {
            let example = row
                .template
                .replace("{key}", "x")
                .replace("{name}", "x")
                .replace("{file}", "x");
            assert_eq!(
                RequestTarget::read(&example).map(|target| target.route),
                Ok(row.route)
            );
            assert_eq!(route_name(&format!("{example}?nonsense")), row.name);
            assert_eq!(
                allowed_methods(&format!("{example}?nonsense")),
                Ok(row.methods)
            );
        }
        assert_eq!(route_name("/nowhere"), UNKNOWN);
        assert_eq!(allowed_methods("/nowhere"), Err(TargetError::NotFound));
        assert_eq!(allowed_methods("*"), Ok(READ));
    }

    #[test]
    fn lists_are_split_at_commas_that_were_meant_to_split() {
        let is_member = |member: &str| member == "x,y";
        for (query, expected) in [
            ("keys=a,b", vec!["a", "b"]),
            ("keys=a%2Cb", vec!["a", "b"]),
            ("keys=x%2Cy,b", vec!["x,y", "b"]),
            ("keys=a+b", vec!["a b"]),
            ("keys=", vec![""]),
        ] {
            let target = RequestTarget::read(&format!("/snapshot?{query}")).expect("a fine target");
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(target.list("keys", is_member), Some(expected), "{query}");
        }
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        for text in ["plain", "a/b c+d%e&f=g,h", "°C ä \u{1F600}", "\"<>'"] {
            assert_eq!(
                percent_decode(&percent::encode(text), false).as_deref(),
                Some(text)
            );
            assert_eq!(
                percent_decode(&percent::encode(text), true).as_deref(),
                Some(text)
            );
        }
    }
}
