//! SMTP sessions with a scripted server on loopback: what each of its answers, silences
//! and lies makes of the mail.

use super::session::is_private;
use super::*;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// How a scripted server behaves where it does not simply agree.
#[derive(Clone, Default)]
pub struct Script {
    /// What it says instead, to a command that begins so; empty means that it hangs up.
    pub answers: Vec<(&'static str, &'static str)>,
    /// What it says to EHLO beside its name.
    pub abilities: Vec<&'static str>,
}

/// A server for one connection on a port of the system's choice; gives the mails it took and
/// the commands that it heard.
pub struct Server {
    pub port: u16,
    pub heard: Receiver<String>,
}

pub fn serve(connections: Vec<Script>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        for script in connections {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            // A client that leaves early is a part of the tests.
            let _ = talk(stream, &script, &tell);
        }
    });
    Server { port, heard }
}

fn talk(
    stream: TcpStream,
    script: &Script,
    tell: &std::sync::mpsc::Sender<String>,
) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let special = |command: &str| {
        let found = script
            .answers
            .iter()
            .find(|(of, _)| command.starts_with(of));
        found.map(|(_, answer)| *answer)
    };
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
    match special("greeting") {
        Some("") => return Ok(()),
        Some("hang") => {
            lines.by_ref().for_each(drop);
            return Ok(());
        }
        answer => say(answer.unwrap_or("220 test ESMTP"))?,
    }
    while let Some(line) = lines.next() {
        let line = line?;
        let _ = tell.send(line.clone());
        match special(&line) {
            Some("") => return Ok(()),
            Some("hang") => continue,
            // Whatever follows is no text any more.
            Some("220 then silence") => {
                say("220 go on")?;
                lines.by_ref().for_each(drop);
                return Ok(());
            }
            Some(answer) => {
                say(answer)?;
                continue;
            }
            None => {}
        }
        if line.starts_with("EHLO") {
            let mut all = vec!["test"];
            all.extend(&script.abilities);
            let last = all.len() - 1;
            for (index, ability) in all.iter().enumerate() {
                let dash = if index == last { ' ' } else { '-' };
                say(&format!("250{dash}{ability}"))?;
            }
        } else if line == "DATA" {
            say("354 go on")?;
            let mut mail = String::new();
            for line in lines.by_ref() {
                let line = line?;
                if line == "." {
                    break;
                }
                mail += &line;
                mail.push('\n');
            }
            let _ = tell.send(format!("MAIL\n{mail}"));
            match special("end of data") {
                Some("") => return Ok(()),
                Some("hang") => continue,
                answer => say(answer.unwrap_or("250 2.0.0 taken"))?,
            }
        } else if line == "QUIT" {
            return say("221 bye");
        } else {
            say("250 2.1.0 fine")?;
        }
    }
    Ok(())
}

fn account(port: u16) -> SmtpAccount {
    SmtpAccount {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        login: None,
        from: "node@example.org".to_owned(),
        ca_file: None,
        plain_anywhere: false,
        own_name: "node.local".to_owned(),
        timeouts: Timeouts::default(),
    }
}

fn sent(
    answers: &[(&'static str, &'static str)],
) -> (Result<SendResult, SmtpFailure>, Vec<String>, bool) {
    let server = serve(vec![Script {
        answers: answers.to_vec(),
        abilities: vec!["SIZE 1000000"],
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
    (result, server.heard.try_iter().collect(), began)
}

fn both() -> Vec<String> {
    vec!["a@example.org".to_owned(), "b@example.org".to_owned()]
}

#[test]
fn a_mail_is_handed_over_with_its_dots() {
    let (result, heard, began) = sent(&[]);
    assert_eq!(result.expect("it is taken").accepted, both());
    assert!(began);
    assert!(heard.contains(&"EHLO node.local".to_owned()));
    assert!(heard.contains(&"MAIL FROM:<node@example.org>".to_owned()));
    assert!(
        heard.contains(&"MAIL\nSubject: x\n\n..dot\n".to_owned()),
        "{heard:?}"
    );
}

#[test]
fn one_refused_recipient_does_not_cost_the_other_the_mail() {
    let (result, _, began) = sent(&[("RCPT TO:<a@", "550 5.1.1 unknown")]);
    let sent = result.expect("the other has it");
    assert_eq!(sent.accepted, ["b@example.org"]);
    assert_eq!(
        sent.refused,
        [("a@example.org".to_owned(), "550 5.1.1 unknown".to_owned())]
    );
    assert!(began);
}

#[test]
fn greylisting_defers_and_delivers_nothing() {
    let (result, heard, began) = sent(&[("RCPT TO", "451 4.7.1 come back later")]);
    let sent = result.expect("the dialogue went through");
    assert_eq!(sent.deferred.len(), 2);
    assert!(!began && !heard.iter().any(|line| line == "DATA"));
}

/// Each step's bad answers: what becomes of the mail.
#[test]
fn what_each_bad_answer_means() {
    let later = |why: &str| SmtpFailure::Temporary(why.to_owned());
    for (step, answer, expected) in [
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
                "DATA: the server closed the connection or does not speak SMTP; is the port right? \
                 (it may have been delivered)"
                    .to_owned(),
            ),
        ),
    ] {
        let (result, _, _) = sent(&[(step, answer)]);
        assert_eq!(result, Err(expected), "{step}: {answer}");
    }
}

#[test]
fn a_stop_ends_a_hanging_server_and_says_whether_the_mail_is_in_doubt() {
    for (step, is_in_doubt) in [
        ("greeting", false),
        ("MAIL FROM", false),
        ("end of data", true),
    ] {
        let server = serve(vec![Script {
            answers: vec![(step, "hang")],
            abilities: Vec::new(),
        }]);
        let began = Instant::now();
        let in_data = Cell::new(false);
        let result = send(
            &account(server.port),
            b"x\r\n",
            &both(),
            SmtpHooks {
                before_data: &mut || {
                    in_data.set(true);
                    Ok(())
                },
                report: &mut |_| {},
                // The stop comes once the session hangs where it should.
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
fn a_server_that_hangs_is_left_in_time_at_every_step() {
    let short = Timeouts {
        connect: Duration::from_millis(300),
        step: Duration::from_millis(300),
        data: Duration::from_millis(600),
    };
    for (protection, hangs_at, answer, expected) in [
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
            answers: vec![(hangs_at, answer)],
            abilities: vec!["STARTTLS"],
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
        let result = send(&account, b"x\r\n", &both(), hooks);
        let took = began.elapsed();
        let is_in_doubt = expected.starts_with("DATA");
        let doubt = if is_in_doubt {
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
        let expected = format!("{expected}{hint}{doubt}");
        let failure = result.expect_err(hangs_at);
        assert_eq!(failure.to_string(), expected);
        assert_eq!(
            matches!(failure, SmtpFailure::InDoubt(_)),
            is_in_doubt,
            "{expected}"
        );
        assert_eq!(began_data, is_in_doubt, "{expected}");
        // The same words stand in the report of the step, which is the last.
        let last = reported.last().expect("every step is reported");
        assert_eq!(last.result.as_ref().expect_err(hangs_at), &expected);
        assert!(expected.starts_with(last.step.name()));
        assert!(took < Duration::from_secs(5), "{expected}: {took:?}");
    }
}

#[test]
fn a_password_never_goes_over_an_open_connection() {
    let server = serve(vec![Script::default()]);
    let mut account = account(server.port);
    account.login = Some(SmtpLogin {
        user: "me".to_owned(),
        password: "hush".to_owned(),
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
        answers: vec![("STARTTLS", "502 5.5.1 no such thing")],
        abilities: vec!["AUTH PLAIN LOGIN"],
    }]);
    account.port = server.port;
    let why = try_login(&account, hooks).expect_err("refused").to_string();
    assert!(why.contains("nothing is sent unencrypted"), "{why}");
    let heard: Vec<String> = server.heard.try_iter().collect();
    assert!(
        !heard.iter().any(|line| line.starts_with("AUTH")),
        "{heard:?}"
    );
    assert!(!format!("{account:?}").contains("hush"));
}

#[test]
fn plain_mail_stays_in_the_house() {
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
