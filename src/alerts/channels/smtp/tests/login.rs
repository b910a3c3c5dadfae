//! Login tests: the dialogue of each kind with a scripted server on loopback, without TLS, which
//! `smtp::send` would refuse.

use super::*;
use crate::alerts::channels::smtp::tests::{Script, Server, account, serve};
use crate::alerts::channels::smtp::{SmtpHooks, SmtpStep, StepReport, connector};
use async_compat::Compat;
use mail_send::SmtpClient;
use std::cell::Cell;
use std::time::Duration;

/// What the steps reported, the failure, and what the server received after EHLO.
fn log_in(
    secret: LoginSecret<'_>,
    mechanisms: &'static str,
    replies: &[(&'static str, &'static str)],
) -> (Vec<String>, Option<SmtpFailure>, Vec<String>) {
    let Server { port, received } = serve(vec![Script {
        replies: replies.to_vec(),
        extensions: vec!["SIZE 1000", mechanisms],
    }]);
    let account = account(port);
    let mut reported = Vec::new();
    let mut report = |report: StepReport| {
        if report.step == SmtpStep::Login {
            reported.push(report.result.unwrap_or_else(|why| why));
        }
    };
    let hooks = SmtpHooks {
        before_data: &mut || Ok(()),
        report: &mut report,
        is_stopping: &|| false,
    };
    let session = Session {
        account: &account,
        login: None,
        connector: connector(&account).expect("TLS is set up"),
        in_doubt: &Cell::new(false),
        before_data: RefCell::new(hooks.before_data),
        report: RefCell::new(hooks.report),
    };
    let login = SessionLogin {
        user: "me@example.org",
        secret,
    };
    let dialogue = async {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let tcp = SmtpClient::connect(address, Duration::from_secs(5)).await;
        let mut client =
            crate::alerts::channels::smtp::session::boxed_stream(tcp.expect("it listens"));
        client.read().await.expect("a greeting");
        let extensions = client.ehlo("node.local").await.expect("it is understood");
        session.log_in(&mut client, login, extensions).await
    };
    let result = smol::block_on(Compat::new(dialogue));
    drop(session);
    (
        reported,
        result.err(),
        received.try_iter().skip(1).collect(),
    )
}

/// base64(1) of `user=me@example.org^Aauth=Bearer t0k^A^A` and of RFC 7628's form.
const XOAUTH2: &str = "dXNlcj1tZUBleGFtcGxlLm9yZwFhdXRoPUJlYXJlciB0MGsBAQ==";

#[test]
fn a_token_is_sent_in_the_mechanism_that_the_server_offers() {
    let token = LoginSecret::Token("t0k");
    let (reported, failure, received) = log_in(
        token,
        "AUTH LOGIN PLAIN XOAUTH2 OAUTHBEARER",
        &[("AUTH", "235 2.7.0 Accepted")],
    );
    assert_eq!(failure, None);
    assert_eq!(reported, ["as me@example.org (XOAUTH2)"]);
    assert_eq!(received, [format!("AUTH XOAUTH2 {XOAUTH2}")]);

    let (reported, failure, received) = log_in(
        token,
        "AUTH PLAIN OAUTHBEARER",
        &[("AUTH", "235 2.7.0 Accepted")],
    );
    assert_eq!(failure, None);
    assert_eq!(reported, ["as me@example.org (OAUTHBEARER)"]);
    assert!(
        received[0]
            .starts_with("AUTH OAUTHBEARER bixhPW1lQGV4YW1wbGUub3JnLAFob3N0PTEyNy4wLjAuMQFw"),
        "{received:?}"
    );
}

/// RFC 4954: what does not fit into a command waits for an empty challenge.
#[test]
fn a_long_token_follows_the_challenge() {
    let long = "x".repeat(2_000);
    let (_, failure, received) = log_in(
        LoginSecret::Token(&long),
        "AUTH XOAUTH2",
        &[("AUTH XOAUTH2", "334 "), ("dXNlcj1t", "235 2.7.0 Accepted")],
    );
    assert_eq!(failure, None);
    assert_eq!(received[0], "AUTH XOAUTH2");
    assert!(received[1].len() > 2_600, "{received:?}");
}

/// The server says why in a challenge; an empty line answers it (RFC 7628: ^A in base64).
#[test]
fn a_refused_token_says_why() {
    let refused = "334 eyJzdGF0dXMiOiI0MDAifQ==";
    let refusal = "535-5.7.8 Not accepted. See\r\n535 5.7.8 https://x/ gsmtp";
    for (ehlo, answer) in [
        ("250-test\r\n250 AUTH XOAUTH2", ""),
        ("250-test\r\n250 AUTH OAUTHBEARER", "AQ=="),
    ] {
        let (reported, failure, received) = log_in(
            LoginSecret::Token("t0k"),
            "",
            &[("EHLO", ehlo), ("AUTH", refused), ("", refusal)],
        );
        let why = "AUTH: the server refuses the access token (535 5.7.8 Not accepted. See \
                   https://x/ gsmtp; {\"status\":\"400\"}): `user` must be the account that \
                   allowed the access, `scope` https://mail.google.com/";
        assert_eq!(failure, Some(SmtpFailure::LoginRefused(why.to_owned())));
        assert_eq!(reported, [why]);
        assert_eq!(received.last().map(String::as_str), Some(answer));
    }
}

#[test]
fn what_the_server_offers_decides_what_to_do() {
    let password = LoginSecret::Password("hush");
    let token = LoginSecret::Token("t0k");
    for (secret, mechanisms, part) in [
        (
            password,
            "AUTH XOAUTH2",
            "takes no password, only OAuth 2.0 (XOAUTH2): write the OAuth client as [auth.NAME]",
        ),
        (
            password,
            "AUTH NTLM GSSAPI",
            "offers only GSSAPI, NTLM, and main-node",
        ),
        (
            password,
            "AUTH CRAM-MD5",
            "offers only CRAM-MD5, and main-node",
        ),
        (password, "8BITMIME", "offers no login on this port"),
        (
            token,
            "AUTH PLAIN LOGIN",
            "takes no access token (XOAUTH2 or OAUTHBEARER), but LOGIN, PLAIN",
        ),
        (token, "AUTH NTLM", "offers only NTLM"),
    ] {
        let (_, failure, received) = log_in(secret, mechanisms, &[]);
        let why = failure.map(|it| it.to_string()).unwrap_or_default();
        assert!(why.contains(part), "{mechanisms}: {why}");
        assert!(received.is_empty(), "{mechanisms}: {received:?}");
    }
}

#[test]
fn a_mechanism_that_the_library_lacks_is_not_begun() {
    let (reported, failure, received) = log_in(
        LoginSecret::Password("hush"),
        "AUTH CRAM-MD5 DIGEST-MD5 PLAIN",
        &[("AUTH PLAIN", "504 5.5.4 not that one")],
    );
    assert!(
        matches!(failure, Some(SmtpFailure::LoginRefused(_))),
        "{reported:?}"
    );
    assert_eq!(received, ["AUTH PLAIN AG1lQGV4YW1wbGUub3JnAGh1c2g="]);
}
