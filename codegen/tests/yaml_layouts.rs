//! Layouts that PyYAML and js-yaml read and YAML 1.2 is stricter about, and layouts of which
//! some parser has refused a published file: each is read, with the values that they have.

use openapi::lower::limits::Memory;
use openapi::lower::yaml::read;
use serde_json::{Value, json};

#[track_caller]
fn reads(text: &str, expected: &Value) -> Vec<String> {
    let mut oddities = Vec::new();
    let node = match read(text, 0, &mut oddities, &Memory::new(usize::MAX)) {
        Ok(node) => node,
        Err(error) => panic!("{}:{} {}\n{text}", error.line, error.column, error.message),
    };
    let found: Value = serde_json::from_str(&node.json()).expect("a node prints as JSON");
    assert_eq!(found, *expected, "{text}");
    oddities.into_iter().map(|oddity| oddity.message).collect()
}

#[track_caller]
fn refuses(text: &str) -> String {
    match read(text, 0, &mut Vec::new(), &Memory::new(usize::MAX)) {
        Ok(node) => panic!("read as {}\n{text}", node.json()),
        Err(error) => format!("{}:{} {}", error.line, error.column, error.message),
    }
}

#[test]
fn brackets_may_close_at_or_left_of_their_key() {
    let b = json!({"a": {"b": ["x", "y"], "c": 1}});
    for text in [
        "a:\n  b: [\n    x,\n    y\n  ]\n  c: 1\n",
        "a:\n  b: [\n    \"x\",\n    \"y\"\n    ]\n  c: 1\n",
        "a:\n  b: [\n    x,\n    y\n]\n  c: 1\n",
        "a:\n  b: [x,\ny]\n  c: 1\n",
        "a:\n  b: [x, # of a closed list\n# at the margin\n    y,\n  ]\n  c: 1\n",
    ] {
        reads(text, &b);
    }
    let c = json!({"a": {"b": {"x": {"y": 1}}, "c": 1}});
    for text in [
        "a:\n  b: {\n    \"x\": {\n      \"y\": 1\n    }\n  }\n  c: 1\n",
        "a:\n  b: {\n\"x\": {\n\"y\": 1\n}\n}\n  c: 1\n",
        "a:\n  b: {\"x\":{\"y\":1}}\n  c: 1\n",
        "a:\n  b: {x:\n    {y:\n 1}}\n  c: 1\n",
    ] {
        reads(text, &c);
    }
    reads("- - [\n  1,\n  2\n  ]\n- [\n3]\n", &json!([[[1, 2]], [3]]));
}

#[test]
fn texts_may_go_on_at_or_left_of_their_key() {
    let expected = json!({"a": {"b": "ok this goes on", "c": 1}});
    for quote in ['"', '\''] {
        for indent in ["", "  ", "   ", "      "] {
            let text = format!("a:\n  b: {quote}ok this\n{indent}goes on{quote}\n  c: 1\n");
            reads(&text, &expected);
        }
    }
    reads("a:\n  b: ok this\n   goes on\n  c: 1\n", &expected);
    reads(
        "a:\n  b: \"ok\n\n    this\"\n  c: 1\n",
        &json!({"a": {"b": "ok\nthis", "c": 1}}),
    );
}

#[test]
fn tabs_may_indent_between_brackets_and_stand_where_nothing_else_does() {
    let expected = json!({"a": {"b": ["x", {"y": 1}], "c": 1}});
    for text in [
        "a:\n  b: [\n\t\"x\",\n\t{\n\t\t\"y\": 1\n\t}\n\t]\n  c: 1\n",
        "a:\n  b: [\"x\",\n  \t {\"y\":\n\t1}]\n  c: 1\n",
        "a:\n\t\n  b: [x, {y: 1}]\t\n  c: 1\t# a comment\n",
        "a:\n  b:\t[x, {y: 1}]\n\t# a comment\n  c: 1\n",
    ] {
        reads(text, &expected);
    }
    // Two blocks of them, and a text in which a tab is a character.
    reads(
        "a: [\n\t1,\n\t2\n]\nb: |\n  x\n  \ty\nc: [\n\t3\n]\n",
        &json!({"a": [1, 2], "b": "x\n\ty\n", "c": [3]}),
    );
}

#[test]
fn tabs_that_indent_a_block_are_refused_with_their_place() {
    for text in [
        "a:\n\tb: 1\n",
        "a:\n  b: 1\n\tc: 2\n",
        "a:\n\t- 1\n",
        "a:\n  - b: 1\n \tc: 2\n",
        "a: [\n\t1\n]\nb:\n\tc: 1\n",
    ] {
        let error = refuses(text);
        assert!(error.contains("expected YAML, but: "), "{error}");
        assert!(error.contains("tab"), "{error}");
    }
    let mut many = String::new();
    for number in 0..200 {
        many += &format!("a{number}: [\n\t1\n]\n");
    }
    let error = refuses(&many);
    assert!(error.contains("at most 100 blocks"), "{error}");
}

#[test]
fn control_characters_cost_themselves_and_are_told_once() {
    for character in ['\u{7}', '\u{7f}', '\u{80}', '\u{0}', '\u{fffe}'] {
        let text = format!("a: \"x{character}y\"\nb: x{character}\n");
        let oddities = reads(&text, &json!({"a": "x\u{fffd}y", "b": "x\u{fffd}"}));
        assert_eq!(oddities.len(), 1, "{oddities:?}");
    }
    let oddities = reads(
        "a: \"\u{85}\u{1f600}\u{a0}\u{2028}\"\n",
        &json!({"a": "\u{85}\u{1f600}\u{a0}\u{2028}"}),
    );
    assert_eq!(oddities, Vec::<String>::new());
}

#[test]
fn marks_of_bytes_and_documents_are_passed_over() {
    let expected = json!({"a": 1, "b": "x"});
    for text in [
        "\u{feff}a: 1\nb: x\n",
        "%YAML 1.2\n---\na: 1\nb: x\n...\n",
        "--- # first\na: 1\nb: x\n---\nc: 2\n",
        "a: 1\r\nb: x\r\n",
        "{\"a\": 1,\n\t\"b\": \"x\"\n}\n",
        "? a\n: 1\n? b\n: x\n",
        "a: !!int 1\nb: !custom x\n",
        "\"a\": 1\n'b': 'x'\n",
    ] {
        reads(text, &expected);
    }
    let key = "k".repeat(5_000);
    reads(&format!("{{\"{key}\": 1}}\n"), &json!({ key: 1 }));
}
