//! Who is told, and through which server: `[mail]` and its variables.

use std::path::{Path, PathBuf};

use super::Secret;
use super::reader::{ConfigReader, TableEntry, TableReader};
use crate::sys::text_file;

/// How to send mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailConfig {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub from: String,
    pub to: Vec<String>,
    pub ca_file: Option<PathBuf>,
    /// Whether mail may go unencrypted to an address outside the house.
    pub plain_anywhere: bool,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// STARTTLS (RFC 3207), usually on port 587.
    StartTls,
    /// TLS from the first byte (RFC 8314), usually on port 465.
    Implicit,
    /// None, usually on port 25.
    None,
}

impl MailTls {
    pub fn name(self) -> &'static str {
        match self {
            MailTls::StartTls => "starttls",
            MailTls::Implicit => "implicit",
            MailTls::None => "none",
        }
    }
}

/// A value and where it stands, for messages.
struct FoundValue {
    text: String,
    place: String,
    /// In the environment or a credential, not in the file.
    is_outside: bool,
}

/// Reads `[mail]` and the variables that stand before it. `None` if no server is named.
pub fn read(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    directory: &Path,
) -> Option<MailConfig> {
    let mut table = root.get("mail").and_then(|item| item.table("[mail]"));
    let mut find = |variable: &str, key: &'static str| {
        let item = table.as_mut().and_then(|table| table.get(key));
        find_one(reader, variable, item)
    };
    let host = find("SMTP_HOST", "host");
    let port = find("SMTP_PORT", "port");
    let user = find("SMTP_USER", "user");
    let password = find("SMTP_PASS", "password");
    let from = find("SMTP_FROM", "from");
    let tls = find("SMTP_TLS", "tls");
    let to = find("ALERT_EMAIL", "to");
    let mut path = |key: &'static str| {
        let item = table.as_mut().and_then(|table| table.get(key))?;
        Some((directory.join(item.text()?), item))
    };
    let password_file = path("password_file");
    let ca_file = path("ca_file").map(|(path, _)| path);
    let plain_anywhere = table
        .as_mut()
        .and_then(|table| table.get("plain_anywhere"))
        .and_then(|item| item.boolean())
        .unwrap_or(false);
    if let Some(table) = table {
        table.finish();
    }
    let password = password_from_file(reader, password_file, password);

    let host = host?;
    check_line(reader, &host, "the mail server's name");
    let tls = match &tls {
        None => None,
        Some(found) => {
            let known = [MailTls::StartTls, MailTls::Implicit, MailTls::None];
            let chosen = known.into_iter().find(|tls| tls.name() == found.text);
            if chosen.is_none() {
                let message = format!(
                    "expected \"starttls\", \"implicit\" or \"none\", found {:?}",
                    found.text
                );
                reader.problem_at(&found.place, message);
            }
            chosen
        }
    };
    let port_number = port.as_ref().and_then(|found| {
        let number = found.text.parse::<u16>().ok().filter(|port| *port > 0);
        if number.is_none() {
            let message = format!("expected a port from 1 to 65535, found {:?}", found.text);
            reader.problem_at(&found.place, message);
        }
        number
    });
    // The port says the kind of protection where nothing else does, and the reverse.
    let tls = tls.unwrap_or(match port_number {
        Some(465) => MailTls::Implicit,
        Some(25) => MailTls::None,
        _ => MailTls::StartTls,
    });
    let port = port_number.unwrap_or(match tls {
        MailTls::StartTls => 587,
        MailTls::Implicit => 465,
        MailTls::None => 25,
    });
    if let Some(user) = &user {
        if password.is_none() {
            let message = "a user is named for the mail server, but no password: set SMTP_PASS, \
                           or `password_file` in [mail]";
            reader.problem_at(&user.place, message);
        }
        if tls == MailTls::None {
            let message = "the password would go to the mail server unencrypted: set tls = \
                           \"starttls\" or \"implicit\", or remove user and password";
            reader.problem_at(&user.place, message);
        }
    }
    let recipients = match &to {
        None => {
            let message = "a mail server is named, but nobody to write to: set ALERT_EMAIL, or \
                           `to` in [mail]";
            reader.problem_at(&host.place, message);
            Vec::new()
        }
        Some(found) => addresses(reader, found),
    };
    let from = match &from {
        Some(found) => addresses(reader, found).into_iter().next(),
        // Most servers want the sender to be the account.
        None => user
            .as_ref()
            .map(|user| user.text.clone())
            .filter(|user| user.contains('@'))
            .or_else(|| recipients.first().cloned()),
    };
    Some(MailConfig {
        host: host.text,
        port,
        tls,
        user: user.map(|found| found.text),
        password,
        from: from.unwrap_or_default(),
        to: recipients,
        ca_file,
        plain_anywhere,
    })
}

fn find_one(
    reader: &ConfigReader<'_>,
    variable: &str,
    item: Option<TableEntry<'_>>,
) -> Option<FoundValue> {
    let outside = from_environment(reader, variable);
    if let Some((text, place)) = outside {
        return Some(FoundValue {
            text,
            place,
            is_outside: true,
        });
    }
    let item = item?;
    let text = match item.value() {
        toml::de::DeValue::Integer(number) => number.to_string(),
        toml::de::DeValue::Array(_) => {
            let texts: Vec<String> = item.texts().into_iter().map(|(text, _)| text).collect();
            texts.join(",")
        }
        _ => item.text()?,
    };
    let place = reader.place(&item.span());
    (!text.is_empty()).then_some(FoundValue {
        text,
        place,
        is_outside: false,
    })
}

/// A variable or a credential; one that is there and cannot be read is a problem.
fn from_environment(reader: &ConfigReader<'_>, variable: &str) -> Option<(String, String)> {
    if let Some(found) = reader.environment.lookup(variable) {
        return Some(found);
    }
    reader
        .environment
        .credential(variable)
        .unwrap_or_else(|problem| {
            reader.problem_at(&problem.place, problem.message);
            None
        })
}

/// A password in a file goes before one in the TOML, after one in the environment.
fn password_from_file(
    reader: &ConfigReader<'_>,
    file: Option<(PathBuf, TableEntry<'_>)>,
    found: Option<FoundValue>,
) -> Option<Secret> {
    let from_outside = found.as_ref().is_some_and(|found| found.is_outside);
    let (Some((path, item)), false) = (file, from_outside) else {
        return found.map(|found| reader.secret(found.text));
    };
    match text_file::read(&path) {
        Ok(text) => Some(reader.secret(text.trim_end_matches(['\n', '\r']).to_owned())),
        Err(error) => {
            item.problem(format!(
                "the password file {} cannot be read: {error}",
                path.display()
            ));
            None
        }
    }
}

/// Addresses separated by commas, in ASCII, since few servers take others. Control characters and angle brackets would end up as
/// SMTP commands of somebody else's choosing.
fn addresses(reader: &ConfigReader<'_>, found: &FoundValue) -> Vec<String> {
    let mut addresses = Vec::new();
    for address in found.text.split(',').map(str::trim) {
        let is_plain = address
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>'));
        let has_parts = address
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        match is_plain && has_parts {
            true => addresses.push(address.to_owned()),
            false => {
                let message = format!(
                    "expected a mail address such as \"me@example.org\", found {address:?}"
                );
                reader.problem_at(&found.place, message);
            }
        }
    }
    addresses
}

fn check_line(reader: &ConfigReader<'_>, found: &FoundValue, what: &str) {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_' | '[' | ']');
    if !found.text.chars().all(is_plain) {
        let message = format!("expected {what}, found {:?}", found.text);
        reader.problem_at(&found.place, message);
    }
}
