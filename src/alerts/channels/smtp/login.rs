//! Login of an SMTP session (RFC 4954): the mechanism, the dialogue, and what a refusal means.

use std::cell::RefCell;

use mail_send::{Credentials, Error};
use smtp_proto::response::generate::BitToString;
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, EhloResponse, Response};

use super::oauth::{OAuthMechanism, challenge_text};
use super::session::{Client, Session};
use super::{SmtpFailure, SmtpStep, advice};
use crate::limits;

/// The login of one session.
#[derive(Clone, Copy)]
pub struct SessionLogin<'a> {
    pub user: &'a str,
    pub secret: LoginSecret<'a>,
}

#[derive(Clone, Copy)]
pub enum LoginSecret<'a> {
    Password(&'a str),
    /// An access token of OAuth 2.0.
    Token(&'a str),
}

/// The mechanisms that take a password and that the library is built with.
const PASSWORD_MECHANISMS: u64 = AUTH_PLAIN | AUTH_LOGIN;

impl Session<'_> {
    pub async fn log_in(
        &self,
        client: &mut Client,
        login: SessionLogin<'_>,
        extensions: EhloResponse<String>,
    ) -> Result<(), SmtpFailure> {
        let offered = extensions.auth_mechanisms;
        let challenge = RefCell::new(None);
        let timeout = self.account.timeouts.step;
        let authenticate = async {
            match login.secret {
                LoginSecret::Password(password) => {
                    let credentials = Credentials::new(login.user, password);
                    let usable = EhloResponse {
                        auth_mechanisms: offered & PASSWORD_MECHANISMS,
                        ..extensions
                    };
                    let done = client.authenticate(credentials, usable).await;
                    done.map(|_| format!("as {}", login.user))
                }
                LoginSecret::Token(token) => {
                    let mechanism =
                        OAuthMechanism::choose(offered).ok_or(Error::UnsupportedAuthMechanism)?;
                    let account = self.account;
                    let response =
                        mechanism.response(login.user, &account.host, account.port, token);
                    let done = send_token(client, mechanism, &response, &challenge).await;
                    done.map(|()| format!("as {} ({})", login.user, mechanism.name()))
                }
            }
        };
        let classify = |error| match error {
            Error::AuthenticationFailed(reply) => {
                self.login_refused(login, &reply, challenge.borrow().as_deref())
            }
            Error::UnsupportedAuthMechanism => SmtpFailure::Temporary(format!(
                "{}: {}",
                SmtpStep::Login.name(),
                unsupported(login.secret, offered)
            )),
            error => self.classify_error(SmtpStep::Login, timeout, error),
        };
        let work = self.step_with(
            SmtpStep::Login,
            timeout,
            authenticate,
            Clone::clone,
            classify,
        );
        work.await.map(|_| ())
    }

    fn login_refused(
        &self,
        login: SessionLogin<'_>,
        reply: &Response<String>,
        challenge: Option<&str>,
    ) -> SmtpFailure {
        let (what, advice) = match login.secret {
            LoginSecret::Password(_) => ("login", advice::login_advice(&self.account.host, reply)),
            LoginSecret::Token(_) => (
                "access token",
                advice::token_advice(&self.account.host, reply),
            ),
        };
        let challenge = challenge.map_or(String::new(), |text| format!("; {text}"));
        SmtpFailure::LoginRefused(format!(
            "{}: the server refuses the {what} ({}{challenge}): {advice}",
            SmtpStep::Login.name(),
            advice::reply_text(reply),
        ))
    }
}

/// The dialogue of XOAUTH2 and OAUTHBEARER.
async fn send_token(
    client: &mut Client,
    mechanism: OAuthMechanism,
    response: &str,
    challenge: &RefCell<Option<String>>,
) -> mail_send::Result<()> {
    let line = format!("AUTH {} {response}\r\n", mechanism.name());
    let mut reply = if line.len() <= limits::SMTP_COMMAND_BYTES {
        client.cmd(line).await?
    } else {
        // RFC 4954 4: what is longer than a command follows an empty challenge.
        let begun = client.cmd(format!("AUTH {}\r\n", mechanism.name())).await?;
        if begun.code != 334 {
            return Err(Error::AuthenticationFailed(begun));
        }
        client.cmd(format!("{response}\r\n")).await?
    };
    if reply.code == 334 {
        *challenge.borrow_mut() = challenge_text(&reply.message);
        let answer = format!("{}\r\n", mechanism.response_to_error());
        reply = client.cmd(answer).await?;
    }
    if reply.code == 235 {
        Ok(())
    } else {
        Err(Error::AuthenticationFailed(reply))
    }
}

/// Why none of the mechanisms that a server offers can be used, and what to do.
fn unsupported(secret: LoginSecret<'_>, offered: u64) -> String {
    let names = mechanism_names(offered);
    let takes_tokens = OAuthMechanism::choose(offered).is_some();
    match secret {
        _ if offered == 0 => {
            "the server offers no login on this port: set port = 587 or 465 if it \
                              is a provider's, or remove the login if the server needs none"
                .to_owned()
        }
        LoginSecret::Password(_) if takes_tokens => format!(
            "the server takes no password, only OAuth 2.0 ({names}): write the OAuth client as \
             [auth.NAME] with `grant`, and auth = \"NAME\" in [mail] instead of the password"
        ),
        LoginSecret::Token(_) if offered & PASSWORD_MECHANISMS != 0 => format!(
            "the server takes no access token (XOAUTH2 or OAUTHBEARER), but {names}: set \
             `password` in [mail] instead of `auth`"
        ),
        _ => format!(
            "the server offers only {names}, and main-node logs in with PLAIN, LOGIN, XOAUTH2 or \
             OAUTHBEARER: have one of them switched on there, or use another mail provider or a \
             relay"
        ),
    }
}

fn mechanism_names(offered: u64) -> String {
    let bits = (0..u64::BITS).map(|bit| 1_u64 << bit);
    let names = bits
        .filter(|bit| offered & bit != 0)
        .map(|bit| bit.to_mechanism());
    names.collect::<Vec<&str>>().join(", ")
}

#[cfg(test)]
#[path = "tests/login.rs"]
mod tests;
