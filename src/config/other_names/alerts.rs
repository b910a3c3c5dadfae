//! Names for where alerts are sent, and for the ping, in other programs.

use super::Names;

/// Options that only one kind of table has: what tells it from others.
const WEBHOOK: &str = "chat_id";
const PING: &str = "fail_url";
const ALERT: &str = "webhook_format";
const TOP: &str = "listen";

const SERVICES: &[&str] = &[
    "ntfy",
    "gotify",
    "slack",
    "discord",
    "telegram",
    "pushover",
    "apprise",
    "teams",
    "msteams",
    "matrix",
    "signal",
    "google_chat",
    "webhooks",
    "webhook_url",
    "notify",
    "notifier",
    "notification",
    "notifications",
    "channel",
    "channels",
];
const TABLE: &str = "write a table [[alert.webhook]] with url = \"https://ntfy.sh/my-secret-topic\" and format = \"ntfy\" (or \"telegram\", \"discord\"…)";

const HEARTBEATS: &[&str] = &[
    "ping_url",
    "ping_fail",
    "ping_fail_url",
    "fail_url",
    "healthchecks",
    "healthcheck",
    "healthchecks_io",
    "heartbeat",
    "uptime_kuma",
    "dead_man",
    "dead_mans_switch",
    "watchdog",
];
const HEARTBEAT: &str =
    "write a table [alert.ping] with url = \"https://hc-ping.com/UUID\" and fail_url = \"/fail\"";

pub const ALERTS: &[Names] = &[
    (SERVICES, ALERT, TABLE),
    (SERVICES, TOP, TABLE),
    (&["webhook"], TOP, TABLE),
    (HEARTBEATS, ALERT, HEARTBEAT),
    (HEARTBEATS, TOP, HEARTBEAT),
    (&["ping"], TOP, HEARTBEAT),
    (
        &["email", "smtp", "mail"],
        ALERT,
        "mail is a table of its own: [mail] with host = \"smtp.example.org\" and to = \"me@example.org\"",
    ),
    (
        &[
            "type",
            "service",
            "services",
            "kind",
            "provider",
            "platform",
            "notifier",
            "webhook_format",
        ],
        WEBHOOK,
        "write format = \"ntfy\", \"telegram\", \"discord\" or another service",
    ),
    (
        &[
            "webhook_url",
            "webhook",
            "uri",
            "link",
            "address",
            "server",
            "host",
            "endpoint",
        ],
        WEBHOOK,
        "write url = \"https://…\"",
    ),
    (
        &["topic"],
        WEBHOOK,
        "it is the end of url = \"https://ntfy.sh/my-secret-topic\"",
    ),
    (
        &["chat", "chatid", "chat_ids", "group", "recipient", "target"],
        WEBHOOK,
        "write chat_id = 123456789 (Telegram); other services have the receiver in `url`",
    ),
    (
        &["channel", "room", "thread"],
        WEBHOOK,
        "the address of the service says where messages appear: remove it",
    ),
    (
        &[
            "bot_token",
            "bottoken",
            "bot",
            "api_key",
            "apikey",
            "app_token",
            "application_token",
            "api_token",
            "access_token",
            "bearer",
            "bearer_token",
            "authorization",
        ],
        WEBHOOK,
        "write token = \"${ALERT_TOKEN}\"",
    ),
    (
        &[
            "username",
            "login",
            "user_key",
            "userkey",
            "auth",
            "authentication",
            "basic_auth",
        ],
        WEBHOOK,
        "write user = \"…\", with a `password` where the service wants one",
    ),
    (
        &[
            "message",
            "title",
            "subject",
            "text",
            "template",
            "payload",
            "data",
            "json",
            "content",
            "message_template",
        ],
        WEBHOOK,
        "write body = '{\"text\": \"{subject}: {text}\"}' instead of `format`",
    ),
    (
        &[
            "severity",
            "min_level",
            "minimum_level",
            "levels",
            "min_severity",
            "log_level",
            "loglevel",
        ],
        WEBHOOK,
        "write level = \"warning\", the least that is sent",
    ),
    (
        &[
            "alerts", "alert", "keys", "key", "filter", "include", "events", "sources", "match",
            "rules",
        ],
        WEBHOOK,
        "write only = [\"temperature*\", \"source:meter\"]",
    ),
    (
        &[
            "header",
            "icon",
            "click",
            "email",
            "actions",
            "attach",
            "user_agent",
        ],
        WEBHOOK,
        "write it as a header: headers = { Icon = \"https://…\" }",
    ),
    (
        &["content_type", "contenttype", "mime_type"],
        WEBHOOK,
        "write headers = { Content-Type = \"text/plain\" }",
    ),
    (&["tag"], WEBHOOK, "write tags = [\"house\"]"),
    (
        &[
            "retry",
            "retries",
            "timeout",
            "interval",
            "every",
            "repeat",
            "remind_after",
        ],
        WEBHOOK,
        "a message is sent until the service takes it: remove it; `remind_after` of [alert] repeats alerts",
    ),
    (
        &["enabled", "disabled", "enable", "disable", "active"],
        WEBHOOK,
        "remove the table of a webhook that is not wanted, or put # before its lines",
    ),
    (
        &[
            "fail",
            "failure",
            "fail_path",
            "on_fail",
            "failure_url",
            "down_url",
            "ping_fail",
        ],
        PING,
        "write fail_url = \"/fail\"",
    ),
    (
        &[
            "every", "interval", "period", "schedule", "grace", "timeout",
        ],
        PING,
        "it is requested once a minute: remove it",
    ),
    (
        &[
            "uuid", "id", "slug", "check_id", "ping_url", "uri", "host", "endpoint", "address",
        ],
        PING,
        "write url = \"https://hc-ping.com/UUID\"",
    ),
    (
        &["username", "user", "password", "token", "auth", "bearer"],
        PING,
        "write headers = { Authorization = \"Bearer ${PING_TOKEN}\" }",
    ),
];
