//! Names for what is written to a database of time series, in other programs.

use super::Names;
use super::outputs::{KEYS, OWN_CHOICE, SWITCHES, UNWANTED};

/// An option that only `[[forward]]` has.
const FORWARD: &str = "backfill";

const WRITE_URL: &str = "it is a part of url = \"http://influxdb.local:8086/api/v2/write?org=…&bucket=…\", or …/write?db=…";

pub const FORWARD_NAMES: &[Names] = &[
    (SWITCHES, FORWARD, UNWANTED),
    (
        &[
            "org",
            "organization",
            "bucket",
            "db",
            "database",
            "retention_policy",
            "precision",
            "api_version",
            "version",
            "api",
            "type",
            "format",
            "host",
            "hostname",
            "server",
            "servers",
            "address",
            "uri",
            "urls",
            "endpoint",
            "port",
        ],
        FORWARD,
        WRITE_URL,
    ),
    (
        &[
            "interval",
            "every",
            "flush_interval",
            "batch",
            "batch_size",
            "metric_batch_size",
            "metric_buffer_limit",
        ],
        FORWARD,
        "rows are sent as they are stored, those of `commit_every` together: remove it",
    ),
    (
        &[
            "timeout",
            "retry",
            "retries",
            "max_retries",
            "retry_interval",
            "content_encoding",
            "gzip",
        ],
        FORWARD,
        OWN_CHOICE,
    ),
    (
        &["username", "login", "auth", "authentication", "basic_auth"],
        FORWARD,
        "write user = \"node\" and password = \"${INFLUX_PASSWORD}\", or the API token of InfluxDB 2: token = \"${INFLUX_TOKEN}\"",
    ),
    (
        &[
            "api_token",
            "access_token",
            "api_key",
            "bearer",
            "bearer_token",
            "authorization",
        ],
        FORWARD,
        "write token = \"${INFLUX_TOKEN}\"",
    ),
    (
        &[
            "measurement_name",
            "measurement_attr",
            "default_measurement",
            "override_measurement",
            "name_override",
            "metric_prefix",
            "namespace",
        ],
        FORWARD,
        "write measurement = \"house\"",
    ),
    (
        &["field", "fields", "field_name", "value_field"],
        FORWARD,
        "the fields are `value` for numbers and `text` for texts: remove it",
    ),
    (
        &[
            "global_tags",
            "default_tags",
            "tag",
            "labels",
            "external_labels",
        ],
        FORWARD,
        "write tags = { house = \"lake\" }",
    ),
    (
        &[
            "include",
            "exclude",
            "filter",
            "fieldpass",
            "namepass",
            "entities",
            "entity_globs",
            "records",
            "metrics",
            "key",
        ],
        FORWARD,
        KEYS,
    ),
    (
        &["history", "since", "from", "start", "replay", "catch_up"],
        FORWARD,
        "write backfill = true to begin with the oldest row that is kept",
    ),
];
