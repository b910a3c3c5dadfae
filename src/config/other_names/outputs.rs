//! Names for what is sent to displays, and for outputs as a whole, in other programs.

use super::Names;

/// Options that only one kind of table has: what tells it from others.
const PUSH: &str = "icons";
const TOP: &str = "listen";

/// Switches of what has a table of its own.
pub const SWITCHES: &[&str] = &["enabled", "disabled", "enable", "disable", "active"];
pub const UNWANTED: &str =
    "remove the table of an output that is not wanted, or put # before its lines";
pub const OWN_CHOICE: &str = "there is nothing to set, the node chooses it: remove it";
pub const KEYS: &str = "write keys = [\"solar.*\", \"temperature\"]";

pub const OUTPUTS: &[Names] = &[
    (SWITCHES, PUSH, UNWANTED),
    (
        &[
            "host", "address", "ip", "server", "endpoint", "uri", "urls", "target", "device",
        ],
        PUSH,
        "write url = \"http://awtrix.local\"",
    ),
    (
        &[
            "key", "records", "sensor", "sensors", "entity", "entities", "metrics", "include",
            "namepass", "fields",
        ],
        PUSH,
        "write keys = [\"temperature\", \"room.*\"]",
    ),
    (
        &[
            "interval",
            "flush_interval",
            "scan_interval",
            "update_interval",
            "throttle",
            "min_interval",
            "period",
        ],
        PUSH,
        "write every = \"10s\" for the shortest time between two requests; only changes are sent",
    ),
    (
        &[
            "template",
            "payload",
            "payload_template",
            "data",
            "data_format",
            "json",
            "content",
            "message",
        ],
        PUSH,
        "write body = '{\"value\": {value}}', or format = \"json\" for the body of /snapshot",
    ),
    (
        &["username", "login", "auth", "authentication"],
        PUSH,
        "write user = \"me\" and password = \"${DISPLAY_PASSWORD}\"",
    ),
    (
        &["token", "api_key", "bearer", "header"],
        PUSH,
        "write headers = { Authorization = \"Bearer ${DISPLAY_TOKEN}\" }",
    ),
    (
        &["content_type", "contenttype", "mime_type"],
        PUSH,
        "write headers = { Content-Type = \"text/plain\" }",
    ),
    (
        &["app", "apps", "page", "pages", "duration"],
        PUSH,
        "a display has one app for each key, in the order of `keys`, and times of its own: remove it",
    ),
    (
        &["verify_ssl", "insecure_skip_verify", "tls_ca", "insecure"],
        PUSH,
        "write fingerprint = \"sha256:…\" or ca_file = \"FILE\"",
    ),
    (
        &["expire_after", "ttl", "timeout", "max_age", "refresh"],
        PUSH,
        "write lifetime = \"5m\" for how long the display keeps a value; everything is sent again after half of it",
    ),
    (
        &["lifetimemode", "expiry", "lifetime_expiry"],
        PUSH,
        "write lifetime_mode = \"delete\" or \"mark\"",
    ),
    (
        &["icon"],
        PUSH,
        "write icons = { \"solar.power\" = \"27464\" }",
    ),
    (
        &["color", "colour", "colors"],
        PUSH,
        "the colour follows from the `warn` and `bad` of the key: [key.\"NAME\"] with warn = \">1000\"",
    ),
    (
        &["type", "display", "kind"],
        PUSH,
        "write format = \"awtrix\" or \"json\", or a `body`",
    ),
    (
        &[
            "influxdb",
            "influxdb2",
            "influxdb_v2",
            "influx",
            "victoria_metrics",
            "victoriametrics",
            "telegraf",
            "remote_write",
            "forwards",
        ],
        TOP,
        "write a table [[forward]] with url = \"http://influxdb.local:8086/api/v2/write?org=…&bucket=…\"",
    ),
    (
        &[
            "homeassistant",
            "home_assistant",
            "hass",
            "broker",
            "mosquitto",
        ],
        TOP,
        "write a table [mqtt] with url = \"mqtt://homeassistant.local\" and home_assistant = true",
    ),
    (
        &["awtrix", "awtrix3", "ulanzi", "display", "displays"],
        TOP,
        "write a table [[push]] with url = \"http://awtrix.local\", format = \"awtrix\" and keys = [\"temperature\"]",
    ),
    (
        &[
            "output",
            "outputs",
            "sink",
            "sinks",
            "exporter",
            "exporters",
            "publish",
            "publisher",
        ],
        TOP,
        "outputs are the tables [mqtt], [[forward]] for InfluxDB, and [[push]] for displays",
    ),
];
