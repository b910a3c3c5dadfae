use super::*;

const NAMES: [&str; 4] = ["subject", "text", "value", "key"];
/// What hurts wherever it stands.
const NASTY: &str = "5 °C\r\nX: \"a\\b\" <b>&'{value}";

fn template(text: &str, place: TemplatePlace) -> TextTemplate {
    TextTemplate::parse(text, place, &NAMES).expect("it is good")
}

fn fill(text: &str, place: TemplatePlace, value: TemplateValue<'_>) -> String {
    template(text, place).fill(&[("value", value)])
}

#[test]
fn values_are_escaped_for_their_place() {
    let nasty = TemplateValue::Text(NASTY);
    let encoded = "5%20%C2%B0C%0D%0AX%3A%20%22a%5Cb%22%20%3Cb%3E%26%27%7Bvalue%7D";
    for (place, text, expected) in [
        (
            TemplatePlace::Json,
            r#"{"a": "<{value}>"}"#,
            r#"{"a": "<5 °C\r\nX: \"a\\b\" <b>&'{value}>"}"#.to_owned(),
        ),
        (
            TemplatePlace::Json,
            r#"{"a": {value}}"#,
            r#"{"a": "5 °C\r\nX: \"a\\b\" <b>&'{value}"}"#.to_owned(),
        ),
        (
            TemplatePlace::Url,
            "http://pi/{value}?a={value}",
            format!("http://pi/{encoded}?a={encoded}"),
        ),
        (TemplatePlace::Form, "a={value}&b", format!("a={encoded}&b")),
        (
            TemplatePlace::Header,
            "<{value}>",
            "<5 °CX: \"a\\b\" <b>&'{value}>".to_owned(),
        ),
        (
            TemplatePlace::Xml,
            "<a b='{value}'/>",
            "<a b='5 °C\r\nX: &quot;a\\b&quot; &lt;b&gt;&amp;&#39;{value}'/>".to_owned(),
        ),
        (TemplatePlace::Text, "<{value}>", format!("<{NASTY}>")),
    ] {
        assert_eq!(fill(text, place, nasty), expected, "{place:?}");
    }
}

#[test]
fn outside_of_quotes_json_gets_a_value_of_its_type() {
    for (value, bare, quoted) in [
        (TemplateValue::Number(21.5), "21.5", "21.5"),
        (TemplateValue::Number(-0.00001), "-0.00001", "-0.00001"),
        (TemplateValue::Number(f64::NAN), "null", "null"),
        (TemplateValue::Boolean(true), "true", "true"),
        (TemplateValue::Text("21.5"), "\"21.5\"", "21.5"),
        (TemplateValue::Text("true"), "\"true\"", "true"),
        (TemplateValue::Text(""), "\"\"", ""),
        (TemplateValue::Absent, "null", ""),
    ] {
        let expected = format!(r#"{{"a":{bare},"b":"{quoted}"}}"#);
        let text = r#"{"a":{value},"b":"{value}"}"#;
        assert_eq!(fill(text, TemplatePlace::Json, value), expected);
    }
}

#[test]
fn readings_are_numbers_where_they_are_some() {
    for (text, expected) in [
        ("21.50", TemplateValue::Number(21.5)),
        (" -3 ", TemplateValue::Number(-3.0)),
        ("1e3", TemplateValue::Number(1000.0)),
        ("", TemplateValue::Absent),
        ("1e999", TemplateValue::Text("1e999")),
        ("007", TemplateValue::Text("007")),
        ("21.5 °C", TemplateValue::Text("21.5 °C")),
        ("NaN", TemplateValue::Text("NaN")),
    ] {
        assert_eq!(TemplateValue::parse(text), expected, "{text:?}");
    }
}

#[test]
fn only_known_names_between_braces_are_placeholders() {
    for text in [
        "",
        "{",
        "}",
        "{}",
        "{ value }",
        "{Value}",
        "{values}",
        "{value",
        "{\"value\"}",
        r#"{"query": "{ a(b: {c: 1}) { d } }"}"#,
        "${HOME} {{key",
    ] {
        assert_eq!(
            fill(text, TemplatePlace::Text, TemplateValue::Number(1.0)),
            text
        );
    }
    for (text, expected) in [
        ("{value}", "1"),
        ("{{value}}", "{1}"),
        ("{value}{value}", "11"),
        ("ä{value}ö", "ä1ö"),
        ("{value {value}", "{value 1"),
        ("{text}", ""),
    ] {
        assert_eq!(
            fill(text, TemplatePlace::Text, TemplateValue::Number(1.0)),
            expected
        );
    }
    let known = template(
        "{value} {vlaue} {text} {a b} {key-x} {}",
        TemplatePlace::Text,
    );
    assert_eq!(known.literal_names(), ["vlaue", "key-x"]);
    assert!(known.uses("value") && known.uses("text") && !known.uses("key"));
}

/// A value must not become another host, nor a step up in the path.
#[test]
fn a_url_is_filled_behind_its_host_alone() {
    for text in [
        "{value}",
        "{value}://pi/",
        "http://{value}/",
        "http://pi:{value}/",
        "http://user:{value}@pi/",
        "http://pi{value}",
    ] {
        let parsed = TextTemplate::parse(text, TemplatePlace::Url, &NAMES);
        let problem = parsed.expect_err(text).to_string();
        assert!(
            problem.starts_with("{value} cannot be in the scheme"),
            "{problem}"
        );
    }
    for (value, expected) in [
        ("..", "https://pi:80/a/__/b"),
        (".", "https://pi:80/a/_/b"),
        ("../x", "https://pi:80/a/..%2Fx/b"),
        ("a.b", "https://pi:80/a/a.b/b"),
        ("", "https://pi:80/a//b"),
    ] {
        let filled = fill(
            "https://pi:80/a/{value}/b",
            TemplatePlace::Url,
            TemplateValue::Text(value),
        );
        assert_eq!(filled, expected);
    }
}

#[test]
fn json_is_checked_whatever_fills_it() {
    for good in [
        r#"{"a": "{text}", "b": {value}, "{key}": [{value}, "\"{text}"]}"#,
        r#""{text}""#,
        "{text}",
        "[1, 2]",
        "{\n  \"a\": \"\\\\{text}\"\n}\n",
    ] {
        assert_eq!(
            template(good, TemplatePlace::Json).check_json(),
            Ok(()),
            "{good}"
        );
    }
    for (bad, line, column) in [
        // The value is no key, and no part of a number.
        (r#"{{value}: 1}"#, 1, 2),
        (r#"{"a": 1{value}}"#, 1, 8),
        // Two values without a comma.
        ("{\n  \"a\": {value}\n  \"b\": \"{text}\"\n}", 3, 3),
        (r#"{"a": "{text}""#, 1, 14),
        // The escape in front takes the first character of the value.
        (r#"{"a": "\{text}"}"#, 1, 9),
        ("{\"a\": \"{text}\n\"}", 1, 8),
        (r#"{"ä": "{text}",}"#, 1, 16),
        ("", 1, 1),
        ("Alert: {text}", 1, 1),
    ] {
        let problem = template(bad, TemplatePlace::Json).check_json();
        let problem = problem.expect_err(bad);
        assert_eq!(
            (problem.line, problem.column),
            (line, column),
            "{bad}: {problem}"
        );
    }
}

#[test]
fn the_place_of_a_body_follows_its_type() {
    for (content_type, body, expected) in [
        (None, "{\"a\": 1}", TemplatePlace::Json),
        (None, "\n []", TemplatePlace::Json),
        (None, "{text}", TemplatePlace::Text),
        (None, "[main-node] {text}", TemplatePlace::Text),
        (None, "[{level}] {text}", TemplatePlace::Text),
        (None, "\"{text}\"", TemplatePlace::Text),
        (None, "[ { \"a\": 1}]", TemplatePlace::Json),
        (None, "{}", TemplatePlace::Json),
        (None, "a={text}", TemplatePlace::Text),
        (
            Some("application/json; charset=utf-8"),
            "x",
            TemplatePlace::Json,
        ),
        (Some("Application/Problem+JSON"), "x", TemplatePlace::Json),
        (
            Some("application/x-www-form-urlencoded"),
            "{",
            TemplatePlace::Form,
        ),
        (Some("text/xml"), "x", TemplatePlace::Xml),
        (
            Some("application/soap+xml;action=x"),
            "x",
            TemplatePlace::Xml,
        ),
        (Some("text/html"), "x", TemplatePlace::Xml),
        (Some("text/plain"), "{\"a\": 1}", TemplatePlace::Text),
        (Some(""), "{", TemplatePlace::Text),
    ] {
        assert_eq!(
            TemplatePlace::of_body(content_type, body),
            expected,
            "{content_type:?} {body}"
        );
    }
}

/// Each text ends in time: a second look at what is behind a brace would take minutes.
#[test]
fn braces_without_an_end_are_read_once() {
    let text = "{".repeat(4_000_000);
    let template = template(&text, TemplatePlace::Text);
    assert_eq!(template.fill(&[]), text);
    assert_eq!(template.literal_names(), Vec::<&str>::new());
}

/// What comes out of a JSON template that was accepted is JSON, whatever its parts are.
#[test]
fn accepted_json_stays_json() {
    let parts = [
        "{value}", "{key}", "{", "}", "[", "]", "\"", "\\", ",", ":", "1", "-", "e", " ", "\n",
        "null", "ä",
    ];
    let values = [
        TemplateValue::Text(NASTY),
        TemplateValue::Text("\0\u{7f}\u{2028}\u{202e}😀\\"),
        TemplateValue::Text(""),
        TemplateValue::Number(-1.5e300),
        TemplateValue::Number(f64::INFINITY),
        TemplateValue::Boolean(false),
        TemplateValue::Absent,
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut accepted = 0;
    for _ in 0..100_000 {
        let count = 1 + next(9);
        let text: String = (0..count).map(|_| parts[next(parts.len())]).collect();
        let template = template(&text, TemplatePlace::Json);
        template.literal_names();
        if template.check_json().is_err() {
            continue;
        }
        accepted += 1;
        for _ in 0..4 {
            let (one, other) = (values[next(values.len())], values[next(values.len())]);
            let filled = template.fill(&[("value", one), ("key", other)]);
            let json = serde_json::from_str::<serde_json::Value>(&filled);
            assert!(json.is_ok(), "{text:?} {one:?} {other:?}: {filled}");
        }
    }
    assert!(accepted > 1_000, "{accepted}");
}
