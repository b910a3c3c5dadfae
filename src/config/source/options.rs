//! List of the source options. Those that depend on each other are read after the list.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::pagination::read_next;
use super::target;
use crate::config::auth::auth_as_toml;
use crate::config::option::{is_source_name, parse_zone, read_quota};
use crate::config::reader::TableEntry;
use crate::config::request::url::read_proxy;
use crate::config::request::value_path::read_value_path;
use crate::config::request::{body, headers};
use crate::config::section::{
    ConfigOption, OptionReader, duration, path, plain, set, text, value_path, with_others,
};
use crate::config::trust::{self, print_fingerprints, read_fingerprints};
use crate::config::types::{SourceConfig, SourceTarget};
use crate::domain::plan::{Numbers, ResponseFormat, Selection};
use crate::domain::redact::without_secrets;
use crate::domain::toml_text::quoted_path;
use crate::limits;

/// A source while it is read: options whose default depends on others are `None` until then.
#[derive(Default)]
pub struct SourceDraft {
    pub source: SourceConfig,
    pub name: Option<String>,
    pub every: Option<Duration>,
    pub connections: Option<usize>,
}

type SourceOption = ConfigOption<SourceDraft, SourceConfig>;

pub static OPTIONS: [SourceOption; 35] = [
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
        "What to call: an operation of an OpenAPI file, of an `[[api]]` or compiled in, by its `operationId`, or as `\"GET /path\"`. Parameters and responses are checked against that file. `main-node operations FILE` prints them, ready to paste. A POST is only sent because a source names it.",
        with_others,
        target::print_operation,
    ),
    SourceOption::new(
        "api",
        "text",
        "the API that has the operation",
        "\"open_meteo\"",
        "Which API is meant: the name of an `[[api]]`, or a compiled-in one. Only needed when several have an operation of that name.",
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
        "What to call: any address that responds with JSON, or in another `format`. No OpenAPI file is needed.",
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
        "Credentials, or how they are got; every kind is in the section “Authentication”: `{ user = …, password = … }` (HTTP Basic or Digest), `{ token = … }` (a Bearer token; with `operation`, the API key where the OpenAPI file says it goes), OAuth 2.0, logins, cookies, client certificates. If an operation needs several security schemes at once, one entry for each, by its name. `auth = \"NAME\"` uses the table `[auth.NAME]`, which several sources can share. `main-node operations` prints the right form.",
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
        "JSON Pointer, JSONPath or `\"Link\"`",
        "none (one page)",
        "\"/links/next\"",
        "Where a response has the URL of the next page; `\"Link\"` is the header `Link` with `rel=\"next\"`. The pages are fetched one after the other and read as one response: arrays at the same place are joined, all else is as on the first page. null, false, an empty text, nothing, or a URL seen before ends it. A next page must have the scheme, host and port of the source. If one page fails, the whole fetch fails.",
        |draft, option| {
            if let Some(next) = option.entry().and_then(|it| read_next(&it)) {
                draft.source.pagination.get_or_insert_default().next = next;
            }
        },
        |source| Some(quoted_path(&source.pagination.as_ref()?.next.to_string())),
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
        "max_records",
        "number, 1 to 5000",
        "256",
        "1000",
        "How many records the source may have; more are left out, and an issue says so. All sources together have at most the `max_records` at the top of the file, 2000.",
        |draft, option| {
            let count = option.integer(1..=limits::MAX_CONFIGURED_RECORDS as u64);
            set(
                &mut draft.source.plan.max_records,
                count.map(|it| it as usize),
            );
        },
        |source| plain(source.plan.max_records),
    ),
    SourceOption::new(
        "timeout",
        "duration",
        "\"30s\"",
        "\"10s\"",
        "Time limit for one request, from the connection to the end of the response, redirects included. Requests for tokens and logins (`auth`) have 30 seconds at least.",
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
        "PEM file with the root certificates to trust for this source, instead of the system's, or with the certificate of the server itself, which is then trusted whatever its name and dates. Needed for a device with a certificate of your own.",
        |draft, option| draft.source.trust.ca_file = option.path(),
        |source| path(source.trust.ca_file.as_deref()?),
    ),
    SourceOption::new(
        "fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        "SHA-256 fingerprint of the certificate that the server presents: this certificate is trusted, whatever its issuer, name and dates, and no other unless `ca_file` trusts it too. For a device with a certificate that it made itself: `main-node check --online` prints the line. Several may be given, such as the present and the next one. If the source's redirects or its `https://` proxy lead to other servers, theirs are needed too.",
        |draft, option| draft.source.trust.fingerprints = read_fingerprints(option),
        |source| print_fingerprints(&source.trust.fingerprints),
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
        "JSON Pointer or JSONPath",
        "none (the time of the response)",
        "\"/current/time\"",
        "Where the response has the time of its measurement. Understood are RFC 3339, RFC 2822, local times and dates (`2026-11-29 10:00`, `29.11.2026 10:00`, `20261129100000`), `/Date(1795950000000)/`, and Unix time in seconds, milliseconds, microseconds or nanoseconds. A local time that occurs twice is the first of the two; a date is its first instant. Set it where the response can be older than the request.",
        |draft, option| {
            draft.source.plan.observed_at = option.entry().and_then(|it| read_value_path(&it));
        },
        |source| value_path(source.plan.observed_at.as_ref()?),
    ),
    SourceOption::new(
        "observed_zone",
        "time zone",
        "none (UTC)",
        "\"Europe/Berlin\"",
        "Time zone of `observed_at` and of the times of elements, where they name none; and of [date placeholders](#date-and-time-placeholders), which are in `timezone` where this is not set.",
        |draft, option| {
            let zone = option.entry().and_then(|it| read_observed_zone(&it));
            draft.source.zone.clone_from(&zone);
            set(&mut draft.source.plan.observed_zone, zone);
        },
        |source| text(source.zone.as_ref()?.iana_name().unwrap_or("UTC")),
    ),
    SourceOption::new(
        "units_at",
        "JSON Pointer or JSONPath",
        "none",
        "\"/current_units\"",
        "An object in the response that has the unit of each field under the field's own name.",
        |draft, option| {
            draft.source.plan.units_at = option.entry().and_then(|it| read_value_path(&it));
        },
        |source| value_path(source.plan.units_at.as_ref()?),
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
        "`\"lenient\"` reads texts such as `\"21.4\"`, `\"21,5 °C\"` and `\"1 234 kWh\"` as numbers, in every selection; `\"strict\"` reads them only for records with `decimal`, `base` or `pattern`. A text that may be two numbers, such as `\"1,234\"`, is an issue: set `decimal` of its record. Without `[source.records]` only well-known units are read.",
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
