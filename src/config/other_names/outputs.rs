//! Names for what is sent to displays and other receivers, in other programs.

use super::Names;

/// Options that only `[[push]]` has.
const PUSH: &str = "icons";

pub const OUTPUTS: &[Names] = &[
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
        &["token", "api_key", "bearer", "header", "content_type"],
        PUSH,
        "write headers = { Authorization = \"Bearer ${DISPLAY_TOKEN}\" }",
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
];
