//! Problem details (RFC 9457): errors of requests.
//!
//! Values; any thread.

use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::compact_sort::CompactSort;
use crate::domain::percent;
use crate::domain::plan::{Plan, Selection};
use crate::domain::snapshot::Snapshot;
use crate::domain::text::format_bytes;
use crate::limits;
use crate::monitor::http::handler::{Overload, Request, Response};
use crate::monitor::routes::representation::quality_values;

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemDetails {
    pub status: u16,
    /// What was expected, what was found, what to change.
    pub detail: String,
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// What was perhaps meant: links of the error page.
    pub suggestions: Vec<SuggestedPage>,
}

/// A page of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestedPage {
    pub text: String,
    /// Without what a reverse proxy puts in front of it.
    pub path: String,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl ProblemDetails {
    pub fn new(status: u16, detail: impl Into<String>) -> ProblemDetails {
        ProblemDetails {
            status,
            detail: detail.into(),
            headers: Vec::new(),
            suggestions: Vec::new(),
        }
    }

    pub fn with(
        mut self,
        name: &'static str,
        value: impl Into<Cow<'static, str>>,
    ) -> ProblemDetails {
        self.headers.push((name, value.into()));
        self
    }

    /// As `application/problem+json`.
    pub fn response(&self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: reason_phrase(self.status),
            status: self.status,
            detail: &self.detail,
        };
        // Strings and a number always serialise.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut headers = vec![
            ("Content-Type", "application/problem+json".into()),
            ("Cache-Control", "no-store".into()),
            ("X-Content-Type-Options", "nosniff".into()),
        ];
        headers.extend(self.headers.iter().cloned());
        Response {
            status: self.status,
            headers,
            body: body.into(),
        }
    }
}

/// The reason phrase of a status, for titles.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

/// The error where the HTTP server rejects a request; `request` if one could be parsed.
pub fn rejection(status: u16) -> ProblemDetails {
    let detail = match status {
        400 => "This is not a valid HTTP/1.1 request.",
        403 => "Access from this network is not allowed; see `allow` in main-node.toml.",
        405 => "This server is read-only: use GET or HEAD.",
        408 => "Request timed out.",
        411 => "The length of the body is not known: send Content-Length.",
        413 => "Request bodies are not accepted, but for logs of displays up to 4,096 bytes.",
        414 => "The URL is too long.",
        431 => "The request headers are too large.",
        505 => "This node speaks HTTP/1.0 and HTTP/1.1.",
        500 => "Internal error; see the log of main-node.",
        _ => "The request cannot be answered.",
    };
    ProblemDetails::new(status, detail)
}

/// The error where a WebSocket is asked for, of a node whose paths begin with `base`.
pub fn no_websocket(base: &str) -> ProblemDetails {
    let detail = format!(
        "There is no WebSocket here. {base}/events sends every change as server-sent events: `new EventSource('{base}/events')` in a browser, `curl -N` in a shell."
    );
    ProblemDetails::new(426, detail)
}

/// The error at a limit of the HTTP server: which limit, its value, and what to do.
/// None of them is an option: they bound memory and descriptors on the smallest Pi.
pub fn overloaded(limit: Overload) -> ProblemDetails {
    let (detail, name) = match limit {
        Overload::Connections(most) if most < limits::CONNECTIONS => {
            let detail = format!(
                "All {most} connections that the limit of file descriptors allows are open. Raise LimitNOFILE (systemd) or `ulimit -n`, or close unused connections."
            );
            return ProblemDetails::new(503, detail).with("Retry-After", "5");
        }
        Overload::Connections(most) => (
            format!(
                "All {most} connections are in use, of all clients together. Close unused ones and try again."
            ),
            "CONNECTIONS",
        ),
        Overload::ConnectionsPerAddress(most) => (
            format!(
                "All {most} connections for one address are in use; clients behind one router share them, and those behind a reverse proxy that `trusted_proxies` does not name. Close unused ones, or send several requests over one."
            ),
            "CONNECTIONS_PER_ADDRESS",
        ),
        Overload::ConnectionsPerProxy(most) => (
            format!(
                "All {most} connections for one trusted proxy are in use: its share of all. Close unused ones, or let the proxy keep connections open and use them again."
            ),
            "PROXY_SHARE",
        ),
        Overload::EventStreams(most) => (
            format!(
                "All {most} event streams are in use. Close one, or poll /snapshot with If-None-Match instead."
            ),
            "EVENT_STREAMS",
        ),
        Overload::BytesOutstanding(most) => (
            format!(
                "Responses of {} are waiting for slow clients to read them, which is the limit. Try again in a moment, or request less.",
                format_bytes(most as u64)
            ),
            "SEND_BUDGET_BYTES",
        ),
        Overload::BytesOutstandingPerAddress(most) => (
            format!(
                "Responses of {} are waiting for clients of this address to read them, which is the limit for one address. Read them, then try again, or request less.",
                format_bytes(most as u64)
            ),
            "SEND_BUDGET_BYTES_PER_ADDRESS",
        ),
        Overload::ResponseTime(most) => (
            format!(
                "The server is busy: no response within {} s. Try again in a moment, with fewer requests at once. /snapshot needs no worker.",
                most.as_secs_f32()
            ),
            "POOL_TIMEOUT",
        ),
    };
    let where_set = format!(" The limit is fixed: {name} in src/limits.rs.");
    ProblemDetails::new(503, detail + &where_set).with("Retry-After", "5")
}

/// 404 that names the key, and the known key most similar to it.
pub fn unknown_key_problem(key: &str, snapshot: &Snapshot, plan: &Plan) -> ProblemDetails {
    let shown = snapshot.records.iter().map(|record| &record.key);
    let known = shown.chain(configured_keys(plan)).map(|key| &**key);
    let similar = similar(key, known);
    let detail = format!("There is no record {key:?}.{}", did_you_mean(&similar));
    let mut problem = ProblemDetails::new(404, detail);
    problem.suggestions = similar
        .iter()
        .map(|(_, key)| SuggestedPage {
            text: match plan.full_label(key) {
                label if label == **key => label,
                label => format!("{label} ({key})"),
            },
            path: format!("/web/key/{}", percent::encode(key)),
        })
        .collect();
    problem
}

/// 404 for several keys at once: names them all.
pub fn unknown_keys_problem(keys: &[&str]) -> ProblemDetails {
    let names: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    let detail = format!("There are no records {}.", names.join(", "));
    ProblemDetails::new(404, detail)
}

/// 404 for a name of a few, such as a source: names the similar ones, or all.
pub fn unknown_name_problem<'a>(
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    path: impl Fn(&str) -> String,
) -> ProblemDetails {
    let known: Vec<&str> = known.collect();
    let similar = similar(name, known.iter().copied());
    let hint = match (did_you_mean(&similar), known.as_slice()) {
        (hint, _) if !hint.is_empty() => hint,
        (_, []) => " There is none.".to_owned(),
        (_, [only]) => format!(" There is {only:?}."),
        (_, known) => {
            let quoted: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
            let shown = quoted.len().min(limits::NAMES_SUGGESTED);
            let more = if shown < quoted.len() { " …" } else { "" };
            format!(" There are {}{more}.", quoted[..shown].join(", "))
        }
    };
    let mut problem = ProblemDetails::new(404, format!("There is no {kind} {name:?}.{hint}"));
    let offered = if similar.is_empty() {
        known
    } else {
        similar.iter().map(|(_, name)| *name).collect()
    };
    let offered = offered.iter().take(limits::NAMES_SUGGESTED);
    problem.suggestions = offered
        .map(|name| SuggestedPage {
            text: (*name).to_owned(),
            path: path(name),
        })
        .collect();
    problem
}

/// 503 where the database cannot be read.
pub fn history_unavailable() -> ProblemDetails {
    ProblemDetails::new(
        503,
        "The history cannot be read right now. See storage in /status.",
    )
    .with("Retry-After", "10")
}

/// The keys that the configuration names.
pub fn configured_keys(plan: &Plan) -> impl Iterator<Item = &Arc<str>> {
    let picks = plan
        .sources
        .iter()
        .filter_map(|source| match &source.selection {
            Selection::Selectors(picks) => Some(picks),
            Selection::AllLeaves { .. } => None,
        });
    let derived = plan.derived.iter().map(|it| &it.key);
    picks.flatten().map(|pick| &pick.key).chain(derived)
}

/// The known names that are most similar, with their likeness, the best first.
fn similar<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Vec<(f64, &'a str)> {
    // The length of a key is bounded; that of a request only by its head.
    let wrong: String = wrong.chars().take(limits::KEY_BYTES).collect();
    let mut similar: Vec<(f64, &str)> = known
        .map(|name| (strsim::jaro_winkler(&wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    similar.compact_sort_by(|a, b| b.0.total_cmp(&a.0));
    similar.dedup_by_key(|(_, name)| *name);
    similar.truncate(limits::SIMILAR_SUGGESTED);
    similar
}

/// ` Did you mean "temperature"?`, if a known name is similar enough.
fn did_you_mean(similar: &[(f64, &str)]) -> String {
    let best = similar.first();
    best.map(|(_, name)| format!(" Did you mean {name:?}?"))
        .unwrap_or_default()
}

/// Whether the client prefers HTML to JSON.
pub fn prefers_html(request: &Request) -> bool {
    let members = [
        "text/html",
        "application/json",
        "application/problem+json",
        "*/*",
        "application/*",
    ];
    let [html, json, problem, any, application] =
        quality_values(request, "accept", members).map(Option::unwrap_or_default);
    html > json.max(problem) && html >= any.max(application)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::{header, request};

    #[test]
    fn an_unknown_name_brings_the_similar_ones_or_all() {
        let known = ["weather", "solar", "weather_station"];
        for (name, detail, links) in [
            (
                "wether",
                "There is no source \"wether\". Did you mean \"weather\"?",
                vec!["/weather", "/weather_station"],
            ),
            (
                "fridge",
                "There is no source \"fridge\". There are \"weather\", \"solar\", \"weather_station\".",
                vec!["/weather", "/solar", "/weather_station"],
            ),
        ] {
            let path = |name: &str| format!("/{name}");
            let problem = unknown_name_problem("source", name, known.into_iter(), path);
            assert_eq!((problem.status, &*problem.detail), (404, detail));
            let found: Vec<&str> = problem.suggestions.iter().map(|it| &*it.path).collect();
            assert_eq!(found, links);
        }
        let none = unknown_name_problem("group", "a", std::iter::empty(), str::to_owned);
        assert_eq!(none.detail, "There is no group \"a\". There is none.");
    }

    #[test]
    fn browsers_get_a_page_and_programs_json() {
        for (accept, expected) in [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                true,
            ),
            (Some("text/html"), true),
            (Some("text/html;q=0.5, application/json"), false),
            (Some("text/html;q=0"), false),
        ] {
            let headers: Vec<_> = accept.map(|field| ("accept", field)).into_iter().collect();
            assert_eq!(
                prefers_html(&request("/", &headers)),
                expected,
                "{accept:?}"
            );
        }
    }

    #[test]
    fn an_overload_error_names_the_limit_its_value_and_the_option() {
        for (limit, detail) in [
            (
                Overload::Connections(limits::CONNECTIONS),
                "All 256 connections are in use, of all clients together. Close unused ones and try again. The limit is fixed: CONNECTIONS in src/limits.rs.",
            ),
            (
                Overload::Connections(40),
                "All 40 connections that the limit of file descriptors allows are open. Raise LimitNOFILE (systemd) or `ulimit -n`, or close unused connections.",
            ),
            (
                Overload::ConnectionsPerAddress(64),
                "All 64 connections for one address are in use; clients behind one router share them, and those behind a reverse proxy that `trusted_proxies` does not name. Close unused ones, or send several requests over one. The limit is fixed: CONNECTIONS_PER_ADDRESS in src/limits.rs.",
            ),
            (
                Overload::ConnectionsPerProxy(128),
                "All 128 connections for one trusted proxy are in use: its share of all. Close unused ones, or let the proxy keep connections open and use them again. The limit is fixed: PROXY_SHARE in src/limits.rs.",
            ),
            (
                Overload::EventStreams(200),
                "All 200 event streams are in use. Close one, or poll /snapshot with If-None-Match instead. The limit is fixed: EVENT_STREAMS in src/limits.rs.",
            ),
            (
                Overload::BytesOutstanding(limits::SEND_BUDGET_BYTES),
                "Responses of 8.4 MB are waiting for slow clients to read them, which is the limit. Try again in a moment, or request less. The limit is fixed: SEND_BUDGET_BYTES in src/limits.rs.",
            ),
            (
                Overload::BytesOutstandingPerAddress(limits::SEND_BUDGET_BYTES_PER_ADDRESS),
                "Responses of 4.2 MB are waiting for clients of this address to read them, which is the limit for one address. Read them, then try again, or request less. The limit is fixed: SEND_BUDGET_BYTES_PER_ADDRESS in src/limits.rs.",
            ),
            (
                Overload::ResponseTime(limits::POOL_TIMEOUT),
                "The server is busy: no response within 10 s. Try again in a moment, with fewer requests at once. /snapshot needs no worker. The limit is fixed: POOL_TIMEOUT in src/limits.rs.",
            ),
        ] {
            let problem = overloaded(limit);
            assert_eq!((problem.status, &*problem.detail), (503, detail));
            assert_eq!(problem.headers, [("Retry-After", "5".into())]);
        }
    }

    #[test]
    fn a_rejection_names_what_is_accepted() {
        let response = rejection(405).response();
        assert_eq!(
            header(&response, "Content-Type"),
            Some("application/problem+json")
        );
        let body: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(body["status"].as_u64(), Some(405));
        assert_eq!(body["title"], "Method Not Allowed");
    }
}
