//! Source options (`[[source]]`): what is fetched, from where, how often, and which records are
//! read.
//!
//! [`OPTIONS`] lists the options; options that depend on each other are read after the list.

mod arguments;
mod body;
mod devices;
mod headers;
mod operation_body;
mod pagination;
mod placeholders;
mod records;
mod target;
mod url;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::de::DeValue;

use self::body::read_method;
use self::devices::{NamedSource, read_entry};
use self::pagination::{check_pagination, read_next};
use self::records::{read_pointer, read_selection};
use self::target::read_target;
use self::url::read_proxy;
use super::account::Accounts;
use super::auth::{auth_as_toml, check_scheme, read_auth, warn_authorization, warn_missing_auth};
use super::option::{is_source_name, parse_zone, read_quota};
use super::problem::Severity;
use super::reader::{TableEntry, TableReader};
use super::secret::without_secrets;
use super::section::{
    ConfigOption, OptionReader, duration, path, plain, print_options, read_options, set, text,
    with_others,
};
use super::types::{Auth, Header, KeySpans, RequestMethod, SourceConfig, SourceTarget};
use crate::api::connection_pool;
use crate::domain::plan::{Numbers, ResponseFormat, Selection};
use crate::limits;
use openapi::operation::Api;

#[cfg(test)]
pub use self::records::OPTIONS as RECORD_OPTIONS;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);
/// Another main-node responds from memory, mostly with 304.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(10);

/// A source while it is read: options whose default depends on others are `None` until then.
pub struct SourceDraft {
    source: SourceConfig,
    name: Option<String>,
    every: Option<Duration>,
    /// Requests per day.
    connections: Option<usize>,
}

type SourceOption = ConfigOption<SourceDraft, SourceConfig>;

pub static OPTIONS: [SourceOption; 33] = [
    SourceOption::new(
        "name",
        "text",
        "one of `name`, `for` is required",
        "\"weather\"",
        "Name of the source, in pages, alerts and metrics: 1 to 40 letters, digits, spaces or `-_.`; each name is used once.",
        |draft, option| draft.name = read_name(option),
        |source| text(&source.plan.name),
    ),
    SourceOption::new(
        "for",
        "table",
        "none",
        "{ plug1 = \"192.168.1.20\", plug2 = \"192.168.1.21\" }",
        "Several devices of one kind, instead of `name`: one source for each entry, named by its key. `{device}` in `url`, `base_url`, `params`, `headers` and `body` is its value. At most 64.",
        with_others,
        // `check` prints the source of each device.
        |_| None,
    ),
    SourceOption::new(
        "operation",
        "text",
        "one of `operation`, `url`, `follow` is required",
        "\"getForecast\"",
        "What to call: an operation of a compiled-in OpenAPI file. Parameters and responses are checked against that file. `main-node operations` prints them, ready to paste.",
        with_others,
        |source| text(&source.operation()?.id),
    ),
    SourceOption::new(
        "api",
        "text",
        "the API that has the operation",
        "\"open_meteo\"",
        "Which compiled-in API is meant. Only needed when several have an operation of that name.",
        with_others,
        |source| text(&source.operation()?.api),
    ),
    SourceOption::new(
        "base_url",
        "URL",
        "the server that the OpenAPI file names",
        "\"http://192.168.1.20:8080\"",
        "Server of the operation, when it is not the one of the OpenAPI file: a device at home, or a test server.",
        with_others,
        target::print_base_url,
    ),
    SourceOption::new(
        "url",
        "URL",
        "one of `operation`, `url`, `follow` is required",
        "\"http://192.168.1.20/api/v1/data\"",
        "What to call: any address that responds with JSON. No OpenAPI file is needed.",
        with_others,
        |source| match &source.target {
            SourceTarget::Url { url, .. } => text(&without_secrets(url)),
            _ => None,
        },
    ),
    SourceOption::new(
        "follow",
        "URL",
        "one of `operation`, `url`, `follow` is required",
        "\"http://attic.local:8000\"",
        "What to call: another main-node. This node takes over all its keys, with their units and times. Options that select records have no effect.",
        with_others,
        |source| match &source.target {
            SourceTarget::Follow { node } => text(&without_secrets(node)),
            _ => None,
        },
    ),
    SourceOption::new(
        "params",
        "table",
        "none",
        "{ latitude = 52.52, longitude = 13.41 }",
        "Parameters of the operation, checked against its OpenAPI file; with `url`, the query string, in which lists are joined by commas.",
        with_others,
        target::print_params,
    ),
    SourceOption::new(
        "method",
        "\"GET\" or \"POST\"",
        "\"GET\"",
        "\"POST\"",
        "HTTP method of a `url`; with `operation` the OpenAPI file says it. `body` implies POST. A POST is for APIs that are asked by it: GraphQL, JSON-RPC, searches. It follows no redirect and is never conditional.",
        with_others,
        body::print_method,
    ),
    SourceOption::new(
        "body",
        "table or text",
        "none",
        "{ query = \"{ viewer { name } }\" }",
        "Body of a POST: a table is sent as JSON, a text as it is. A field that TOML cannot write, such as null, needs a text. With `operation` it is checked against the OpenAPI file, and sent as JSON or as a form as that says.",
        with_others,
        body::print_body,
    ),
    SourceOption::new(
        "content_type",
        "text",
        "`application/json` where the text of `body` is JSON, else required",
        "\"application/x-www-form-urlencoded\"",
        "Media type of a `body` that is a text; with `operation` the OpenAPI file says it.",
        with_others,
        body::print_content_type,
    ),
    SourceOption::new(
        "headers",
        "table",
        "none",
        "{ Authorization = \"Bearer ${METER_TOKEN}\" }",
        "Request headers. Their values are never shown. For a user and password, or a token, use `auth`.",
        |draft, option| {
            draft.source.headers = option
                .entry()
                .map(|it| headers::read_headers(&it))
                .unwrap_or_default();
        },
        |source| headers::headers_as_toml(&source.headers),
    ),
    SourceOption::new(
        "auth",
        "table, or the name of an `[auth.NAME]`",
        "none",
        "{ user = \"me\", password = \"${METER_PASSWORD}\" }",
        "Credentials: `{ user = …, password = … }` (HTTP Basic) or `{ token = … }` (a Bearer token; with `operation`, the API key where the OpenAPI file says it goes). If an operation needs several security schemes at once, one entry for each, by its name. `auth = \"NAME\"` uses the table `[auth.NAME]`, which several sources can share. `main-node operations` prints the right form.",
        with_others,
        |source| match &source.account {
            Some(name) => text(name),
            None => Some(format!("{{ {} }}", auth_as_toml(source.auth.as_ref()?))),
        },
    ),
    SourceOption::new(
        "every",
        "duration",
        "\"5m\"; \"10s\" with `follow`",
        "\"15m\"",
        "Interval between requests, at least `\"1s\"`. After failures the interval doubles up to 15 minutes; a longer wait that the server asks for (`Retry-After`) is obeyed.",
        |draft, option| draft.every = read_interval(option),
        |source| duration(source.plan.every),
    ),
    SourceOption::new(
        "quota",
        "text, `\"N/minute\"`, `\"N/hour\"`, `\"N/day\"` or `\"N/month\"`",
        "none",
        "\"50/day\"",
        "How many requests the provider allows. `every` is raised until they fit, spread evenly; requests before a restart count too, and so does each page. A month has 31 days here. Sources that share one account have its quota in `[auth.NAME]`.",
        |draft, option| draft.source.quota = option.entry().and_then(|it| read_quota(&it)),
        |source| text(&source.quota?.to_string()),
    ),
    SourceOption::new(
        "obey_expires",
        "boolean",
        "false",
        "true",
        "Whether the next request waits until the response expires: `max-age` of its `Cache-Control`, else `Expires` − `Date`, less its `Age`; at most ten times `every` and 24 hours, never less than `every`. For services that ask for it, such as api.met.no. A longer interval also delays `stale_after` and alerts.",
        |draft, option| set(&mut draft.source.obey_expires, option.boolean()),
        |source| plain(source.obey_expires),
    ),
    SourceOption::new(
        "next",
        "JSON Pointer or `\"Link\"`",
        "none (one page)",
        "\"/links/next\"",
        "Where a response has the URL of the next page; `\"Link\"` is the header `Link` with `rel=\"next\"`. The pages are fetched one after the other and read as one response: arrays at the same place are joined, all else is as on the first page. null, false, an empty text, nothing, or a URL seen before ends it. A next page must have the scheme, host and port of the source. If one page fails, the whole fetch fails.",
        |draft, option| {
            if let Some(next) = option.entry().and_then(|it| read_next(&it)) {
                draft.source.pagination.get_or_insert_default().next = next;
            }
        },
        |source| text(&source.pagination.as_ref()?.next.to_string()),
    ),
    SourceOption::new(
        "pages",
        "number, 1 to 100",
        "10",
        "30",
        "How many pages are fetched at most; if there are more, an issue says so. Without `next` the pages are found by the header `Link`. `timeout` and `body_limit` hold for all pages together.",
        |draft, option| {
            let pages = option.integer(1..=u64::from(limits::MAX_CONFIGURED_PAGES));
            if let Some(pages) = pages {
                draft.source.pagination.get_or_insert_default().pages = pages as u32;
            }
        },
        |source| plain(source.pagination.as_ref()?.pages),
    ),
    SourceOption::new(
        "stale_after",
        "duration",
        "three times `every`",
        "\"1h\"",
        "Age at which readings of the source count as stale: marked on pages and in the API, and outvoted by fresh ones (see `merge`). `[key.NAME]` can set it for one key.",
        |draft, option| draft.source.plan.stale_after = option.duration(),
        |source| duration(source.plan.default_stale_after(Duration::ZERO)),
    ),
    SourceOption::new(
        "forget_after",
        "duration",
        "\"1d\"",
        "\"7d\"",
        "How long a key must be missing from good responses before it is removed from the current values; its history stays. Keys that `[source.records]`, `[key.NAME]` or `[alert]` name are never removed.",
        |draft, option| set(&mut draft.source.plan.forget_after, option.duration()),
        |source| duration(source.plan.forget_after),
    ),
    SourceOption::new(
        "timeout",
        "duration",
        "\"30s\"",
        "\"10s\"",
        "Time limit for one request, from the connection to the end of the response, redirects included.",
        |draft, option| set(&mut draft.source.timeout, option.duration()),
        |source| duration(source.timeout),
    ),
    SourceOption::new(
        "body_limit",
        "size",
        "\"4MiB\"",
        "\"512kB\"",
        "Largest response body that is read, after decompression. A larger one is a failure.",
        |draft, option| set(&mut draft.source.body_bytes, option.bytes()),
        |source| plain(source.body_bytes),
    ),
    SourceOption::new(
        "redirects",
        "number, 0 to 20",
        "5",
        "0",
        "How many redirects one request follows. `0` refuses them.",
        |draft, option| {
            let count = option.integer(0..=20).map(|count| count as u32);
            set(&mut draft.source.redirects, count);
        },
        |source| plain(source.redirects),
    ),
    SourceOption::new(
        "connections",
        "number, 1 to 16",
        "1 to a device in the local network, 4 to a server on the internet",
        "2",
        "Simultaneous connections to the source's server, for all sources of that server together.",
        |draft, option| {
            let count = option.integer(1..=limits::MAX_CONFIGURED_CONNECTIONS);
            draft.connections = count.map(|count| count as usize);
        },
        |source| plain(source.connections),
    ),
    SourceOption::new(
        "keep_alive",
        "true or false",
        "true",
        "false",
        "`false` opens a new connection for each request (`Connection: close`), for a device that cannot keep connections open.",
        |draft, option| set(&mut draft.source.keep_alive, option.boolean()),
        |source| plain(source.keep_alive),
    ),
    SourceOption::new(
        "ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        "PEM file with the root certificates to trust for this source, instead of the system's. Needed for a device with a certificate of your own.",
        |draft, option| draft.source.ca_file = option.path(),
        |source| path(source.ca_file.as_deref()?),
    ),
    SourceOption::new(
        "proxy",
        "URL",
        "none",
        "\"http://proxy.lan:3128\"",
        "HTTP proxy for this source, as `http://host:port`, or `https://host:port` where the proxy itself speaks TLS; may contain `user:password@`, with special characters as `%40`. `https://` addresses are tunnelled (CONNECT). Proxies of the environment (`http_proxy`) are not used, nor SOCKS.",
        |draft, option| draft.source.proxy = option.entry().and_then(|it| read_proxy(&it)),
        |source| text(&without_secrets(source.proxy.as_deref()?)),
    ),
    SourceOption::new(
        "observed_at",
        "JSON Pointer",
        "none (the time of the response)",
        "\"/current/time\"",
        "Where the response has the time of its measurement. Understood are RFC 3339, a local time, and Unix time in seconds or milliseconds. Set it where the response can be older than the request.",
        |draft, option| {
            draft.source.plan.observed_at = option.entry().and_then(|it| read_pointer(&it));
        },
        |source| text(source.plan.observed_at.as_deref()?),
    ),
    SourceOption::new(
        "observed_zone",
        "time zone",
        "\"UTC\"",
        "\"Europe/Berlin\"",
        "Time zone of `observed_at`, for times that name none; and of [date placeholders](#date-and-time-placeholders), which are in `timezone` where this is not set.",
        |draft, option| {
            let zone = option.entry().and_then(|it| read_observed_zone(&it));
            draft.source.zone.clone_from(&zone);
            set(&mut draft.source.plan.observed_zone, zone);
        },
        |source| {
            if source.zone.is_none() {
                source.plan.observed_at.as_ref()?;
            }
            text(source.plan.observed_zone.iana_name().unwrap_or("UTC"))
        },
    ),
    SourceOption::new(
        "units_at",
        "JSON Pointer",
        "none",
        "\"/current_units\"",
        "An object in the response that has the unit of each field under the field's own name.",
        |draft, option| {
            draft.source.plan.units_at = option.entry().and_then(|it| read_pointer(&it));
        },
        |source| text(source.plan.units_at.as_deref()?),
    ),
    SourceOption::new(
        "format",
        "\"json\", \"ndjson\", \"csv\", \"xml\", \"prometheus\" or \"text\"",
        "\"json\"",
        "\"csv\"",
        "How the response is written. Each format becomes a tree of values, of which records are selected as of JSON: see “Formats”. What is not JSON is not checked against the OpenAPI file.",
        |draft, option| {
            let choices = ResponseFormat::ALL.map(|format| (format.name(), format));
            set(&mut draft.source.plan.format, option.choice(&choices));
        },
        |source| match source.plan.format {
            ResponseFormat::Json => None,
            format => text(format.name()),
        },
    ),
    SourceOption::new(
        "numbers",
        "\"strict\" or \"lenient\"",
        "\"strict\"",
        "\"lenient\"",
        "`\"lenient\"` accepts texts such as `\"21.4\"` as numbers; `\"strict\"` does not.",
        |draft, option| {
            let choices = [("strict", Numbers::Strict), ("lenient", Numbers::Lenient)];
            set(&mut draft.source.plan.numbers, option.choice(&choices));
        },
        |source| match source.plan.numbers {
            Numbers::Strict => None,
            Numbers::Lenient => text("lenient"),
        },
    ),
    SourceOption::new(
        "attribution",
        "text",
        "none",
        "\"Weather data by Open-Meteo.com, CC BY 4.0\"",
        "Credit that the licence of the data asks for; shown on the pages.",
        |draft, option| draft.source.plan.attribution = option.text().map(Into::into),
        |source| text(source.plan.attribution.as_deref()?),
    ),
];

/// The option that is printed as part of the keys where `[source.records]` names them.
pub static PREFIX: [ConfigOption<(), SourceConfig>; 1] = [ConfigOption::new(
    "prefix",
    "text",
    "\"\"; with `for` the name and a dot",
    "\"meter.\"",
    "Text before every key of the source, so that two sources do not share keys.",
    with_others,
    |source| match &source.plan.selection {
        Selection::AllLeaves { prefix } => text(prefix),
        Selection::Selectors(_) => None,
    },
)];

/// What reading a source needs besides its table.
#[derive(Clone, Copy)]
pub struct SourceInputs<'a> {
    /// Base directory of relative paths.
    pub directory: &'a Path,
    pub apis: &'a [&'static Api],
    pub accounts: &'a Accounts,
}

pub fn read_sources(
    root: &mut TableReader<'_>,
    inputs: SourceInputs<'_>,
) -> Vec<(SourceConfig, KeySpans)> {
    let Some(list) = root.get("source") else {
        root.problem(
            "nothing to fetch: add a [[source]] with a name and an operation or a url \
             (`main-node operations` prints ready ones)",
        );
        return Vec::new();
    };
    let entries = list.tables();
    let read = |entry| read_entry(entry, inputs);
    let named: Vec<NamedSource> = entries.iter().flat_map(read).collect();
    if named.len() > limits::SOURCES {
        let (maximum, found) = (limits::SOURCES, named.len());
        list.problem(format!("expected at most {maximum} sources, found {found}"));
    }
    let mut names = BTreeSet::new();
    for it in &named {
        let name = &it.source.plan.name;
        if !names.insert(name) {
            let message = format!("two sources are named {name:?}: rename one");
            root.reader().problem(&it.name_span, message);
        }
    }
    named.into_iter().map(|it| (it.source, it.keys)).collect()
}

fn is_source_option(name: &str) -> bool {
    OPTIONS.iter().any(|option| option.name == name)
}

fn read_source(
    mut table: TableReader<'_>,
    inputs: SourceInputs<'_>,
) -> Option<(SourceConfig, KeySpans)> {
    let mut draft = SourceDraft {
        source: SourceConfig::default(),
        name: None,
        every: None,
        connections: None,
    };
    read_options(&OPTIONS, &mut table, inputs.directory, &mut draft);
    if table.device().is_none()
        && let Some(name) = &draft.name
    {
        table.rename(format!("[[source]] {name:?}"));
    }
    let target = read_target(&mut table, inputs.apis);
    let method = read_method(&mut table, target.as_ref(), &draft.source.headers);
    set(&mut draft.source.method, method);
    read_credentials(
        &mut table,
        inputs.accounts,
        target.as_ref(),
        &mut draft.source,
    );
    if let Some(SourceTarget::Follow { .. }) = target {
        note_ignored_options(&mut table);
    }
    if let (Some(pagination), Some(target)) = (&draft.source.pagination, &target) {
        let is_post = matches!(draft.source.method, RequestMethod::Post(_));
        check_pagination(
            &mut table,
            pagination,
            target,
            is_post,
            draft.source.plan.format,
            draft.source.quota,
        );
    }
    let (selection, keys) = read_selection(&mut table, inputs.directory);
    draft.source.plan.selection = selection;
    draft.source.plan.has_shared_prefix = table.device().is_some() && table.get("prefix").is_some();
    draft.source.location = table.location();
    table.finish();
    let source = finish_source(draft, target)?;
    Some((source, keys))
}

/// Fills in the fields that depend on name and target.
fn finish_source(draft: SourceDraft, target: Option<SourceTarget>) -> Option<SourceConfig> {
    let (name, target) = (draft.name?, target?);
    let mut source = draft.source;
    let default_interval = match target {
        SourceTarget::Follow { .. } => FOLLOW_INTERVAL,
        _ => DEFAULT_INTERVAL,
    };
    let every = draft.every.unwrap_or(default_interval);
    let share = source.quota.map(|it| it.request_interval(source.pages()));
    source.plan.every = every.max(share.unwrap_or_default());
    source.plan.name = name.into();
    source.plan.is_upstream_node = matches!(target, SourceTarget::Follow { .. });
    let (label, summary, description) = match &target {
        SourceTarget::Operation { operation, .. } => (
            operation.id.as_str(),
            operation.summary.as_str(),
            operation.description.as_str(),
        ),
        SourceTarget::Url { .. } => (source.plan.format.address(), "", ""),
        SourceTarget::Follow { .. } => ("another main-node", "", ""),
    };
    source.plan.target = label.into();
    source.plan.summary = summary.into();
    source.plan.description = description.into();
    let host = target.uri().and_then(|uri| uri.host().map(str::to_owned));
    let default = connection_pool::default_connections(&host.unwrap_or_default());
    source.connections = draft.connections.unwrap_or(default);
    source.target = target;
    Some(source)
}

/// Reads `auth`: credentials, or the name of an account that has them.
fn read_credentials(
    table: &mut TableReader<'_>,
    accounts: &Accounts,
    target: Option<&SourceTarget>,
    source: &mut SourceConfig,
) {
    let is_missing = match table.get("auth") {
        None => true,
        Some(entry) if matches!(entry.value(), DeValue::String(_)) => {
            let found = accounts.find(&entry);
            let credential = found.as_ref().and_then(|(_, it)| it.credential.clone());
            if let Some(credential) = &credential {
                check_scheme(&entry, credential, target);
            }
            let is_missing = found.is_some() && credential.is_none();
            source.account = found.map(|(name, _)| name);
            source.auth = credential.map(Auth::Any);
            is_missing
        }
        Some(entry) => {
            source.auth = read_auth(&entry, target);
            false
        }
    };
    if is_missing {
        warn_auth(table, target, &source.headers);
    }
    if let (Some(SourceTarget::Url { .. }), Some(auth)) = (target, &source.auth)
        && let Some(entry) = table.get("auth")
    {
        warn_authorization(&entry, auth, &source.headers);
    }
}

fn warn_auth(table: &mut TableReader<'_>, target: Option<&SourceTarget>, headers: &[Header]) {
    if let Some(SourceTarget::Operation {
        operation,
        arguments,
        ..
    }) = target
        && let Some(entry) = table.get("operation")
    {
        let names: Vec<&str> = arguments.iter().map(|(name, _)| name.as_str()).collect();
        warn_missing_auth(&entry, operation, headers, &names);
    }
}

fn note_ignored_options(table: &mut TableReader<'_>) {
    if let Some(entry) = table.get("format") {
        entry
            .problem("`format` belongs to a `url` or an `operation`, not to a `follow`: remove it");
    }
    for option in ["records", "prefix", "observed_at", "units_at", "numbers"] {
        if let Some(entry) = table.get(option) {
            entry.remark(
                Severity::Note,
                format!(
                    "`{option}` has no effect on a `follow` source, whose keys are those of the \
                     other node: remove it, or read that node with url = \"…/snapshot\""
                ),
            );
        }
    }
}

fn read_name(option: &mut OptionReader<'_, '_>) -> Option<String> {
    let entry = option.entry();
    if let Some(device) = option.table.device() {
        if let Some(entry) = entry {
            entry.problem("the keys of `for` are the names of its sources: remove `name`");
        }
        return Some(device.name.clone());
    }
    let Some(entry) = entry else {
        option
            .table
            .problem("this source has no name: add name = \"…\"");
        return None;
    };
    let name = entry.text()?;
    if !is_source_name(&name) {
        entry.expected("a name of 1 to 40 letters, digits, spaces or -_.");
        return None;
    }
    Some(name)
}

fn read_interval(option: &mut OptionReader<'_, '_>) -> Option<Duration> {
    let entry = option.entry()?;
    let every = entry.duration()?;
    if every < limits::MIN_INTERVAL {
        entry.expected("at least \"1s\"");
    }
    Some(every)
}

fn read_observed_zone(entry: &TableEntry<'_>) -> Option<TimeZone> {
    let zone = parse_zone(&entry.text()?);
    zone.map_err(|message| entry.problem(message)).ok()
}

/// Prints the source as TOML, secrets masked.
pub fn print_source(out: &mut String, source: &SourceConfig) {
    out.push_str("\n[[source]]\n");
    print_options(out, &OPTIONS, source);
    print_options(out, &PREFIX, source);
    if let Selection::Selectors(selectors) = &source.plan.selection {
        records::print_records(out, selectors);
    }
}
