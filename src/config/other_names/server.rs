//! Names for listening, TLS, logging and the process itself in other servers.

use super::Names;

/// An option that only the top level has.
const TOP: &str = "listen";

pub const SERVER: &[Names] = &[
    (
        &[
            "port",
            "bind",
            "bind_address",
            "bind_addr",
            "bind_host",
            "listen_address",
            "listen_addr",
            "listen_port",
            "http_port",
            "http_addr",
            "http_address",
            "server_port",
            "server_host",
            "web_port",
            "interface",
            "interfaces",
        ],
        TOP,
        "write listen = 8000, or listen = \"localhost:8000\" for this machine alone",
    ),
    (
        &[
            "tls",
            "ssl",
            "https",
            "https_port",
            "tls_cert",
            "tls_key",
            "tls_cert_file",
            "tls_key_file",
            "ssl_cert",
            "ssl_key",
            "ssl_certificate",
            "ssl_certificate_key",
            "certfile",
            "keyfile",
            "cert_file",
            "key_file",
            "certificate",
            "acme",
            "letsencrypt",
        ],
        TOP,
        "https is served by a reverse proxy (Caddy, nginx) in front: docs/http.md",
    ),
    (
        &["socket", "unix_socket", "socket_path", "uds"],
        TOP,
        "Unix sockets are not supported; listen = \"localhost:8000\" serves this machine alone",
    ),
    (
        &["tz", "zone", "time_zone"],
        "timezone",
        "write timezone = \"Europe/Berlin\"",
    ),
    (
        &["include", "includes", "import", "conf_d", "config_dir"],
        TOP,
        "the configuration is one file: write the options here",
    ),
    (
        &[
            "log",
            "logs",
            "logging",
            "log_level",
            "loglevel",
            "verbose",
            "debug",
        ],
        TOP,
        "how much is logged is said by the environment variable RUST_LOG, such as RUST_LOG=debug",
    ),
    (
        &[
            "uid",
            "gid",
            "run_as",
            "daemon",
            "daemonize",
            "pidfile",
            "pid_file",
        ],
        TOP,
        "it is set where the process is started: the unit of systemd, --user of the container",
    ),
    (
        &[
            "data_dir",
            "datadir",
            "data",
            "db",
            "db_path",
            "database_path",
            "database_file",
        ],
        "database",
        "write database = \"/path/of/main-node.db\"",
    ),
    (
        &[
            "to",
            "receiver",
            "receivers",
            "channel",
            "channels",
            "notify",
        ],
        "hysteresis",
        "who gets which alert is said at the channel: `level` and `only` in [mail] and [[alert.webhook]]",
    ),
];
