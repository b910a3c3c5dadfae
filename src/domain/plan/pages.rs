//! What pages and pictures show, in which order: title, locale, groups, walls, displays.

use std::sync::Arc;
use std::time::Duration;

use super::display::DisplayPlan;
use crate::domain::key_pattern::KeyPattern;
use crate::domain::locale::Locale;
use crate::domain::time_window::TimeWindow;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct PagesPlan {
    /// Title of the pages; the node's name where there is none.
    pub title: Option<Arc<str>>,
    pub locale: Locale,
    /// In the order of the page.
    pub groups: Vec<GroupPlan>,
    pub walls: Vec<WallPlan>,
    pub displays: Vec<DisplayPlan>,
}

impl PagesPlan {
    /// The keys that groups, walls and displays name without a pattern.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        let of_groups = self.groups.iter().flat_map(|it| &it.keys);
        let of_walls = self
            .walls
            .iter()
            .flat_map(|it| it.keys.iter().chain(&it.text));
        let named = of_groups.chain(of_walls).filter_map(|it| match it {
            KeySelector::Key(key) => Some(key),
            KeySelector::Pattern(_) => None,
        });
        let displays = self.displays.iter();
        named.chain(displays.flat_map(DisplayPlan::named_keys))
    }
}

/// Keys under a heading (`[[group]]`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupPlan {
    pub name: Arc<str>,
    pub keys: Vec<KeySelector>,
    pub matrix: Option<MatrixPlan>,
    /// Whether the page shows the heading alone until it is opened.
    pub fold: bool,
}

impl GroupPlan {
    /// Whether a key stands under this heading.
    pub fn has(&self, key: &str) -> bool {
        let is_cell = |matrix: &MatrixPlan| matrix.place(key).is_some();
        self.keys.iter().any(|it| it.matches(key)) || self.matrix.as_ref().is_some_and(is_cell)
    }
}

/// A table of keys: `room.{row}.{column}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MatrixPlan {
    /// A key with `{row}` and `{column}`, each once.
    pub template: Arc<str>,
    /// What stands for `{row}`, and its name for people, in the order of the table.
    pub rows: Vec<(String, String)>,
    pub columns: Vec<(String, String)>,
}

/// A page to be read from afar (`[[wall]]`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WallPlan {
    /// The last part of its path; none for `/wall` itself.
    pub name: Option<Arc<str>>,
    pub keys: Vec<KeySelector>,
    /// Keys of the line of text.
    pub text: Vec<KeySelector>,
    /// When it is dark.
    pub dim: Option<TimeWindow>,
    /// How long it is shown before the next one.
    pub rotate: Option<Duration>,
}

/// A key, or all keys that match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySelector {
    Key(Arc<str>),
    Pattern(KeyPattern),
}

impl KeySelector {
    /// A text with `*` is a pattern.
    pub fn new(text: &str) -> KeySelector {
        KeyPattern::new(text).map_or_else(|| KeySelector::Key(text.into()), KeySelector::Pattern)
    }

    pub fn matches(&self, key: &str) -> bool {
        match self {
            KeySelector::Key(name) => **name == *key,
            KeySelector::Pattern(pattern) => pattern.matches(key),
        }
    }
}

/// Whether a key is one of `keys`; without any, all are.
pub fn is_selected(keys: &[KeySelector], key: &str) -> bool {
    keys.is_empty() || keys.iter().any(|it| it.matches(key))
}

/// As the configuration spells it.
impl std::fmt::Display for KeySelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeySelector::Key(name) => f.write_str(name),
            KeySelector::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

impl MatrixPlan {
    /// The row and the column of a key, if it is one of the table.
    pub fn place<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let (before, rest) = self.template.split_once("{row}")?;
        let (between, after) = rest.split_once("{column}")?;
        let inner = key.strip_prefix(before)?.strip_suffix(after)?;
        let (row, column) = inner.split_once(between)?;
        let is_one = !row.is_empty() && !column.is_empty();
        is_one.then_some((row, column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_matrix_has_a_row_and_a_column() {
        let plan = |template: &str| MatrixPlan {
            template: template.into(),
            ..MatrixPlan::default()
        };
        for (template, key, expected) in [
            (
                "room.{row}.{column}",
                "room.bath.co2",
                Some(("bath", "co2")),
            ),
            ("room.{row}.{column}", "room.bath", None),
            ("room.{row}.{column}", "room..co2", None),
            ("{row}_{column}", "bath_co2", Some(("bath", "co2"))),
            ("m.{row}.{column}.now", "m.a.b.now", Some(("a", "b"))),
            ("m.{row}.{column}.now", "m.a.b.then", None),
        ] {
            assert_eq!(plan(template).place(key), expected, "{template} {key}");
        }
    }
}
