//! Syntax errors of JSON as messages: where, what was there, and what the text looks like.
//!
//! Pure. Secrets are masked by the caller: whatever is cut here ends with `…`, by which the
//! rest of a secret is known.

use super::reader::{self, ErrorKind, SyntaxError};
use crate::api::format::detect::{Looks, describe_web_page, detect};
use crate::domain::failure::{Cause, Failure};
use crate::domain::plan::ResponseFormat;
use crate::domain::text::{ellipsis, escape_controls};
use crate::limits;

/// Why `text`, which `host` sent, is not JSON.
pub fn describe(text: &str, error: &SyntaxError, host: &str) -> Failure {
    let at = error.at.min(text.len());
    let (line, column) = place(text, at);
    let place = format!("line {line}, column {column}");
    let expected = match error.kind {
        ErrorKind::TooManyValues => {
            let most = limits::JSON_VALUES;
            let detail = format!("the response of {host} holds more than {most} values");
            return Failure::new(Cause::TooLarge, detail);
        }
        ErrorKind::TooDeep => {
            let detail = format!("the JSON of {host} is nested too deeply ({place})");
            return Failure::new(Cause::NotJson, detail);
        }
        ErrorKind::EndsIn(what) => {
            let detail = format!("the JSON of {host} ends early ({place}), inside of {what}");
            return Failure::new(Cause::NotJson, detail);
        }
        ErrorKind::Expected(expected) => expected,
    };
    let found = found_at(text, at, expected);
    let advice = hint(text, at, expected).map_or_else(String::new, |hint| format!(": {hint}"));
    let detail = format!(
        "the response of {host} is not valid JSON ({place}): expected {expected}, found \
         `{found}`{advice}"
    );
    Failure::new(Cause::NotJson, detail)
}

/// What was expected of a text that is not JSON, and what was there.
pub fn expected_and_found(text: &str, error: &SyntaxError) -> (String, String) {
    let expected = match error.kind {
        ErrorKind::Expected(expected) => expected,
        ErrorKind::EndsIn(_) => "the rest of a JSON text",
        ErrorKind::TooDeep => "fewer levels",
        ErrorKind::TooManyValues => "fewer values",
    };
    let (line, column) = place(text, error.at);
    let place = match line {
        1 => format!("column {column}"),
        _ => format!("line {line}, column {column}"),
    };
    let found = match error.kind {
        ErrorKind::Expected(expected) => found_at(text, error.at, expected),
        _ => show(text),
    };
    (format!("{expected} at {place}"), format!("`{found}`"))
}

/// Why a response that begins with `<` is not JSON.
pub fn describe_markup(text: &str, is_html: bool, host: &str) -> Failure {
    let looks = detect(text, None).unwrap_or(Looks::Html);
    let detail = if is_html || looks == Looks::Html {
        format!("{host} returned {}, expected JSON", describe_web_page(text))
    } else {
        let begin = show(text);
        format!("{host} returned {looks}, expected JSON, found `{begin}`")
    };
    Failure::new(Cause::NotJson, detail)
}

/// Line and column, in characters from 1. Behind the end it is the last character's.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.rsplit('\n').next().unwrap_or_default();
    let is_end = at == text.len();
    let column = line.chars().count() + usize::from(!is_end);
    (1 + before.matches('\n').count(), column.max(1))
}

/// What stands at `at`: from the begin of a word, so that no part of one is shown alone.
fn found_at(text: &str, at: usize, expected: &str) -> String {
    if expected == reader::ESCAPE {
        // In a string, of which nothing else is shown.
        return show(text[at..].get(..2).unwrap_or("\\"));
    }
    let is_word = |c: char| c.is_alphanumeric() || "._+-".contains(c);
    let word = text[..at].trim_end_matches(is_word).len();
    let is_near = at - word <= limits::BODY_SAMPLE_CHARS;
    show(&text[if is_near { word } else { at }..])
}

/// The begin of a text on one line, cut to a length.
pub fn show(text: &str) -> String {
    escape_controls(&ellipsis(text, limits::BODY_SAMPLE_CHARS))
}

/// What is wrong with the JSON, or what the text is instead.
fn hint(text: &str, at: usize, expected: &str) -> Option<String> {
    let is_json = text.trim_start().starts_with(['{', '[', '"']);
    let syntax = is_json.then(|| syntax_hint(text, at, expected)).flatten();
    let format = || match detect(text, None)? {
        // Text is what anything else is; what begins as JSON is broken JSON.
        Looks::Like(ResponseFormat::Text) if is_json => None,
        Looks::Like(ResponseFormat::Json | ResponseFormat::Ndjson) => None,
        looks => Some(format!("this looks like {looks}")),
    };
    syntax.map(str::to_owned).or_else(format)
}

/// What is wrong with JSON at a place.
fn syntax_hint(text: &str, at: usize, expected: &str) -> Option<&'static str> {
    let (before, rest) = (text[..at].trim_end(), &text[at..]);
    let starts = |with: &str| rest.starts_with(with);
    let is_word = |word: &str| {
        let end = rest
            .strip_prefix(word)
            .map(|it| it.starts_with(char::is_alphanumeric));
        end == Some(false)
    };
    let after_comma = before.ends_with(',') && (starts("}") || starts("]"));
    if after_comma {
        return Some("JSON has no comma behind the last one");
    }
    if ["/*", "//", "#"].into_iter().any(starts) {
        return Some("JSON has no comments");
    }
    if ["None", "True", "False"].into_iter().any(is_word) || starts("'") {
        return Some("this looks like Python's or JavaScript's own notation, not JSON");
    }
    match expected {
        reader::VALUE if starts("+") => Some("a number of JSON has no plus sign"),
        reader::VALUE if starts(".") => Some("a number of JSON begins with a digit"),
        reader::VALUE if starts("0") || starts("-0") => {
            Some("a number of JSON does not begin with a zero")
        }
        reader::VALUE if starts("-.") => Some("a number of JSON begins with a digit"),
        reader::VALUE if is_word("undefined") => Some("this looks like JavaScript, not JSON"),
        reader::NAME if is_decimal_comma(before, rest) => {
            Some("this looks like a decimal comma; JSON has a point")
        }
        reader::NAME if rest.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$') => {
            Some("names of JSON stand in double quotes")
        }
        reader::END if starts("{") || starts("[") => {
            Some("these are several JSON texts; `format = \"ndjson\"` reads one per line")
        }
        _ => None,
    }
}

fn is_decimal_comma(before: &str, rest: &str) -> bool {
    let digits = before.strip_suffix(',');
    digits.is_some_and(|it| it.ends_with(|c: char| c.is_ascii_digit()))
        && rest.starts_with(|c: char| c.is_ascii_digit())
}
