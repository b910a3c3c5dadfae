//! SMTP client tests with a scripted server on loopback: replies, timeouts and closed
//! connections at each step, and their result for the mail.

use super::session::is_private;
use super::*;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// The replies of a scripted server that differ from success.
#[derive(Clone, Default)]
pub struct Script {
    /// Replies by the beginning of the command; an empty one closes the connection.
    pub replies: Vec<(&'static str, &'static str)>,
    /// Extensions that it lists in the reply to EHLO.
    pub extensions: Vec<&'static str>,
}

/// A running scripted server, with the commands and mails that it received.
pub struct Server {
    pub port: u16,
    pub received: Receiver<String>,
}

pub fn serve(connections: Vec<Script>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for script in connections {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            // Some tests close the connection early.
            let _ = serve_connection(stream, &script, &sender);
        }
    });
    Server { port, received }
}

fn serve_connection(
    stream: TcpStream,
    script: &Script,
    sender: &std::sync::mpsc::Sender<String>,
) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let scripted_reply = |command: &str| {
        let found = script
            .replies
            .iter()
            .find(|(of, _)| command.starts_with(of));
        found.map(|(_, reply)| *reply)
    };
    let mut send_line = |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
    match scripted_reply("greeting") {
        Some("") => return Ok(()),
        Some("hang") => {
            lines.by_ref().for_each(drop);
            return Ok(());
        }
        reply => send_line(reply.unwrap_or("220 test ESMTP"))?,
    }
    while let Some(line) = lines.next() {
        let line = line?;
        let _ = sender.send(line.clone());
        match scripted_reply(&line) {
            Some("") => return Ok(()),
            Some("hang") => continue,
            // What follows is the TLS handshake.
            Some("220 then silence") => {
                send_line("220 go on")?;
                lines.by_ref().for_each(drop);
                return Ok(());
            }
            Some(reply) => {
                send_line(reply)?;
                continue;
            }
            None => {}
        }
        if line.starts_with("EHLO") {
            let mut all = vec!["test"];
            all.extend(&script.extensions);
            let last = all.len() - 1;
            for (index, extension) in all.iter().enumerate() {
                let dash = if index == last { ' ' } else { '-' };
                send_line(&format!("250{dash}{extension}"))?;
            }
        } else if line == "DATA" {
            send_line("354 go on")?;
            let mut mail = String::new();
            for line in lines.by_ref() {
                let line = line?;
                if line == "." {
                    break;
                }
                mail += &line;
                mail.push('\n');
            }
            let _ = sender.send(format!("MAIL\n{mail}"));
            match scripted_reply("end of data") {
                Some("") => return Ok(()),
                Some("hang") => {}
                reply => send_line(reply.unwrap_or("250 2.0.0 taken"))?,
            }
        } else if line == "QUIT" {
            return send_line("221 bye");
        } else {
            send_line("250 2.1.0 fine")?;
        }
    }
    Ok(())
}

pub fn account(port: u16) -> SmtpAccount {
    SmtpAccount {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        login: None,
        from: "node@example.org".to_owned(),
        trust: TrustSettings::default(),
        plain_anywhere: false,
        own_name: "node.local".to_owned(),
        timeouts: Timeouts::default(),
    }
}

fn send_scripted(
    replies: &[(&'static str, &'static str)],
) -> (Result<SendResult, SmtpFailure>, Vec<String>, bool) {
    let server = serve(vec![Script {
        replies: replies.to_vec(),
        extensions: vec!["SIZE 1000000"],
    }]);
    let mut began = false;
    let to = ["a@example.org".to_owned(), "b@example.org".to_owned()];
    let mail = b"Subject: x\r\n\r\n.dot\r\n";
    let result = send(
        &account(server.port),
        mail,
        &to,
        SmtpHooks {
            before_data: &mut || {
                began = true;
                Ok(())
            },
            report: &mut |_| {},
            is_stopping: &|| false,
        },
    );
    (result, server.received.try_iter().collect(), began)
}

fn recipients() -> Vec<String> {
    vec!["a@example.org".to_owned(), "b@example.org".to_owned()]
}

#[test]
fn a_mail_is_sent_with_dot_stuffing() {
    let (result, received, began) = send_scripted(&[]);
    assert_eq!(result.expect("it is taken").accepted, recipients());
    assert!(began);
    assert!(received.contains(&"EHLO node.local".to_owned()));
    assert!(received.contains(&"MAIL FROM:<node@example.org>".to_owned()));
    assert!(
        received.contains(&"MAIL\nSubject: x\n\n..dot\n".to_owned()),
        "{received:?}"
    );
}

#[test]
fn one_refused_recipient_does_not_affect_the_other() {
    let (result, _, began) = send_scripted(&[("RCPT TO:<a@", "550 5.1.1 unknown")]);
    let sent = result.expect("the other recipient is accepted");
    assert_eq!(sent.accepted, ["b@example.org"]);
    assert_eq!(
        sent.refused,
        [("a@example.org".to_owned(), "550 5.1.1 unknown".to_owned())]
    );
    assert!(began);
}

#[test]
fn greylisting_defers_and_delivers_nothing() {
    let (result, received, began) = send_scripted(&[("RCPT TO", "451 4.7.1 come back later")]);
    let sent = result.expect("the session succeeds");
    assert_eq!(sent.deferred.len(), 2);
    assert!(!began && !received.iter().any(|line| line == "DATA"));
}

/// The failure that each step's error reply results in.
#[test]
fn error_replies_are_classified_by_step() {
    let later = |why: &str| SmtpFailure::Temporary(why.to_owned());
    for (step, reply, expected) in [
        (
            "greeting",
            "554 no service",
            later("greeting: 554 no service"),
        ),
        (
            "greeting",
            "",
            later(
                "greeting: the server closed the connection or does not speak SMTP; is the port right?",
            ),
        ),
        (
            "EHLO",
            "502 what",
            later("EHLO: the server replied 502 what"),
        ),
        (
            "MAIL FROM",
            "550 5.7.1 who are you",
            later("MAIL FROM: the server replied 550 5.7.1 who are you"),
        ),
        (
            "DATA",
            "451 4.3.0 not now",
            later("DATA: the server replied 451 4.3.0 not now: main-node retries"),
        ),
        (
            "end of data",
            "451 4.3.0 not now",
            later("DATA: the server replied 451 4.3.0 not now: main-node retries"),
        ),
        (
            "end of data",
            "554 5.7.1 spam",
            SmtpFailure::Permanent("DATA: the server replied 554 5.7.1 spam".to_owned()),
        ),
        (
            "end of data",
            "",
            SmtpFailure::InDoubt(
                "DATA: the server closed the connection, or its reply is not SMTP (it may have been \
                 delivered)"
                    .to_owned(),
            ),
        ),
    ] {
        let (result, _, _) = send_scripted(&[(step, reply)]);
        assert_eq!(result, Err(expected), "{step}: {reply}");
    }
}

#[test]
fn a_stop_ends_a_hanging_session_and_reports_whether_the_mail_is_in_doubt() {
    for (step, is_in_doubt) in [
        ("greeting", false),
        ("MAIL FROM", false),
        ("end of data", true),
    ] {
        let server = serve(vec![Script {
            replies: vec![(step, "hang")],
            extensions: Vec::new(),
        }]);
        let began = Instant::now();
        let in_data = Cell::new(false);
        let result = send(
            &account(server.port),
            b"x\r\n",
            &recipients(),
            SmtpHooks {
                before_data: &mut || {
                    in_data.set(true);
                    Ok(())
                },
                report: &mut |_| {},
                // The stop begins once the session hangs at the step.
                is_stopping: &|| if is_in_doubt { in_data.get() } else { true },
            },
        );
        assert_eq!(
            matches!(result, Err(SmtpFailure::InDoubt(_))),
            is_in_doubt,
            "{step}"
        );
        assert!(began.elapsed() < Duration::from_secs(2), "{step}");
    }
}

#[test]
fn every_step_times_out_when_the_server_hangs() {
    let short = Timeouts {
        connect: Duration::from_millis(300),
        step: Duration::from_millis(300),
        data: Duration::from_millis(600),
    };
    for (protection, hangs_at, reply, expected) in [
        (
            MailTls::Implicit,
            "greeting",
            "hang",
            "TLS: no response within 0.3 s",
        ),
        (
            MailTls::None,
            "greeting",
            "hang",
            "greeting: no response within 0.3 s",
        ),
        (
            MailTls::None,
            "EHLO",
            "hang",
            "EHLO: no response within 0.3 s",
        ),
        (
            MailTls::StartTls,
            "STARTTLS",
            "hang",
            "STARTTLS: no response within 0.3 s",
        ),
        (
            MailTls::StartTls,
            "STARTTLS",
            "220 then silence",
            "TLS: no response within 0.3 s",
        ),
        (
            MailTls::None,
            "MAIL FROM",
            "hang",
            "MAIL FROM: no response within 0.3 s",
        ),
        (
            MailTls::None,
            "RCPT TO",
            "hang",
            "RCPT TO: no response within 0.3 s",
        ),
        (
            MailTls::None,
            "DATA",
            "hang",
            "DATA: no response within 0.6 s",
        ),
        (
            MailTls::None,
            "end of data",
            "hang",
            "DATA: no response within 0.6 s",
        ),
    ] {
        let server = serve(vec![Script {
            replies: vec![(hangs_at, reply)],
            extensions: vec!["STARTTLS"],
        }]);
        let account = SmtpAccount {
            tls: protection,
            timeouts: short,
            ..account(server.port)
        };
        let mut reported = Vec::new();
        let mut began_data = false;
        let hooks = SmtpHooks {
            before_data: &mut || {
                began_data = true;
                Ok(())
            },
            report: &mut |report| reported.push(report),
            is_stopping: &|| false,
        };
        let began = Instant::now();
        let result = send(&account, b"x\r\n", &recipients(), hooks);
        let elapsed = began.elapsed();
        let is_in_doubt = expected.starts_with("DATA");
        let in_doubt_note = if is_in_doubt {
            " (it may have been delivered)"
        } else {
            ""
        };
        let hint = if protection != MailTls::Implicit && expected.starts_with("greeting") {
            format!(
                "; if port {} speaks TLS from the start, set tls = \"implicit\"",
                server.port
            )
        } else {
            String::new()
        };
        let expected = format!("{expected}{hint}{in_doubt_note}");
        let failure = result.expect_err(hangs_at);
        assert_eq!(failure.to_string(), expected);
        assert_eq!(
            matches!(failure, SmtpFailure::InDoubt(_)),
            is_in_doubt,
            "{expected}"
        );
        assert_eq!(began_data, is_in_doubt, "{expected}");
        // The last report, of the failed step, has the same text.
        let last = reported.last().expect("every step is reported");
        assert_eq!(last.result.as_ref().expect_err(hangs_at), &expected);
        assert!(expected.starts_with(last.step.name()));
        assert!(elapsed < Duration::from_secs(5), "{expected}: {elapsed:?}");
    }
}

#[test]
fn a_password_is_never_sent_unencrypted() {
    let server = serve(vec![Script::default()]);
    let mut account = account(server.port);
    account.login = Some(SmtpLogin {
        user: "me".to_owned(),
        credential: SmtpCredential::Password("hush".to_owned()),
    });
    let hooks = SmtpHooks {
        before_data: &mut || Ok(()),
        report: &mut |_| {},
        is_stopping: &|| false,
    };
    let why = try_login(&account, hooks).expect_err("refused").to_string();
    assert!(why.contains("not encrypted"), "{why}");
    account.tls = MailTls::StartTls;
    let hooks = SmtpHooks {
        before_data: &mut || Ok(()),
        report: &mut |_| {},
        is_stopping: &|| false,
    };
    let server = serve(vec![Script {
        replies: vec![("STARTTLS", "502 5.5.1 no such thing")],
        extensions: vec!["AUTH PLAIN LOGIN"],
    }]);
    account.port = server.port;
    let why = try_login(&account, hooks).expect_err("refused").to_string();
    assert!(why.contains("nothing is sent unencrypted"), "{why}");
    let received: Vec<String> = server.received.try_iter().collect();
    assert!(
        !received.iter().any(|line| line.starts_with("AUTH")),
        "{received:?}"
    );
    assert!(!format!("{account:?}").contains("hush"));
}

#[test]
fn private_addresses_are_recognised() {
    for (address, expected) in [
        ("192.168.1.2", true),
        ("10.0.0.1", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("fd00::1", true),
        ("fe80::1", true),
        ("::ffff:192.168.1.2", true),
        ("203.0.113.5", false),
        ("2001:db8::1", false),
        ("::ffff:203.0.113.5", false),
    ] {
        assert_eq!(
            is_private(address.parse().expect(address)),
            expected,
            "{address}"
        );
    }
}
