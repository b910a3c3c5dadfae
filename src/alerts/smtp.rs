//! One mail over SMTP: mail-send's dialogue, driven step by step under smol.
//!
//! Runs on the thread that asks, until the server has answered, a step has taken too long,
//! or the node stops. It knows nothing of alerts. Every step has its own bound, because the
//! library's are an hour long and do not cover all of them; recipients are asked one by one,
//! because the library gives up the message for one refused; and a password is never sent
//! over a connection that anybody could read.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_compat::Compat;
use mail_send::smtp::message::Parameters;
use mail_send::{Credentials, Error, SmtpClient};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::reason;
use crate::limits;
use crate::sys::tls::Trust;

/// Through which server, as whom, from whom.
#[derive(Clone)]
pub struct Account {
    pub host: String,
    pub port: u16,
    pub protection: Protection,
    pub login: Option<Login>,
    pub from: String,
    /// Certificates to trust instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// Whether mail may go unencrypted to an address outside the house.
    pub plain_anywhere: bool,
    /// What this machine calls itself.
    pub own_name: String,
    pub patience: Patience,
}

/// How long the steps may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub connect: Duration,
    pub step: Duration,
    pub data: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: limits::CONNECT_TIMEOUT,
            step: limits::SMTP_STEP,
            data: limits::SMTP_DATA,
        }
    }
}

#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    StartTls,
    Implicit,
    None,
}

/// The steps of the dialogue, as they are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
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

impl Step {
    pub fn name(self) -> &'static str {
        match self {
            Step::Resolve => "resolve",
            Step::Connect => "connect",
            Step::Tls => "TLS",
            Step::Greeting => "greeting",
            Step::Hello => "EHLO",
            Step::StartTls => "STARTTLS",
            Step::Login => "AUTH",
            Step::From => "MAIL FROM",
            Step::To => "RCPT TO",
            Step::Data => "DATA",
        }
    }
}

/// How one step went.
#[derive(Debug, Clone)]
pub struct Report {
    pub step: Step,
    pub took: Duration,
    /// What the server said or was asked, or why the step failed.
    pub result: Result<String, String>,
}

/// Who has the mail, and who never will.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    pub accepted: Vec<String>,
    /// With the server's words.
    pub refused: Vec<(String, String)>,
    /// Not now, with the server's words.
    pub deferred: Vec<(String, String)>,
}

/// Why nobody has it, by what is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Try again: the network, the server, or a setting that a person will mend.
    Later(String),
    /// The server will never take this mail.
    Never(String),
    /// It may have been delivered: try again under the same Message-ID.
    InDoubt(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Later(why) | Failure::Never(why) | Failure::InDoubt(why) => f.write_str(why),
        }
    }
}

/// What the dialogue asks and tells its caller on the way.
pub struct Hooks<'a> {
    /// Called once, before the first byte that could deliver; an error ends the attempt.
    pub before_data: &'a mut dyn FnMut() -> Result<(), String>,
    pub report: &'a mut dyn FnMut(Report),
    /// Whether the node stops.
    pub is_stopping: &'a dyn Fn() -> bool,
}

/// Sends a mail to those recipients.
pub fn send(
    account: &Account,
    mail: &[u8],
    recipients: &[String],
    hooks: Hooks<'_>,
) -> Result<Sent, Failure> {
    run(account, Some((mail, recipients)), hooks)
}

/// Goes as far as logging in, and leaves.
pub fn try_login(account: &Account, hooks: Hooks<'_>) -> Result<(), Failure> {
    run(account, None, hooks).map(|_| ())
}

fn run(
    account: &Account,
    mail: Option<(&[u8], &[String])>,
    hooks: Hooks<'_>,
) -> Result<Sent, Failure> {
    let connector = connector(account).map_err(Failure::Later)?;
    let in_doubt = Cell::new(false);
    let dialogue = Dialogue {
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
        Err(match in_doubt.get() {
            true => Failure::InDoubt(why),
            false => Failure::Later(why),
        })
    };
    smol::block_on(smol::future::or(Compat::new(dialogue.hold(mail)), stopped))
}

/// TLS by our own trust: mail-send's builder fails where the system has no roots.
fn connector(account: &Account) -> Result<TlsConnector, String> {
    let trust = Trust::of(account.ca_file.as_deref()).map_err(|why| format!("ca_file {why}"))?;
    let config = trust.client_config();
    let config = config.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(TlsConnector::from(config))
}

struct Dialogue<'a> {
    account: &'a Account,
    connector: TlsConnector,
    in_doubt: &'a Cell<bool>,
    before_data: RefCell<&'a mut dyn FnMut() -> Result<(), String>>,
    report: RefCell<&'a mut dyn FnMut(Report)>,
}

/// Bytes to and from a server, encrypted or not: the dialogue is compiled once for both.
trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

type Client = SmtpClient<Box<dyn Wire>>;

fn over_any_wire<T: Wire + 'static>(client: SmtpClient<T>) -> Client {
    SmtpClient {
        stream: Box::new(client.stream),
        timeout: client.timeout,
    }
}

type Mail<'a> = Option<(&'a [u8], &'a [String])>;

impl Dialogue<'_> {
    async fn hold(&self, mail: Mail<'_>) -> Result<Sent, Failure> {
        let account = self.account;
        if account.protection == Protection::None && account.login.is_some() {
            return Err(Failure::Later(
                "a password is set, but the connection is not encrypted: set tls = \"starttls\" \
                 or \"implicit\", or remove user and password"
                    .to_owned(),
            ));
        }
        let tcp = self.connect().await?;
        let step = account.patience.step;
        match account.protection {
            Protection::Implicit => {
                let handshake = tcp.into_tls(&self.connector, bare(&account.host));
                let client = self
                    .step(Step::Tls, step, handshake, |_| "agreed".into())
                    .await?;
                let mut client = over_any_wire(client);
                self.greeting(&mut client).await?;
                self.session(client, mail).await
            }
            Protection::StartTls => {
                let mut tcp = tcp;
                self.greeting(&mut tcp).await?;
                self.hello(&mut tcp).await?;
                let answer = tcp.cmd("STARTTLS\r\n");
                let answer = self.step(Step::StartTls, step, answer, reply_words).await?;
                if !(200..300).contains(&answer.code) {
                    return Err(Failure::Later(format!(
                        "STARTTLS: the server does not offer it ({}); nothing is sent \
                         unencrypted. Set tls = \"implicit\" (port 465) if it has that",
                        reply_words(&answer)
                    )));
                }
                let handshake = tcp.into_tls(&self.connector, bare(&account.host));
                let client = self
                    .step(Step::Tls, step, handshake, |_| "agreed".into())
                    .await?;
                self.session(over_any_wire(client), mail).await
            }
            Protection::None => {
                let mut client = over_any_wire(tcp);
                self.greeting(&mut client).await?;
                self.session(client, mail).await
            }
        }
    }

    async fn connect(&self) -> Result<SmtpClient<tokio::net::TcpStream>, Failure> {
        let (host, port) = (self.account.host.as_str(), self.account.port);
        let resolve = async {
            smol::net::resolve((bare(host), port))
                .await
                .map_err(Error::Io)
        };
        let list = |found: &Vec<SocketAddr>| {
            let texts: Vec<String> = found.iter().map(|it| it.ip().to_string()).collect();
            texts.join(", ")
        };
        let found = self
            .step(Step::Resolve, limits::RESOLVE_TIMEOUT, resolve, list)
            .await?;
        let mut last = Failure::Later(format!("resolve: {host} has no address"));
        for address in found {
            if self.account.protection == Protection::None
                && !self.account.plain_anywhere
                && !is_private(address.ip())
            {
                last = Failure::Later(format!(
                    "connect: {} is outside the house, and tls = \"none\" would let anybody read \
                     the mail: set tls = \"starttls\", or plain_anywhere = true",
                    address.ip()
                ));
                continue;
            }
            let patience = self.account.patience.connect;
            let connect = SmtpClient::connect(address, patience);
            let said = |_: &_| address.to_string();
            match self.step(Step::Connect, patience, connect, said).await {
                Ok(mut client) => {
                    // The library's own bound; ours lie within it.
                    client.timeout = self.account.patience.data * 2;
                    return Ok(client);
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn greeting<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<T>,
    ) -> Result<(), Failure> {
        let read = client.read();
        let reply = self
            .step(
                Step::Greeting,
                self.account.patience.step,
                read,
                reply_words,
            )
            .await?;
        match (200..300).contains(&reply.code) {
            true => Ok(()),
            false => Err(Failure::Later(format!("greeting: {}", reply_words(&reply)))),
        }
    }

    async fn hello<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<T>,
    ) -> Result<smtp_proto::EhloResponse<String>, Failure> {
        let hello = client.ehlo(&self.account.own_name);
        self.step(Step::Hello, self.account.patience.step, hello, |_| {
            "understood".into()
        })
        .await
    }

    /// From the EHLO that counts to the end of the mail.
    async fn session(&self, mut client: Client, mail: Mail<'_>) -> Result<Sent, Failure> {
        let abilities = self.hello(&mut client).await?;
        if let Some(login) = &self.account.login {
            let credentials = Credentials::new(login.user.clone(), login.password.clone());
            let authenticate = async {
                let done = client.authenticate(credentials, abilities).await;
                done.map(|_| ())
            };
            self.step(
                Step::Login,
                self.account.patience.step,
                authenticate,
                |()| format!("as {}", login.user),
            )
            .await?;
        }
        let sent = match mail {
            Some((mail, recipients)) => self.deliver(&mut client, mail, recipients).await?,
            None => Sent::default(),
        };
        // The mail is the server's now; whether it says goodbye changes nothing.
        let goodbye = async {
            let _ = client.quit().await;
        };
        let patience = async {
            smol::Timer::after(Duration::from_secs(2)).await;
        };
        smol::future::or(goodbye, patience).await;
        Ok(sent)
    }

    async fn deliver(
        &self,
        client: &mut Client,
        mail: &[u8],
        recipients: &[String],
    ) -> Result<Sent, Failure> {
        let step = self.account.patience.step;
        let parameters = Parameters::new();
        let from = client.mail_from(&self.account.from, &parameters);
        let said = |(): &()| self.account.from.clone();
        self.step(Step::From, step, from, said).await?;
        let mut sent = Sent::default();
        for recipient in recipients {
            let command = format!("RCPT TO:<{recipient}>\r\n");
            let ask = client.cmd(command);
            let said = |reply: &smtp_proto::Response<String>| {
                format!("{recipient}: {}", reply_words(reply))
            };
            let reply = self.step(Step::To, step, ask, said).await?;
            let words = reply_words(&reply);
            match reply.code {
                200..=299 => sent.accepted.push(recipient.clone()),
                500..=599 => sent.refused.push((recipient.clone(), words)),
                _ => sent.deferred.push((recipient.clone(), words)),
            }
        }
        if sent.accepted.is_empty() {
            return Ok(sent);
        }
        (self.before_data.borrow_mut())().map_err(Failure::Later)?;
        self.in_doubt.set(true);
        // The library ends the last line itself.
        let mail = mail.strip_suffix(b"\r\n").unwrap_or(mail);
        let data = client.data(mail);
        let reply = self
            .step(Step::Data, self.account.patience.data, data, reply_words)
            .await;
        self.in_doubt.set(false);
        reply.map(|_| sent)
    }

    /// One step within its time, reported.
    async fn step<T>(
        &self,
        step: Step,
        patience: Duration,
        work: impl Future<Output = Result<T, Error>>,
        words: impl Fn(&T) -> String,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let late = async {
            smol::Timer::after(patience).await;
            Err(Error::Timeout)
        };
        let result = smol::future::or(work, late).await;
        let result = result.map_err(|error| self.attribute(step, patience, error));
        let said = match &result {
            Ok(done) => Ok(words(done)),
            Err(failure) => Err(failure.to_string()),
        };
        (self.report.borrow_mut())(Report {
            step,
            took: began.elapsed(),
            result: said,
        });
        result
    }

    /// What an error of the library means for the mail.
    fn attribute(&self, step: Step, patience: Duration, error: Error) -> Failure {
        let name = step.name();
        match error {
            Error::UnexpectedReply(reply) => {
                let why = format!("{name}: the server answers {}", reply_words(&reply));
                match (step, reply.code) {
                    // It has looked at the mail and does not want it.
                    (Step::Data, 500..=599) => Failure::Never(why),
                    _ => Failure::Later(why),
                }
            }
            Error::AuthenticationFailed(reply) => Failure::Later(format!(
                "{name}: the server refuses user and password ({}): check SMTP_USER and \
                 SMTP_PASS; many providers want a password made for apps",
                reply_words(&reply)
            )),
            Error::UnsupportedAuthMechanism => Failure::Later(format!(
                "{name}: the server offers no way to log in that main-node knows (PLAIN, LOGIN)"
            )),
            error => {
                let why = format!("{name}: {}", self.describe(patience, &error));
                match self.in_doubt.get() {
                    true => Failure::InDoubt(format!("{why} (it may have arrived all the same)")),
                    false => Failure::Later(why),
                }
            }
        }
    }

    fn describe(&self, patience: Duration, error: &Error) -> String {
        let host = &self.account.host;
        match error {
            Error::Timeout => format!("no answer within {} s", patience.as_secs_f64()),
            Error::UnparseableReply => {
                "the server closed the connection, or speaks no SMTP; is the port right?".to_owned()
            }
            Error::Tls(error) => match &**error {
                rustls::Error::InvalidCertificate(why) => format!(
                    "the certificate of {host} is not trusted ({why:?}); for a server with one of \
                     its own set ca_file"
                ),
                rustls::Error::InvalidMessage(_) => format!(
                    "{host} does not speak TLS on port {}; is tls right for it?",
                    self.account.port
                ),
                error => error.to_string(),
            },
            Error::InvalidTLSName => format!("{host:?} is no name that a certificate could have"),
            Error::Io(error) => match error.kind() {
                ErrorKind::ConnectionRefused => format!(
                    "nothing listens on port {} of {host}; are host and port right?",
                    self.account.port
                ),
                ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
                    format!("there is no way to {host}; is the network up?")
                }
                _ => reason(error),
            },
            error => error.to_string(),
        }
    }
}

/// An IPv6 address without the brackets that the configuration may give it.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// A server's reply: one line, bounded, without anything that could steer a terminal.
fn reply_words(reply: &smtp_proto::Response<String>) -> String {
    let text = reply.message.replace(['\r', '\n'], " ");
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(limits::REPLY_CHARS)
        .collect();
    format!("{} {}", reply.code, text.trim())
}

/// Whether an address lies in the house: nobody outside hears what goes there.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => it.is_private() || it.is_loopback() || it.is_link_local(),
        IpAddr::V6(it) => it.is_loopback() || it.is_unique_local() || it.is_unicast_link_local(),
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}:{})", self.host, self.port)
    }
}

#[cfg(test)]
pub mod tests;
