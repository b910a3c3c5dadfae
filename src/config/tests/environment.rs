//! Tests of environment variables, `.env`, secret files, credentials and the installed service.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::auth_types::Auth;
use crate::config::support::{METER, api, load_text};
use crate::config::{Config, ConfiguredCredential, Overrides, load, read};

fn variable(environment: &Environment, name: &str) -> Option<String> {
    let found = environment.lookup(name).expect("nothing is unreadable");
    found.map(|(value, _)| value)
}

#[test]
fn the_environment_overrides_the_file_and_empty_means_unset() {
    let text = format!("listen = \"127.0.0.1:1\"\n{METER}");
    let port = |variables| load_text(&text, variables).expect("it is valid").listen[0].port();
    assert_eq!(port(&[]), 1);
    assert_eq!(port(&[("MAIN_NODE_LISTEN", "127.0.0.1:2, 127.0.0.1:3")]), 2);
    assert_eq!(port(&[("MAIN_NODE_LISTEN", "")]), 1);
}

#[test]
fn listen_is_a_port_or_addresses() {
    for (written, variable, expected) in [
        ("", "", "0.0.0.0:8000 [::]:8000"),
        ("listen = 8080\n", "", "0.0.0.0:8080 [::]:8080"),
        ("listen = \":8080\"\n", "", "0.0.0.0:8080 [::]:8080"),
        (
            "listen = [80, \"localhost:8080\"]\n",
            "",
            "0.0.0.0:80 [::]:80 127.0.0.1:8080 [::1]:8080",
        ),
        ("listen = 8080\n", "9000", "0.0.0.0:9000 [::]:9000"),
        (
            "",
            "127.0.0.1, 9000",
            "127.0.0.1:8000 0.0.0.0:9000 [::]:9000",
        ),
        ("listen = \"[::]:80\"\n", "", "[::]:80, noted"),
    ] {
        let text = format!("{written}{METER}");
        let config = load_text(&text, &[("MAIN_NODE_LISTEN", variable)]).expect(&text);
        let found: Vec<String> = config.listen.iter().map(|it| it.to_string()).collect();
        let noted = if config.remarks.is_empty() {
            ""
        } else {
            ", noted"
        };
        assert_eq!(found.join(" ") + noted, expected, "{text}{variable}");
    }
}

#[test]
fn dot_env_is_beside_the_file_and_the_process_overrides_it() {
    let directory = crate::golden::scratch("dot-env");
    std::fs::write(
        directory.join(".env"),
        "TOKEN=from-file\nOTHER='two words'\n",
    )
    .unwrap();
    let mut environment = Environment::new([("TOKEN".to_owned(), "from-process".to_owned())]);
    environment
        .read_dot_env(&directory)
        .expect("it is readable");
    assert_eq!(
        variable(&environment, "TOKEN").as_deref(),
        Some("from-process")
    );
    assert_eq!(
        variable(&environment, "OTHER").as_deref(),
        Some("two words")
    );
    std::fs::write(directory.join(".env"), "SECRET some thing = 'x\n").unwrap();
    let problem = Environment::default()
        .read_dot_env(&directory)
        .expect_err("not a pair");
    assert!(!problem.message.contains("some thing"), "{problem}");
}

/// The header of a source with `Bearer ${METER_TOKEN}`, or the problem.
fn bearer(variables: &[(&str, &str)]) -> String {
    let text = format!("{METER}headers = {{ Authorization = \"Bearer ${{METER_TOKEN}}\" }}\n");
    match load_text(&text, variables) {
        Ok(config) => config.sources[0].headers[0].value.reveal().to_owned(),
        Err(problems) => problems[0].to_string(),
    }
}

#[test]
fn every_variable_can_come_from_a_file_or_a_credential() {
    let directory = crate::golden::scratch("credentials");
    let place = |name: &str| directory.join(name).display().to_string();
    for (name, text) in [
        ("lower/meter_token", "lower\n"),
        ("lower/METER_TOKEN", "exact\n"),
        ("exact/METER_TOKEN", "exact\r\n"),
        ("dashes/meter-token", "\u{feff}dashes"),
        ("mounted", "mounted\n\n"),
        ("empty", "\n"),
    ] {
        let file = directory.join(name);
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("it can be made");
        std::fs::write(file, text).expect("a file can be written");
    }
    let (credentials, file) = ("CREDENTIALS_DIRECTORY", "METER_TOKEN_FILE");
    for (variables, expected) in [
        (&[(credentials, "lower")][..], "Bearer lower"),
        (&[(credentials, "exact")], "Bearer exact"),
        (&[(credentials, "dashes")], "Bearer dashes"),
        (
            &[(credentials, "lower"), (file, "mounted")],
            "Bearer mounted",
        ),
        (
            &[(file, "absent")],
            "/absent, which cannot be read: no such file",
        ),
        (
            &[(file, "lower")],
            "/lower, which cannot be read: it is a directory",
        ),
        (&[(file, "empty")], "/empty, which is empty"),
    ] {
        let variables: Vec<(&str, String)> = variables
            .iter()
            .map(|(name, it)| (*name, place(it)))
            .collect();
        let mut variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, it)| (*name, &**it)).collect();
        let found = bearer(&variables);
        assert!(found.contains(expected), "{variables:?}: {found}");
        variables.push(("METER_TOKEN", "own"));
        assert_eq!(bearer(&variables), "Bearer own", "{variables:?}");
    }
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_file_of_an_option_that_cannot_be_read_is_a_problem() {
    let text = format!(
        "{METER}[mail]\nhost = \"h.example\"\nuser = \"me@a.example\"\nto = \"me@a.example\"\n"
    );
    for (variable, expected) in [
        (
            "SMTP_PASS_FILE",
            "SMTP_PASS_FILE names /no/secret, which cannot be read",
        ),
        (
            "MAIN_NODE_NAME_FILE",
            "MAIN_NODE_NAME_FILE names /no/secret, which cannot be read",
        ),
    ] {
        let problems = load_text(&text, &[(variable, "/no/secret")]).expect_err("not there");
        let problem = problems[0].to_string();
        assert!(problem.contains(expected), "{problem}");
        assert!(problem.starts_with("the environment variable"), "{problem}");
    }
}

#[test]
fn a_missing_variable_is_reported_with_where_to_set_it() {
    let installed = InstalledService {
        state_directory: Some("/var/lib/main-node".into()),
        ..InstalledService::default()
    };
    let empty = [("METER_TOKEN".to_owned(), String::new())];
    let own = |launcher| Environment {
        launcher,
        ..Environment::default()
    };
    for (environment, expected) in [
        (
            own(Launcher::Shell),
            "the variable METER_TOKEN is not set: set it in the environment or in .env beside this \
             file (METER_TOKEN=…), or name a file with it (METER_TOKEN_FILE=/path/of/file), or \
             write $$ for a plain $",
        ),
        (
            own(Launcher::Container),
            "(-e METER_TOKEN_FILE=/run/secrets/meter_token)",
        ),
        (
            own(Launcher::Systemd),
            "write METER_TOKEN=… into /etc/main-node/secrets.env",
        ),
        (
            own(Launcher::Systemd),
            "LoadCredential=meter_token:/path/of/file",
        ),
        (own(Launcher::Systemd), "`sudo systemctl restart main-node`"),
        (own(Launcher::Shell).with_service(installed), "secrets.env"),
        (
            Environment::new(empty),
            "the variable METER_TOKEN is empty: set it",
        ),
    ] {
        let message = environment.not_set("METER_TOKEN");
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_command_uses_variables_and_credentials_of_the_service() {
    let directory = crate::golden::scratch("by-hand");
    std::fs::write(directory.join("key"), "credential\n").expect("a file can be written");
    let text = format!("{METER}headers = {{ a = \"${{TOKEN}}\", b = \"${{KEY}}\" }}\n");
    let variable = |name: &str, value: &str| {
        let file = PathBuf::from("secrets.env");
        (name.to_owned(), (value.to_owned(), file))
    };
    let service = InstalledService {
        variables: [
            variable("TOKEN", "of-service"),
            variable("STATE_DIRECTORY", "/var/lib/x"),
        ]
        .into(),
        credentials: vec![
            ("key".to_owned(), directory.join("absent")),
            ("key".to_owned(), directory.join("key")),
        ],
        ..InstalledService::default()
    };
    let load = |own: &[(&str, &str)]| {
        let own = own
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let environment = Environment::new(own).with_service(service.clone());
        let file = Some(directory.join("main-node.toml"));
        read(&text, file, &Overrides::default(), environment, &[api()]).expect("nothing is missing")
    };
    let config = load(&[]);
    let values = config.sources[0]
        .headers
        .iter()
        .map(|header| header.value.reveal());
    assert_eq!(values.collect::<Vec<_>>(), ["of-service", "credential"]);
    assert_eq!(config.database, Path::new("/var/lib/x/main-node.db"));
    assert!(config.database_is_default);
    let config = load(&[("TOKEN", "own")]);
    assert_eq!(config.sources[0].headers[0].value.reveal(), "own");
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_dollar_in_dot_env_without_a_known_variable_is_kept() {
    let directory = crate::golden::scratch("dot-env-dollars");
    let text = "A=one\nexport B=two\nP1=pa$word1\nP2=\"pa$word2 $\"\nP3='pa$A'\nP4=x${A}y\nP5=$A$nothing\n\
                P6=\"$B\"\nP7=a\\$b\nP8=${NO}\n# $c\nP9=ok # $d\nP10=$OUTSIDE\nP11='two\n$lines'\nP12=end$\n";
    std::fs::write(directory.join(".env"), text).expect("it is written");
    let mut environment = Environment::new([("NO".to_owned(), String::new())]);
    let remarks = environment.read_dot_env(&directory).expect("it is read");
    for (name, expected) in [
        ("P1", "pa$word1"),
        ("P2", "pa$word2 $"),
        ("P3", "pa$A"),
        ("P4", "xoney"),
        ("P5", "one$nothing"),
        ("P6", "two"),
        ("P7", "a$b"),
        ("P9", "ok"),
        ("P10", "$OUTSIDE"),
        ("P11", "two\n$lines"),
        ("P12", "end$"),
    ] {
        assert_eq!(
            variable(&environment, name).as_deref(),
            Some(expected),
            "{name}"
        );
    }
    assert_eq!(variable(&environment, "P8"), None, "it is set, and empty");
    let locations = remarks
        .iter()
        .map(|it| it.problem.location.split(' ').next());
    let locations: Vec<&str> = locations.flatten().collect();
    assert_eq!(locations, ["P1", "P2", "P5", "P10", "P12"]);
    let messages: Vec<String> = remarks.iter().map(|it| it.problem.to_string()).collect();
    assert!(!messages.join("").contains("word"), "{messages:?}");
}

#[test]
fn a_variable_that_no_option_has_is_noted() {
    for (name, value, expected) in [
        ("MAIN_NODE_LISTEN", "8000", ""),
        ("MAIN_NODE_TOKEN_FILE", "", ""),
        ("MAIN_NODE_PORT", "8080", "write listen = 8000"),
        ("MAIN_NODE_LISTN", "8080", "did you mean MAIN_NODE_LISTEN?"),
        ("MAIN_NODE_MAX_RECORDS", "9", "write it in the file"),
        ("MAIN_NODE_DATABSE", "x", "did you mean MAIN_NODE_DATABASE?"),
        ("MAIN_NODE_WHATEVER", "x", "does nothing"),
        ("MAIN_NODE_OWN", "x", ""),
        ("MAIN_NODE_PORT", "tcp://10.0.0.1:8000", ""),
        ("MAIN_NODE_PORT_8000_TCP_ADDR", "10.0.0.1", ""),
        ("MAIN_NODE_SERVICE_HOST", "10.0.0.1", ""),
    ] {
        let text = format!("{METER}# for later: ${{MAIN_NODE_OWN}}\n");
        let config = load_text(&text, &[(name, value)]).expect("it is valid");
        let remarks: Vec<String> = config
            .remarks
            .iter()
            .map(|it| it.problem.to_string())
            .collect();
        assert_eq!(
            remarks.is_empty(),
            expected.is_empty(),
            "{name}: {remarks:?}"
        );
        assert!(remarks.concat().contains(expected), "{name}: {remarks:?}");
    }
}

#[test]
fn the_time_zone_of_the_environment_is_read_as_other_programs_do() {
    for (written, expected, noted) in [
        ("Europe/Berlin", "2024-07-01T14:00 Europe/Berlin", ""),
        (":Europe/Berlin", "2024-07-01T14:00 Europe/Berlin", ""),
        (
            "/usr/share/zoneinfo/Asia/Tokyo",
            "2024-07-01T21:00 Asia/Tokyo",
            "",
        ),
        (
            "/nowhere/zoneinfo/Asia/Tokyo",
            "2024-07-01T21:00 Asia/Tokyo",
            "",
        ),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2024-07-01T14:00 none", ""),
        ("<+03>-3", "2024-07-01T15:00 none", ""),
        ("UTC", "2024-07-01T12:00 UTC", ""),
        ("UTC+2", "2024-07-01T10:00 none", "UTC+2 is behind UTC"),
        ("GMT-2", "2024-07-01T14:00 none", "GMT-2 is ahead of UTC"),
        ("Berlin", "2024-07-01T12:00 UTC", "found \"Berlin\""),
        (
            "/no/such/file",
            "2024-07-01T12:00 UTC",
            "found \"/no/such/file\"",
        ),
    ] {
        let config = load_text(METER, &[("TZ", written)]).expect("it is valid");
        let zone = &config.timezone;
        let noon: jiff::Timestamp = "2024-07-01T12:00:00Z".parse().expect("a time");
        let local = zone.to_datetime(noon);
        let name = zone.iana_name().unwrap_or("none");
        let found = format!("{} {name}", local.strftime("%Y-%m-%dT%H:%M"));
        assert_eq!(found, expected, "{written}");
        let remarks: Vec<String> = config
            .remarks
            .iter()
            .map(|it| it.problem.to_string())
            .collect();
        assert_eq!(
            remarks.is_empty(),
            noted.is_empty(),
            "{written}: {remarks:?}"
        );
        assert!(remarks.concat().contains(noted), "{written}: {remarks:?}");
        let text = format!("timezone = \"Europe/Berlin\"\n{METER}");
        let config = load_text(&text, &[("TZ", written)]).expect("it is valid");
        assert_eq!(config.remarks, [], "the option rules");
        assert_eq!(config.timezone.iana_name(), Some("Europe/Berlin"));
    }
}

#[test]
fn byte_order_mark_and_line_ends_are_no_part_of_a_secret() {
    let directory = crate::golden::scratch("editors");
    let file = directory.join("main-node.toml");
    let password = directory.join("password");
    let load = |text: &[u8], secret: &[u8]| {
        std::fs::write(&file, text).expect("it is written");
        std::fs::write(&password, secret).expect("it is written");
        std::fs::write(directory.join(".env"), secret_line(secret)).expect("it is written");
        let overrides = Overrides {
            file: Some(file.clone()),
            ..Overrides::default()
        };
        load(&overrides, Environment::default(), &[api()])
    };
    fn secret_line(secret: &[u8]) -> Vec<u8> {
        match secret.strip_prefix(b"\xef\xbb\xbf") {
            Some(secret) => [b"\xef\xbb\xbfTOKEN=", secret].concat(),
            None => [b"TOKEN=", secret].concat(),
        }
    }
    let text = "password_file = \"password\"\r\n[[source]]\r\nname = \"m\"\r\n\
                url = \"http://meter.local\"\r\nauth = { token = \"${TOKEN}\" }\r\n\
                [mail]\r\nhost = \"h\"\r\nto = \"a@b\"\r\nuser = \"u\"\r\n\
                password_file = \"password\"\r\n";
    let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for secret in ["sesame", "sesame\n", "sesame\r\n", "sesame\r\n\r\n"] {
        let config = load(&marked(text), &marked(secret)).expect("it is read");
        let found = config.password.expect("it is set");
        assert_eq!(found.reveal(), "sesame", "{secret:?}");
        let mail = config
            .notifications
            .mail
            .and_then(|mail| mail.password)
            .expect("it is set");
        assert_eq!(mail.reveal(), "sesame", "{secret:?}");
        let auth = config.sources[0].auth.as_ref();
        let Some(ConfiguredCredential::Token(token)) = auth.and_then(Auth::credential) else {
            panic!("it is a token: {secret:?}");
        };
        assert_eq!(token.token.reveal(), "sesame", "{secret:?}");
    }
    let wide: Vec<u8> = "\u{feff}sesame\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let messages = |found: Result<Config, Vec<Problem>>| {
        let problems = found.expect_err("it is refused");
        problems
            .iter()
            .map(|it| format!("{it}\n"))
            .collect::<String>()
    };
    let problems = messages(load(text.as_bytes(), &wide));
    assert_eq!(problems.matches("UTF-16").count(), 2, "{problems}");
    let problems = messages(load(&wide, b"sesame"));
    assert!(problems.contains("UTF-16: save it as UTF-8"), "{problems}");
    let problems = messages(load(b"name = \"x\"\n# \xe4\n", b"sesame"));
    assert!(problems.contains("line 2 is not UTF-8"), "{problems}");
}
