//! Date and time placeholders in the texts of a source: problems with their places.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::reader::TableEntry;
use crate::domain::placeholder::{PlaceholderTime, Template};
use crate::domain::time::Wall;
use crate::limits;

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
