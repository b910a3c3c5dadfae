//! Options that say which alerts a channel delivers (`level`, `only`), and the level of a rule.

use crate::config::section::{OptionReader, list, text};
use crate::domain::alert_filter::AlertFilter;
use crate::domain::alert_level::AlertLevel;
use crate::domain::plan::KeySelector;

/// The kind of a level, for the documentation.
pub const LEVELS: &str = "\"info\", \"warning\" or \"critical\"";

pub fn read_level(option: &mut OptionReader<'_, '_>) -> Option<AlertLevel> {
    option.choice(&AlertLevel::ALL.map(|level| (level.name(), level)))
}

/// The level of a rule.
pub fn print_level(level: AlertLevel) -> Option<String> {
    text(level.name())
}

/// Names of alerts and keys.
pub fn read_only(option: &mut OptionReader<'_, '_>) -> Vec<KeySelector> {
    let Some(entry) = option.entry() else {
        return Vec::new();
    };
    let texts = entry.texts();
    if texts.is_empty() {
        entry.problem("only: expected at least one name of an alert or a key; without `only` the channel gets all");
    }
    texts
        .iter()
        .map(|(text, _)| KeySelector::new(text))
        .collect()
}

pub fn print_only(filter: &AlertFilter) -> Option<String> {
    list(&filter.only)
}
