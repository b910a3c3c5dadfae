//! Options of `[[forward]]`.

use super::super::support::{METER, load_text, problems};
use super::*;

fn with(lines: &str) -> String {
    format!("{METER}[[forward]]\n{lines}\n")
}

/// For tests of outputs.
pub fn forward_config(lines: &str) -> ForwardConfig {
    let config = load_text(&with(lines), &[]).expect("it is valid");
    config.forwards.into_iter().next().expect("there is one")
}

#[test]
fn the_precision_is_seconds_unless_the_url_has_one() {
    for (url, expected, precision) in [
        (
            "http://i.local:8086/write?db=house",
            "http://i.local:8086/write?db=house&precision=s",
            TimePrecision::Seconds,
        ),
        (
            "http://i.local:8086/api/v2/write?org=o&bucket=b&precision=ms",
            "http://i.local:8086/api/v2/write?org=o&bucket=b&precision=ms",
            TimePrecision::Milliseconds,
        ),
        (
            "http://me:secret@v.local:8428/write",
            "http://v.local:8428/write?precision=s",
            TimePrecision::Seconds,
        ),
        (
            "http://i.local:8181/api/v3/write_lp?db=house",
            "http://i.local:8181/api/v3/write_lp?db=house&precision=second",
            TimePrecision::Seconds,
        ),
        (
            "http://i.local/write?db=a&precision=n#x",
            "http://i.local/write?db=a&precision=n",
            TimePrecision::Nanoseconds,
        ),
    ] {
        let found = forward_config(&format!("url = \"{url}\""));
        assert_eq!(
            (found.write_url(), found.precision),
            (expected.to_owned(), precision)
        );
    }
}

#[test]
fn a_login_is_a_token_or_a_user_and_never_shown() {
    let url = "url = \"http://i.local/write?db=a\"";
    for (lines, expected) in [
        (url.to_owned(), None),
        (format!("{url}\ntoken = \"abc def\""), Some("Token abc def")),
        // me:pass:word
        (
            format!("{url}\nuser = \"me\"\npassword = \"pass:word\""),
            Some("Basic bWU6cGFzczp3b3Jk"),
        ),
        // me:p@ss
        (
            "url = \"http://me:p%40ss@i.local/write?db=a\"".to_owned(),
            Some("Basic bWU6cEBzcw=="),
        ),
    ] {
        let found = forward_config(&lines).authorization();
        assert_eq!(found.as_ref().map(Secret::reveal), expected, "{lines}");
    }
    let text = with(
        "url = \"http://me:hush-hush@i.local/write?db=a&u=me&p=quiet-please\"\n\
         headers = { X-Key = \"whisper-it\" }",
    );
    let printed = load_text(&text, &[]).expect("it is valid").to_toml();
    for secret in ["hush-hush", "quiet-please", "whisper-it"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn wrong_combinations_are_problems_that_say_what_to_write() {
    let url = "url = \"http://i.local/write?db=a\"\n";
    for (lines, expected) in [
        ("", "a [[forward]] needs url = "),
        ("url = \"i.local:8086\"", "begins with http:// or https://"),
        (
            "url = \"http://i.local/write?precision=h\"",
            "precision=s, ms, us or ns",
        ),
        ("user = \"me\"", "`user` needs a `password`"),
        ("password = \"x\"", "an API token of InfluxDB 2 is `token`"),
        (
            "token = \"t\"\nuser = \"me\"\npassword = \"x\"",
            "a request has one login: remove `token` or `user` and `password`",
        ),
        (
            "token = \"t\"\nheaders = { authorization = \"Bearer x\" }",
            "remove `token` or the header Authorization",
        ),
        ("token = \"Token abc\"", "remove the word before it"),
        ("fingerprint = \"sha256:00\"", "fingerprint"),
        ("ca_file = \"ca.pem\"", "write https:// in `url`"),
        (
            "tags = { key = \"x\" }",
            "every row has the tag `key` already",
        ),
        ("tags = { time = \"x\" }", "`time` cannot be a tag"),
        (
            "tags = { house = \"\" }",
            "is empty, which InfluxDB refuses",
        ),
        ("tags = { _house = \"x\" }", "InfluxDB's own"),
        ("measurement = \"_internal\"", "InfluxDB's own"),
        ("measurement = \"#a\"", "a comment"),
        ("measurement = \"a\\nb\"", "a control character"),
        ("name = \"a/b\"", "at most 40 letters"),
        ("bucket = \"house\"", "url = "),
        ("database = \"house\"", "url = "),
        ("interval = \"10s\"", "as they are stored"),
    ] {
        let given = if lines.contains("url =") || lines.is_empty() {
            ""
        } else {
            url
        };
        let found = problems(&with(&format!("{given}{lines}")));
        assert!(found.contains(expected), "{lines}: {found}");
    }
    let two = with(url) + &format!("[[forward]]\n{url}");
    assert!(problems(&two).contains("another [[forward]] is called \"influxdb\" too"));
    let many: String = (0..9)
        .map(|at| format!("[[forward]]\nname = \"f{at}\"\n{url}"))
        .collect();
    assert!(problems(&format!("{METER}{many}")).contains("at most 8"));
}

#[test]
fn an_unlikely_address_is_remarked_with_one_to_write() {
    for (url, expected) in [
        (
            "http://i.local:8086",
            Some("http://i.local:8086/write?db=…"),
        ),
        ("http://i.local:8086/", Some("api/v2/write?org=…&bucket=…")),
        (
            "http://i.local:8086/api/v2?org=a&bucket=b",
            Some("write http://i.local:8086/api/v2/write?org=…&bucket=…"),
        ),
        (
            "http://v.local:8428/api/v1/write/x",
            Some("write http://v.local:8428/write"),
        ),
        (
            "http://i.local:8086/write",
            Some("InfluxDB needs ?db=… at its end"),
        ),
        (
            "http://i.local:8086/api/v2/write?org=a",
            Some("InfluxDB needs ?org=…&bucket=…"),
        ),
        (
            "http://v.local:8428/api/v1/write",
            Some("remote write of Prometheus: write http://v.local:8428/write"),
        ),
        ("http://v.local:8428/write", None),
        ("http://proxy.local/victoria/write", None),
        ("http://proxy.local/influx/write?db=a", None),
        ("http://i.local:8086/api/v2/write?orgID=a&bucket=b", None),
        ("http://i.local:8181/api/v3/write_lp?db=a", None),
    ] {
        let config = load_text(&with(&format!("url = \"{url}\"")), &[]).expect("it is valid");
        let remarks = config.remarks.iter();
        let found: Vec<_> = remarks
            .map(|it| it.problem.message.clone())
            .filter(|it| it.starts_with("url:"))
            .collect();
        match expected {
            None => assert!(found.is_empty(), "{url}: {found:?}"),
            Some(text) => assert!(found.iter().any(|it| it.contains(text)), "{url}: {found:?}"),
        }
    }
}
