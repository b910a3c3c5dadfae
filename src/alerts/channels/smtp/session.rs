//! SMTP session: the steps with a server, each with a timeout, and what their failures mean.
//!
//! On the thread of [`super::send`], under smol.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use mail_send::smtp::message::Parameters;
use mail_send::{Error, SmtpClient};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::login::SessionLogin;
use super::{MailToSend, SendResult, SmtpAccount, SmtpFailure, SmtpStep, StepReport, advice};
use crate::config::MailTls;
use crate::limits;
use crate::sys::name_lookup::{self, LookupError, LookupRequest};
use crate::sys::os_error::reason;
use crate::sys::tls::{TlsContext, TrustOptionNames, describe_tls_error, pin_hint};

/// One session with a server.
pub struct Session<'a> {
    pub account: &'a SmtpAccount,
    pub login: Option<SessionLogin<'a>>,
    pub connector: TlsConnector,
    pub in_doubt: &'a Cell<bool>,
    pub before_data: RefCell<&'a mut dyn FnMut() -> Result<(), String>>,
    pub report: RefCell<&'a mut dyn FnMut(StepReport)>,
}

/// Bytes to and from a server, encrypted or not: the session is compiled once for both.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ByteStream for T {}

pub type Client = SmtpClient<Box<dyn ByteStream>>;

pub fn boxed_stream<T: ByteStream + 'static>(client: SmtpClient<T>) -> Client {
    SmtpClient {
        stream: Box::new(client.stream),
        timeout: client.timeout,
    }
}

impl Session<'_> {
    pub async fn run(&self, mail: MailToSend<'_>) -> Result<SendResult, SmtpFailure> {
        let account = self.account;
        if account.tls == MailTls::None && self.login.is_some() {
            return Err(SmtpFailure::Temporary(
                "a login is set, but the connection is not encrypted: set tls = \"starttls\" \
                 or \"implicit\", or remove the login"
                    .to_owned(),
            ));
        }
        let tcp = self.connect().await?;
        let step = account.timeouts.step;
        match account.tls {
            MailTls::Implicit => {
                let handshake = tcp.into_tls(&self.connector, without_brackets(&account.host));
                let client = self
                    .step(SmtpStep::Tls, step, handshake, |_| "agreed".into())
                    .await?;
                let mut client = boxed_stream(client);
                self.read_greeting(&mut client).await?;
                self.authenticate_and_send(client, mail).await
            }
            MailTls::StartTls => {
                let mut tcp = tcp;
                self.read_greeting(&mut tcp).await?;
                self.ehlo(&mut tcp).await?;
                let reply = tcp.cmd("STARTTLS\r\n");
                let reply = self
                    .step(SmtpStep::StartTls, step, reply, advice::reply_text)
                    .await?;
                if !(200..300).contains(&reply.code) {
                    return Err(SmtpFailure::Temporary(format!(
                        "STARTTLS: the server does not offer it ({}); nothing is sent \
                         unencrypted. Set tls = \"implicit\" (port 465) if it has that",
                        advice::reply_text(&reply)
                    )));
                }
                let handshake = tcp.into_tls(&self.connector, without_brackets(&account.host));
                let client = self
                    .step(SmtpStep::Tls, step, handshake, |_| "agreed".into())
                    .await?;
                self.authenticate_and_send(boxed_stream(client), mail).await
            }
            MailTls::None => {
                let mut client = boxed_stream(tcp);
                self.read_greeting(&mut client).await?;
                self.authenticate_and_send(client, mail).await
            }
        }
    }

    async fn connect(&self) -> Result<SmtpClient<tokio::net::TcpStream>, SmtpFailure> {
        let (host, port) = (self.account.host.as_str(), self.account.port);
        let name = without_brackets(host).to_owned();
        let resolve = async {
            let found = smol::unblock(move || resolve(&name, port)).await;
            found.map_err(Error::Io)
        };
        let list = |found: &Vec<SocketAddr>| {
            let texts: Vec<String> = found.iter().map(|it| it.ip().to_string()).collect();
            texts.join(", ")
        };
        let found = self
            .step(SmtpStep::Resolve, limits::RESOLVE_TIMEOUT, resolve, list)
            .await?;
        let mut last = SmtpFailure::Temporary(format!("resolve: {host} has no address"));
        for address in found {
            if self.account.tls == MailTls::None
                && !self.account.plain_anywhere
                && !is_private(address.ip())
            {
                last = SmtpFailure::Temporary(format!(
                    "connect: {} is outside the local network, and tls = \"none\" would let anybody read \
                     the mail: set tls = \"starttls\", or plain_anywhere = true",
                    address.ip()
                ));
                continue;
            }
            let timeout = self.account.timeouts.connect;
            let connect = SmtpClient::connect(address, timeout);
            let describe = |_: &_| address.to_string();
            match self
                .step(SmtpStep::Connect, timeout, connect, describe)
                .await
            {
                Ok(mut client) => {
                    // The library's own timeout; ours are shorter.
                    client.timeout = self.account.timeouts.data * 2;
                    return Ok(client);
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn read_greeting<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<T>,
    ) -> Result<(), SmtpFailure> {
        let read = client.read();
        let reply = self
            .step(
                SmtpStep::Greeting,
                self.account.timeouts.step,
                read,
                advice::reply_text,
            )
            .await?;
        if (200..300).contains(&reply.code) {
            Ok(())
        } else {
            Err(SmtpFailure::Temporary(format!(
                "greeting: {}",
                with_advice(SmtpStep::Greeting, &reply)
            )))
        }
    }

    async fn ehlo<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<T>,
    ) -> Result<smtp_proto::EhloResponse<String>, SmtpFailure> {
        let ehlo = client.ehlo(&self.account.own_name);
        self.step(SmtpStep::Hello, self.account.timeouts.step, ehlo, |_| {
            "understood".into()
        })
        .await
    }

    /// EHLO on the final connection, login, and the mail.
    async fn authenticate_and_send(
        &self,
        mut client: Client,
        mail: MailToSend<'_>,
    ) -> Result<SendResult, SmtpFailure> {
        let extensions = self.ehlo(&mut client).await?;
        if let Some(login) = self.login {
            self.log_in(&mut client, login, extensions).await?;
        }
        let sent = match mail {
            Some((mail, recipients)) => self.deliver(&mut client, mail, recipients).await?,
            None => SendResult::default(),
        };
        // The server has accepted the mail; whether QUIT succeeds changes nothing.
        let quit = async {
            let _ = client.quit().await;
        };
        let quit_timeout = async {
            smol::Timer::after(Duration::from_secs(2)).await;
        };
        smol::future::or(quit, quit_timeout).await;
        Ok(sent)
    }

    async fn deliver(
        &self,
        client: &mut Client,
        mail: &[u8],
        recipients: &[String],
    ) -> Result<SendResult, SmtpFailure> {
        let step = self.account.timeouts.step;
        let parameters = Parameters::new();
        let from = client.mail_from(&self.account.from, &parameters);
        let describe = |(): &()| self.account.from.clone();
        self.step(SmtpStep::From, step, from, describe).await?;
        let mut sent = SendResult::default();
        for recipient in recipients {
            let command = format!("RCPT TO:<{recipient}>\r\n");
            let rcpt_to = client.cmd(command);
            let describe = |reply: &smtp_proto::Response<String>| {
                format!("{recipient}: {}", advice::reply_text(reply))
            };
            let reply = self.step(SmtpStep::To, step, rcpt_to, describe).await?;
            let text = with_advice(SmtpStep::To, &reply);
            match reply.code {
                200..=299 => sent.accepted.push(recipient.clone()),
                500..=599 if !advice::is_limit(&reply) => {
                    sent.refused.push((recipient.clone(), text));
                }
                _ => sent.deferred.push((recipient.clone(), text)),
            }
        }
        if sent.accepted.is_empty() {
            return Ok(sent);
        }
        (self.before_data.borrow_mut())().map_err(SmtpFailure::Temporary)?;
        self.in_doubt.set(true);
        // The library ends the last line itself.
        let mail = mail.strip_suffix(b"\r\n").unwrap_or(mail);
        let data = client.data(mail);
        let reply = self
            .step(
                SmtpStep::Data,
                self.account.timeouts.data,
                data,
                advice::reply_text,
            )
            .await;
        self.in_doubt.set(false);
        reply.map(|_| sent)
    }

    /// One step with its timeout, reported.
    async fn step<T>(
        &self,
        step: SmtpStep,
        timeout: Duration,
        work: impl Future<Output = Result<T, Error>>,
        describe_result: impl Fn(&T) -> String,
    ) -> Result<T, SmtpFailure> {
        let classify = |error| self.classify_error(step, timeout, error);
        self.step_with(step, timeout, work, describe_result, classify)
            .await
    }

    /// The same with a meaning of its own for errors.
    pub async fn step_with<T>(
        &self,
        step: SmtpStep,
        timeout: Duration,
        work: impl Future<Output = Result<T, Error>>,
        describe_result: impl Fn(&T) -> String,
        classify: impl Fn(Error) -> SmtpFailure,
    ) -> Result<T, SmtpFailure> {
        let began = Instant::now();
        let timed_out = async {
            smol::Timer::after(timeout).await;
            Err(Error::Timeout)
        };
        let result = smol::future::or(work, timed_out).await;
        let result = result.map_err(classify);
        let reported = match &result {
            Ok(done) => Ok(describe_result(done)),
            Err(failure) => Err(failure.to_string()),
        };
        (self.report.borrow_mut())(StepReport {
            step,
            elapsed: began.elapsed(),
            result: reported,
        });
        result
    }

    /// What an error of the library means for the mail.
    pub fn classify_error(&self, step: SmtpStep, timeout: Duration, error: Error) -> SmtpFailure {
        let name = step.name();
        match error {
            Error::UnexpectedReply(reply) => {
                let why = format!("{name}: the server replied {}", with_advice(step, &reply));
                match (step, reply.code) {
                    // It has looked at the mail and refused it.
                    (SmtpStep::Data, 500..=599) if !advice::is_limit(&reply) => {
                        SmtpFailure::Permanent(why)
                    }
                    _ => SmtpFailure::Temporary(why),
                }
            }
            error => {
                let why = format!("{name}: {}", self.describe_error(step, timeout, &error));
                if self.in_doubt.get() {
                    SmtpFailure::InDoubt(format!("{why} (it may have been delivered)"))
                } else {
                    SmtpFailure::Temporary(why)
                }
            }
        }
    }

    fn describe_error(&self, step: SmtpStep, timeout: Duration, error: &Error) -> String {
        let host = &self.account.host;
        match error {
            // A server that waits for TLS sends nothing.
            Error::Timeout
                if step == SmtpStep::Greeting && self.account.tls != MailTls::Implicit =>
            {
                format!(
                    "no response within {} s; if port {} speaks TLS from the start, set tls = \
                     \"implicit\"",
                    timeout.as_secs_f64(),
                    self.account.port
                )
            }
            Error::Timeout => format!("no response within {} s", timeout.as_secs_f64()),
            Error::UnparseableReply if step == SmtpStep::Greeting => {
                "the server closed the connection or does not speak SMTP; is the port right?"
                    .to_owned()
            }
            Error::UnparseableReply => {
                "the server closed the connection, or its reply is not SMTP".to_owned()
            }
            Error::Tls(error) => self.describe_tls(error),
            Error::InvalidTLSName => format!("{host:?} cannot be the name in a certificate"),
            Error::Io(error) => match error.kind() {
                ErrorKind::ConnectionRefused => format!(
                    "nothing listens on port {} of {host}; are host and port right?",
                    self.account.port
                ),
                ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
                    format!("no route to {host}; is the network up?")
                }
                _ => reason(error),
            },
            error => error.to_string(),
        }
    }

    fn describe_tls(&self, error: &rustls::Error) -> String {
        let host = &self.account.host;
        if let rustls::Error::InvalidMessage(_) = error {
            let port = self.account.port;
            return format!("{host} does not speak TLS on port {port}; is tls right for it?");
        }
        let options = &TrustOptionNames::MAIL;
        let context = TlsContext {
            host,
            has_ca_file: self.account.trust.ca_file.is_some(),
            has_client_certificate: false,
            options: Some(options),
        };
        let what = describe_tls_error(error, context);
        match pin_hint(error, options) {
            Some(hint) => format!("{what}; {hint}"),
            None => what,
        }
    }
}

/// On a thread of its own: it blocks.
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let request = LookupRequest {
        host,
        port,
        timeout: limits::RESOLVE_TIMEOUT,
        is_stopping: &|| false,
    };
    let system = |_| Ok((host, port).to_socket_addrs()?.collect());
    name_lookup::look_up(&request, system).map_err(|error| match error {
        LookupError::System(error) => error,
        LookupError::NoAddress(why, _) => io::Error::other(why),
    })
}

/// An IPv6 address without the brackets that the configuration may give it.
fn without_brackets(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// The server's reply, and what to do about it.
fn with_advice(step: SmtpStep, reply: &smtp_proto::Response<String>) -> String {
    let text = advice::reply_text(reply);
    match advice::refusal_advice(step, reply) {
        Some(advice) => format!("{text}: {advice}"),
        None => text,
    }
}

/// Whether an address is in the local network.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => it.is_private() || it.is_loopback() || it.is_link_local(),
        IpAddr::V6(it) => it.is_loopback() || it.is_unique_local() || it.is_unicast_link_local(),
    }
}
