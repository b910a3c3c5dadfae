//! SMTP client: sends one mail with mail-send, step by step under smol.
//!
//! On the caller's thread, until the server has replied, a step has timed out or the node stops. It
//! knows nothing of alerts. Every step has its own timeout, because the library's are an hour long
//! and do not cover all of them; recipients are sent one by one, because the library gives up the
//! message for one refused; and a password is never sent over an unencrypted connection.

mod advice;
mod session;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use async_compat::Compat;
use tokio_rustls::TlsConnector;

use self::session::Session;
use crate::config::MailTls;
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
    pub password: String,
}

/// The steps of a session, as they are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpStep {
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
    /// The server refused this mail for good.
    Permanent(String),
    /// It may have been delivered: try again under the same Message-ID.
    InDoubt(String),
}

impl fmt::Display for SmtpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SmtpFailure::Temporary(why)
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

fn run(
    account: &SmtpAccount,
    mail: Option<(&[u8], &[String])>,
    hooks: SmtpHooks<'_>,
) -> Result<SendResult, SmtpFailure> {
    let connector = connector(account).map_err(SmtpFailure::Temporary)?;
    let in_doubt = Cell::new(false);
    let session = Session {
        account,
        connector,
        in_doubt: &in_doubt,
        before_data: RefCell::new(hooks.before_data),
        report: RefCell::new(hooks.report),
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
