//! Tests of the JSON parser. Values: what Python's `json.loads(text, strict=False)` gives.

use serde_json::json;

use super::*;
use crate::golden::Budget;

const ORIGIN: BodyOrigin = BodyOrigin {
    host: "HOST",
    is_html: false,
    is_end_marked: true,
};

fn text_of(text: &str) -> String {
    describe(parse(text, ORIGIN))
}

fn describe(parsed: Result<ParsedBody, Failure>) -> String {
    match parsed {
        Ok(read) => {
            let not_numbers = read.not_numbers.iter();
            let not_numbers = not_numbers.map(|it| format!(" {}={}", it.pointer, it.text));
            let issues = read.issues.iter().map(|issue| format!("; {issue}"));
            let found: String = not_numbers.chain(issues).collect();
            format!("{}{found}", read.tree)
        }
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn several_texts_are_an_array() {
    const CUT: &str =
        "expected a line end behind the last line, or a Content-Length: the response may be cut";
    for (text, is_end_marked, undeclared, declared) in [
        ("{\"t\": 1}\n{\"t\": 2}\n", true, r#"[{"t":1},{"t":2}]"#, ""),
        (
            "{\"t\": 1}\r\n\r\n {\"t\": 2} \r\n\0",
            true,
            r#"[{"t":1},{"t":2}]"#,
            "",
        ),
        ("1\nnan\n2", true, "[1,null,2] /1=nan", ""),
        (
            "[nan]\n[inf]",
            true,
            "[[null],[null]] /0/0=nan /1/0=inf",
            "",
        ),
        // One text stays what it is, unless the server calls it a line.
        ("{\"t\": 1}", true, r#"{"t":1}"#, r#"[{"t":1}]"#),
        ("{\"t\": 1}\n", true, r#"{"t":1}"#, r#"[{"t":1}]"#),
        ("{\n\"t\": 1\n}\n", true, r#"{"t":1}"#, r#"{"t":1}"#),
        // A broken line costs itself.
        (
            "[1]\n[2\n[3]\n",
            true,
            "[[1],null,[3]]; wrong_type: /1: expected the rest of a JSON text at column 2, found `[2`",
            "",
        ),
        (
            "[1]\n[2]\n[3",
            true,
            "[[1],[2],null]; wrong_type: /2: expected the rest of a JSON text at column 2, found `[3`",
            "",
        ),
        // Where the end is not marked, what has no line end may be cut.
        (
            "[1]\n[2]\n33",
            false,
            &format!("[[1],[2]]; missing: /2: {CUT}, found `33`"),
            "",
        ),
        ("[1]\n[2]\n[3]\n", false, "[[1],[2],[3]]", ""),
        (
            "[1]\n[2]",
            false,
            &format!("[[1]]; missing: /1: {CUT}, found `[2]`"),
            "",
        ),
        // RFC 7464.
        (
            "\u{1e}{\"t\":\n1}\n\u{1e}[2]\n",
            true,
            r#"[{"t":1},[2]]"#,
            "",
        ),
        (
            "\u{1e}{\"t\":1}\n\u{1e}[2",
            true,
            r#"[{"t":1},null]; wrong_type: /1: expected the rest of a JSON text at column 2, found `[2`"#,
            "",
        ),
        (
            "[1]\nGoodbye",
            true,
            "not_json: the response of HOST is not valid JSON (line 2, column 1): expected nothing behind the JSON, found `Goodbye`",
            "[[1],null]; wrong_type: /1: expected a value at column 1, found `Goodbye`",
        ),
        (
            "{\n\"a\": 1\n}\n{\n\"a\": 2\n}\n",
            true,
            "not_json: the response of HOST is not valid JSON (line 4, column 1): expected nothing behind the JSON, found `{\\n\"a\": 2\\n}\\n`: these are several JSON texts; `format = \"ndjson\"` reads one per line",
            "",
        ),
        (
            "",
            true,
            "not_json: the response of HOST is empty, expected JSON",
            "[]",
        ),
    ] {
        let origin = BodyOrigin {
            is_end_marked,
            ..ORIGIN
        };
        assert_eq!(describe(parse(text, origin)), undeclared, "{text:?}");
        let declared = if declared.is_empty() {
            undeclared
        } else {
            declared
        };
        assert_eq!(describe(parse_lines(text, origin)), declared, "{text:?}");
    }
}

#[test]
fn a_single_text_labelled_ndjson_keeps_its_paths() {
    for (text, expected) in [
        ("{\"t\": 1}\n", "{\"t\":1}"),
        ("{\"t\": 1}", "{\"t\":1}"),
        ("{\"t\": 1}\n{\"t\": 2}\n", "[{\"t\":1},{\"t\":2}]"),
        ("\u{1e}{\"t\": 1}\n", "[{\"t\":1}]"),
        ("", "[]"),
    ] {
        assert_eq!(
            describe(parse_text_or_lines(text, ORIGIN)),
            expected,
            "{text:?}"
        );
    }
}

#[test]
fn the_values_of_all_lines_are_bounded() {
    let many = "[1]\n".repeat(limits::JSON_VALUES);
    let failure = parse(&many, ORIGIN).expect_err("too many");
    assert_eq!(failure.cause, Cause::TooLarge);
    let broken = "[\n".repeat(50_000);
    let failure = parse_lines(&broken, ORIGIN).expect_err("too deep");
    assert!(failure.detail.contains("nested too deeply"), "{failure}");
    assert!(is_lines("Application/X-NDJSON; charset=utf-8") && !is_lines("application/json"));
}

#[test]
fn what_python_reads_is_read() {
    for (text, expected) in [
        ("  7 ", json!(7)),
        ("{\"a\": 1, \"a\": 2}", json!({"a": 2})),
        (
            "[\"a\tb\r\n\u{1}\u{7f}\u{2028}\"]",
            json!(["a\tb\r\n\u{1}\u{7f}\u{2028}"]),
        ),
        (
            r#"["\ud83d\ude00", "\u00E9\/\b\f\n\r\t\"\\"]"#,
            json!(["😀", "é/\u{8}\u{c}\n\r\t\"\\"]),
        ),
        // Python keeps halves of a pair, which no UTF-8 has.
        (
            r#"["\ud83d", "\ude00\ud83d", "\ud83d\u0041"]"#,
            json!(["\u{fffd}", "\u{fffd}\u{fffd}", "\u{fffd}A"]),
        ),
        ("[-0, 1E+5, 1e-5, -0.5]\0", json!([0, 1, 2, 3])),
        ("{\"temp\": 21.5}\0\0\r\n \0", json!({"temp": 1})),
        (")]}',\n{\"t\": 1}", json!({"t": 1})),
        ("\n)]}'\r\n\r\n[1]", json!([1])),
        ("\"{\\\"t\\\": 1}\"", json!("{\"t\": 1}")),
        (
            r#"{"$serde_json::private::Number": "x"}"#,
            json!({"$serde_json::private::Number": "x"}),
        ),
        (
            "{\"a\" :\r\n\t[ ] , \"b\":{ }, \"c\": [true, false, null, nan]}",
            json!({"a": [], "b": {}, "c": [true, false, null, null]}),
        ),
    ] {
        let read = parse(text, ORIGIN).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(is_alike(&read.tree, &expected), "{text:?}: {}", read.tree);
    }
}

/// Equal, with any number for any number.
fn is_alike(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    match (one, other) {
        (Json::Number(_), Json::Number(_)) => true,
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_alike(a, b))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(a, b)| a.0 == b.0 && is_alike(a.1, b.1))
        }
        _ => one == other,
    }
}

#[test]
fn numbers_keep_their_digits() {
    for (text, expected) in [
        (
            "[nan, 21.50, -0, 123456789012345678901234567890]",
            "[null,21.50,-0,123456789012345678901234567890] /0=nan",
        ),
        ("[nan, 1e999]", "[null,1e+999] /0=nan"),
        ("[1e999]", "[1e+999]"),
    ] {
        assert_eq!(text_of(text), expected);
    }
}

#[test]
fn a_bare_nan_costs_its_field_alone() {
    for (text, expected) in [
        (
            "{\"temp\": nan, \"hum\": 45.2}",
            "{\"hum\":45.2,\"temp\":null} /temp=nan",
        ),
        (
            "{\"ea\":{\"h\":{\"i\":-nan}},\"i\":13}",
            "{\"ea\":{\"h\":{\"i\":null}},\"i\":13} /ea/h/i=-nan",
        ),
        (
            "[NaN, -NaN, Infinity, -Infinity, inf, +inf, Inf, INF]",
            "[null,null,null,null,null,null,null,null] /0=NaN /1=-NaN /2=Infinity /3=-Infinity /4=inf /5=+inf /6=Inf /7=INF",
        ),
        (
            "{\"a/b~\": [1, [nan(ind), -nan(0x80)]]}",
            "{\"a/b~\":[1,[null,null]]} /a~1b~0/1/0=nan(ind) /a~1b~0/1/1=-nan(0x80)",
        ),
        ("nan", "null =nan"),
        (
            "[\"nan\", \"say \\\"NaN\\\"\", inf]",
            "[\"nan\",\"say \\\"NaN\\\"\",null] /2=inf",
        ),
    ] {
        assert_eq!(text_of(text), expected);
    }
}

#[test]
fn refusals_name_the_place_and_show_what_was_there() {
    for (text, expected) in [
        ("", "the response of HOST is empty, expected JSON"),
        (" \n", "the response of HOST is empty, expected JSON"),
        (
            "{\"a\": 1",
            "the JSON of HOST ends early (line 1, column 7), inside of an object",
        ),
        (
            "[1,",
            "the JSON of HOST ends early (line 1, column 3), inside of an array",
        ),
        (
            "{\"a\": \"b",
            "the JSON of HOST ends early (line 1, column 8), inside of a text",
        ),
        (
            "[nu",
            "the JSON of HOST ends early (line 1, column 3), inside of a value",
        ),
        (
            "[1]\nx",
            "the response of HOST is not valid JSON (line 2, column 1): expected nothing behind the JSON, found `x`",
        ),
        (
            "{} trailing",
            "the response of HOST is not valid JSON (line 1, column 4): expected nothing behind the JSON, found `trailing`",
        ),
        (
            "{\"temp\": 21.5,}",
            "the response of HOST is not valid JSON (line 1, column 15): expected a name in double quotes, found `}`: JSON has no comma behind the last one",
        ),
        (
            "[1, 2,\n]",
            "the response of HOST is not valid JSON (line 2, column 1): expected a value, found `]`: JSON has no comma behind the last one",
        ),
        (
            "{'temp': 21.5, 'on': True}",
            "the response of HOST is not valid JSON (line 1, column 2): expected a name in double quotes, found `'temp': 21.5, 'on': True}`: this looks like Python's or JavaScript's own notation, not JSON",
        ),
        (
            "{\"on\": True}",
            "the response of HOST is not valid JSON (line 1, column 8): expected a value, found `True}`: this looks like Python's or JavaScript's own notation, not JSON",
        ),
        (
            "{\"on\": undefined}",
            "the response of HOST is not valid JSON (line 1, column 8): expected a value, found `undefined}`: this looks like JavaScript, not JSON",
        ),
        (
            "{temp: 21.5}",
            "the response of HOST is not valid JSON (line 1, column 2): expected a name in double quotes, found `temp: 21.5}`: names of JSON stand in double quotes",
        ),
        (
            "{\"temp\": 21.5 /* C */}",
            "the response of HOST is not valid JSON (line 1, column 15): expected `,` or `}`, found `/* C */}`: JSON has no comments",
        ),
        (
            "{\"temp\": 021.5}",
            "the response of HOST is not valid JSON (line 1, column 10): expected a value, found `021.5}`: a number of JSON does not begin with a zero",
        ),
        (
            "{\"temp\": +21.5}",
            "the response of HOST is not valid JSON (line 1, column 10): expected a value, found `+21.5}`: a number of JSON has no plus sign",
        ),
        (
            "{\"temp\": .5}",
            "the response of HOST is not valid JSON (line 1, column 10): expected a value, found `.5}`: a number of JSON begins with a digit",
        ),
        (
            "{\"temp\": -.5}",
            "the response of HOST is not valid JSON (line 1, column 10): expected a value, found `-.5}`: a number of JSON begins with a digit",
        ),
        (
            "{\"temp\": 5.}",
            "the response of HOST is not valid JSON (line 1, column 12): expected a digit, found `5.}`",
        ),
        (
            "{\"temp\": 21,5}",
            "the response of HOST is not valid JSON (line 1, column 13): expected a name in double quotes, found `5}`: this looks like a decimal comma; JSON has a point",
        ),
        (
            "{\"temp\": 21.5C}",
            "the response of HOST is not valid JSON (line 1, column 14): expected `,` or `}`, found `21.5C}`",
        ),
        (
            "{\"temp\": nanometre}",
            "the response of HOST is not valid JSON (line 1, column 10): expected a value, found `nanometre}`",
        ),
        (
            "{\"path\": \"a\\xsecret\"}",
            "the response of HOST is not valid JSON (line 1, column 12): expected an escape of JSON, found `\\x`",
        ),
        (
            "[\"\\u12G4\"]",
            "the response of HOST is not valid JSON (line 1, column 3): expected an escape of JSON, found `\\u`",
        ),
        (
            "[\n  1,\n  \"°\" x\n]",
            "the response of HOST is not valid JSON (line 3, column 7): expected `,` or `]`, found `x\\n]`",
        ),
        (
            "{\"a\": 1}{\"a\": 2}",
            "the response of HOST is not valid JSON (line 1, column 9): expected nothing behind the JSON, found `{\"a\": 2}`: these are several JSON texts; `format = \"ndjson\"` reads one per line",
        ),
        (
            "callback({\"temp\": 21.5});",
            "the response of HOST is not valid JSON (line 1, column 1): expected a value, found `callback({\"temp\": 21.5});`: this looks like JSONP (a script): leave the callback out of the address, or ask for JSON",
        ),
        (
            "/**/ cb([1]);",
            "the response of HOST is not valid JSON (line 1, column 1): expected a value, found `/**/ cb([1]);`: this looks like JSONP (a script): leave the callback out of the address, or ask for JSON",
        ),
        (
            "21.5 kWh\n",
            "the response of HOST is not valid JSON (line 1, column 6): expected nothing behind the JSON, found `kWh\\n`: this looks like text (`format = \"text\"` reads it)",
        ),
        (
            "21.5kWh",
            "the response of HOST is not valid JSON (line 1, column 5): expected nothing behind the JSON, found `21.5kWh`: this looks like text (`format = \"text\"` reads it)",
        ),
        (
            "temp=21.5\nhum=45\n",
            "the response of HOST is not valid JSON (line 1, column 1): expected a value, found `temp=21.5\\nhum=45\\n`: this looks like text (`format = \"text\"` reads it)",
        ),
        (
            "temp: 21.5\n",
            "the response of HOST is not valid JSON (line 1, column 1): expected a value, found `temp: 21.5\\n`: this looks like text (`format = \"text\"` reads it)",
        ),
        (
            "time,temp,hum\n2026-01-01T00:00,21.5,45\n",
            "the response of HOST is not valid JSON (line 1, column 1): expected a value, found `time,temp,hum\\n2026-01-01T00:00,21.5,45\\n`: this looks like CSV (`format = \"csv\"` reads it)",
        ),
        (
            "1;2\n3;4",
            "the response of HOST is not valid JSON (line 1, column 2): expected nothing behind the JSON, found `1;2\\n3;4`: this looks like CSV (`format = \"csv\"` reads it)",
        ),
        (
            "# TYPE temp gauge\ntemp 21.5\n",
            "the response of HOST is not valid JSON (line 1, column 1): expected a value, found `# TYPE temp gauge\\ntemp 21.5\\n`: this looks like Prometheus metrics (`format = \"prometheus\"` reads it)",
        ),
        (
            "temp{room=\"a b\"} 21.5 1700000000000\n",
            "the response of HOST is not valid JSON (line 1, column 1): expected a value, found `temp{room=\"a b\"} 21.5 1700000000000\\n`: this looks like Prometheus metrics (`format = \"prometheus\"` reads it)",
        ),
        (
            "{\"a\": 012345678901234567890123456789012345678901234567890}",
            "the response of HOST is not valid JSON (line 1, column 7): expected a value, found `0123456789012345678901234567890123456789…`: a number of JSON does not begin with a zero",
        ),
        (
            "PNG\0\0\u{1}\u{202e}",
            "the response of HOST is not valid JSON (line 1, column 1): expected a value, found `PNG\\u{0}\\u{0}\\u{1}\\u{202e}`: this looks like binary data",
        ),
        (
            "\n<!doctype html><html>",
            "HOST returned a web page (HTML), expected JSON",
        ),
        (
            "<html><head><title> Log in\n</title>",
            "HOST returned a web page (HTML) with the title `Log in`, expected JSON",
        ),
        (
            "<?xml version='1.0'?><r><temp>21.5</temp></r>",
            "HOST returned XML (`format = \"xml\"` reads it), expected JSON, found `<?xml version='1.0'?><r><temp>21.5</temp…`",
        ),
    ] {
        assert_eq!(text_of(text), format!("not_json: {expected}"), "{text:?}");
    }
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    for open in ["[", "[nan,", "{\"a\":"] {
        let deep = open.repeat(100_000);
        let failure = parse(&deep, ORIGIN).expect_err("too deep");
        assert!(failure.detail.contains("nested too deeply"), "{failure}");
    }
    for (levels, is_read) in [(127, true), (128, false)] {
        for inner in ["1", "nan"] {
            let text = format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
            assert_eq!(parse(&text, ORIGIN).is_ok(), is_read, "{levels} {inner}");
        }
    }
    for first in ["1", "nan"] {
        let many = format!("[{first}{}]", ",1".repeat(limits::JSON_VALUES));
        let failure = parse(&many, ORIGIN).expect_err("too many");
        assert_eq!(failure.cause, Cause::TooLarge);
    }
    // A list of small objects takes more memory than one of numbers.
    for (objects, is_read) in [(35_040, true), (50_000, false)] {
        for last in ["0", "nan"] {
            let text = format!("[{}{last}]", r#"{"t":1,"v":2},"#.repeat(objects));
            assert_eq!(parse(&text, ORIGIN).is_ok(), is_read, "{objects} {last}");
        }
    }
    assert_eq!(
        max_values(br#"{"a,[{\",": [1, 2], "b": {}}"#),
        6 + 2 * limits::OBJECT_VALUES
    );
}

#[test]
fn what_is_kept_of_not_numbers_is_bounded() {
    let many = format!("[nan{}]", ",nan".repeat(10_000));
    let read = parse(&many, ORIGIN).expect("JSON");
    assert_eq!(read.not_numbers.len(), limits::NOT_NUMBERS);
    let long = format!("{{\"{}\": [nan]}}", "x".repeat(1_000_000));
    let read = parse(&long, ORIGIN).expect("JSON");
    assert_eq!(read.not_numbers, []);
}

/// A random text that Python's `json.loads(text, strict=False)` reads, and the value that it
/// gives: half of a surrogate pair as U+FFFD, NaN and infinite as null.
fn random_json(random: &mut fastrand::Rng, depth: usize, text: &mut String) -> Json {
    let blanks = |random: &mut fastrand::Rng, text: &mut String| {
        for _ in 0..random.usize(..2) {
            text.extend(random.choice([' ', '\t', '\r', '\n']));
        }
    };
    blanks(random, text);
    let kinds = if depth > 6 { 4 } else { 6 };
    let value = match random.u8(..kinds) {
        0 => {
            let words = [
                ("null", json!(null)),
                ("true", json!(true)),
                ("false", json!(false)),
                ("NaN", json!(null)),
                ("Infinity", json!(null)),
                ("-Infinity", json!(null)),
            ];
            let (word, value) = words[random.usize(..words.len())].clone();
            text.push_str(word);
            value
        }
        1 => {
            let whole = random.i64(..);
            text.push_str(&whole.to_string());
            json!(whole)
        }
        2 => {
            // A fraction of powers of two has few digits and is exact.
            let exact = f64::from(random.i32(-4096..4096)) / 64.0;
            let spelled = match random.u8(..3) {
                0 => format!("{exact:e}"),
                1 => format!("{exact:E}").replace('E', "E+").replace("E+-", "E-"),
                _ => format!("{exact:?}"),
            };
            text.push_str(&spelled);
            serde_json::from_str(&spelled).expect("a number of JSON")
        }
        3 => json!(random_string(random, text)),
        4 => {
            text.push('[');
            let count = random.usize(..4);
            let items = (0..count).map(|index| {
                text.push_str(if index == 0 { "" } else { "," });
                random_json(random, depth + 1, text)
            });
            let items = items.collect();
            blanks(random, text);
            text.push(']');
            Json::Array(items)
        }
        _ => {
            text.push('{');
            let mut fields = serde_json::Map::new();
            for index in 0..random.usize(..4) {
                text.push_str(if index == 0 { "" } else { "," });
                blanks(random, text);
                let name = random_string(random, text);
                blanks(random, text);
                text.push(':');
                fields.insert(name, random_json(random, depth + 1, text));
            }
            blanks(random, text);
            text.push('}');
            Json::Object(fields)
        }
    };
    blanks(random, text);
    value
}

fn random_string(random: &mut fastrand::Rng, text: &mut String) -> String {
    const PARTS: [(&str, &str); 18] = [
        ("a", "a"),
        ("NaN", "NaN"),
        ("{", "{"),
        ("],", "],"),
        ("°", "°"),
        ("😀", "😀"),
        ("\n", "\n"),
        ("\t", "\t"),
        ("\u{1}", "\u{1}"),
        ("\\n", "\n"),
        ("\\/", "/"),
        ("\\\"", "\""),
        ("\\\\", "\\"),
        ("\\u00B0", "°"),
        ("\\ud83d\\uDE00", "😀"),
        ("\\ud83dx", "\u{fffd}x"),
        ("\\ude00", "\u{fffd}"),
        ("\\u0000", "\0"),
    ];
    text.push('"');
    let mut value = String::new();
    for _ in 0..random.usize(..4) {
        let (spelled, part) = PARTS[random.usize(..PARTS.len())];
        text.push_str(spelled);
        value.push_str(part);
    }
    text.push('"');
    value
}

#[test]
fn fuzz_what_python_reads() {
    for seed in Budget::new(5_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut text = String::new();
        let expected = random_json(&mut random, 0, &mut text);
        for read in [read(&text), reader::read(&text)] {
            let read = read.unwrap_or_else(|error| panic!("FUZZ_SEED={seed}: {error:?}: {text:?}"));
            assert_eq!(read.tree, expected, "FUZZ_SEED={seed}: {text:?}");
        }
        // What is cut or changed somewhere: both parsers agree, and no refusal is too long.
        let mut bytes = text.into_bytes();
        let at = random.usize(..bytes.len());
        if random.bool() {
            bytes.truncate(at);
        } else {
            bytes[at] = random.u8(..);
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some(strict) = read_strict(&text) {
            let lenient = reader::read(&text).map(|read| read.tree);
            assert_eq!(lenient, Ok(strict.tree), "FUZZ_SEED={seed}: {text:?}");
        }
        if let Err(failure) = parse(&text, ORIGIN) {
            let detail = failure.detail;
            assert!(detail.chars().count() < 500, "FUZZ_SEED={seed}: {detail}");
            assert!(
                !detail.contains(char::is_control),
                "FUZZ_SEED={seed}: {detail}"
            );
        }
    }
}
