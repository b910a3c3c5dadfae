//! Forwarding options (`[[forward]]`): where stored rows are sent as InfluxDB line protocol.

use std::path::Path;
use std::sync::Arc;

use super::forward_types::{ForwardConfig, TimePrecision};
use super::key_list::read_key_list;
use super::option::is_source_name;
use super::problem::Severity;
use super::reader::{TableEntry, TableReader};
use super::request::headers::{headers_as_toml, read_headers};
use super::request::url::read_url;
use super::request_types::Header;
use super::secret::Secret;
use super::section::{
    ConfigOption, OptionReader, inline_table, list, path, plain, print_options, read_options, set,
    text,
};
use super::trust::{self, print_fingerprints, read_fingerprints, reject_without_tls};
use crate::domain::redact::{MASK, without_secrets};
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_value};
use crate::limits;
use crate::sys::tls::TrustSettings;

const PRECISIONS: [(&[&str], TimePrecision); 4] = [
    (&["s", "second"], TimePrecision::Seconds),
    (&["ms", "millisecond"], TimePrecision::Milliseconds),
    (&["us", "u", "microsecond"], TimePrecision::Microseconds),
    (&["ns", "n", "nanosecond"], TimePrecision::Nanoseconds),
];

type ForwardOption = ConfigOption<ForwardConfig>;

pub static OPTIONS: [ForwardOption; 13] = [
    ForwardOption::new(
        "name",
        "text",
        "\"influxdb\"",
        "\"grafana\"",
        "Name of the output. How far it has come is kept under this name: another one begins anew. Several need different names.",
        |draft, option| set(&mut draft.name, read_name(option)),
        |forward| text(&forward.name),
    ),
    ForwardOption::new(
        "url",
        "URL",
        "required",
        "\"http://influxdb.local:8086/api/v2/write?org=home&bucket=house\"",
        "The write address, whole: `/api/v2/write?org=…&bucket=…` of InfluxDB 2, `/write?db=…` of InfluxDB 1, `/write` of VictoriaMetrics. `precision=s` is added unless it has one.",
        |draft, option| {
            if let Some(url) = option.entry().and_then(|it| read_write_url(&it, draft)) {
                draft.url = Secret::new(url);
            }
        },
        |forward| text(forward.url.reveal()),
    ),
    ForwardOption::new(
        "token",
        "text",
        "none",
        "\"${INFLUX_TOKEN}\"",
        "API token of InfluxDB 2, sent as `Authorization: Token …`.",
        |draft, option| draft.token = option.secret(),
        |forward| forward.token.as_ref().and_then(|_| text(MASK)),
    ),
    ForwardOption::new(
        "user",
        "text",
        "none",
        "\"node\"",
        "User of InfluxDB 1 or of a reverse proxy (HTTP Basic), with `password`.",
        |draft, option| draft.user = option.text(),
        |forward| text(forward.user.as_deref()?),
    ),
    ForwardOption::new(
        "password",
        "text",
        "none",
        "\"${INFLUX_PASSWORD}\"",
        "Password of `user`.",
        |draft, option| draft.password = option.secret(),
        |forward| forward.password.as_ref().and_then(|_| text(MASK)),
    ),
    ForwardOption::new(
        "headers",
        "table",
        "none",
        "{ X-Scope-OrgID = \"house\" }",
        "Additional request headers.",
        |draft, option| {
            let entry = option.entry();
            set(&mut draft.headers, entry.map(|it| read_headers(&it)));
        },
        |forward| headers_as_toml(&forward.headers),
    ),
    ForwardOption::new(
        "measurement",
        "text",
        "\"main_node\"",
        "\"house\"",
        "Measurement of all rows; the fields are `value` (numbers) and `text`. VictoriaMetrics calls the series MEASUREMENT_value.",
        |draft, option| set(&mut draft.measurement, read_measurement(option)),
        |forward| text(&forward.measurement),
    ),
    ForwardOption::new(
        "tags",
        "table",
        "none",
        "{ house = \"lake\" }",
        "Additional tags of all rows, beside `key` and `node`.",
        |draft, option| set(&mut draft.tags, option.entry().map(|it| read_tags(&it))),
        |forward| {
            let tag = |(name, value): &(String, String)| {
                format!("{} = {}", bare_or_quoted(name), quoted_value(value))
            };
            inline_table(forward.tags.iter().map(tag).collect())
        },
    ),
    ForwardOption::new(
        "keys",
        "list of keys",
        "none (all)",
        "[\"solar.*\", \"temperature\"]",
        "The keys to forward; `*` stands for any characters.",
        |draft, option| draft.keys = read_key_list(option),
        |forward| list(&forward.keys),
    ),
    ForwardOption::new(
        "backfill",
        "true or false",
        "false",
        "true",
        "Begin with the oldest row that is kept, instead of those that are stored after the first start with this output.",
        |draft, option| set(&mut draft.backfill, option.boolean()),
        |forward| plain(forward.backfill),
    ),
    ForwardOption::new(
        "forecasts",
        "true or false",
        "false",
        "true",
        "Send what sources say ahead of its time too, in the measurement MEASUREMENT_forecast.",
        |draft, option| set(&mut draft.forecasts, option.boolean()),
        |forward| plain(forward.forecasts),
    ),
    ForwardOption::new(
        "ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        trust::CA_FILE_HELP,
        |draft, option| draft.trust.ca_file = option.path(),
        |forward| path(forward.trust.ca_file.as_deref()?),
    ),
    ForwardOption::new(
        "fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        trust::OUTPUT_FINGERPRINT_HELP,
        |draft, option| draft.trust.fingerprints = read_fingerprints(option),
        |forward| print_fingerprints(&forward.trust.fingerprints),
    ),
];

/// Reads `[[forward]]`.
pub fn read_forwards(root: &mut TableReader<'_>, directory: &Path) -> Vec<ForwardConfig> {
    let mut forwards: Vec<ForwardConfig> = Vec::new();
    let entries = root
        .get("forward")
        .map(|it| it.tables())
        .unwrap_or_default();
    if let Some(entry) = entries.get(limits::FORWARDS) {
        let most = limits::FORWARDS;
        entry.problem(format!("expected at most {most} [[forward]] tables"));
    }
    for entry in entries.iter().take(limits::FORWARDS) {
        let Some(forward) = read_forward(entry, directory) else {
            continue;
        };
        if forwards.iter().any(|other| other.name == forward.name) {
            let name = quoted(&forward.name);
            entry.problem(format!(
                "another [[forward]] is called {name} too: give each a name = \"…\" of its own"
            ));
        }
        forwards.push(forward);
    }
    forwards
}

fn read_forward(entry: &TableEntry<'_>, directory: &Path) -> Option<ForwardConfig> {
    let mut table = entry.table("[[forward]]")?;
    let mut forward = ForwardConfig {
        name: "influxdb".into(),
        url: Secret::new(""),
        precision: TimePrecision::Seconds,
        user: None,
        password: None,
        token: None,
        headers: Vec::new(),
        measurement: "main_node".to_owned(),
        tags: Vec::new(),
        keys: Vec::new(),
        backfill: false,
        forecasts: false,
        trust: TrustSettings::default(),
    };
    read_options(&OPTIONS, &mut table, directory, &mut forward);
    if table.get("url").is_none() {
        table.problem(
            "a [[forward]] needs url = \"http://influxdb.local:8086/api/v2/write?org=…&bucket=…\"",
        );
    }
    check_login(&mut table, &forward);
    if forward.url.reveal().starts_with("http://") {
        reject_without_tls(
            &mut table,
            &["ca_file", "fingerprint"],
            "write https:// in `url`",
        );
    }
    table.finish();
    (!forward.url.reveal().is_empty()).then_some(forward)
}

/// Reads the write address, and the unit of its timestamps into `draft`.
fn read_write_url(entry: &TableEntry<'_>, draft: &mut ForwardConfig) -> Option<String> {
    let url = read_url(entry)?;
    let shown = url.split('#').next().unwrap_or_default();
    let (before, query) = shown.split_once('?').unwrap_or((shown, ""));
    let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
    // Of InfluxDB 1, where the user is `u`.
    if let Some((_, password)) = pairs().find(|(name, _)| *name == "p") {
        entry.add_secret(password);
    }
    if let Some((_, precision)) = pairs().find(|(name, _)| *name == "precision") {
        let known = PRECISIONS
            .iter()
            .find(|(names, _)| names.contains(&precision));
        match known {
            Some((_, precision)) => draft.precision = *precision,
            None => entry.problem(
                "url: expected precision=s, ms, us or ns, or none: it is the unit of timestamps",
            ),
        }
    }
    let has = |wanted: &str| pairs().any(|(name, value)| name == wanted && !value.is_empty());
    if let Some((severity, advice)) = url_advice(before, has) {
        entry.remark(severity, format!("url: {advice}"));
    }
    Some(url)
}

/// What is unlikely about a write address.
fn url_advice(before_query: &str, has: impl Fn(&str) -> bool) -> Option<(Severity, String)> {
    let path = without_secrets(before_query);
    let host = path.split_once("://").map_or(&*path, |it| it.1);
    let (host, path) = host.split_once('/').unwrap_or((host, ""));
    // It needs no name of a database.
    let is_victoria_metrics = host.ends_with(":8428") || host.ends_with(":8480");
    let is_version_2 = path.ends_with("api/v2/write");
    let is_version_3 = path.ends_with("api/v3/write_lp");
    if path.ends_with("api/v1/write") {
        let advice =
            format!("that path takes remote write of Prometheus: write http://{host}/write");
        return Some((Severity::Problem, advice));
    }
    let is_write = path == "write" || path.ends_with("/write") || is_version_3;
    let example = if is_victoria_metrics {
        format!("http://{host}/write")
    } else if has("bucket") || has("org") {
        format!("http://{host}/api/v2/write?org=…&bucket=…")
    } else {
        format!(
            "http://{host}/api/v2/write?org=…&bucket=… (InfluxDB 2) or http://{host}/write?db=… \
             (InfluxDB 1)"
        )
    };
    if !is_write {
        let advice = format!("its path is not one that takes line protocol: write {example}");
        return Some((Severity::Problem, advice));
    }
    // The usual port of InfluxDB 1 and 2; what else takes line protocol may need no name.
    let is_influxdb = host.ends_with(":8086") || is_version_2 || is_version_3;
    if is_victoria_metrics || !is_influxdb {
        return None;
    }
    let wanted = if is_version_2 { "bucket" } else { "db" };
    (!has(wanted)).then(|| {
        let name = if is_version_2 {
            "org=…&bucket=…"
        } else {
            "db=…"
        };
        let advice = format!("InfluxDB needs ?{name} at its end");
        (Severity::Note, advice)
    })
}

fn read_name(option: &mut OptionReader<'_, '_>) -> Option<Arc<str>> {
    let entry = option.entry()?;
    let name = entry.text()?;
    let is_fit = is_source_name(&name);
    if !is_fit {
        entry.expected("a name of at most 40 letters, digits, - _ . or spaces");
    }
    is_fit.then(|| name.into())
}

/// Names that line protocol cannot have, or that InfluxDB keeps for itself.
fn name_problem(name: &str) -> Option<&'static str> {
    match name.chars().next() {
        None => Some("it is empty"),
        Some('_') => Some("names that begin with _ are InfluxDB's own"),
        Some('#') => Some("a line that begins with # is a comment"),
        _ if name.chars().any(|c| c.is_control() || c == '\\') => {
            Some("it has a backslash or a control character")
        }
        _ => None,
    }
}

fn read_measurement(option: &mut OptionReader<'_, '_>) -> Option<String> {
    let entry = option.entry()?;
    let name = entry.text()?;
    if let Some(wrong) = name_problem(&name) {
        entry.problem(format!("measurement: expected a name, and {wrong}"));
        return None;
    }
    Some(name)
}

fn read_tags(item: &TableEntry<'_>) -> Vec<(String, String)> {
    let mut tags = Vec::new();
    for entry in item.entries() {
        let name = entry.key().to_owned();
        if matches!(&*name, "key" | "node") {
            entry.problem(format!(
                "every row has the tag `{name}` already: take another name"
            ));
            continue;
        }
        if name == "time" {
            entry.problem("`time` cannot be a tag in InfluxDB: take another name");
            continue;
        }
        if let Some(wrong) = name_problem(&name) {
            entry.problem(format!("tags: expected a name, and {wrong}"));
            continue;
        }
        let Some(value) = entry.text() else {
            continue;
        };
        if value.is_empty() {
            entry.problem(format!(
                "the tag `{name}` is empty, which InfluxDB refuses: remove it"
            ));
            continue;
        }
        tags.push((name, value));
    }
    if tags.len() > limits::FORWARD_TAGS {
        let most = limits::FORWARD_TAGS;
        item.problem(format!("expected at most {most} tags"));
    }
    tags
}

/// A request has one login.
fn check_login(table: &mut TableReader<'_>, forward: &ForwardConfig) {
    let has_header = |it: &Header| it.name.eq_ignore_ascii_case("authorization");
    let url = forward.url.reveal();
    let rest = url.split_once("://").map_or(url, |it| it.1);
    let in_url = rest
        .split(['/', '?'])
        .next()
        .is_some_and(|it| it.contains('@'));
    let (user, password) = (forward.user.is_some(), forward.password.is_some());
    if let Some(entry) = table.get("user").filter(|_| user && !password) {
        entry.problem("`user` needs a `password`");
    }
    if let Some(entry) = table.get("password").filter(|_| password && !user) {
        entry.problem("`password` needs a `user`; an API token of InfluxDB 2 is `token`");
    }
    let given = [
        ("token", forward.token.is_some(), "`token`"),
        ("user", user, "`user` and `password`"),
        ("url", in_url, "the user in `url`"),
        (
            "headers",
            forward.headers.iter().any(has_header),
            "the header Authorization",
        ),
    ];
    let mut given = given.into_iter().filter(|(_, is_given, _)| *is_given);
    if let (Some((_, _, first)), Some((name, _, second))) = (given.next(), given.next())
        && let Some(entry) = table.get(name)
    {
        entry.problem(format!(
            "a request has one login: remove {first} or {second}"
        ));
    }
    if let (Some(token), Some(entry)) = (&forward.token, table.get("token")) {
        let scheme = token.reveal().split_once(' ').map(|it| it.0);
        if scheme
            .is_some_and(|it| it.eq_ignore_ascii_case("token") || it.eq_ignore_ascii_case("bearer"))
        {
            entry.problem(
                "`token` is sent as `Authorization: Token …`: remove the word before it; another \
                 scheme is headers = { Authorization = \"Bearer …\" }",
            );
        }
    }
}

pub fn print_forwards(out: &mut String, forwards: &[ForwardConfig]) {
    for forward in forwards {
        out.push_str("\n[[forward]]\n");
        print_options(out, &OPTIONS, forward);
    }
}

#[cfg(test)]
#[path = "tests/forward.rs"]
pub mod tests;
