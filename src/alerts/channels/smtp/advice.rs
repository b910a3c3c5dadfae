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
}

const PROVIDERS: [Provider; 6] = [
    Provider {
        hosts: &["gmail.com", "googlemail.com", "google.com"],
        login: "Google wants an app password (16 letters) instead of the account's: switch on \
                2-Step Verification and make one at myaccount.google.com/apppasswords",
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
                Otherwise use another mail provider or a relay",
    },
    Provider {
        hosts: &["yahoo.com", "yahoo.de", "yahoodns.net", "aol.com"],
        login: "Yahoo and AOL want an app password instead of the account's: make one in the \
                account's security settings",
    },
    Provider {
        hosts: &["mail.me.com", "icloud.com"],
        login: "iCloud wants an app-specific password: make one at account.apple.com; user is \
                the iCloud mail address",
    },
    Provider {
        hosts: &["gmx.net", "gmx.com", "gmx.de", "gmx.at", "gmx.ch", "web.de"],
        login: "GMX and WEB.DE refuse programs until POP3/IMAP access is enabled in the settings \
                of the mailbox; with two-factor authentication they want an app-specific password",
    },
    Provider {
        hosts: &["t-online.de"],
        login: "T-Online wants the separate password for e-mail programs, which is made in its \
                customer centre",
    },
];

const NO_BASIC_AUTH: &str = "Microsoft has switched off passwords for SMTP, and an app password \
     does not help: use another mail provider or a relay, and set host, user, password and from \
     for it";
const SMTP_AUTH_OFF: &str = "SMTP AUTH is switched off for this mailbox or its organisation: its \
     administrator can switch it on (\"Authenticated SMTP\"); otherwise use another mail provider \
     or a relay";
const POLICY: &str = "a policy of the organisation keeps programs from logging in; its \
     administrator can exempt this mailbox; otherwise use another mail provider or a relay";
const CHECK: &str = "check user and password (SMTP_USER, SMTP_PASS); many providers want a \
     password made for apps";
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
    let mut providers = PROVIDERS.iter();
    let known = providers.find(|it| it.hosts.iter().any(|domain| is_of(host, domain)));
    known.map_or(CHECK, |it| it.login)
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
mod tests {
    use super::*;

    fn reply(code: u16, esc: [u8; 3], message: &str) -> Response<String> {
        Response {
            code,
            esc,
            message: message.to_owned(),
        }
    }

    #[test]
    fn login_advice_fits_the_provider_and_the_reply() {
        let google = PROVIDERS[0].login;
        let microsoft = PROVIDERS[1].login;
        for (host, code, esc, message, expected) in [
            (
                "smtp.office365.com",
                535,
                [5, 7, 139],
                "Authentication unsuccessful, basic authentication is disabled. [AM0PR]",
                NO_BASIC_AUTH,
            ),
            (
                "smtp-mail.outlook.com",
                535,
                [5, 7, 139],
                "Authentication unsuccessful, SmtpClientAuthentication is disabled for the \
                 Tenant. Visit https://aka.ms/smtp_auth_disabled",
                SMTP_AUTH_OFF,
            ),
            (
                "smtp.office365.com",
                535,
                [5, 7, 139],
                "Authentication unsuccessful, the request did not meet the criteria to be \
                 authenticated successfully.",
                POLICY,
            ),
            (
                "smtp.office365.com",
                535,
                [5, 7, 139],
                "Authentication unsuccessful, the user credentials were incorrect.",
                microsoft,
            ),
            (
                "smtp.office365.com",
                535,
                [5, 7, 3],
                "Authentication unsuccessful",
                microsoft,
            ),
            (
                "smtp.gmail.com",
                535,
                [5, 7, 8],
                "Username and Password not accepted.",
                google,
            ),
            (
                "SMTP.GMAIL.COM.",
                534,
                [5, 7, 9],
                "Application-specific password required.",
                google,
            ),
            (
                "smtp.gmail.com",
                454,
                [4, 7, 0],
                "Too many login attempts, please try again later.",
                NO_LOGINS_NOW,
            ),
            (
                "smtp.mail.yahoo.com",
                535,
                [5, 7, 0],
                "(#AUTH005) Too many bad auth attempts.",
                NO_LOGINS_NOW,
            ),
            (
                "smtp.mail.yahoo.com",
                535,
                [5, 7, 0],
                "(#MBR1212) Incorrect username or password",
                PROVIDERS[2].login,
            ),
            (
                "smtp.mail.me.com",
                535,
                [5, 7, 8],
                "Error: authentication failed",
                PROVIDERS[3].login,
            ),
            (
                "mail.gmx.net",
                535,
                [0, 0, 0],
                "Authentication credentials invalid",
                PROVIDERS[4].login,
            ),
            (
                "smtp.web.de",
                535,
                [0, 0, 0],
                "Authentication credentials invalid",
                PROVIDERS[4].login,
            ),
            (
                "mail.notgmail.com",
                535,
                [5, 7, 8],
                "authentication failed",
                CHECK,
            ),
            ("mail.example.org", 535, [0, 0, 0], "no", CHECK),
        ] {
            let found = login_advice(host, &reply(code, esc, message));
            assert_eq!(found, expected, "{host}: {code} {esc:?} {message}");
        }
    }

    #[test]
    fn refusal_advice_fits_the_step_and_the_reply() {
        for (step, code, esc, message, expected) in [
            (
                SmtpStep::From,
                530,
                [5, 7, 0],
                "Must issue a STARTTLS command first",
                Some(NEEDS_TLS),
            ),
            (
                SmtpStep::From,
                530,
                [5, 7, 0],
                "Authentication Required.",
                Some(NEEDS_LOGIN),
            ),
            (
                SmtpStep::From,
                553,
                [5, 7, 1],
                "<me@x>: Sender address rejected: not owned by user",
                Some(WRONG_SENDER),
            ),
            (
                SmtpStep::Data,
                554,
                [5, 2, 252],
                "SendAsDenied; me@x not allowed to send as you@x",
                Some(WRONG_SENDER),
            ),
            (
                SmtpStep::Data,
                550,
                [5, 4, 5],
                "Daily user sending limit exceeded.",
                Some(LIMIT),
            ),
            (
                SmtpStep::Greeting,
                421,
                [4, 7, 0],
                "Too many connections",
                Some(LIMIT),
            ),
            (
                SmtpStep::To,
                451,
                [4, 7, 1],
                "Greylisting in action",
                Some(GREYLISTED),
            ),
            (SmtpStep::Data, 451, [4, 3, 0], "not now", Some(LATER)),
            (SmtpStep::To, 552, [5, 2, 2], "Mailbox quota exceeded", None),
            (SmtpStep::To, 550, [5, 1, 1], "no such user", None),
            (SmtpStep::Data, 554, [5, 7, 1], "spam", None),
        ] {
            let found = refusal_advice(step, &reply(code, esc, message));
            assert_eq!(found, expected, "{code} {esc:?} {message}");
        }
    }

    #[test]
    fn a_reply_is_one_line_with_its_codes() {
        for (code, esc, message, expected) in [
            (
                535,
                [5, 7, 8],
                "Not accepted. Go to\n https://x/\u{1b}[31m\r\n",
                "535 5.7.8 Not accepted. Go to https://x/?[31m",
            ),
            (250, [0, 0, 0], "ok", "250 ok"),
            (550, [5, 7, 255], "no", "550 no"),
            (421, [4, 7, 0], "", "421 4.7.0"),
        ] {
            assert_eq!(reply_text(&reply(code, esc, message)), expected);
        }
        let long = reply_text(&reply(250, [0, 0, 0], &"x".repeat(9_999)));
        assert_eq!(long.len(), limits::REPLY_CHARS + "250 ".len());
    }
}
