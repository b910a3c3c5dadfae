use serde_json::json;

use super::detect::{Looks, detect};
use super::*;
use crate::domain::plan::ResponseFormat;

#[test]
fn exact_json_numbers_are_numbers() {
    for (text, expected) in [
        ("21.5", json!(21.5)),
        (" -3\t", json!(-3)),
        ("", Json::Null),
        (" \n", Json::Null),
        ("007", json!("007")),
        ("+1", json!("+1")),
        (".5", json!(".5")),
        ("1.", json!("1.")),
        ("21,5", json!("21,5")),
        ("1 2", json!("1 2")),
        ("-", json!("-")),
        ("0x10", json!("0x10")),
        ("NaN", json!("NaN")),
        ("true", json!("true")),
    ] {
        assert_eq!(leaf(text), expected, "{text:?}");
    }
    let digits = "123456789012345678901234567890.10";
    assert_eq!(leaf(digits).to_string(), digits);
}

#[test]
fn repeated_names_are_numbered() {
    let mut names = UniqueNames::default();
    let found = ["a", "a", "a_2", "a", "b"].map(|name| names.unique(name.to_owned()));
    assert_eq!(found, ["a", "a_2", "a_2_2", "a_3", "b"]);
}

#[test]
fn a_last_line_that_may_be_cut_is_left_out() {
    for (text, is_end_marked, expected, is_cut) in [
        ("a\nb", true, "a\nb", false),
        ("a\nb", false, "a\n", true),
        ("a\nb\n", false, "a\nb\n", false),
        ("a\rb", false, "a\r", true),
        ("21.5", false, "", true),
        ("", false, "", false),
    ] {
        let (whole, issue) = complete_lines(text, is_end_marked);
        assert_eq!((whole, issue.is_some()), (expected, is_cut), "{text:?}");
    }
}

#[test]
fn formats_are_detected() {
    use ResponseFormat::*;
    for (text, content_type, expected) in [
        ("{\"a\": 1}", None, Some(Looks::Like(Json))),
        ("{\"a\": 1}\n{\"a\": 2}\n", None, Some(Looks::Like(Ndjson))),
        ("{\"a\": 021}", None, None),
        ("{'a': 1,\n'b': 2}", Some("text/plain"), None),
        ("<!DOCTYPE html><p>", None, Some(Looks::Html)),
        ("\n<html lang=de>", None, Some(Looks::Html)),
        ("<?xml version='1.0'?><r/>", None, Some(Looks::Like(Xml))),
        ("# HELP a b\na 1\n", None, Some(Looks::Like(Prometheus))),
        ("a,b\n1,2\n", None, Some(Looks::Like(Csv))),
        ("a;b\n1,5;2\n", Some("text/plain"), Some(Looks::Like(Csv))),
        ("a=1\nb=2\n", None, Some(Looks::Like(Text))),
        ("21.5 kWh\n", Some("text/plain"), Some(Looks::Like(Text))),
        ("21.5 kWh\n", None, Some(Looks::Like(Text))),
        ("hello\n", None, Some(Looks::Like(Text))),
        (
            "temp{room=\"a b\"} 21.5 1700000000000\n",
            None,
            Some(Looks::Like(Prometheus)),
        ),
        ("Report 2026\na,b\n1,2\n", None, Some(Looks::Like(Text))),
        ("\"a\",\"b\"\n\"1\",\"2\"\n", None, Some(Looks::Like(Csv))),
        ("cb({\"a\": 1});", None, Some(Looks::Jsonp)),
        ("\u{1f}\u{2039}\u{8}", None, Some(Looks::Binary)),
        ("", None, None),
        ("\u{feff}", None, None),
    ] {
        assert_eq!(detect(text, content_type), expected, "{text:?}");
    }
}
