//! SMTP client: sends one mail with mail-send, step by step under smol.
//!
//! On the caller's thread, until the server has replied, a step has timed out or the node stops. It
//! knows nothing of alerts. Every step has its own timeout, because the library's are an hour long
//! and do not cover all of them; recipients are sent one by one, because the library gives up the
//! message for one refused; and a password is never sent over an unencrypted connection.

mod advice;
mod login;
mod oauth;
mod session;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::{Duration, Instant};

use async_compat::Compat;
use tokio_rustls::TlsConnector;

use self::login::{LoginSecret, SessionLogin};
use self::session::Session;
use super::AccessTokens;
use crate::config::MailTls;
use crate::domain::redact::Secrets;
use crate::limits;
use crate::sys::tls::{Trust, TrustSettings};

/// The mail server, the login and the sender.
#[derive(Clone)]
pub struct SmtpAccount {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub login: Option<SmtpLogin>,
    pub from: String,
    pub trust: TrustSettings,
    /// Whether mail may go unencrypted to an address outside the local network.
    pub plain_anywhere: bool,
    /// This machine's name, for EHLO.
    pub own_name: String,
    pub timeouts: Timeouts,
}

/// How long the steps may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connect: Duration,
    pub step: Duration,
    pub data: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: limits::CONNECT_TIMEOUT,
            step: limits::SMTP_STEP_TIMEOUT,
            data: limits::SMTP_DATA_TIMEOUT,
        }
    }
}

#[derive(Clone)]
pub struct SmtpLogin {
    pub user: String,
    pub credential: SmtpCredential,
}

#[derive(Clone)]
pub enum SmtpCredential {
    Password(String),
    AccessToken(AccessTokens),
}

/// The steps of a session, as they are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpStep {
    Token,
    Resolve,
    Connect,
    Tls,
    Greeting,
    Hello,
    StartTls,
    Login,
    From,
    To,
    Data,
}

impl SmtpStep {
    pub fn name(self) -> &'static str {
        match self {
            SmtpStep::Token => "token",
            SmtpStep::Resolve => "resolve",
            SmtpStep::Connect => "connect",
            SmtpStep::Tls => "TLS",
            SmtpStep::Greeting => "greeting",
            SmtpStep::Hello => "EHLO",
            SmtpStep::StartTls => "STARTTLS",
            SmtpStep::Login => "AUTH",
            SmtpStep::From => "MAIL FROM",
            SmtpStep::To => "RCPT TO",
            SmtpStep::Data => "DATA",
        }
    }
}

/// How one step went.
#[derive(Debug, Clone)]
pub struct StepReport {
    pub step: SmtpStep,
    pub elapsed: Duration,
    /// What the server replied or was sent, or why the step failed.
    pub result: Result<String, String>,
}

/// Which recipients were accepted, refused or deferred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendResult {
    pub accepted: Vec<String>,
    /// With the server's reply.
    pub refused: Vec<(String, String)>,
    /// With the server's reply.
    pub deferred: Vec<(String, String)>,
}

/// Why the mail was not sent, by what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmtpFailure {
    /// To be retried: the network, the server, or a setting that can be corrected.
    Temporary(String),
    /// The server refused the password or the access token; to be retried, too.
    LoginRefused(String),
    /// The server refused this mail for good.
    Permanent(String),
    /// It may have been delivered: try again under the same Message-ID.
    InDoubt(String),
}

impl SmtpFailure {
    fn map(self, change: impl FnOnce(String) -> String) -> SmtpFailure {
        match self {
            SmtpFailure::Temporary(why) => SmtpFailure::Temporary(change(why)),
            SmtpFailure::LoginRefused(why) => SmtpFailure::LoginRefused(change(why)),
            SmtpFailure::Permanent(why) => SmtpFailure::Permanent(change(why)),
            SmtpFailure::InDoubt(why) => SmtpFailure::InDoubt(change(why)),
        }
    }
}

impl fmt::Display for SmtpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SmtpFailure::Temporary(why)
            | SmtpFailure::LoginRefused(why)
            | SmtpFailure::Permanent(why)
            | SmtpFailure::InDoubt(why) => f.write_str(why),
        }
    }
}

/// Callbacks of one session.
pub struct SmtpHooks<'a> {
    /// Called once, before the first byte that could deliver; an error ends the attempt.
    pub before_data: &'a mut dyn FnMut() -> Result<(), String>,
    pub report: &'a mut dyn FnMut(StepReport),
    /// Whether the node stops.
    pub is_stopping: &'a dyn Fn() -> bool,
}

/// Sends a mail to those recipients.
pub fn send(
    account: &SmtpAccount,
    mail: &[u8],
    recipients: &[String],
    hooks: SmtpHooks<'_>,
) -> Result<SendResult, SmtpFailure> {
    run(account, Some((mail, recipients)), hooks)
}

/// Connects and logs in only.
pub fn try_login(account: &SmtpAccount, hooks: SmtpHooks<'_>) -> Result<(), SmtpFailure> {
    run(account, None, hooks).map(|_| ())
}

/// A mail and its recipients; `None`: only the login is tried.
type MailToSend<'a> = Option<(&'a [u8], &'a [String])>;

fn run(
    account: &SmtpAccount,
    mail: MailToSend<'_>,
    mut hooks: SmtpHooks<'_>,
) -> Result<SendResult, SmtpFailure> {
    match &account.login {
        None => run_session(account, None, mail, &mut hooks),
        Some(SmtpLogin { user, credential }) => match credential {
            SmtpCredential::Password(password) => {
                let secret = LoginSecret::Password(password);
                let login = Some(SessionLogin { user, secret });
                run_session(account, login, mail, &mut hooks)
            }
            SmtpCredential::AccessToken(tokens) => {
                run_with_tokens(account, user, tokens, mail, &mut hooks)
            }
        },
    }
}

/// A session with an access token, and a second one if the server refuses the token and there is
/// another one.
fn run_with_tokens(
    account: &SmtpAccount,
    user: &str,
    tokens: &AccessTokens,
    mail: MailToSend<'_>,
    hooks: &mut SmtpHooks<'_>,
) -> Result<SendResult, SmtpFailure> {
    let token = request_token(tokens, None, hooks).map_err(SmtpFailure::Temporary)?;
    let why = match run_with_token(account, user, &token, mail, hooks) {
        Err(SmtpFailure::LoginRefused(why)) => why,
        result => return result,
    };
    match request_token(tokens, Some(&token), hooks) {
        Ok(another) if another != token => run_with_token(account, user, &another, mail, hooks),
        Ok(_) => Err(SmtpFailure::LoginRefused(why)),
        Err(no_other) => Err(SmtpFailure::LoginRefused(format!("{why}; {no_other}"))),
    }
}

/// Gets an access token, other than one that was refused; reported as a step.
fn request_token(
    tokens: &AccessTokens,
    refused: Option<&str>,
    hooks: &mut SmtpHooks<'_>,
) -> Result<String, String> {
    let began = Instant::now();
    let result = tokens(refused).map_err(|why| format!("{}: {why}", SmtpStep::Token.name()));
    let what = if refused.is_none() {
        "received"
    } else {
        "renewed"
    };
    (hooks.report)(StepReport {
        step: SmtpStep::Token,
        elapsed: began.elapsed(),
        result: result
            .as_ref()
            .map(|_| what.to_owned())
            .map_err(Clone::clone),
    });
    result
}

/// A session with an access token, which nothing that it reports shows.
fn run_with_token(
    account: &SmtpAccount,
    user: &str,
    token: &str,
    mail: MailToSend<'_>,
    hooks: &mut SmtpHooks<'_>,
) -> Result<SendResult, SmtpFailure> {
    let secrets = Secrets::new([token.to_owned()]);
    let mask = |text: String| secrets.mask(&text).into_owned();
    let report = &mut *hooks.report;
    let mut hooks = SmtpHooks {
        before_data: &mut *hooks.before_data,
        report: &mut |step| {
            report(StepReport {
                result: step.result.map(mask).map_err(mask),
                ..step
            });
        },
        is_stopping: hooks.is_stopping,
    };
    let secret = LoginSecret::Token(token);
    let login = Some(SessionLogin { user, secret });
    let mask_replies = |replies: Vec<(String, String)>| {
        let masked = replies.into_iter().map(|(to, reply)| (to, mask(reply)));
        masked.collect()
    };
    match run_session(account, login, mail, &mut hooks) {
        Ok(sent) => Ok(SendResult {
            accepted: sent.accepted,
            refused: mask_replies(sent.refused),
            deferred: mask_replies(sent.deferred),
        }),
        Err(failure) => Err(failure.map(mask)),
    }
}

fn run_session(
    account: &SmtpAccount,
    login: Option<SessionLogin<'_>>,
    mail: MailToSend<'_>,
    hooks: &mut SmtpHooks<'_>,
) -> Result<SendResult, SmtpFailure> {
    let connector = connector(account).map_err(SmtpFailure::Temporary)?;
    let in_doubt = Cell::new(false);
    let session = Session {
        account,
        login,
        connector,
        in_doubt: &in_doubt,
        before_data: RefCell::new(&mut *hooks.before_data),
        report: RefCell::new(&mut *hooks.report),
    };
    let stopped = async {
        while !(hooks.is_stopping)() {
            smol::Timer::after(Duration::from_millis(100)).await;
        }
        let why = "main-node is stopping".to_owned();
        Err(if in_doubt.get() {
            SmtpFailure::InDoubt(why)
        } else {
            SmtpFailure::Temporary(why)
        })
    };
    smol::block_on(smol::future::or(Compat::new(session.run(mail)), stopped))
}

/// TLS with main-node's root certificates: mail-send's builder fails where the system has none.
fn connector(account: &SmtpAccount) -> Result<TlsConnector, String> {
    let trust = Trust::of(&account.trust).map_err(|why| format!("ca_file {why}"))?;
    let config = trust.client_config(false);
    let config = config.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(TlsConnector::from(config))
}

impl fmt::Debug for SmtpAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}:{})", self.host, self.port)
    }
}

#[cfg(test)]
#[path = "tests/smtp.rs"]
pub mod tests;
