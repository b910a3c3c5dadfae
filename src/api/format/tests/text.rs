use serde_json::json;

use super::*;

#[test]
fn texts_become_a_value_an_object_or_lines() {
    for (text, is_value, expected) in [
        ("21.5\n", false, json!(21.5)),
        ("\r\n 21.5 \r\n", true, json!(21.5)),
        ("21.5 kWh\n", false, json!("21.5 kWh")),
        ("OK", false, json!("OK")),
        (
            "temp=21.5\nhum=45\n",
            false,
            json!({"temp": 21.5, "hum": 45}),
        ),
        ("temp: 21.5\n", false, json!({"temp": 21.5})),
        // Unless the whole text is asked for.
        ("temp: 21.5\n", true, json!("temp: 21.5")),
        ("a: 1\nb: 2\n", true, json!({"a": 1, "b": 2})),
        (
            "STATUS   : ONLINE\n\nLINEV    : 230.0 Volts\nDATE     : 2025-10-30 20:00:00\n",
            false,
            json!({"STATUS": "ONLINE", "LINEV": "230.0 Volts", "DATE": "2025-10-30 20:00:00"}),
        ),
        ("a\t1\nb\t\n", false, json!({"a": 1, "b": null})),
        ("a = x=y\n", false, json!({"a": "x=y"})),
        ("a=1\na=2\n", false, json!({"a": 1, "a_2": 2})),
        ("a=1\nrest\n", false, json!(["a=1", "rest"])),
        (
            "# note\na=1\n#b=2\nc: x\n",
            false,
            json!({"a": 1, "c": "x"}),
        ),
        ("# note\n1\n", false, json!(["# note", 1])),
        ("12:30\n12:45\n", false, json!(["12:30", "12:45"])),
        ("1\n2.5\nx\n", false, json!([1, 2.5, "x"])),
        ("http://x/y\n", false, json!("http://x/y")),
        ("=1\n", false, json!("=1")),
        ("\n", false, json!([])),
    ] {
        assert_eq!(parse(text, is_value), Ok(expected), "{text}");
    }
}

#[test]
fn the_number_of_lines_is_bounded() {
    let many = "x\n".repeat(limits::JSON_VALUES + 1);
    assert_eq!(parse(&many, false), Err(FormatError::TooMany));
}
