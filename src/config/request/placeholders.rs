//! Date and time placeholders in the texts of a source: problems with their places.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::problem::Severity;
use crate::config::reader::TableEntry;
use crate::domain::placeholder::{PlaceholderTime, Template};
use crate::domain::secret_detection::quoted_secrets;
use crate::domain::time::Wall;
use crate::limits;
use openapi::operation::nearest;

/// The text as a template; a placeholder that cannot be read is a problem where it stands.
pub fn read_template(item: &TableEntry<'_>, text: &str) -> Option<Template> {
    let template = Template::parse(text);
    template
        .map_err(|problem| {
            let earlier = text[..problem.at].matches(problem.begins).count();
            item.problem_in_text(problem.begins, earlier, problem.to_string());
        })
        .ok()
}

/// Reports the text that `main-node operations` prints where only a person knows the value.
pub fn warn_unknown_value(item: &TableEntry<'_>, text: &str) {
    if text == "…" {
        let message = format!(
            "{}: … stands for a value that only you know: write it",
            item.key()
        );
        item.remark(Severity::Problem, message);
    }
}

/// Notes words in braces that are sent as they are, such as `{yesterday}`.
pub fn note_unfilled(item: &TableEntry<'_>, text: &str) {
    if text.contains("{{now") || text.contains("{{today") {
        item.remark(
            Severity::Note,
            format!(
                "{}: of two braces the outer ones are sent: write {{today}}",
                item.key()
            ),
        );
    }
    let words = text
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'));
    for (word, _) in words {
        let is_word = (1..=LONGEST_WORD).contains(&word.len())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let Some(instead) = is_word.then(|| what_is_meant(word)).flatten() else {
            continue;
        };
        item.remark(
            Severity::Note,
            format!("{}: {{{word}}} is sent as it is; {instead}", item.key()),
        );
    }
}

/// Longer ones may be a secret.
const LONGEST_WORD: usize = 16;

fn what_is_meant(word: &str) -> Option<&'static str> {
    if matches!(word, "now" | "today") {
        return None;
    }
    let word = word.to_ascii_lowercase();
    match word.as_str() {
        "yesterday" => Some("yesterday is {today-1d}"),
        "tomorrow" => Some("tomorrow is {today+1d}"),
        "date" => Some("the date is {today}"),
        "time" | "datetime" => Some("the time is {now}"),
        "timestamp" | "unix" | "epoch" => Some("the Unix time is {now:unix} or {now:unix_ms}"),
        "now" | "nwo" => Some("the time is {now}"),
        _ if nearest(&word, ["today"].into_iter()).is_some() => Some("the date is {today}"),
        _ => None,
    }
}

/// The time with which filled texts are checked. A clock that is certainly wrong must not make
/// the configuration invalid.
pub fn sample_time() -> PlaceholderTime {
    let second = Timestamp::now().as_second();
    PlaceholderTime {
        wall: Wall::from_second(second.max(limits::EARLIEST_PLAUSIBLE_WALL_S)),
        zone: TimeZone::UTC,
    }
}

/// Shorter words beside a placeholder are words of a language.
const LONG_WORD: usize = 8;

/// Registers the values that a text names as secrets, such as the arguments of a GraphQL query.
pub fn add_quoted_secrets(item: &TableEntry<'_>, text: &str) {
    quoted_secrets(text).for_each(|value| add_text_secrets(item, value));
}

/// Registers a text as a secret: where it has placeholders, what stands between them, and the long
/// words of that.
pub fn add_text_secrets(item: &TableEntry<'_>, text: &str) {
    match Template::parse(text) {
        Ok(template) if template.has_placeholders() => {
            for part in template.texts() {
                item.add_secret(part);
                let words = part.split_whitespace();
                let words = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
                words
                    .filter(|word| word.len() >= LONG_WORD)
                    .for_each(|word| item.add_secret(word));
            }
        }
        _ => item.add_secret(text),
    }
}
