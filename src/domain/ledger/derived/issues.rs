//! Issues of derived keys: why one has no value.

use crate::domain::derived_key::DerivedKey;
use crate::domain::reading::{Issue, Reason};
use crate::domain::text::ellipsis;
use crate::domain::toml_text::quoted;
use crate::limits;

pub fn missing(key: &DerivedKey, input: &str, has_all_answered: bool) -> Issue {
    let found = if has_all_answered {
        "no source that gives it"
    } else {
        "none yet"
    };
    let expected = format!("a value of {}", quoted(input));
    issue(key, Reason::Missing, expected, found)
}

pub fn not_a_number(key: &DerivedKey, input: &str, text: &str) -> Issue {
    let found = format!("the text {}", quoted(&ellipsis(text, limits::SAMPLE_CHARS)));
    let expected = format!("a number of {}", quoted(input));
    issue(key, Reason::WrongType, expected, &found)
}

pub fn issue(key: &DerivedKey, reason: Reason, expected: String, found: &str) -> Issue {
    let mut issue = Issue {
        reason,
        key: Some(key.key.clone()),
        pointer: key.definition().to_string(),
        expected,
        found: found.to_owned(),
    };
    issue.shorten();
    issue
}
