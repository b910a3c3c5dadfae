//! Tests of environment variables, `.env`, secret files, credentials and the installed service.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::auth_types::Auth;
use crate::config::support::{METER, api, load_text};
use crate::config::{Config, ConfiguredCredential, Overrides, load, read};

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
        environment.variable("TOKEN").as_deref(),
        Some("from-process")
    );
    assert_eq!(environment.variable("OTHER").as_deref(), Some("two words"));
    std::fs::write(directory.join(".env"), "SECRET some thing = 'x\n").unwrap();
    let problem = Environment::default()
        .read_dot_env(&directory)
        .expect_err("not a pair");
    assert!(!problem.message.contains("some thing"), "{problem}");
}

#[test]
fn every_variable_can_come_from_a_file_or_a_credential() {
    let directory = crate::golden::scratch("credentials");
    std::fs::write(directory.join("meter_token"), "credential\n").expect("a file can be written");
    std::fs::write(directory.join("mounted"), "mounted\n").expect("a file can be written");
    let place = |name: &str| directory.join(name).display().to_string();
    let (credentials, mounted) = (directory.display().to_string(), place("mounted"));
    let text = format!("{METER}headers = {{ Authorization = \"Bearer ${{METER_TOKEN}}\" }}\n");
    let token = |variables: &[(&str, &str)]| match load_text(&text, variables) {
        Ok(config) => config.sources[0].headers[0].value.reveal().to_owned(),
        Err(problems) => problems[0].to_string(),
    };
    let passed = ("CREDENTIALS_DIRECTORY", &*credentials);
    let file = ("METER_TOKEN_FILE", &*mounted);
    assert_eq!(token(&[passed]), "Bearer credential");
    assert_eq!(token(&[passed, file]), "Bearer mounted");
    assert_eq!(token(&[passed, file, ("METER_TOKEN", "own")]), "Bearer own");
    let absent = place("absent");
    let messages = token(&[("METER_TOKEN_FILE", &absent)]);
    assert!(
        messages.contains(&format!("METER_TOKEN_FILE names {absent}")),
        "{messages}"
    );
    let _ = std::fs::remove_dir_all(directory);
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
            environment.variable(name).as_deref(),
            Some(expected),
            "{name}"
        );
    }
    assert_eq!(environment.variable("P8"), None, "it is set, and empty");
    let locations = remarks
        .iter()
        .map(|it| it.problem.location.split(' ').next());
    let locations: Vec<&str> = locations.flatten().collect();
    assert_eq!(locations, ["P1", "P2", "P5", "P10", "P12"]);
    let messages: Vec<String> = remarks.iter().map(|it| it.problem.to_string()).collect();
    assert!(!messages.join("").contains("word"), "{messages:?}");
}

#[test]
fn an_unknown_time_zone_in_the_environment_is_reported() {
    for (zone, is_told) in [
        ("Europe/Berlin", false),
        (":Europe/Berlin", false),
        ("CET-1CEST,M3.5.0,M10.5.0/3", false),
        ("Berlin", true),
    ] {
        let config = load_text(METER, &[("TZ", zone)]).expect("it is valid");
        let remarks: Vec<String> = config
            .remarks
            .iter()
            .map(|it| it.problem.to_string())
            .collect();
        assert_eq!(remarks.len(), usize::from(is_told), "{remarks:?}");
        let text = format!("timezone = \"Europe/Berlin\"\n{METER}");
        let config = load_text(&text, &[("TZ", zone)]).expect("it is valid");
        assert_eq!(config.remarks, [], "the option rules");
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
