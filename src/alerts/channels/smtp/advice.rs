//! SMTP error advice: what a mail server's refusal means and what to do about it, by its code (RFC
//! 5321), its enhanced status code (RFC 3463), the provider and well-known texts.
//!
//! Pure.

use smtp_proto::Response;

use super::SmtpStep;
use crate::limits;

/// A mail provider, by the end of its servers' names, and what its logins need.
struct Provider {
    hosts: &'static [&'static str],
    login: &'static str,
    /// What an access token needs, where the provider accepts any.
    token: Option<&'static str>,
}

const PROVIDERS: [Provider; 6] = [
    Provider {
        hosts: &["gmail.com", "googlemail.com", "google.com"],
        login: "Google wants an app password (16 letters) instead of the account's: switch on \
                2-Step Verification and make one at myaccount.google.com/apppasswords",
        token: Some(
            "`user` must be the account that allowed the access, `scope` https://mail.google.com/",
        ),
    },
    Provider {
        hosts: &[
            "office365.com",
            "outlook.com",
            "hotmail.com",
            "live.com",
            "office.com",
        ],
        login: "check user and password; private Microsoft accounts take no password over SMTP \
                at all, those of a company only where its administrator allows SMTP AUTH. \
                Otherwise log in with OAuth 2.0 (`auth` in [mail]), or use another mail provider \
                or a relay",
        token: Some(
            "the token needs the scope https://outlook.office365.com/.default and the permission \
             SMTP.SendAsApp (grant client_credentials; its service principal also needs access \
             to the mailbox of `user`) or SMTP.Send (grant refresh_token)",
        ),
    },
    Provider {
        hosts: &["yahoo.com", "yahoo.de", "yahoodns.net", "aol.com"],
        login: "Yahoo and AOL want an app password instead of the account's: make one in the \
                account's security settings",
        token: None,
    },
    Provider {
        hosts: &["mail.me.com", "icloud.com"],
        login: "iCloud wants an app-specific password: make one at account.apple.com; user is \
                the iCloud mail address",
        token: None,
    },
    Provider {
        hosts: &["gmx.net", "gmx.com", "gmx.de", "gmx.at", "gmx.ch", "web.de"],
        login: "GMX and WEB.DE refuse programs until POP3/IMAP access is enabled in the settings \
                of the mailbox; with two-factor authentication they want an app-specific password",
        token: None,
    },
    Provider {
        hosts: &["t-online.de"],
        login: "T-Online wants the separate password for e-mail programs, which is made in its \
                customer centre",
        token: None,
    },
];

const NO_BASIC_AUTH: &str = "Microsoft has switched off passwords for SMTP, and an app password \
     does not help: log in with OAuth 2.0 (`auth` in [mail]), or use another mail provider or a \
     relay, and set host, user, password and from for it";
const SMTP_AUTH_OFF: &str = "SMTP AUTH is switched off for this mailbox or its organisation: its \
     administrator can switch it on (\"Authenticated SMTP\"); otherwise use another mail provider \
     or a relay";
const POLICY: &str = "a policy of the organisation keeps programs from logging in; its \
     administrator can exempt this mailbox; otherwise use another mail provider or a relay";
const CHECK: &str = "check user and password (SMTP_USER, SMTP_PASS); many providers want a \
     password made for apps";
const CHECK_TOKEN: &str = "check `user` in [mail], and `scope` in its [auth.NAME]";
const NO_LOGINS_NOW: &str = "the server accepts no logins for now, mostly because there were too many; \
     main-node retries";
const LIMIT: &str = "a limit of the account or the server is reached; main-node retries";
const LATER: &str = "main-node retries";
const GREYLISTED: &str = "probably greylisting; main-node retries";
const NEEDS_TLS: &str = "set tls = \"starttls\"";
const NEEDS_LOGIN: &str = "set user and password (SMTP_USER, SMTP_PASS)";
const WRONG_SENDER: &str = "set from to the address of the account (or one of its aliases)";

fn is_of(host: &str, domain: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let front = host.strip_suffix(domain);
    front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

/// What to do when the server refuses user and password.
pub fn login_advice(host: &str, reply: &Response<String>) -> &'static str {
    let text = reply.message.to_lowercase();
    let contains = |part: &str| text.contains(part);
    if reply.code < 500 {
        return NO_LOGINS_NOW;
    }
    if contains("basic authentication is disabled") {
        return NO_BASIC_AUTH;
    }
    if contains("smtpclientauthentication is disabled") {
        return SMTP_AUTH_OFF;
    }
    if reply.esc == [5, 7, 139] && !contains("credentials were incorrect") {
        return POLICY;
    }
    if contains("too many") {
        return NO_LOGINS_NOW;
    }
    if contains("must issue a starttls") {
        return NEEDS_TLS;
    }
    provider(host, &text).map_or(CHECK, |it| it.login)
}

/// What to do when the server refuses an access token.
pub fn token_advice(host: &str, reply: &Response<String>) -> &'static str {
    let text = reply.message.to_lowercase();
    let contains = |part: &str| text.contains(part);
    if reply.code < 500 || contains("too many") {
        return NO_LOGINS_NOW;
    }
    if contains("smtpclientauthentication is disabled") {
        return SMTP_AUTH_OFF;
    }
    if contains("must issue a starttls") {
        return NEEDS_TLS;
    }
    let known = provider(host, &text);
    known.and_then(|it| it.token).unwrap_or(CHECK_TOKEN)
}

/// The provider, by the server's name or by its replies.
fn provider(host: &str, reply: &str) -> Option<&'static Provider> {
    let mut providers = PROVIDERS.iter();
    let of_host = providers.find(|it| it.hosts.iter().any(|domain| is_of(host, domain)));
    // A name of one's own may lead to its servers.
    let is_google = reply.contains("support.google.com") || reply.ends_with("gsmtp");
    of_host.or_else(|| {
        PROVIDERS
            .iter()
            .find(|it| is_google && it.hosts.contains(&"gmail.com"))
    })
}

/// What to do about a refusal of one of the other steps, if its code or text identifies the reason.
pub fn refusal_advice(step: SmtpStep, reply: &Response<String>) -> Option<&'static str> {
    let text = reply.message.to_lowercase();
    let contains = |part: &str| text.contains(part);
    match reply.code {
        530 | 538 if contains("starttls") => Some(NEEDS_TLS),
        530 => Some(NEEDS_LOGIN),
        _ if is_limit(reply) => Some(LIMIT),
        450 | 451 if step == SmtpStep::To => Some(GREYLISTED),
        400..=499 => Some(LATER),
        // The sender is judged at any of these steps.
        550..=554 if is_about_sender(reply) => Some(WRONG_SENDER),
        553 if step == SmtpStep::From => Some(WRONG_SENDER),
        _ => None,
    }
}

fn is_about_sender(reply: &Response<String>) -> bool {
    let text = reply.message.to_lowercase();
    let is_named = [
        "sender address rejected",
        "not owned by",
        "sendasdenied",
        "send as this sender",
        "sender address is not allowed",
        "from address does not match",
    ];
    reply.esc == [5, 7, 60] || is_named.iter().any(|part| text.contains(part))
}

/// Whether it is a temporary limit, whatever the code's class.
pub fn is_limit(reply: &Response<String>) -> bool {
    let text = reply.message.to_lowercase();
    let is_named = [
        "rate limit",
        "sending limit",
        "sending quota",
        "too many",
        "limit exceeded",
        "quota exceeded",
    ];
    // 4.5.3 and 5.5.3 are too many recipients, 5.4.5 Google's day, 5.7.0 says nothing.
    let is_coded = matches!(reply.esc, [4 | 5, 4, 5] | [4, 5, 3] | [4, 7, 28]);
    let is_mailbox_full = matches!(reply.esc, [4 | 5, 2, 2]) || reply.code == 552;
    !is_mailbox_full && (is_coded || is_named.iter().any(|part| text.contains(part)))
}

/// A server's reply on one line, bounded, without control characters.
pub fn reply_text(reply: &Response<String>) -> String {
    let replace_control = |c: char| match c {
        '\r' | '\n' | '\t' => ' ',
        c if c.is_control() => '?',
        c => c,
    };
    let text: String = reply.message.chars().map(replace_control).collect();
    let text: Vec<&str> = text.split_whitespace().collect();
    let text: String = text.join(" ").chars().take(limits::REPLY_CHARS).collect();
    // The parser stores 255 for numbers above 254.
    let enhanced = match reply.esc {
        [0, ..] => String::new(),
        [_, subject, detail] if subject.max(detail) == u8::MAX => String::new(),
        [class, subject, detail] => format!(" {class}.{subject}.{detail}"),
    };
    let space = if text.is_empty() { "" } else { " " };
    format!("{}{enhanced}{space}{text}", reply.code)
}

#[cfg(test)]
#[path = "tests/advice.rs"]
mod tests;
