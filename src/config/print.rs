//! The effective configuration as TOML, secrets masked: what `check` prints.

use std::fmt::Write;
use std::time::Duration;

use super::{Auth, Config, ConfiguredCredential, SourceConfig, SourceTarget};
use crate::domain::plan::{Numbers, Selection};
use crate::domain::redact::{MASK, Secrets};
use crate::domain::time::format_duration;
use crate::domain::toml_text::{bare_or_quoted, key_table, quoted};
use openapi::operation::{Argument, SecurityScheme};

impl Config {
    /// Everything that is in force, defaults included.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_to(&mut out);
        mask_texts(&out, &self.secrets)
    }

    fn write_to(&self, out: &mut String) -> std::fmt::Result {
        let listen: Vec<String> = self
            .listen
            .iter()
            .map(|it| quoted(&it.to_string()))
            .collect();
        writeln!(out, "name = {}", quoted(&self.name))?;
        writeln!(out, "listen = [{}]", listen.join(", "))?;
        if !self.hosts.is_empty() {
            let hosts: Vec<String> = self.hosts.iter().map(|host| quoted(host)).collect();
            writeln!(out, "hosts = [{}]", hosts.join(", "))?;
        }
        if !self.allow.is_empty() {
            let allow = self.allow.iter().map(|it| quoted(&it.to_string()));
            writeln!(out, "allow = [{}]", allow.collect::<Vec<_>>().join(", "))?;
        }
        if let Some(file) = &self.password_file {
            let file = file.display().to_string();
            writeln!(out, "password_file = {}", quoted(&file))?;
        }
        if let Some(zone) = self.timezone.iana_name() {
            writeln!(out, "timezone = {}", quoted(zone))?;
        }
        writeln!(
            out,
            "database = {}",
            quoted(&self.database.display().to_string())
        )?;
        writeln!(
            out,
            "commit_every = \"{}\"",
            format_duration(self.commit_every)
        )?;
        writeln!(out, "keep_raw = \"{}\"", format_duration(self.keep_raw))?;
        writeln!(
            out,
            "keep_hourly = \"{}\"",
            format_duration(self.keep_hourly)
        )?;
        writeln!(out, "database_max = {}", self.database_max)?;
        if let Some(every) = self.backup_every {
            writeln!(out, "backup_every = \"{}\"", format_duration(every))?;
            writeln!(out, "backup_keep = {}", self.backup_keep)?;
        }
        if self.cors_any {
            writeln!(out, "cors = \"*\"")?;
        }
        for source in &self.sources {
            write_source(out, source)?;
        }
        for (name, key) in &self.keys {
            writeln!(out, "\n{}", key_table(name))?;
            if let Some(merge) = key.merge {
                writeln!(out, "merge = \"{}\"", merge.name())?;
            }
            if let Some(stale_after) = key.stale_after {
                writeln!(out, "stale_after = \"{}\"", format_duration(stale_after))?;
            }
            if let Some(unit) = &key.unit {
                writeln!(out, "unit = {}", quoted(unit))?;
            }
        }
        super::alert::describe(out, &self.alert, &self.notifications)?;
        if let Some(mail) = &self.notifications.mail {
            writeln!(out, "\n[mail]")?;
            writeln!(out, "host = {}", quoted(&mail.host))?;
            writeln!(out, "port = {}", mail.port)?;
            writeln!(out, "tls = \"{}\"", mail.tls.name())?;
            if let Some(user) = &mail.user {
                writeln!(out, "user = {}", quoted(user))?;
            }
            if mail.password.is_some() {
                writeln!(out, "password = \"***\"")?;
            }
            writeln!(out, "from = {}", quoted(&mail.from))?;
            let to: Vec<String> = mail.to.iter().map(|address| quoted(address)).collect();
            writeln!(out, "to = [{}]", to.join(", "))?;
            if let Some(file) = &mail.ca_file {
                writeln!(out, "ca_file = {}", quoted(&file.display().to_string()))?;
            }
            if mail.plain_anywhere {
                writeln!(out, "plain_anywhere = true")?;
            }
        }
        Ok(())
    }
}

fn write_source(out: &mut String, source: &SourceConfig) -> std::fmt::Result {
    let plan = &source.plan;
    writeln!(out, "\n[[source]]")?;
    writeln!(out, "name = {}", quoted(&plan.name))?;
    match &source.target {
        SourceTarget::Operation {
            operation,
            base,
            arguments,
        } => {
            writeln!(out, "operation = {}", quoted(&operation.id))?;
            writeln!(out, "api = {}", quoted(&operation.api))?;
            if let Ok(url) = operation.base_url(base.as_deref()) {
                writeln!(out, "base_url = {}", quoted(&without_secrets(&url)))?;
            }
            if !arguments.is_empty() {
                let arguments: Vec<String> = arguments
                    .iter()
                    .map(|(name, value)| {
                        let is_secret = operation
                            .parameters
                            .iter()
                            .any(|it| it.argument == *name && it.filled_by_security);
                        let value = if is_secret || is_secret_name(name) {
                            "\"***\"".to_owned()
                        } else {
                            spell(value)
                        };
                        format!("{} = {value}", bare_or_quoted(name))
                    })
                    .collect();
                writeln!(out, "params = {{ {} }}", arguments.join(", "))?;
            }
        }
        SourceTarget::Follow { node } => {
            writeln!(out, "follow = {}", quoted(&without_secrets(node)))?;
        }
        SourceTarget::Url { url, params } => {
            writeln!(out, "url = {}", quoted(&without_secrets(url)))?;
            if !params.is_empty() {
                let params: Vec<String> = params
                    .iter()
                    .map(|(name, value)| {
                        let shown = if is_secret_name(name) { "***" } else { value };
                        format!("{} = {}", bare_or_quoted(name), quoted(shown))
                    })
                    .collect();
                writeln!(out, "params = {{ {} }}", params.join(", "))?;
            }
        }
    }
    if !source.headers.is_empty() {
        // Any header may carry a token; none is shown.
        let names: Vec<String> = source
            .headers
            .iter()
            .map(|header| format!("{} = \"***\"", bare_or_quoted(&header.name)))
            .collect();
        writeln!(out, "headers = {{ {} }}", names.join(", "))?;
    }
    if let Some(auth) = &source.auth {
        writeln!(out, "auth = {{ {} }}", redacted(auth))?;
    }
    writeln!(out, "every = \"{}\"", format_duration(plan.every))?;
    writeln!(
        out,
        "stale_after = \"{}\"",
        format_duration(plan.default_stale_after(Duration::ZERO))
    )?;
    writeln!(
        out,
        "forget_after = \"{}\"",
        format_duration(plan.forget_after)
    )?;
    writeln!(out, "timeout = \"{}\"", format_duration(source.timeout))?;
    writeln!(out, "body_limit = {}", source.body_bytes)?;
    writeln!(out, "redirects = {}", source.redirects)?;
    writeln!(out, "connections = {}", source.connections)?;
    if let Some(file) = &source.ca_file {
        writeln!(out, "ca_file = {}", quoted(&file.display().to_string()))?;
    }
    if let Some(proxy) = &source.proxy {
        writeln!(out, "proxy = {}", quoted(&without_secrets(proxy)))?;
    }
    if let Some(pointer) = &plan.observed_at {
        writeln!(out, "observed_at = {}", quoted(pointer))?;
        let zone = plan.observed_zone.iana_name().unwrap_or("UTC");
        writeln!(out, "observed_zone = {}", quoted(zone))?;
    }
    if let Some(pointer) = &plan.units_at {
        writeln!(out, "units_at = {}", quoted(pointer))?;
    }
    if plan.numbers == Numbers::Lenient {
        writeln!(out, "numbers = \"lenient\"")?;
    }
    if let Some(attribution) = &plan.attribution {
        writeln!(out, "attribution = {}", quoted(attribution))?;
    }
    match &plan.selection {
        Selection::AllLeaves { prefix } => writeln!(out, "prefix = {}", quoted(prefix)),
        Selection::Selectors(picks) => {
            writeln!(out, "[source.records]")?;
            for pick in picks {
                write!(
                    out,
                    "{} = {{ at = {}",
                    bare_or_quoted(&pick.key),
                    quoted(&pick.at)
                )?;
                if let Some(unit) = &pick.unit {
                    write!(out, ", unit = {}", quoted(unit))?;
                }
                let numbers = [
                    ("min", pick.min),
                    ("max", pick.max),
                    ("scale", pick.scale),
                    ("offset", pick.offset),
                    ("max_change", pick.max_change),
                ];
                for (name, number) in numbers {
                    if let Some(number) = number {
                        write!(out, ", {name} = {number:?}")?;
                    }
                }
                if let Some(each) = &pick.each {
                    write!(out, ", each = {}", quoted(each))?;
                }
                if !pick.map.is_empty() {
                    let pairs = pick.map.iter();
                    let pairs: Vec<String> = pairs
                        .map(|(text, number)| format!("{} = {number:?}", bare_or_quoted(text)))
                        .collect();
                    write!(out, ", map = {{ {} }}", pairs.join(", "))?;
                }
                if pick.text {
                    write!(out, ", text = true")?;
                }
                writeln!(out, " }}")?;
            }
            Ok(())
        }
    }
}

/// The same with every secret masked in the quoted texts: what came from a variable may stand
/// in any of them. Numbers and names of options stay what they are.
fn mask_texts(toml: &str, secrets: &Secrets) -> String {
    let mut masked = String::with_capacity(toml.len());
    let mut rest = toml;
    while let Some(begin) = rest.find('"') {
        masked.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let mut is_escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            ends
        });
        let (text, behind) = rest.split_at(end.map_or(rest.len(), |(at, _)| at + 1));
        match serde_json::from_str::<String>(text) {
            Ok(inner) => masked.push_str(&quoted(&secrets.mask(&inner))),
            Err(_) => masked.push_str(text),
        }
        rest = behind;
    }
    masked.push_str(rest);
    masked
}

/// A URL without user-info, query, fragment and what in its path looks like a key.
pub(super) fn without_secrets(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let (path, query) = match path.split_once('?') {
        Some((path, _)) => (path, "?***"),
        None => (path, ""),
    };
    let shown = |part| match is_likely_key(part) {
        true => MASK,
        false => part,
    };
    let path: Vec<&str> = path.split('/').map(shown).collect();
    format!("{scheme}://{host}{}{query}", path.join("/"))
}

/// Whether a part of a path is likely to be a key: Telegram's `bot123:ABC…`, or a long one
/// of letters and digits in which no word is separated.
pub(super) fn is_likely_key(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte);
    part.len() >= 20 && digits >= 3 && letters >= 3 && part.bytes().all(is_plain)
}

/// Whether a parameter of this name is likely to hold a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = [
        "key",
        "token",
        "secret",
        "pass",
        "appid",
        "auth",
        "cred",
        "cookie",
        "session",
        "signature",
    ];
    let names = [
        "sid", "pin", "pwd", "pw", "sig", "code", "jwt", "login", "user", "username",
    ];
    parts.iter().any(|part| name.contains(part)) || names.contains(&name.as_str())
}

fn spell(argument: &Argument) -> String {
    match argument {
        Argument::Text(text) => quoted(text),
        Argument::Number(number) => format!("{number:?}"),
        Argument::List(items) => {
            let items: Vec<String> = items.iter().map(spell).collect();
            format!("[{}]", items.join(", "))
        }
        Argument::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| {
                    let shown = match is_secret_name(name) {
                        true => quoted(MASK),
                        false => spell(value),
                    };
                    format!("{} = {shown}", bare_or_quoted(name))
                })
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Argument::Integer(_) | Argument::Boolean(_) => argument.scalar_text().unwrap_or_default(),
    }
}

/// What kind of credentials is given, without them. Some services take their key as the user
/// name, so that is not shown either.
fn redacted(auth: &Auth) -> String {
    let login = |login: &ConfiguredCredential| match login {
        ConfiguredCredential::Basic { .. } => "user = \"***\", password = \"***\"".to_owned(),
        ConfiguredCredential::Token(_) => "token = \"***\"".to_owned(),
    };
    match auth {
        Auth::Any(given) => login(given),
        Auth::Schemes(given) => {
            let entry = |(scheme, given): &(&SecurityScheme, ConfiguredCredential)| {
                let name = bare_or_quoted(&scheme.name);
                match given {
                    ConfiguredCredential::Basic { .. } => {
                        format!("{name} = {{ {} }}", login(given))
                    }
                    ConfiguredCredential::Token(_) => format!("{name} = \"***\""),
                }
            };
            given.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
    }
}
