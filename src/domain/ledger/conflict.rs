//! Conflict of duplicate keys: a source provides keys that a source configured before it
//! provides already, and no merge rule is configured.
//!
//! Such a value is not published. A source without any key of its own fails: it would look
//! healthy and provide nothing.

use std::fmt;
use std::sync::Arc;

use crate::domain::failure::{Cause, Failure};
use crate::domain::plan::SourcePlan;
use crate::domain::reading::{Issue, Reason};
use crate::domain::toml_text::{derived_table, merge_advice, prefix_advice, quoted};
use crate::limits;

/// The keys of one response that another source provides already.
pub struct Conflict<'a> {
    pub plan: &'a SourcePlan,
    /// Each with what provides it.
    pub refused: Vec<(Arc<str>, KeyProvider)>,
    /// How many keys of the answer are the source's own.
    pub accepted: usize,
}

/// What provides a key, before the source that provides it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProvider {
    /// The name of a source that is configured before.
    Source(Arc<str>),
    /// `[derived.NAME]`, which is the key.
    Derived(Arc<str>),
}

impl fmt::Display for KeyProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyProvider::Source(name) => write!(f, "the source {}", quoted(name)),
            KeyProvider::Derived(key) => f.write_str(&derived_table(key)),
        }
    }
}

impl Conflict<'_> {
    /// What happened and what to write, as the rest of a sentence about the source.
    pub fn sentence(&self) -> Arc<str> {
        let Some((first, provider)) = self.refused.first() else {
            return "".into();
        };
        let key = quoted(first);
        let which = match (self.refused.len() - 1, self.accepted) {
            (0, 0) => format!("its only key {key} is given by"),
            (more, 0) => format!("all its {} keys are given already, {key} by", more + 1),
            (0, _) => format!("its key {key} is left out, which is given by"),
            (more, _) => format!("{} of its keys are left out, {key} is given by", more + 1),
        };
        let advice = self.advice(first, provider);
        format!("{which} {provider}: {advice}").into()
    }

    pub fn failure(&self) -> Failure {
        Failure::new(Cause::DuplicateKey, &*self.sentence())
    }

    /// One for each key, as many as are kept of one answer.
    pub fn issues(&self) -> impl Iterator<Item = Issue> + '_ {
        let refused = self.refused.iter().take(limits::ISSUES_PER_RESPONSE);
        refused.map(|(key, provider)| Issue {
            reason: Reason::DuplicateKey,
            key: Some(key.clone()),
            pointer: String::new(),
            expected: format!("one source for the key {}", quoted(key)),
            found: format!("{provider} provides it too"),
        })
    }

    fn advice(&self, key: &str, provider: &KeyProvider) -> String {
        if let KeyProvider::Derived(_) = provider {
            let rename = format!("give {provider} another name");
            if self.plan.is_upstream_node {
                return rename;
            }
            let prefix = prefix_advice(&self.plan.name, self.plan.has_shared_prefix);
            return format!("{rename}, or {prefix}");
        }
        let merge = merge_advice(key);
        // The keys of another node are what that node calls them.
        if self.plan.is_upstream_node {
            return merge;
        }
        let prefix = prefix_advice(&self.plan.name, self.plan.has_shared_prefix);
        match self.refused.len() {
            1 => format!("{prefix}, or {merge}"),
            _ => prefix,
        }
    }
}
