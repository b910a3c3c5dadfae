//! Names for what pages show, keys, groups, walls and the way to them, in other programs.

use super::Names;

/// Options that only one kind of table has: what tells it from others.
const KEY: &str = "label";
const GROUP: &str = "fold";
const WALL: &str = "dim";
const TOP: &str = "base_path";

const ICONS: &str = "there are no icons: remove it";
const COLOURS: &str = "the pages choose colours themselves: remove it";
const KEYS: &str = "write keys = [\"room.*\", \"solar.power\"]";
const GROUPS: &str = "groups and their order are tables of their own: [[group]] with name = \"…\" and keys = [\"…\"]";

const LISTS: &[&str] = &[
    "entities", "entity", "sensors", "records", "members", "items", "cards", "values", "metrics",
    "key",
];

pub const PAGES: &[Names] = &[
    (
        &[
            "name",
            "title",
            "friendly_name",
            "display_name",
            "alias",
            "caption",
            "description",
        ],
        KEY,
        "write label = \"…\"",
    ),
    (&["icon", "icons", "image", "picture"], KEY, ICONS),
    (&["icon", "icons", "image", "picture"], GROUP, ICONS),
    (&["color", "colour", "colors", "colours"], KEY, COLOURS),
    (&["color", "colour", "colors", "colours"], GROUP, COLOURS),
    (
        &[
            "min",
            "max",
            "minimum",
            "maximum",
            "y_min",
            "y_max",
            "axis",
            "scale_range",
            "limits",
        ],
        KEY,
        "write range = [0, 9000] for the axis of its chart, or warn = \">9000\" to mark values",
    ),
    (
        &[
            "thresholds",
            "threshold",
            "severity",
            "above",
            "below",
            "alarm",
            "alert",
            "warning",
            "critical",
            "error",
            "danger",
        ],
        KEY,
        "write warn = \">1000\" and bad = \">1400\" to mark values on pages; [[alert.value]] sends a message",
    ),
    (
        &[
            "precision",
            "display_precision",
            "suggested_display_precision",
            "accuracy_decimals",
            "round",
            "digits",
        ],
        KEY,
        "write decimals = 1",
    ),
    (
        &[
            "factor",
            "scale",
            "multiplier",
            "multiply",
            "divide",
            "divisor",
            "display_unit",
        ],
        KEY,
        "write show = \"1e-3 kWh\", the factor and the unit; large numbers get kW, MWh or GB without it",
    ),
    (
        &[
            "map",
            "mapping",
            "mappings",
            "value_mappings",
            "value_map",
            "states",
            "state_map",
        ],
        KEY,
        "write words = { 0 = \"Off\", 1 = \"On\" }",
    ),
    (
        &["visible", "show_in_list", "enabled", "disabled", "internal"],
        KEY,
        "write hide = true to leave the key out of the pages",
    ),
    (
        &[
            "graph",
            "type",
            "graph_type",
            "chart_type",
            "chart_kind",
            "draw_style",
            "style",
        ],
        KEY,
        "write chart = \"line\", \"area\", \"bars\", \"steps\", \"state\" or \"none\"",
    ),
    (
        &[
            "state_class",
            "total_increasing",
            "meter",
            "cumulative",
            "is_counter",
            "device_class",
        ],
        KEY,
        "write counter = true for a meter; other kinds of values need nothing",
    ),
    (
        &[
            "group", "groups", "order", "weight", "sort", "area", "room", "position",
        ],
        KEY,
        GROUPS,
    ),
    (
        &["title", "label", "heading", "caption"],
        GROUP,
        "write name = \"…\"",
    ),
    (LISTS, GROUP, KEYS),
    (
        &[
            "collapsed",
            "collapse",
            "folded",
            "closed",
            "collapsible",
            "expanded",
            "hide",
            "hidden",
        ],
        GROUP,
        "write fold = true to show the heading alone",
    ),
    (
        &["template", "table", "pattern", "grid"],
        GROUP,
        "write matrix = \"room.{row}.{column}\"",
    ),
    (
        &["title", "label", "heading"],
        WALL,
        "write name = \"kitchen\": the page is /wall/kitchen",
    ),
    (LISTS, WALL, KEYS),
    (
        &["theme", "dark", "dark_mode", "night", "mode"],
        WALL,
        "write dim = \"22:00-06:00\" for the night; a tablet that opens /wall?theme=dark is always dark",
    ),
    (
        &[
            "refresh",
            "refresh_interval",
            "update_interval",
            "every",
            "interval",
            "reload",
        ],
        WALL,
        "the page follows the values by itself: remove it",
    ),
    (
        &["cycle", "cycle_time", "slideshow", "duration", "period"],
        WALL,
        "write rotate = \"30s\"",
    ),
    (
        &["language", "lang", "region", "locales", "country", "lc_all"],
        TOP,
        "write locale = \"de\"",
    ),
    (
        &[
            "root_url",
            "root_path",
            "url_prefix",
            "url_base",
            "base_url",
            "prefix",
            "path_prefix",
            "route_prefix",
            "external_url",
            "web_root",
            "context_path",
            "serve_from_sub_path",
            "subpath",
            "sub_path",
        ],
        TOP,
        "write base_path = \"/node\"",
    ),
    (
        &[
            "use_x_forwarded_for",
            "x_forwarded_for",
            "proxy",
            "proxies",
            "trusted_proxy",
            "proxy_headers",
            "forwarded_allow_ips",
            "real_ip",
            "trust_proxy",
            "reverse_proxy",
        ],
        TOP,
        "write trusted_proxies = [\"127.0.0.1\"], the addresses of the reverse proxy",
    ),
    (
        &[
            "password",
            "passwd",
            "username",
            "user",
            "basic_auth",
            "web_password",
        ],
        TOP,
        "write password_file = \"password\", a file with one line; any user name goes with it",
    ),
    (
        &[
            "token_file",
            "api_key",
            "apikey",
            "access_token",
            "auth_token",
            "bearer_token",
            "api_token",
        ],
        TOP,
        "write token = \"${NAME}\", a variable, or token = \"…\"",
    ),
    (
        &[
            "cors_allowed_origins",
            "cors_origins",
            "cors_origin",
            "allow_origin",
            "allowed_origins",
            "access_control_allow_origin",
        ],
        TOP,
        "write cors = [\"http://homeassistant.local:8123\"], or cors = \"*\"",
    ),
    (
        &[
            "allow_embedding",
            "x_frame_options",
            "use_x_frame_options",
            "frame_options",
            "iframe",
            "content_security_policy",
            "csp",
            "embed",
        ],
        TOP,
        "write frame_ancestors = [\"http://homeassistant.local:8123\"]",
    ),
    (
        &["theme", "dark_mode", "dark"],
        TOP,
        "the pages follow the browser's light or dark mode: remove it",
    ),
    (
        &[
            "whitelist",
            "ip_whitelist",
            "allowlist",
            "allowed_ips",
            "allow_from",
            "trusted_networks",
        ],
        TOP,
        "write allow = [\"192.168.0.0/16\"]",
    ),
];
