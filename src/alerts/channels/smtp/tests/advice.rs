//! Advice tests: what is said about the replies of well-known providers.

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
        (
            "relay.example.org",
            534,
            [5, 7, 9],
            "Application-specific password required. For more information, go to\n \
             https://support.google.com/mail/?p=InvalidSecondFactor x - gsmtp",
            google,
        ),
    ] {
        let found = login_advice(host, &reply(code, esc, message));
        assert_eq!(found, expected, "{host}: {code} {esc:?} {message}");
    }
}

#[test]
fn token_advice_fits_the_provider_and_the_reply() {
    let of = |provider: usize| PROVIDERS[provider].token.unwrap_or_default();
    for (host, code, message, expected) in [
        (
            "smtp.gmail.com",
            535,
            "Username and Password not accepted.",
            of(0),
        ),
        (
            "smtp.office365.com",
            535,
            "Authentication unsuccessful",
            of(1),
        ),
        (
            "smtp.office365.com",
            535,
            "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
            SMTP_AUTH_OFF,
        ),
        (
            "smtp.gmail.com",
            454,
            "Temporary authentication failure",
            NO_LOGINS_NOW,
        ),
        ("mail.example.org", 535, "invalid token", CHECK_TOKEN),
        ("mail.gmx.net", 535, "no", CHECK_TOKEN),
    ] {
        let found = token_advice(host, &reply(code, [0, 0, 0], message));
        assert_eq!(found, expected, "{host}: {code} {message}");
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
