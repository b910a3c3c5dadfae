//! Options that are lists of keys (`keys = ["temperature", "room.*"]`), of pages and outputs.

use super::section::OptionReader;
use crate::domain::plan::KeySelector;
use crate::domain::toml_text::quoted;
use crate::limits;

/// Keys and patterns, of which each is one.
pub fn read_key_list(option: &mut OptionReader<'_, '_>) -> Vec<KeySelector> {
    let texts = option.entry().map(|it| it.texts()).unwrap_or_default();
    let reader = option.reader();
    let mut selectors = Vec::new();
    for (key, span) in texts {
        if key.is_empty() || key.len() > limits::KEY_BYTES {
            reader.problem(&span, format!("expected a key, found {}", quoted(&key)));
        } else if selectors.len() == limits::GROUP_KEYS {
            let most = limits::GROUP_KEYS;
            reader.problem(
                &span,
                format!("expected at most {most} keys; `*` stands for many"),
            );
        } else if selectors.len() < limits::GROUP_KEYS {
            selectors.push(KeySelector::new(&key));
        }
    }
    selectors
}
