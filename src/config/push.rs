//! Push options (`[[push]]`): displays and other receivers that are sent values over HTTP.

mod content;

use std::path::Path;
use std::time::Duration;

use ureq::http::Uri;

use self::content::{PushFormat, read_content, warn_unfilled};
use super::key_list::read_key_list;
use super::option::is_source_name;
use super::push_types::{LifetimeMode, PushConfig, PushContent};
use super::reader::{TableEntry, TableReader};
use super::request::headers::headers_as_toml;
use super::secret::Secret;
use super::section::{
    ConfigOption, OptionReader, duration, inline_table, list, masked, path, plain, print_options,
    read_options, text, with_others,
};
use super::trust::{self, print_fingerprints, read_fingerprints, reject_without_tls};
use crate::api::basic_auth;
use crate::domain::plan::KeySelector;
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_value};
use crate::limits;
use crate::sys::tls::TrustSettings;

/// `[[push]]` while it is read.
#[derive(Default)]
pub struct PushDraft {
    name: Option<String>,
    format: Option<PushFormat>,
    method: Option<&'static str>,
    user: Option<String>,
    password: Option<Secret>,
    keys: Vec<KeySelector>,
    icons: Vec<(String, String)>,
    label: Option<bool>,
    every: Option<Duration>,
    lifetime: Option<Duration>,
    lifetime_mode: Option<LifetimeMode>,
    trust: TrustSettings,
}

type PushOption = ConfigOption<PushDraft, PushConfig>;

pub static OPTIONS: [PushOption; 16] = [
    PushOption::new(
        "name",
        "text",
        "none (required where there are several)",
        "\"kitchen clock\"",
        "Name of the receiver, for messages and metrics.",
        |draft, option| draft.name = read_name(option),
        |push| text(push.name.as_deref()?),
    ),
    PushOption::new(
        "url",
        "URL",
        "required",
        "\"http://awtrix.local\"",
        "Address of the display; with `format = \"awtrix\"` without a path. Otherwise path and query may have placeholders.",
        with_others,
        |push| text(push.url.reveal()),
    ),
    PushOption::new(
        "format",
        "\"awtrix\" or \"json\"",
        "none (`body` and `url` are templates)",
        "\"json\"",
        "`\"awtrix\"`: one app for each key on an AWTRIX 3 display. `\"json\"`: the body of `/snapshot`.",
        |draft, option| draft.format = option.choice(&PushFormat::ALL),
        |push| text(push.content.format()?),
    ),
    PushOption::new(
        "method",
        "\"POST\", \"PUT\" or \"GET\"",
        "\"POST\"; \"GET\" without a body",
        "\"PUT\"",
        "HTTP method of the requests.",
        |draft, option| draft.method = option.choice(&METHODS.map(|it| (it, it))),
        |push| text(push.method),
    ),
    PushOption::new(
        "headers",
        "table",
        "none",
        "{ Authorization = \"Bearer ${DISPLAY_TOKEN}\" }",
        "Request headers; they may have placeholders. Their values are not shown.",
        with_others,
        |push| headers_as_toml(&push.headers),
    ),
    PushOption::new(
        "user",
        "text",
        "none",
        "\"me\"",
        "User name of the receiver (HTTP Basic), with `password`.",
        |draft, option| draft.user = option.text(),
        |push| text(push.user.as_deref()?),
    ),
    PushOption::new(
        "password",
        "text",
        "none",
        "\"${DISPLAY_PASSWORD}\"",
        "Its password. It is never shown.",
        |draft, option| draft.password = option.secret(),
        |push| masked(push.password.as_ref()),
    ),
    PushOption::new(
        "body",
        "text",
        "none",
        "'{\"label\": \"{label}\", \"value\": {value}}'",
        "Body of the request, a template: see “Push displays”. With a placeholder of a key there is one request for each key, else one for all.",
        with_others,
        |push| text(push.content.templates()?.body_text.as_deref()?),
    ),
    PushOption::new(
        "keys",
        "list of keys",
        "none (all; AWTRIX needs some)",
        "[\"solar.power\", \"room.*.co2\"]",
        "The keys that are sent; `*` stands for any characters. An AWTRIX display has room for 20.",
        |draft, option| draft.keys = read_key_list(option),
        |push| list(&push.keys),
    ),
    PushOption::new(
        "icons",
        "table",
        "none",
        "{ \"solar.power\" = \"27464\", \"room.*.co2\" = \"co2\" }",
        "Icons of keys on an AWTRIX display: the number or the name of an icon that is stored there. A pattern may stand for several keys.",
        |draft, option| draft.icons = read_icons(option),
        |push| print_icons(&push.awtrix()?.icons),
    ),
    PushOption::new(
        "label",
        "true or false",
        "none (true for a key without icon)",
        "true",
        "Whether an AWTRIX display shows the label of a key before its value.",
        |draft, option| draft.label = option.boolean(),
        |push| plain(push.awtrix()?.label?),
    ),
    PushOption::new(
        "every",
        "duration",
        "\"1s\"",
        "\"10s\"",
        "The shortest time between two requests about the same key. Only changes are sent; where only times have changed, once a minute.",
        |draft, option| draft.every = option.duration(),
        |push| duration(push.every),
    ),
    PushOption::new(
        "lifetime",
        "duration",
        "\"5m\" for AWTRIX, else none",
        "\"10m\"",
        "How long the display keeps what it was sent last. Everything is sent again after half of it, also to a display that has been restarted.",
        |draft, option| draft.lifetime = option.duration(),
        |push| duration(push.lifetime?),
    ),
    PushOption::new(
        "lifetime_mode",
        "\"delete\" or \"mark\"",
        "\"delete\"",
        "\"mark\"",
        "What an AWTRIX display does with a value that is stale, or whose `lifetime` is over: it removes the app, or draws a red frame.",
        |draft, option| draft.lifetime_mode = option.choice(&LifetimeMode::ALL),
        |push| text(push.awtrix()?.lifetime_mode.name()),
    ),
    PushOption::new(
        "ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        trust::CA_FILE_HELP,
        |draft, option| draft.trust.ca_file = option.path(),
        |push| path(push.trust.ca_file.as_deref()?),
    ),
    PushOption::new(
        "fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        trust::OUTPUT_FINGERPRINT_HELP,
        |draft, option| draft.trust.fingerprints = read_fingerprints(option),
        |push| print_fingerprints(&push.trust.fingerprints),
    ),
];

const METHODS: [&str; 3] = ["POST", "PUT", "GET"];

/// Reads `[[push]]`.
pub fn read_pushes(root: &mut TableReader<'_>, directory: &Path) -> Vec<PushConfig> {
    let entries = root.get("push").map(|it| it.tables()).unwrap_or_default();
    let mut pushes: Vec<PushConfig> = Vec::new();
    for entry in &entries {
        let Some(push) = read_push(entry, directory) else {
            continue;
        };
        if let Some(other) = pushes.iter().find(|other| other.name == push.name) {
            entry.problem(match &other.name {
                Some(name) => format!("another [[push]] is called {} too", quoted(name)),
                None => "there are several [[push]]: give each a name, such as name = \"kitchen\""
                    .to_owned(),
            });
        }
        pushes.push(push);
    }
    if let Some(entry) = entries.get(limits::PUSHES) {
        entry.problem(format!("expected at most {} [[push]]", limits::PUSHES));
    }
    pushes
}

fn read_push(entry: &TableEntry<'_>, directory: &Path) -> Option<PushConfig> {
    let mut table = entry.table("[[push]]")?;
    let mut draft = PushDraft::default();
    read_options(&OPTIONS, &mut table, directory, &mut draft);
    check_login(&mut table, &draft);
    check_times(&mut table, &draft);
    let content = read_content(&mut table, &draft);
    if let Some((url, _, _)) = &content
        && !url.reveal().starts_with("https://")
    {
        reject_without_tls(
            &mut table,
            &["ca_file", "fingerprint"],
            "write https:// in `url`",
        );
    }
    table.finish();
    let (url, headers, content) = content?;
    let authorization = authorization(&draft, url.reveal());
    for option in [&authorization].into_iter().flatten() {
        entry.add_secret(option.reveal());
    }
    let lifetime = match &content {
        PushContent::Awtrix(settings) => Some(settings.lifetime),
        _ => draft.lifetime,
    };
    let without_body = matches!(&content, PushContent::Template(it) if it.body.is_none());
    warn_unfilled(entry, &content);
    Some(PushConfig {
        name: draft.name,
        url,
        method: draft
            .method
            .unwrap_or(if without_body { "GET" } else { "POST" }),
        headers,
        user: draft.user,
        password: draft.password,
        authorization,
        keys: draft.keys,
        every: draft.every.unwrap_or(limits::PUSH_INTERVAL),
        lifetime,
        trust: draft.trust,
        content,
    })
}

fn read_name(option: &mut OptionReader<'_, '_>) -> Option<String> {
    let entry = option.entry()?;
    let name = entry.text()?;
    if !is_source_name(&name) {
        entry.expected("a name of at most 40 letters, digits, blanks, dots, - and _");
        return None;
    }
    Some(name)
}

fn check_login(table: &mut TableReader<'_>, draft: &PushDraft) {
    let (user, password) = (table.get("user"), table.get("password"));
    match (user, password) {
        (Some(user), None) if draft.user.is_some() => {
            user.problem("`user` needs a `password`, such as password = \"${DISPLAY_PASSWORD}\"");
        }
        (None, Some(password)) => password.problem("`password` needs a `user`"),
        _ => {}
    }
}

/// The login of the options, else the one in the URL.
fn authorization(draft: &PushDraft, url: &str) -> Option<Secret> {
    let header = match (&draft.user, &draft.password) {
        (Some(user), Some(password)) => {
            basic_auth::header_text(user.as_bytes(), password.reveal().as_bytes())
        }
        _ => {
            let begin = url.find("://").map_or(0, |at| at + 3);
            let end = url[begin..].find(['/', '?', '#']);
            let uri: Uri = url[..end.map_or(url.len(), |at| begin + at)].parse().ok()?;
            let (user, password) = basic_auth::user_info(&uri)?;
            basic_auth::header_text(&user, &password)
        }
    };
    Some(Secret::new(header))
}

fn check_times(table: &mut TableReader<'_>, draft: &PushDraft) {
    let (shortest, longest) = (limits::PUSH_INTERVAL, limits::MAX_PUSH_LIFETIME);
    let every = draft.every.unwrap_or(shortest);
    if let Some(entry) = table.get("every")
        && !(shortest..=longest).contains(&every)
    {
        entry.expected("a duration from \"1s\" to \"1d\"");
    }
    if let (Some(entry), Some(lifetime)) = (table.get("lifetime"), draft.lifetime) {
        if !(limits::MIN_PUSH_LIFETIME..=longest).contains(&lifetime) {
            entry.expected("a duration from \"10s\" to \"1d\"");
        } else if lifetime < every * 2 {
            entry.problem(
                "lifetime: everything is sent again after half of it, so it must be at least twice \
                 `every`",
            );
        }
    }
}

fn read_icons(option: &mut OptionReader<'_, '_>) -> Vec<(String, String)> {
    let entries = option.entry().map(|it| it.entries()).unwrap_or_default();
    let icons = entries.iter().filter_map(|entry| {
        const WHAT: &str = "the number or the name of an icon, such as \"2422\"";
        let icon = entry.text_as(WHAT)?;
        if icon.is_empty() || icon.len() > limits::ICON_BYTES {
            entry.expected(WHAT);
            return None;
        }
        Some((entry.key().to_owned(), icon))
    });
    icons.collect()
}

fn print_icons(icons: &[(String, String)]) -> Option<String> {
    let pair = |(key, icon): &(String, String)| {
        format!("{} = {}", bare_or_quoted(key), quoted_value(icon))
    };
    inline_table(icons.iter().map(pair).collect())
}

/// Prints `[[push]]` as TOML.
pub fn print_pushes(out: &mut String, pushes: &[PushConfig]) {
    for push in pushes {
        *out += "\n[[push]]\n";
        print_options(out, &OPTIONS, push);
    }
}

#[cfg(test)]
#[path = "push/tests/push.rs"]
mod tests;
