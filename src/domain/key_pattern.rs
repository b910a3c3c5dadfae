//! Glob pattern of keys: `*` stands for any characters, `room.*.co2`.
//!
//! Pure.

use std::fmt;
use std::ops::Range;

/// `NAME` of `[key."NAME"]` where it has a `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern(String);

/// As the configuration spells it.
impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl KeyPattern {
    /// `None` for a text without `*`, which is the name of one key.
    pub fn new(text: &str) -> Option<KeyPattern> {
        text.contains('*').then(|| KeyPattern(text.to_owned()))
    }

    /// Characters: of two patterns that match a key the longer is the nearer.
    pub fn length(&self) -> usize {
        self.0.chars().count()
    }

    /// Called for every record that is published, so it allocates nothing.
    pub fn matches(&self, key: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return false;
        };
        let Some(mut key) = key.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        // The first place of each part leaves most for those behind it.
        for part in middle.split('*') {
            let Some(at) = key.find(part) else {
                return false;
            };
            key = &key[at + part.len()..];
        }
        key.ends_with(last)
    }

    /// Where in `key` the stars stand; `None` for a key that it does not match.
    pub fn captures(&self, key: &str) -> Option<Vec<Range<usize>>> {
        let mut parts: Vec<&str> = self.0.split('*').collect();
        let last = parts.pop()?;
        let mut parts = parts.into_iter();
        let mut at = parts.next().filter(|first| key.starts_with(first))?.len();
        let mut captures = Vec::new();
        for part in parts {
            let found = at + key.get(at..)?.find(part)?;
            captures.push(at..found);
            at = found + part.len();
        }
        let end = key.strip_suffix(last)?.len();
        captures.push(at..end);
        (at <= end).then_some(captures)
    }

    /// Whether there is a key that both match.
    pub fn overlaps(&self, other: &KeyPattern) -> bool {
        let left: Vec<char> = self.0.chars().collect();
        let right: Vec<char> = other.0.chars().collect();
        // Whether the rest of `left` and that of `right` have a text in common, by the places
        // at which they begin: `row` for one place in `left`, `below` for the next.
        let mut below = vec![false; right.len() + 1];
        for at in (0..=left.len()).rev() {
            let mut row = vec![false; right.len() + 1];
            for to in (0..=right.len()).rev() {
                row[to] = match (left.get(at), right.get(to)) {
                    (None, None) => true,
                    (Some('*'), Some(_)) => below[to] || row[to + 1],
                    (Some(_), Some('*')) => row[to + 1] || below[to],
                    (Some('*'), None) => below[to],
                    (None, Some('*')) => row[to + 1],
                    (Some(a), Some(b)) => a == b && below[to + 1],
                    (None, Some(_)) | (Some(_), None) => false,
                };
            }
            below = row;
        }
        below[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> KeyPattern {
        KeyPattern::new(text).expect(text)
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        assert_eq!(KeyPattern::new("room.co2"), None);
        for (glob, key, expected) in [
            ("*", "", true),
            ("*", "a.b", true),
            ("room.*.co2", "room.bath.co2", true),
            ("room.*.co2", "room.a.b.co2", true),
            ("room.*.co2", "room..co2", true),
            ("room.*.co2", "room.co2", false),
            ("room.*.co2", "xroom.a.co2", false),
            ("room.*.co2", "room.a.co2x", false),
            ("*.power", "grid.power", true),
            ("*.power", "power", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "ac", false),
            ("a*bc*c", "abc", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("**", "x", true),
            ("Zähler*", "Zähler 1", true),
            ("a*", "*", false),
            ("*b", "a*b", true),
        ] {
            assert_eq!(pattern(glob).matches(key), expected, "{glob} of {key}");
        }
    }

    #[test]
    fn captures_are_what_stars_stand_for() {
        for (glob, key, expected) in [
            ("room.*.co2", "room.bath.co2", Some(vec!["bath"])),
            ("room.*.co2", "room.co2", None),
            ("*", "a.b", Some(vec!["a.b"])),
            ("*.power", "grid.power", Some(vec!["grid"])),
            ("a*", "a", Some(vec![""])),
            ("a*a", "a", None),
            ("a*b*c", "aXbYbZc", Some(vec!["X", "YbZ"])),
            ("*.*", "a.b.c", Some(vec!["a", "b.c"])),
        ] {
            let found = pattern(glob).captures(key);
            let found = found.map(|all| all.into_iter().map(|it| &key[it]).collect::<Vec<_>>());
            assert_eq!(found, expected, "{glob} of {key}");
            assert_eq!(
                pattern(glob).matches(key),
                expected.is_some(),
                "{glob} of {key}"
            );
        }
    }

    #[test]
    fn patterns_overlap_where_a_key_fits_both() {
        for (left, right, expected) in [
            ("a.*", "*.b", true),
            ("a.*", "b.*", false),
            ("*.a", "*.b", false),
            ("a*c", "a*b*", true),
            ("ab*", "a*", true),
            ("*", "*", true),
            ("room.*.t", "room.a.*", true),
            ("room.*.t", "hall.*.t", false),
        ] {
            let (left, right) = (pattern(left), pattern(right));
            assert_eq!(left.overlaps(&right), expected, "{left:?} {right:?}");
            assert_eq!(right.overlaps(&left), expected, "{right:?} {left:?}");
        }
    }
}
