//! Names of other programs for credentials and TLS, in a source and in `auth`.

use super::Names;

const PASSWORD: &str = "write auth = { user = \"…\", password = \"…\" }: HTTP Basic, or HTTP Digest where the \
     server asks for it";
const TOKEN: &str = "write auth = { token = \"…\" } (a Bearer token); for an API key add \
     header = \"X-Api-Key: {token}\" or param = \"api_key\"";
const LOGIN: &str = "write auth = { login = { url = \"…\", form = { … } } } for a login whose cookies are sent, or \
     headers = { Cookie = \"…\" }";
const GRANT: &str = "write auth = { grant = \"client_credentials\", token_url = \"…\", client_id = \"…\", \
     client_secret = \"…\" }, or a table [auth.NAME]";
const CERTIFICATE: &str = "write auth = { certificate = \"client.pem\", key = \"client.key\" }";
const VERIFY: &str = "the certificate of a server is always verified: for a device with a certificate of its own \
     write fingerprint = \"sha256:…\", which `main-node check --online` prints";

const CLIENT_CERTIFICATES: &[&str] = &[
    "tls_cert",
    "ssl_cert",
    "ssl_certificate",
    "client_cert",
    "client_certificate",
    "cert",
    "cert_file",
    "certificate",
    "certificate_file",
    "tls_cert_file",
];
const CLIENT_KEYS: &[&str] = &[
    "tls_key",
    "ssl_key",
    "client_key",
    "key_file",
    "private_key",
    "tls_key_file",
    "key",
];
const VERIFICATION: &[&str] = &[
    "verify",
    "verify_ssl",
    "verify_tls",
    "ssl_verify",
    "ssl_verify_peer",
    "tls_verify",
    "insecure",
    "insecure_skip_verify",
    "insecure_tls",
    "tls_insecure",
    "tls_skip_verify",
    "tls",
    "ssl",
    "verify_certificate",
    "check_certificate",
    "validate_certs",
    "reject_unauthorized",
    "k",
    "_k",
];

/// In a source, whose options have `url`.
const OF_SOURCE: &[Names] = &[
    (
        &[
            "username",
            "password",
            "user",
            "basic_auth",
            "digest_auth",
            "http_auth",
            "authentication",
            "u",
            "_u",
            "userpwd",
        ],
        "url",
        PASSWORD,
    ),
    (
        &[
            "token",
            "bearer",
            "bearer_token",
            "api_key",
            "apikey",
            "api_token",
            "access_token",
            "authorization",
            "credentials",
            "header",
            "param",
        ],
        "url",
        TOKEN,
    ),
    (
        &["token_file", "bearer_token_file", "credentials_file"],
        "url",
        "write auth = { token_file = \"/run/token\" }",
    ),
    (
        &[
            "cookie",
            "cookies",
            "cookie_jar",
            "login",
            "login_url",
            "session",
        ],
        "url",
        LOGIN,
    ),
    (
        &[
            "oauth",
            "oauth2",
            "grant",
            "grant_type",
            "token_url",
            "client_id",
            "client_secret",
            "refresh_token",
            "scope",
            "scopes",
        ],
        "url",
        GRANT,
    ),
    (
        &["scheme"],
        "url",
        "write auth = { user = \"…\", password = \"…\", scheme = \"digest\" }",
    ),
    (CLIENT_CERTIFICATES, "url", CERTIFICATE),
    (CLIENT_KEYS, "url", CERTIFICATE),
    (
        &[
            "ca",
            "tls_ca",
            "cacert",
            "ca_cert",
            "ca_certificate",
            "ca_bundle",
            "cafile",
            "ssl_ca",
        ],
        "ca_file",
        "write ca_file = \"FILE\"",
    ),
    (
        &[
            "pinnedpubkey",
            "pinned_public_key",
            "tls_fingerprint",
            "ssl_fingerprint",
            "sha256",
            "thumbprint",
        ],
        "fingerprint",
        "write fingerprint = \"sha256:…\" (of the whole certificate), which `main-node check --online` prints",
    ),
    (VERIFICATION, "fingerprint", VERIFY),
];

/// In `auth = { … }` and `[auth.NAME]`, whose options have `scheme`.
const OF_AUTH: &[Names] = &[
    (
        &[
            "type",
            "kind",
            "auth_type",
            "authentication",
            "auth",
            "method",
            "mode",
        ],
        "scheme",
        "the options say the kind: `user` and `password` (with scheme = \"digest\" never HTTP Basic), `token`, \
         `grant` (OAuth 2.0) or `login`",
    ),
    (
        &["digest", "digest_auth"],
        "scheme",
        "write `user`, `password` and scheme = \"digest\"",
    ),
    (
        &["basic", "basic_auth"],
        "scheme",
        "write `user`, `password` and scheme = \"basic\"",
    ),
    (
        &["username", "name", "login_name", "u", "_u"],
        "scheme",
        "write user = \"…\"",
    ),
    (
        &["pass", "passwd", "pw", "pwd"],
        "scheme",
        "write password = \"…\"",
    ),
    (
        &[
            "bearer",
            "bearer_token",
            "api_key",
            "apikey",
            "access_token",
            "jwt",
        ],
        "scheme",
        "write token = \"…\" (a Bearer token); for an API key add header = \"X-Api-Key: {token}\" or \
         param = \"api_key\"",
    ),
    (
        &[
            "file",
            "token_path",
            "tokenfile",
            "bearer_token_file",
            "credentials_file",
        ],
        "token_file",
        "write token_file = \"/run/token\"",
    ),
    (
        &[
            "headers",
            "header_name",
            "key_name",
            "prefix",
            "token_type",
            "token_prefix",
            "authorization",
        ],
        "scheme",
        "write header = \"Authorization: Token {token}\" beside `token`",
    ),
    (
        &["params", "query", "query_param", "parameter"],
        "scheme",
        "write param = \"api_key\" beside `token`",
    ),
    (
        &["oauth", "oauth2", "flow", "grant_type"],
        "grant",
        "write grant = \"client_credentials\", \"refresh_token\" or \"password\", with `token_url`",
    ),
    (
        &[
            "token_uri",
            "token_endpoint",
            "access_token_url",
            "tokenurl",
            "auth_url",
            "url",
        ],
        "token_url",
        "write token_url = \"https://…\" with `grant`, or login = { url = \"…\" }",
    ),
    (&["scopes"], "scope", "write scope = \"one two\""),
    (
        &["client", "clientid", "app_id", "application_id"],
        "client_id",
        "write client_id = \"…\"",
    ),
    (
        &["secret", "clientsecret", "app_secret"],
        "client_secret",
        "write client_secret = \"…\"",
    ),
    (
        &["audience", "resource", "extra", "endpoint_params"],
        "token_params",
        "write token_params = { audience = \"…\" }",
    ),
    (
        &[
            "login_url",
            "session",
            "session_url",
            "cookie",
            "cookie_jar",
        ],
        "login",
        "write login = { url = \"…\", form = { … } }, whose cookies are sent, or cookies = true",
    ),
    (
        CLIENT_CERTIFICATES,
        "certificate",
        "write certificate = \"client.pem\"",
    ),
    (CLIENT_KEYS, "certificate", "write key = \"client.key\""),
    (
        VERIFICATION,
        "scheme",
        "the certificate of a server is always verified: for a device with a certificate of its own write \
         fingerprint = \"sha256:…\" in the [[source]]",
    ),
];

/// In `login = { … }`, whose options have `token_header`.
const OF_LOGIN: &[Names] = &[
    (
        &["path", "endpoint", "uri", "address"],
        "token_header",
        "write url = \"http://…\"",
    ),
    (
        &["user", "username", "password", "data", "json", "payload"],
        "token_header",
        "write body = { … } (sent as JSON) or form = { user = \"…\", password = \"…\" }, with the names that the \
         server wants",
    ),
    (
        &[
            "expires",
            "expires_in",
            "expiry",
            "ttl",
            "validity",
            "timeout",
            "max_age",
        ],
        "token_header",
        "write lifetime = \"25m\", or the place of the seconds in the answer: lifetime = \"/session/validity\"",
    ),
    (
        &["sid", "session", "session_id", "token_path", "access_token"],
        "token_header",
        "write token = \"/pointer/to/token\", or token_header = \"NAME\"",
    ),
    (
        &["header", "param", "cookies"],
        "token_header",
        "it belongs beside `login`: auth = { login = { … }, header = \"X-Session: {token}\" }",
    ),
];

pub const CREDENTIALS: [&[Names]; 3] = [OF_LOGIN, OF_AUTH, OF_SOURCE];
