//! Issues of derived keys: why one has no value.

use crate::domain::derived_key::{DerivedKey, DerivedKeys};
use crate::domain::reading::{Issue, Reason};
use crate::domain::text::ellipsis;
use crate::domain::toml_text::quoted;
use crate::limits;

/// Why an input has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentInput {
    /// Some source has not answered yet.
    Awaited,
    /// It is derived itself.
    Derived,
    NotGiven,
}

impl AbsentInput {
    pub fn new(input: &str, keys: &DerivedKeys, has_all_answered: bool) -> AbsentInput {
        if !has_all_answered {
            AbsentInput::Awaited
        } else if keys.contains(input) {
            AbsentInput::Derived
        } else {
            AbsentInput::NotGiven
        }
    }
}

pub fn missing(key: &DerivedKey, input: &str, absent: AbsentInput) -> Issue {
    let found = match absent {
        AbsentInput::Awaited => "none yet",
        AbsentInput::Derived => "none, because it cannot be computed itself",
        AbsentInput::NotGiven => "no source that gives it",
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
