//! Check for stored keys that no source gives: a key that was renamed in the configuration leaves its
//! history under the old name.
//!
//! Reads the database where there is one, read-only.

use super::Finding::{self, NotChecked, Note};
use crate::commands::printed_command::printed_command;
use crate::config::{Config, Overrides};
use crate::db::file::{self, FileKind};
use crate::db::maintenance::extent::{self, SourcedKey};
use crate::db::{connection, error, schema};
use crate::domain::plan::{Plan, Selection};
use crate::domain::text::truncate_list;

/// Keys that are named one by one.
const SHOWN: usize = 5;

pub fn findings(config: &Config, overrides: &Overrides) -> Vec<Finding> {
    // A database of an older version is migrated at the next start; then it can be read.
    let is_current = match file::probe(&config.database) {
        Ok(FileKind::MainNode { version }) => version == schema::VERSION,
        _ => false,
    };
    if !is_current {
        return Vec::new();
    }
    let stored = connection::open_read_only(&config.database)
        .and_then(|connection| extent::sourced_keys(&connection));
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => {
            let why = error::describe(&error);
            return vec![NotChecked(format!(
                "whether sources give all stored keys: {why}"
            ))];
        }
    };
    note(&orphaned_keys(&config.plan(), &stored), overrides)
        .into_iter()
        .collect()
}

/// Keys that no source can give, as far as the configuration says what sources give.
fn orphaned_keys(plan: &Plan, stored: &[SourcedKey]) -> Vec<String> {
    let is_given = |stored: &SourcedKey| {
        let sources = plan.sources.iter().enumerate();
        plan.derived.contains(&stored.key)
            || sources.clone().any(|(at, _)| plan.selects_key(at, &stored.key))
            // What a response has is known when it comes; no source is called as an import is.
            || sources.clone().any(|(_, source)| {
                let is_open = matches!(source.selection, Selection::AllLeaves { .. });
                is_open && (*source.name == *stored.source || !has_source(plan, &stored.source))
            })
    };
    let orphaned = stored.iter().filter(|stored| !is_given(stored));
    orphaned.map(|stored| stored.key.clone()).collect()
}

fn has_source(plan: &Plan, name: &str) -> bool {
    plan.sources.iter().any(|source| *source.name == *name)
}

fn note(orphaned: &[String], overrides: &Overrides) -> Option<Finding> {
    let first = orphaned.first()?;
    Some(Note(format!(
        "stored, and given by no source any more: {}. Where one has another name now, `{}` gives it the readings",
        truncate_list(orphaned, SHOWN),
        printed_command(overrides, &["rename", first, "NEW"])
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::environment::Environment;

    fn plan(text: &str) -> Plan {
        let directory = crate::golden::scratch("check-stored-keys");
        let file = directory.join("main-node.toml");
        std::fs::write(&file, text).expect("it can be written");
        let overrides = Overrides {
            file: Some(file),
            ..Overrides::default()
        };
        let config = config::load(&overrides, Environment::default(), &[]);
        config.expect("it is valid").plan()
    }

    #[test]
    fn only_keys_that_the_configuration_rules_out_are_named() {
        let meter = "[[source]]\nname = \"meter\"\nurl = \"http://127.0.0.1/\"\n[source.records]\n\
                     outdoor = \"/temperature\"\n\"room.{id}\" = { each = \"/rooms\", at = \"/value\" }\n";
        let all = "[[source]]\nname = \"all\"\nurl = \"http://127.0.0.1/all\"\n";
        let (fixed, both) = (plan(meter), plan(&format!("{meter}{all}")));
        for (plan, key, source, expected) in [
            (&fixed, "outdoor", "meter", false),
            (&fixed, "room.7", "meter", false),
            (&fixed, "temperature", "meter", true),
            (&fixed, "temperature", "import", true),
            (&both, "temperature", "meter", true),
            // Its response may have it.
            (&both, "temperature", "all", false),
            (&both, "temperature", "import", false),
        ] {
            let stored = [SourcedKey {
                key: key.to_owned(),
                source: source.to_owned(),
                unit: None,
            }];
            let found = orphaned_keys(plan, &stored);
            assert_eq!(!found.is_empty(), expected, "{key} of {source}");
        }
        let overrides = Overrides {
            file: Some("n.toml".into()),
            ..Overrides::default()
        };
        assert!(note(&[], &overrides).is_none());
        let Some(Note(text)) = note(&["my lead".to_owned()], &overrides) else {
            panic!("it is a note");
        };
        let command = "`main-node rename 'my lead' NEW --config n.toml` gives";
        assert!(text.contains(command), "{text}");
    }
}
