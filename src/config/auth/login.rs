//! Login of the configuration (`login = { … }`): the request that gives a session, and where its
//! response has the token.

use std::path::Path;

use toml::de::DeValue;
use ureq::http::HeaderName;

use super::token::read_placement;
use crate::api::auth::login_response::{SessionLifetime, TokenLocation};
use crate::api::{origin, private_address};
use crate::config::auth_types::{ConfiguredCredential, LoginConfig, LoginMethod};
use crate::config::problem::Severity;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request::arguments::{
    argument_as_toml, argument_texts, masked_argument, read_argument,
};
use crate::config::request::body::read_method;
use crate::config::request::headers::{headers_as_toml, read_headers};
use crate::config::request::placeholders::{add_text_secrets, read_template};
use crate::config::request::url::read_url_template;
use crate::config::request::value_path::read_value_path;
use crate::config::request_types::{ConfiguredBody, RequestMethod};
use crate::config::secret::Secret;
use crate::config::section::{
    ConfigOption, OptionReader, duration, inline_table, options_as_toml, read_options, text,
    value_path, with_others,
};
use crate::config::types::SourceTarget;
use crate::domain::json_path::JsonPath;
use crate::domain::percent;
use crate::domain::redact::{MASK, without_secrets};
use crate::domain::secret_detection::{is_likely_key, is_secret_name};
use crate::domain::text::parse_duration;
use crate::domain::toml_text::{bare_or_quoted, quoted};
use crate::domain::value_path::ValuePath;
use crate::limits;

type LoginOption = ConfigOption<LoginConfig>;

/// Parameters and fields of a login that hold no secret.
const PUBLIC_FIELDS: [&str; 12] = [
    "action",
    "api",
    "client",
    "format",
    "grant_type",
    "jsonrpc",
    "lang",
    "language",
    "method",
    "op",
    "type",
    "version",
];

const LIFETIME: &str = "a duration such as \"25m\", or where the response has the seconds, such as \
                        \"/session/validity\"";

pub static OPTIONS: [LoginOption; 9] = [
    LoginOption::new(
        "url",
        "URL",
        "required",
        "\"http://pi.hole/api/auth\"",
        "Address of the login. It may be on another server than the source. No redirect is followed.",
        with_others,
        |login| text(&without_secrets(&login.url)),
    ),
    LoginOption::new(
        "method",
        "\"GET\" or \"POST\"",
        "none (POST with `body` or `form`, else GET)",
        "\"POST\"",
        "HTTP method of the login.",
        with_others,
        |login| match login.method {
            LoginMethod::Get => None,
            _ => text("POST"),
        },
    ),
    LoginOption::new(
        "body",
        "table or text",
        "none",
        "{ password = \"${PIHOLE_PASSWORD}\" }",
        "Body of the login: a table is sent as JSON, a text as it is.",
        with_others,
        |login| match &login.method {
            LoginMethod::Post(Some(ConfiguredBody::Json(body))) => {
                Some(argument_as_toml(&masked_argument(body)))
            }
            LoginMethod::Post(Some(ConfiguredBody::Text { .. })) => text(MASK),
            _ => None,
        },
    ),
    LoginOption::new(
        "content_type",
        "text",
        "`application/json` where the text of `body` is JSON, else required",
        "\"text/xml\"",
        "Media type of a `body` that is a text.",
        with_others,
        |login| match &login.method {
            LoginMethod::Post(Some(ConfiguredBody::Text { content_type, .. })) => {
                text(content_type)
            }
            _ => None,
        },
    ),
    LoginOption::new(
        "form",
        "table",
        "none",
        "{ username = \"me\", password = \"${NAS_PASSWORD}\" }",
        "Fields that are sent as a web page sends them (`application/x-www-form-urlencoded`), in the place of `body`.",
        with_others,
        |login| match &login.method {
            LoginMethod::PostForm(fields) => {
                let field = |(name, _): &(String, Secret)| {
                    format!("{} = {}", bare_or_quoted(name), quoted(MASK))
                };
                inline_table(fields.iter().map(field).collect())
            }
            _ => None,
        },
    ),
    LoginOption::new(
        "headers",
        "table",
        "none",
        "{ Referer = \"http://nas.local/\" }",
        "Headers of the login.",
        with_others,
        |login| headers_as_toml(&login.headers),
    ),
    LoginOption::new(
        "token",
        "JSON Pointer or JSONPath",
        "none (the session is in cookies)",
        "\"/session/sid\"",
        "Where the response has the token, which `header` or `param` beside `login` sends. Cookies are kept and sent as well.",
        |login, option| {
            if let Some(path) = option.entry().and_then(|it| read_token(&it)) {
                login.token = Some(TokenLocation::Body(path));
            }
        },
        |login| match &login.token {
            Some(TokenLocation::Body(path)) => value_path(path),
            _ => None,
        },
    ),
    LoginOption::new(
        "token_header",
        "text",
        "none",
        "\"X-CSRF-Token\"",
        "The header of the response that has the token, in the place of `token`.",
        read_token_header,
        |login| match &login.token {
            Some(TokenLocation::Header(name)) => text(name.as_str()),
            _ => None,
        },
    ),
    LoginOption::new(
        "lifetime",
        "duration, JSON Pointer or JSONPath",
        "none (until the server refuses the session)",
        "\"25m\"",
        "How long a session lasts, or where the response has the number of seconds. Before that the source logs in anew.",
        |login, option| login.lifetime = option.entry().and_then(|it| read_lifetime(&it)),
        |login| match &login.lifetime {
            Some(SessionLifetime::Fixed(lifetime)) => duration(*lifetime),
            Some(SessionLifetime::Body(path)) => value_path(path),
            None => None,
        },
    ),
];

pub fn read(table: &mut TableReader<'_>, directory: &Path) -> Option<ConfiguredCredential> {
    let placement = read_placement(table);
    let entry = table.get("login")?;
    let mut login = entry.table("`login`")?;
    let mut config = LoginConfig::default();
    read_options(&OPTIONS, &mut login, directory, &mut config);
    let problems = (
        read_address(&mut login, &mut config),
        read_request(&mut login, &mut config),
    );
    let both = (login.get("token"), login.get("token_header"));
    if let (Some(_), Some(header)) = &both {
        header.problem("a login has one token: keep one of `token` and `token_header`");
    }
    let is_placed = table.get("header").or(table.get("param"));
    let has_token = both.0.is_some() || both.1.is_some();
    if let (false, Some(placed)) = (has_token, is_placed) {
        placed.problem(format!(
            "`{}` sends a token, and nothing says where the response of the login has it: add `token` \
             or `token_header` to `login`, or remove `{}`, if the session is in cookies",
            placed.key(),
            placed.key()
        ));
        return None;
    }
    let is_read = (has_token, config.token.is_some()) != (true, false)
        && (login.get("lifetime").is_some(), config.lifetime.is_some()) != (true, false);
    login.finish();
    config.placement = placement?;
    match problems {
        (Some(()), Some(())) if is_read => Some(ConfiguredCredential::Login(Box::new(config))),
        _ => None,
    }
}

fn read_address(login: &mut TableReader<'_>, config: &mut LoginConfig) -> Option<()> {
    let Some(item) = login.get("url") else {
        login.problem(
            "`login` lacks `url`, the address of the login: write login = { url = \"http://…\", \
             body = { … }, token = \"/…\" }",
        );
        return None;
    };
    config.url = read_url_template(&item)?;
    let query = config.url.split_once('?').map_or("", |it| it.1);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        add_field_secret(&item, name, value);
        let decoded = percent::decode_lossy(value);
        add_field_secret(&item, name, &decoded);
    }
    let uri = config.uri();
    let host = uri.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse();
    let is_local = address.map_or_else(
        |_| private_address::is_local_name(host),
        private_address::is_private_range,
    );
    if uri.scheme_str() == Some("http") && !is_local {
        item.remark(
            Severity::Problem,
            format!("the login goes to {host} without encryption: write https://, if it can"),
        );
    }
    Some(())
}

/// Headers, method and body.
fn read_request(login: &mut TableReader<'_>, config: &mut LoginConfig) -> Option<()> {
    if let Some(headers) = login.get("headers") {
        config.headers = read_headers(&headers);
    }
    let form = login.get("form");
    let Some(form) = form else {
        config.method = match read_method(login, None, &config.headers)? {
            RequestMethod::Get => LoginMethod::Get,
            RequestMethod::Post(body) => LoginMethod::Post(body),
        };
        if let (LoginMethod::Post(Some(body)), Some(item)) = (&config.method, login.get("body")) {
            add_body_secrets(&item, body);
        }
        return Some(());
    };
    let others = [login.get("body"), login.get("content_type")];
    if let Some(other) = others.into_iter().flatten().next() {
        other.problem(format!(
            "`form` is the body of the login: keep one of `form` and `{}`",
            other.key()
        ));
        return None;
    }
    if let Some(method) = login.get("method")
        && method.text().as_deref() != Some("POST")
    {
        method.problem("a form is sent by POST: remove `method`");
        return None;
    }
    config.method = LoginMethod::PostForm(read_form(&form)?);
    Some(())
}

fn read_form(form: &TableEntry<'_>) -> Option<Vec<(String, Secret)>> {
    let entries = form.entries();
    let read = |entry: &TableEntry<'_>| {
        let value = match entry.value() {
            DeValue::Array(_) | DeValue::Table(_) => {
                entry.expected("a text, a number, true or false");
                return None;
            }
            _ => read_argument(entry, 1, "a form")?,
        };
        let value = value.scalar_text()?;
        read_template(entry, &value)?;
        add_field_secret(entry, entry.key(), &value);
        Some((entry.key().to_owned(), Secret::new(value)))
    };
    if entries.is_empty() {
        if matches!(form.value(), DeValue::Table(_)) {
            form.problem("`form` is empty: write form = { username = \"…\", password = \"…\" }");
        }
        return None;
    }
    entries.iter().map(read).collect()
}

/// Registers a value of a login as a secret, unless its name says that it is none.
fn add_field_secret(item: &TableEntry<'_>, name: &str, value: &str) {
    let is_public = PUBLIC_FIELDS.iter().any(|it| name.eq_ignore_ascii_case(it));
    // A word such as `login` would be masked in every message.
    let is_word = value.len() < SHORTEST_SECRET && !is_secret_name(name);
    let is_word = is_word || matches!(value, "login" | "true" | "false");
    if !is_public && !is_word {
        add_text_secrets(item, value);
    }
}

/// Shorter values are secrets where their names say so.
const SHORTEST_SECRET: usize = 6;

fn add_body_secrets(item: &TableEntry<'_>, body: &ConfiguredBody) {
    match body {
        ConfiguredBody::Json(argument) => {
            for (name, value) in argument_texts(argument) {
                add_field_secret(item, name, &value);
            }
        }
        ConfiguredBody::Text { text, .. } => {
            add_text_secrets(item, text);
            let parts = text.split(['<', '>', '"', '&', '=', ' ', '\n']);
            let is_secret = |part: &&str| {
                part.len() >= SHORTEST_SECRET && part.bytes().any(|it| it.is_ascii_digit())
            };
            parts
                .filter(is_secret)
                .for_each(|part| add_text_secrets(item, part));
        }
    }
}

fn read_token(item: &TableEntry<'_>) -> Option<ValuePath> {
    if let DeValue::String(text) = item.value()
        && is_likely_key(text)
    {
        // The token itself, which the next message would show.
        item.add_secret(text.as_ref());
    }
    read_value_path(item)
}

fn read_token_header(login: &mut LoginConfig, option: &mut OptionReader<'_, '_>) {
    const WHAT: &str = "the name of a header such as \"X-CSRF-Token\"";
    let Some(item) = option.entry() else {
        return;
    };
    let name = item.text_as(WHAT).map(|it| it.parse::<HeaderName>());
    match name {
        Some(Ok(name)) => login.token = Some(TokenLocation::Header(name)),
        Some(Err(_)) => item.expected(WHAT),
        None => {}
    }
}

fn read_lifetime(item: &TableEntry<'_>) -> Option<SessionLifetime> {
    let text = item.text_as(LIFETIME)?;
    if text.starts_with('/') || JsonPath::is_meant(&text) {
        return read_value_path(item).map(SessionLifetime::Body);
    }
    let lifetime = parse_duration(&text);
    match lifetime {
        None => item.expected(LIFETIME),
        Some(lifetime) if lifetime < limits::LOGIN_INTERVAL => {
            item.expected("at least \"1m\"");
            return None;
        }
        Some(_) => {}
    }
    lifetime.map(SessionLifetime::Fixed)
}

/// Reports a session that cannot reach the source, and notes one that reaches another server than
/// that of the login.
pub fn check_login(item: &TableEntry<'_>, login: &LoginConfig, target: Option<&SourceTarget>) {
    let Some(source) = target.and_then(SourceTarget::uri) else {
        return;
    };
    let uri = login.uri();
    if origin::same_origin(&uri, &source) {
        return;
    }
    let (from, to) = (
        origin::display_origin(&uri),
        origin::display_origin(&source),
    );
    if login.token.is_none() {
        item.problem(format!(
            "the login is at {from} and the source at {to}: cookies go nowhere but to the server that \
             set them; write the same scheme, host and port in both, or add `token` to `login`"
        ));
    } else {
        item.remark(
            Severity::Note,
            format!("the login is at {from}, and its token is sent to {to}"),
        );
    }
}

pub fn print_login(login: &LoginConfig) -> Option<String> {
    inline_table(options_as_toml(&OPTIONS, login))
}
