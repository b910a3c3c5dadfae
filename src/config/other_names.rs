//! Names of options in other programs, and what to write here instead.

mod alerts;
mod credentials;
mod forward;
mod mqtt;
mod outputs;
mod pages;
mod server;

use self::alerts::ALERTS;
use self::credentials::CREDENTIALS;
use self::forward::FORWARD_NAMES;
use self::mqtt::MQTT_NAMES;
use self::outputs::OUTPUTS;
use self::pages::PAGES;
use self::server::SERVER;

/// Names, an option of the table that is meant, and what to write.
type Names = (&'static [&'static str], &'static str, &'static str);

/// Of keys that are computed from others.
const COMPUTED: [&str; 11] = [
    "rate",
    "diff",
    "difference",
    "delta",
    "increase",
    "derivative",
    "per_hour",
    "integral",
    "formula",
    "expression",
    "calc",
];
const DERIVED: &str = "computed keys have tables of their own: [derived.NAME] with increase = \"KEY\" and since = \"day\", \
     rate = \"KEY\" and over = \"1h\", or formula = \"a + b\"";

const KEY_TABLE: &str = "it is written in the table of the key: [key.\"NAME\"]";

/// Settings of how people see a key, with names of other programs.
const KEY_SETTINGS: &[&str] = &[
    "label",
    "decimals",
    "precision",
    "show",
    "words",
    "hide",
    "friendly_name",
];

const NAMES: &[Names] = &[
    (&COMPUTED, "show", DERIVED),
    (&COMPUTED, "max_change", DERIVED),
    (
        &[
            "from",
            "of",
            "key",
            "input",
            "source",
            "counter",
            "diff",
            "delta",
            "difference",
        ],
        "increase",
        "write increase = \"KEY\" with since = \"day\", or formula = \"…\"",
    ),
    (
        &["mean", "avg", "average"],
        "avg_over_time",
        "write avg_over_time = \"KEY\" with over = \"24h\" or since = \"day\"",
    ),
    (
        &["max", "min", "maximum", "minimum"],
        "avg_over_time",
        "write max_over_time or min_over_time = \"KEY\" with over = \"24h\" or since = \"day\"",
    ),
    (
        &["sum", "total", "sum_over_time", "sum_of"],
        "increase",
        "write increase = \"KEY\" (of a counter) or integral = \"KEY\" (of a power), with since = \"day\"",
    ),
    (
        &["window", "period", "duration", "range", "interval", "time"],
        "over",
        "write over = \"24h\", or since = \"day\"",
    ),
    (
        &["reset", "cycle", "daily", "from_begin_of"],
        "since",
        "write since = \"day\"",
    ),
    (KEY_SETTINGS, "formula", KEY_TABLE),
    (KEY_SETTINGS, "at", KEY_TABLE),
    (&["stale_after", "merge"], "at", KEY_TABLE),
    (
        &["observed_at", "observed_zone"],
        "element_time",
        "it is an option of the source, above [source.records]; elements of a list have `element_time`, \
         `newest_by` or `now`",
    ),
    (
        &["forecast", "series", "history"],
        "element_time",
        "write element_time = \"/time\" with each = \"/list\", or element_time = true with times_at = \"/times\"",
    ),
    (
        &["next", "following", "current", "shift"],
        "now",
        "write now = \"/start\" for the element that is now, and ahead = 1 for the next one",
    ),
    (
        &["last", "latest", "newest", "most_recent"],
        "newest_by",
        "write newest_by = \"/time\", or at = \"$.list[-1].value\" for the last of a list",
    ),
    (
        &["sum", "mean", "avg", "average", "count", "total"],
        "aggregate",
        "write aggregate = \"sum\", \"mean\" or \"count\" for all values of a list; of several keys, or over time, \
         [derived.NAME] computes them",
    ),
    (
        &["filter", "where", "select", "condition"],
        "each",
        "write it as a JSONPath: at = \"$.list[?@.name=='x'].value\"",
    ),
    (
        &["zone", "tz", "timezone", "time_zone"],
        "observed_zone",
        "write observed_zone = \"Europe/Berlin\" for times without an offset",
    ),
    (
        &[
            "interval",
            "scan_interval",
            "update_interval",
            "poll_interval",
            "refresh",
            "period",
        ],
        "every",
        "write every = \"30s\"",
    ),
    (
        &["cron", "schedule", "at_time"],
        "every",
        "requests are repeated in an interval, such as every = \"1h\"",
    ),
    (
        &["retries", "retry", "max_retries", "backoff"],
        "every",
        "a failed request is repeated after `every`, then after longer intervals: remove it",
    ),
    (
        &["enabled", "disabled", "enable"],
        "every",
        "remove the table of a source that is not wanted, or put # before its lines",
    ),
    (
        &["type", "value_type", "data_type"],
        "map",
        "a value is a number, unless you write text = true",
    ),
    (
        &["resource", "uri", "endpoint", "address", "link", "host"],
        "url",
        "write url = \"http://…\"",
    ),
    (
        &["payload", "data", "json", "json_body", "request_body"],
        "body",
        "write body = { … } (sent as JSON), or body = \"…\"",
    ),
    (
        &["query", "query_params", "parameters", "args"],
        "params",
        "write params = { NAME = \"…\" }",
    ),
    (
        &["user_agent", "useragent"],
        "headers",
        "write headers = { User-Agent = \"…\" }",
    ),
    (&["accept"], "headers", "write headers = { Accept = \"…\" }"),
    (
        &[
            "proxy_user",
            "proxy_username",
            "proxy_password",
            "proxy_auth",
        ],
        "proxy",
        "write proxy = \"http://user:password@host:port\"",
    ),
    (
        &["http_proxy", "https_proxy", "proxy_url"],
        "proxy",
        "write proxy = \"http://host:port\"",
    ),
    (
        &["devices", "hosts", "targets", "addresses"],
        "for",
        "write for = { NAME = \"ADDRESS\", … } and {device} in `url`",
    ),
    (
        &[
            "delimiter",
            "separator",
            "csv_delimiter",
            "skip_rows",
            "csv_skip_rows",
        ],
        "format",
        "format = \"csv\" finds the delimiter, the names of the columns and # lines itself: remove it",
    ),
    (
        &["data_format", "content"],
        "format",
        "write format = \"json\", \"csv\", \"xml\" or another",
    ),
    (
        &["decimal_separator", "decimal_comma", "thousands_separator"],
        "decimal",
        "write decimal = \",\": the comma is the decimal mark, and points group thousands",
    ),
    (
        &["decimal", "decimal_separator", "decimal_comma"],
        "records",
        "write it in the record: NAME = { at = \"/pointer\", decimal = \",\" }",
    ),
    (
        &["regex", "regexp", "re", "regex_findall", "match"],
        "pattern",
        "write pattern = '([0-9.]+) kWh', with one group around the number",
    ),
    (&["radix", "hex"], "base", "write base = 16"),
    (
        &["default", "default_value", "fallback"],
        "missing",
        "write missing = 0 (where there is nothing) or null = 0 (where there is null)",
    ),
    (
        &["pagination", "next_page", "paginate"],
        "next",
        "write next = \"/pointer/to/the/next/url\" or next = \"Link\"",
    ),
    (
        &[
            "json_query",
            "json_path",
            "jsonpath",
            "value_template",
            "json_attributes",
            "fields",
            "values",
            "metrics",
            "sensors",
            "sensor",
        ],
        "records",
        "write [source.records] below this table, and there NAME = \"/pointer/to/value\"",
    ),
    (
        &[
            "path",
            "pointer",
            "json_path",
            "jsonpath",
            "json_query",
            "xpath",
            "value_template",
            "value",
            "selector",
            "field",
        ],
        "at",
        "write at = \"/pointer/to/value\"",
    ),
    (
        &["units", "unit_of_measurement"],
        "unit",
        "write unit = \"…\"",
    ),
    (
        &["factor", "multiplier", "multiply", "divide", "divisor"],
        "scale",
        "write scale = 0.001, the factor",
    ),
    (&["add", "bias"], "offset", "write offset = -273.15"),
    (&["username", "login", "name"], "user", "write user = \"…\""),
    (
        &["pass", "passwd", "pw"],
        "password",
        "write password = \"…\"",
    ),
];

/// What to write instead of `name`, of another program, in a table that has the options `known`.
pub fn advice(name: &str, known: &[&str]) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    if known.contains(&name.as_str()) {
        return None;
    }
    let is_meant =
        |(names, option, _): &&Names| names.contains(&name.as_str()) && known.contains(option);
    let all = [MQTT_NAMES, FORWARD_NAMES, OUTPUTS, ALERTS, PAGES, SERVER]
        .into_iter()
        .chain(CREDENTIALS)
        .chain([NAMES])
        .flatten();
    all.into_iter().find(is_meant).map(|(_, _, advice)| *advice)
}

/// Values in other programs, and the one that is the same here.
const VALUES: [(&[&str], &str); 22] = [
    (
        &["awtrix3", "awtrix_light", "awtrix-light", "ulanzi"],
        "awtrix",
    ),
    (&["remove"], "delete"),
    (&["stale", "frame", "red"], "mark"),
    (&["digest", "http_digest", "digest_auth", "md5"], "digest"),
    (
        &[
            "basic",
            "http_basic",
            "basic_auth",
            "client_secret_basic",
            "header",
        ],
        "basic",
    ),
    (&["post", "client_secret_post", "form"], "body"),
    (
        &[
            "client",
            "application",
            "clientcredentials",
            "client-credentials",
        ],
        "client_credentials",
    ),
    (
        &[
            "authorization_code",
            "authorizationcode",
            "code",
            "refresh",
            "accesscode",
            "device_code",
            "device",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "refresh_token",
    ),
    (
        &["password_credentials", "resource_owner", "ropc"],
        "password",
    ),
    (
        &["jsonl", "jsonlines", "json_lines", "json-lines"],
        "ndjson",
    ),
    (&["tsv", "semicolon"], "csv"),
    (&["openmetrics", "exposition", "metrics"], "prometheus"),
    (&["plain", "txt", "text/plain", "raw", "value"], "text"),
    (&["avg", "average"], "mean"),
    (&["length", "len", "size", "number"], "count"),
    (&["total", "add"], "sum"),
    (&["minimum", "lowest"], "min"),
    (&["maximum", "highest"], "max"),
    (&["today", "daily", "midnight", "1d"], "day"),
    (&["weekly", "monday", "7d"], "week"),
    (&["monthly"], "month"),
    (&["yearly", "annual"], "year"),
];

/// The one of `known` that is meant by `value`, of another program.
pub fn value(value: &str, known: &[&str]) -> Option<&'static str> {
    let value = value.to_ascii_lowercase();
    let is_meant = |(values, here): &&(&[&str], &str)| {
        values.contains(&value.as_str()) && known.contains(here)
    };
    VALUES.iter().find(is_meant).map(|(_, here)| *here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_decides_what_is_meant() {
        let source = [
            "name",
            "url",
            "auth",
            "every",
            "records",
            "params",
            "fingerprint",
        ];
        let record = ["at", "unit", "scale", "element_time", "aggregate"];
        let derived = ["formula", "increase", "avg_over_time", "over"];
        let auth = [
            "user",
            "password",
            "scheme",
            "token",
            "header",
            "param",
            "grant",
            "token_url",
            "login",
            "cookies",
            "certificate",
            "key",
            "token_file",
        ];
        let login = ["url", "body", "form", "token", "token_header", "lifetime"];
        let mail = ["host", "user", "password", "auth"];
        let key = ["label", "show", "chart", "counter"];
        let group = ["name", "keys", "fold"];
        let wall = ["name", "keys", "dim"];
        let top = ["name", "title", "base_path", "auth", "key", "listen"];
        let push = ["url", "keys", "icons", "label", "every"];
        let mqtt = [
            "url",
            "user",
            "client_id",
            "fingerprint",
            "certificate",
            "key",
            "discovery_prefix",
        ];
        let forward = ["url", "user", "token", "fingerprint", "backfill"];
        let webhook = [
            "url",
            "user",
            "token",
            "chat_id",
            "body",
            "headers",
            "fingerprint",
        ];
        let ping = ["url", "fail_url", "body", "headers", "fingerprint"];
        let alert = ["mute", "webhook", "webhook_format", "ping"];
        let whole = [
            "name",
            "title",
            "listen",
            "base_path",
            "push",
            "mqtt",
            "alert",
        ];
        let cases: [(&str, &[&str], Option<&str>); 100] = [
            ("broker", &mqtt, Some("mqtt://")),
            ("host", &mqtt, Some("mqtt://")),
            ("port", &mqtt, Some("mqtt://")),
            ("username", &mqtt, Some("user = ")),
            ("topic_prefix", &mqtt, Some("prefix = ")),
            ("topic", &mqtt, Some("prefix = ")),
            ("qos", &mqtt, Some("with QoS 1")),
            ("retain", &mqtt, Some("retained")),
            ("clientid", &mqtt, Some("client_id = ")),
            // Near enough to be named as it is.
            ("client-id", &mqtt, None),
            ("mqtt", &source, Some("[mqtt]")),
            ("content_type", &webhook, Some("Content-Type")),
            ("keepalive", &mqtt, Some("remove it")),
            ("discovery", &mqtt, Some("home_assistant = true")),
            ("tls", &mqtt, Some("mqtts://")),
            ("tls_insecure", &mqtt, Some("fingerprint = ")),
            ("cafile", &["ca_file"], Some("ca_file = ")),
            ("enabled", &mqtt, Some("remove the table")),
            ("host", &forward, Some("/write?db=")),
            ("port", &forward, Some("/write?db=")),
            ("bucket", &forward, Some("bucket=")),
            ("username", &forward, Some("user = ")),
            ("api_token", &forward, Some("token = ")),
            ("type", &forward, Some("/write?db=")),
            ("timeout", &forward, Some("remove it")),
            ("name_override", &forward, Some("measurement = ")),
            ("content_type", &push, Some("Content-Type")),
            ("type", &webhook, Some("format = ")),
            ("topic", &webhook, Some("ntfy.sh/")),
            ("bot_token", &webhook, Some("token = ")),
            ("chat", &webhook, Some("chat_id = ")),
            ("message", &webhook, Some("body = ")),
            ("payload", &webhook, Some("instead of `format`")),
            ("user_key", &webhook, Some("user = ")),
            ("severity", &webhook, Some("level = ")),
            ("keys", &webhook, Some("only = ")),
            ("fail", &ping, Some("fail_url = ")),
            ("every", &ping, Some("once a minute")),
            ("telegram", &alert, Some("[[alert.webhook]]")),
            ("healthchecks", &alert, Some("[alert.ping]")),
            ("ping_fail", &alert, Some("[alert.ping]")),
            ("ntfy", &whole, Some("[[alert.webhook]]")),
            ("webhook", &whole, Some("[[alert.webhook]]")),
            ("ping", &whole, Some("[alert.ping]")),
            ("influxdb", &whole, Some("[[forward]]")),
            ("homeassistant", &whole, Some("[mqtt]")),
            ("awtrix", &whole, Some("[[push]]")),
            ("outputs", &whole, Some("[mqtt], [[forward]]")),
            ("host", &push, Some("url = ")),
            ("payload_template", &push, Some("body = ")),
            ("flush_interval", &push, Some("every = ")),
            ("color", &push, Some("warn = ")),
            ("color", &key, Some("pages choose colours")),
            ("friendly_name", &key, Some("label = ")),
            ("name", &key, Some("label = ")),
            ("suggested-display-precision", &key, Some("decimals = ")),
            ("state_class", &key, Some("counter = true")),
            ("formula", &key, Some("[derived.NAME]")),
            ("title", &group, Some("name = ")),
            ("entities", &group, Some("keys = ")),
            ("collapsed", &group, Some("fold = true")),
            ("theme", &wall, Some("dim = ")),
            ("refresh", &wall, Some("by itself")),
            ("serve_from_sub_path", &top, Some("base_path = ")),
            ("use_x_forwarded_for", &top, Some("trusted_proxies = ")),
            ("password", &top, Some("password_file = ")),
            ("decimals", &record, Some("[key.")),
            ("decimals", &derived, Some("[key.")),
            ("observed_at", &record, Some("option of the source")),
            ("forecast", &record, Some("element_time = ")),
            ("sum", &record, Some("aggregate = \"sum\"")),
            ("mean", &derived, Some("avg_over_time = ")),
            ("window", &derived, Some("over = ")),
            ("scan_interval", &source, Some("every = ")),
            ("Verify-SSL", &source, Some("fingerprint = ")),
            ("json_path", &source, Some("[source.records]")),
            ("json_path", &record, Some("at = ")),
            ("username", &source, Some("auth = { user = ")),
            ("username", &mail, Some("user = ")),
            ("username", &auth, Some("user = ")),
            ("authentication", &source, Some("auth = { user = ")),
            ("-u", &source, Some("auth = { user = ")),
            ("bearer_token", &source, Some("auth = { token = ")),
            ("tls_cert", &source, Some("auth = { certificate = ")),
            ("oauth2", &source, Some("auth = { grant = ")),
            ("cookies", &source, Some("auth = { login = ")),
            ("insecure_skip_verify", &source, Some("fingerprint = ")),
            ("type", &auth, Some("scheme = \"digest\"")),
            ("client_cert", &auth, Some("certificate = ")),
            ("client_key", &auth, Some("key = ")),
            ("tls_key", &top, Some("a reverse proxy")),
            ("port", &top, Some("write listen = 8000")),
            ("unix_socket", &top, Some("localhost")),
            ("log_level", &top, Some("RUST_LOG")),
            ("insecure", &auth, Some("fingerprint = ")),
            ("grant_type", &auth, Some("grant = ")),
            ("bearer_token_file", &auth, Some("token_file = ")),
            ("username", &login, Some("form = ")),
            ("expires_in", &login, Some("lifetime = ")),
            ("scan_interval", &record, None),
        ];
        for (name, known, expected) in cases {
            let advice = advice(name, known);
            assert_eq!(advice.is_some(), expected.is_some(), "{name}");
            let text = expected.unwrap_or_default();
            assert!(
                advice.unwrap_or_default().contains(text),
                "{name}: {advice:?}"
            );
        }
    }
}
