use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::api::client::APIS;
use crate::commands::init::template::{BEGIN, END};
use crate::config::environment::Environment;
use crate::config::{Config, Overrides, SourceTarget, read};

/// The source of a case, its secrets, and the configuration with both.
type Made = (String, Vec<(String, String)>, Config);

fn made(line: &[&str], stage: InitStage<'_>) -> Result<Made, String> {
    let words: Vec<String> = line[1..].iter().map(|&it| it.to_owned()).collect();
    let case = InitCase::read(line[0], &words, &APIS)?;
    let naming = SourceNaming {
        name: case.default_name(),
        has_prefix: true,
    };
    let mut secrets = SecretVariables::new(&naming.name, BTreeMap::new());
    let source = case.source(&naming, &mut secrets, stage)?;
    let environment = Environment::new(secrets.found.clone());
    let text = format!("{BEGIN}{source}{END}");
    let config = read(&text, None, &Overrides::default(), environment, &APIS);
    let config = config.map_err(|problems| format!("{problems:?}"))?;
    Ok((source, secrets.found, config))
}

fn meter(typed: &str) -> Result<Made, String> {
    made(&["meter", typed], InitStage::File(None))
}

fn url_of(config: &Config) -> &str {
    match &config.sources[0].target {
        SourceTarget::Url { url, .. } => url,
        SourceTarget::Follow { node } => node,
        SourceTarget::Operation { .. } | SourceTarget::Unavailable { .. } => panic!("a URL"),
    }
}

#[test]
fn addresses_are_requested_as_they_are_typed() {
    for (typed, expected) in [
        ("http://192.168.1.20/api", "http://192.168.1.20/api"),
        (
            "192.168.1.20:81/api/v1?a=1",
            "http://192.168.1.20:81/api/v1?a=1",
        ),
        (" HTTPS://meter.local/#top ", "https://meter.local/"),
        (
            "http://h/a b?q=\"x\"&l={1}",
            "http://h/a%20b?q=%22x%22&l=%7B1%7D",
        ),
        ("http://h/$a/$$b?c=$", "http://h/$a/$$b?c=$"),
        ("http://h/zähler", "http://h/z%C3%A4hler"),
        ("http://h/a\nb", "http://h/a%0Ab"),
        (
            "http://h/{today}?from={now:unix}",
            "http://h/{today}?from={now:unix}",
        ),
        (
            "http://[fe80::1%25eth0]:8080/x",
            "http://[fe80::1%25eth0]:8080/x",
        ),
        ("http://h/?a=b@c", "http://h/?a=b@c"),
    ] {
        let (_, secrets, config) = meter(typed).expect(typed);
        assert_eq!(url_of(&config), expected);
        assert_eq!(secrets, []);
    }
}

#[test]
fn impossible_addresses_are_refused() {
    for typed in [
        "",
        "ftp://h/x",
        "http://",
        "http://h:99999/",
        "http://a b/",
        "http://h\u{1}/",
        "http://zähler.local/",
        "me:pa/ss@h",
        "http://%zz:%ff@h/",
        "http://a%0Ab:c@h/",
    ] {
        let refused = meter(typed).err();
        assert!(refused.is_some(), "{typed}");
        let refused = refused.unwrap_or_default();
        assert!(!refused.contains("pa/ss"), "{refused}");
    }
}

#[test]
fn secrets_of_addresses_are_variables() {
    for (typed, url, expected) in [
        (
            "http://me:p%40ss@h/x",
            "http://h/x",
            &[("METER_PASSWORD", "p@ss")][..],
        ),
        (
            "http://aKey1234@h/x",
            "http://h/x",
            &[("METER_USER", "aKey1234")],
        ),
        (
            "http://h/?apikey=a$b%20&x=1&token=${MINE}",
            "",
            &[("METER_APIKEY", "a$b%20")],
        ),
        (
            "http://h/api/0123456789abcdef0123/lights",
            "http://h/api/0123456789abcdef0123/lights",
            &[("METER_KEY", "0123456789abcdef0123")],
        ),
    ] {
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        match meter(typed) {
            Ok((source, secrets, config)) => {
                assert_eq!(url_of(&config), url);
                assert_eq!(secrets, expected);
                for (name, value) in &secrets {
                    assert!(!source.contains(value), "{source}");
                    assert!(source.contains(&format!("${{{name}}}")), "{source}");
                }
            }
            // Of another variable than those of the address.
            Err(problem) => assert!(
                problem.contains("the variable MINE is not set"),
                "{problem}"
            ),
        }
    }
}

/// What is written is valid, or nothing is written: for addresses of pieces that need quoting.
#[test]
fn every_address_makes_a_valid_configuration_or_an_error() {
    const PIECES: [&str; 22] = [
        "http://",
        "h",
        "/",
        "?",
        "#",
        "@",
        ":",
        "$",
        "${",
        "}",
        "${A}",
        "{today}",
        "\"",
        "'",
        "\\",
        "\n",
        "\u{7f}",
        "ä",
        "%",
        "=&token=x",
        " ",
        "[::1]",
    ];
    let mut seed: u32 = 1;
    let mut valid = 0;
    for _ in 0..800 {
        let mut typed = String::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            typed += PIECES[(seed >> 16) as usize % PIECES.len()];
        }
        for case in ["meter", "follow"] {
            if let Ok((source, ..)) = made(&[case, &typed], InitStage::File(None)) {
                valid += 1;
                let table: toml::Table = source.parse().expect("TOML");
                assert_eq!(
                    table["source"].as_array().map(Vec::len),
                    Some(1),
                    "{source}"
                );
            }
        }
    }
    assert!(valid > 40, "{valid}");
}

#[test]
fn a_response_decides_format_and_proposes_records() {
    for (format, tree, expected) in [
        (
            ResponseFormat::Json,
            json!({"active_power_w": 5, "a\nb": {"t$": 1}, "rooms": [{"name": "x", "t": 1}, {"name": "y", "t": 2}]}),
            "#[source.records]\n\"a%0Ab.t$\" = \"/a\\nb/t$$\"\n\
             active_power_w = { at = \"/active_power_w\", unit = \"W\" }\n\
             \"{name}.t\" = { each = \"$.rooms[*]\", at = \"/t\" }",
        ),
        (
            ResponseFormat::Text,
            json!(21.5),
            "[source.records]\nvalue = \"\"",
        ),
        (
            ResponseFormat::Xml,
            json!({"u": "230,5 V"}),
            "#[source.records]\nu = \"/u\"",
        ),
        (ResponseFormat::Json, json!({"a": "text"}), ""),
    ] {
        let sample = ResponseSample::new(format, tree);
        let stage = InitStage::File(Some(&sample));
        let (source, _, config) = made(&["meter", "http://h/"], stage).expect("valid");
        assert_eq!(config.sources[0].plan.format, format);
        let proposed = source
            .find("#[source.records]")
            .or(source.find("[source.records]"));
        let proposed = proposed.map_or("", |at| &source[at..]).trim_end();
        assert_eq!(proposed.replace("\n#", "\n"), expected);
        // They are valid when they are turned on.
        let on = proposed
            .lines()
            .map(|line| line.strip_prefix('#').unwrap_or(line));
        let on = on.collect::<Vec<_>>().join("\n");
        let text =
            format!("[[source]]\nname = \"a\"\nurl = \"http://h/\"\nnumbers = \"lenient\"\n{on}\n");
        let read = read(
            &text,
            None,
            &Overrides::default(),
            Environment::default(),
            &[],
        );
        assert!(read.is_ok(), "{read:?}\n{text}");
    }
}

#[test]
fn nodes_are_named_by_host_or_by_the_address_of_a_page() {
    for (typed, expected) in [
        ("pi.local", "http://pi.local:8000"),
        ("192.168.1.10:80", "http://192.168.1.10:80"),
        ("[fe80::1%25eth0]", "http://[fe80::1%25eth0]:8000"),
        ("http://pi.local", "http://pi.local"),
        ("http://pi.local:8000/web?key=a", "http://pi.local:8000"),
        ("https://h/node/web/", "https://h/node"),
        ("me:secret@pi.local/snapshot", "http://pi.local:8000"),
    ] {
        let (source, _, config) = made(&["follow", typed], InitStage::File(None)).expect(typed);
        assert_eq!(url_of(&config), expected);
        assert!(
            !source.contains("secret@") && !source.contains("\"secret\""),
            "{source}"
        );
    }
}

#[test]
fn operations_take_typed_arguments() {
    let line = [
        "openapi",
        "getForecast",
        "latitude=1.5",
        "longitude=-2",
        "current=temperature_2m,rain",
        "timezone=Europe/Berlin",
    ];
    let (source, ..) = made(&line, InitStage::File(None)).expect("valid");
    let params = "params = { latitude = 1.5, longitude = -2, current = [\"temperature_2m\", \"rain\"], \
                  timezone = \"Europe/Berlin\" }";
    assert!(source.contains(params), "{source}");
    for (line, expected) in [
        (&["openapi", "getForcast"][..], "did you mean getForecast?"),
        (
            &["openapi", "getForecast", "lattitude=1"],
            "did you mean latitude?",
        ),
        (
            &["openapi", "getForecast", "latitude"],
            "expected name=value",
        ),
        (
            &["openapi", "getForecast", "latitude=x"],
            "expected a number from -90 to 90",
        ),
        (&["metre", "x"], "did you mean meter?"),
        (&["http://h/"], "weather, meter, openapi and follow"),
        (&["meter"], "expected an address"),
        (&["meter", "a", "b"], "put quotes around it"),
    ] {
        let refused = made(line, InitStage::File(None)).map(|it| it.0);
        assert!(
            refused.as_ref().is_err_and(|it| it.contains(expected)),
            "{refused:?}"
        );
    }
}

#[test]
fn only_devices_of_the_local_network_are_asked_every_10_seconds() {
    for (typed, every) in [
        ("http://192.168.1.20/", 10),
        ("meter.local", 10),
        ("http://me:x@[fd00::1]:80/", 10),
        ("https://api.example.org/", 300),
    ] {
        let (.., config) = meter(typed).expect(typed);
        assert_eq!(config.sources[0].plan.every.as_secs(), every, "{typed}");
    }
}

#[test]
fn values_that_nobody_typed_are_named() {
    let examples = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&it| it.to_owned()).collect();
        let case = InitCase::read("openapi", &words, &APIS).expect("it is complete");
        case.examples()
    };
    let found = examples(&["getForecast", "latitude=1"]);
    assert!(
        found.starts_with("longitude = 13.41 is the example"),
        "{found}"
    );
    assert!(!found.contains("latitude ="), "{found}");
    assert_eq!(examples(&["getForecast", "latitude=1", "longitude=2"]), "");
}
