//! Mail options (`[mail]`) and SMTP environment variables: server and recipients.

mod login;
mod mailbox;

use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use self::login::{check_login, check_token_login, read_password};
pub use self::mailbox::Mailbox;

use super::alert_filter::{LEVELS, print_only, read_level, read_only};
use super::reader::{ConfigReader, TableEntry, TableReader};
use super::secret::Secret;
use super::section::{
    ConfigOption, OptionReader, list, masked, path, plain, print_options, read_options, set, text,
    with_others,
};
use super::trust::{self, no_tls, print_fingerprints, read_fingerprints};
use crate::domain::alert_filter::AlertFilter;
use crate::sys::tls::TrustSettings;

/// Configuration for sending mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailConfig {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// The `[auth.NAME]` with the OAuth client whose access token is the login.
    pub auth: Option<Arc<str>>,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    /// Whose certificates the server may present.
    pub trust: TrustSettings,
    /// Whether mail may go unencrypted to a server outside the local network.
    pub plain_anywhere: bool,
    /// The alerts that are sent as mail.
    pub filter: AlertFilter,
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

/// A value with its location, for messages.
struct FoundValue {
    text: String,
    location: String,
    /// From the environment or a credential, not from the file.
    is_external: bool,
}

/// `[mail]` and its variables while they are read.
#[derive(Default)]
pub struct MailDraft {
    host: Option<FoundValue>,
    port: Option<FoundValue>,
    tls: Option<FoundValue>,
    user: Option<FoundValue>,
    password: Option<FoundValue>,
    password_file: Option<FoundValue>,
    from: Option<FoundValue>,
    to: Option<FoundValue>,
    trust: TrustSettings,
    /// Location of `fingerprint`.
    fingerprint_at: Option<String>,
    plain_anywhere: bool,
    filter: AlertFilter,
}

type MailOption = ConfigOption<MailDraft, MailConfig>;

pub static OPTIONS: [MailOption; 14] = [
    MailOption::new(
        "host",
        "text",
        "none (no mail is sent)",
        "\"smtp.example.org\"",
        "Mail server (SMTP), the one that your mail program uses for sending.",
        |draft, option| draft.host = read_value(option),
        |mail| text(&mail.host),
    )
    .with_variable("SMTP_HOST"),
    MailOption::new(
        "port",
        "number",
        "587; 465 with tls = \"implicit\"; 25 with tls = \"none\"",
        "465",
        "Port of the mail server.",
        |draft, option| draft.port = read_value(option),
        |mail| plain(mail.port),
    )
    .with_variable("SMTP_PORT"),
    MailOption::new(
        "tls",
        "\"starttls\", \"implicit\" or \"none\"",
        "what is usual for the port, else \"starttls\"",
        "\"implicit\"",
        "Encryption of the connection: `\"starttls\"` (usually port 587), `\"implicit\"` (TLS from the first byte, usually port 465), or `\"none\"` (usually port 25).",
        |draft, option| draft.tls = read_value(option),
        |mail| text(mail.tls.name()),
    )
    .with_variable("SMTP_TLS"),
    MailOption::new(
        "user",
        "text",
        "none (no login)",
        "\"me@example.org\"",
        "User name at the mail server. Needs a password and an encrypted connection.",
        |draft, option| draft.user = read_value(option),
        |mail| text(mail.user.as_deref()?),
    )
    .with_variable("SMTP_USER"),
    MailOption::new(
        "password",
        "text",
        "none",
        "\"${MAIL_PASSWORD}\"",
        "Password at the mail server, best taken from a variable. It is never shown.",
        |draft, option| draft.password = read_value(option),
        |mail| masked(mail.password.as_ref()),
    )
    .with_variable("SMTP_PASS"),
    MailOption::new(
        "password_file",
        "file",
        "none",
        "\"smtp-password\"",
        "File with the password, instead of `password`. The variable SMTP_PASS goes before both.",
        |draft, option| draft.password_file = read_password_file(option),
        |_| None,
    ),
    MailOption::new(
        "auth",
        "name of an `[auth.NAME]`",
        "none",
        "\"google\"",
        "Log in as `user` with an access token of OAuth 2.0 (XOAUTH2 or OAUTHBEARER) instead of a password: the table `[auth.NAME]` has the `grant`. See “Mail with OAuth 2.0”.",
        with_others,
        |mail| text(mail.auth.as_deref()?),
    ),
    MailOption::new(
        "from",
        "mail address",
        "`user` if it is an address, else the first of `to`",
        "\"main-node@example.org\"",
        "Sender address, also with a name: `\"Weather station <me@example.org>\"`. Most servers accept only the address of the account.",
        |draft, option| draft.from = read_value(option),
        |mail| text(&mail.from.to_string()),
    )
    .with_variable("SMTP_FROM"),
    MailOption::new(
        "to",
        "list of mail addresses",
        "required with `host`",
        "\"you@example.org\"",
        "Recipients of the alerts, also with names: `[\"Ann <ann@example.org>\"]`.",
        |draft, option| draft.to = read_value(option),
        |mail| list(&mail.to),
    )
    .with_variable("ALERT_EMAIL"),
    MailOption::new(
        "ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        "PEM file with the root certificates to trust for the mail server, instead of the system's, or with the server's own certificate, which is then trusted whatever its name and dates.",
        |draft, option| draft.trust.ca_file = option.path(),
        |mail| path(mail.trust.ca_file.as_deref()?),
    ),
    MailOption::new(
        "fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        "SHA-256 fingerprint of the mail server's certificate: this certificate is trusted, whatever its issuer, name and dates, and no other unless `ca_file` trusts it too. `main-node test-alert` prints the line.",
        |draft, option| {
            draft.trust.fingerprints = read_fingerprints(option);
            let entry = option.entry();
            draft.fingerprint_at = entry.map(|it| option.reader().location(&it.span()));
        },
        |mail| print_fingerprints(&mail.trust.fingerprints),
    ),
    MailOption::new(
        "plain_anywhere",
        "true or false",
        "false",
        "true",
        "Together with `tls = \"none\"`: allow a mail server outside the local network. Everybody on the way can read the mail.",
        |draft, option| draft.plain_anywhere = option.boolean().unwrap_or(false),
        |mail| mail.plain_anywhere.then(|| "true".to_owned()),
    ),
    MailOption::new(
        "level",
        LEVELS,
        "\"info\"",
        "\"critical\"",
        "The least level of the alerts that are sent as mail, as in `[[alert.webhook]]`.",
        |draft, option| set(&mut draft.filter.level, read_level(option)),
        |mail| text(mail.filter.level.name()),
    ),
    MailOption::new(
        "only",
        "text, or list of texts",
        "none (all alerts)",
        "[\"source:meter\", \"value:*\", \"house.*\"]",
        "The alerts that are sent as mail, by their names or keys, as in `[[alert.webhook]]`.",
        |draft, option| draft.filter.only = read_only(option),
        |mail| print_only(&mail.filter),
    ),
];

/// Reads `[mail]` and the variables that override it. `None` without a server. `find_client` finds
/// the OAuth client that `auth` names.
pub fn read_mail(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    directory: &Path,
    find_client: &dyn Fn(&TableEntry<'_>) -> Option<Arc<str>>,
) -> Option<MailConfig> {
    let nothing = DeTable::new();
    let table = root.get("mail").and_then(|item| item.table("[mail]"));
    let mut draft = MailDraft::default();
    let mut auth = None;
    match table {
        Some(mut table) => {
            auth = table.get("auth");
            read_options(&OPTIONS, &mut table, directory, &mut draft);
            table.finish();
        }
        // Variables without a table are enough.
        None => {
            let mut table = TableReader::new(reader, &nothing, 0..0, "[mail]");
            read_options(&OPTIONS, &mut table, directory, &mut draft);
        }
    }
    let password = read_password(reader, draft.password_file, draft.password);
    let host = draft.host?;
    check_line(reader, &host, "the name of a mail server");
    let tls = draft.tls.and_then(|found| parse_tls(reader, &found));
    let port = draft.port.and_then(|found| parse_port(reader, &found));
    let (port, tls) = port_and_tls(port, tls);
    match (&auth, &draft.user) {
        (Some(auth), user) => check_token_login(auth, user.as_ref(), password.is_some(), tls),
        (None, Some(user)) => check_login(reader, user, password.is_some(), tls),
        (None, None) => {}
    }
    if let (Some(location), MailTls::None) = (&draft.fingerprint_at, tls) {
        reader.problem_at(location, no_tls("set tls = \"starttls\" or \"implicit\""));
    }
    let auth = auth.as_ref().and_then(find_client);
    let to = match &draft.to {
        Some(found) => mailboxes(reader, found),
        None => {
            let message = "a mail server is configured, but no recipient: set ALERT_EMAIL, or `to` \
                           in [mail]";
            reader.problem_at(&host.location, message);
            Vec::new()
        }
    };
    let user = draft.user.map(|found| found.text);
    let from = match &draft.from {
        Some(found) => mailboxes(reader, found).into_iter().next(),
        // Most servers require the sender to be the account. A name stays the recipient's.
        None => {
            let recipient = || to.first().map(|to| to.address.clone());
            let address = user
                .as_deref()
                .and_then(mailbox::address)
                .or_else(recipient);
            address.map(|address| Mailbox {
                name: None,
                address,
            })
        }
    };
    Some(MailConfig {
        host: host.text,
        port,
        tls,
        user,
        password,
        auth,
        from: from.unwrap_or_default(),
        to,
        trust: draft.trust,
        plain_anywhere: draft.plain_anywhere,
        filter: draft.filter,
    })
}

fn parse_tls(reader: &ConfigReader<'_>, found: &FoundValue) -> Option<MailTls> {
    let known = [MailTls::StartTls, MailTls::Implicit, MailTls::None];
    let chosen = known.into_iter().find(|tls| tls.name() == found.text);
    if chosen.is_none() {
        let message = format!(
            "expected \"starttls\", \"implicit\" or \"none\", found {:?}",
            found.text
        );
        reader.problem_at(&found.location, message);
    }
    chosen
}

fn parse_port(reader: &ConfigReader<'_>, found: &FoundValue) -> Option<u16> {
    let number = found.text.parse::<u16>().ok().filter(|port| *port > 0);
    if number.is_none() {
        let message = format!("expected a port from 1 to 65535, found {:?}", found.text);
        reader.problem_at(&found.location, message);
    }
    number
}

/// Port and TLS mode are each the other's default.
fn port_and_tls(port: Option<u16>, tls: Option<MailTls>) -> (u16, MailTls) {
    let tls = tls.unwrap_or(match port {
        Some(465) => MailTls::Implicit,
        Some(25) => MailTls::None,
        _ => MailTls::StartTls,
    });
    let default_port = match tls {
        MailTls::StartTls => 587,
        MailTls::Implicit => 465,
        MailTls::None => 25,
    };
    (port.unwrap_or(default_port), tls)
}

/// Prints `[mail]` as TOML, secrets masked.
pub fn print_mail(out: &mut String, mail: &MailConfig) {
    out.push_str("\n[mail]\n");
    print_options(out, &OPTIONS, mail);
}

fn read_value(option: &mut OptionReader<'_, '_>) -> Option<FoundValue> {
    let entry = option.entry();
    find_one(option.reader(), option.variable?, entry)
}

fn read_password_file(option: &mut OptionReader<'_, '_>) -> Option<FoundValue> {
    let entry = option.entry()?;
    Some(FoundValue {
        text: option.directory.join(entry.text()?).display().to_string(),
        location: option.reader().location(&entry.span()),
        is_external: false,
    })
}

fn find_one(
    reader: &ConfigReader<'_>,
    variable: &str,
    item: Option<TableEntry<'_>>,
) -> Option<FoundValue> {
    if let Some((text, location)) = reader.option_variable(variable) {
        return Some(FoundValue {
            text,
            location,
            is_external: true,
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
    let location = reader.location(&item.span());
    (!text.is_empty()).then_some(FoundValue {
        text,
        location,
        is_external: false,
    })
}

fn mailboxes(reader: &ConfigReader<'_>, found: &FoundValue) -> Vec<Mailbox> {
    let parsed = mailbox::parse_list(&found.text).into_iter();
    let report = |parsed: Result<Mailbox, String>| {
        let problem = |message| reader.problem_at(&found.location, message);
        parsed.map_err(problem).ok()
    };
    parsed.filter_map(report).collect()
}

fn check_line(reader: &ConfigReader<'_>, found: &FoundValue, what: &str) {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_' | '[' | ']');
    if !found.text.chars().all(is_plain) {
        let message = format!("expected {what}, found {:?}", found.text);
        reader.problem_at(&found.location, message);
    }
}
