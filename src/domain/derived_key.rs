//! Derived keys (`[derived.NAME]`): the rule by which a key is computed from others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::derived::{WindowRule, WindowSpan};
use super::formula::Formula;
use super::text::format_duration;

/// What stands for a source where a row's source is stored: no source may be called so.
pub const DERIVED_SOURCE: &str = "[derived]";

/// One derived key.
#[derive(Debug, Clone)]
pub struct DerivedKey {
    pub key: Arc<str>,
    pub rule: DerivedRule,
    pub unit: Option<Arc<str>>,
    /// Age of its oldest input beyond which it is stale; without it, it is as stale as its inputs.
    pub stale_after: Option<Duration>,
}

#[derive(Debug, Clone)]
pub enum DerivedRule {
    Formula(Formula),
    Window(WindowRule),
}

impl DerivedKey {
    /// The keys that it is computed from.
    pub fn inputs(&self) -> &[Arc<str>] {
        match &self.rule {
            DerivedRule::Formula(formula) => formula.inputs(),
            DerivedRule::Window(rule) => std::slice::from_ref(&rule.input),
        }
    }

    /// The rule in one line, for people.
    pub fn definition(&self) -> Arc<str> {
        match &self.rule {
            DerivedRule::Formula(formula) => formula.text().clone(),
            DerivedRule::Window(rule) => {
                let span = match rule.span {
                    WindowSpan::Over(span) => format!("over {}", format_duration(span)),
                    WindowSpan::Since(period) => format!("since {}", period.name()),
                };
                format!("{} of {} {span}", rule.function.name(), rule.input).into()
            }
        }
    }
}

/// Derived keys, in the configuration's order, and an order in which each comes behind those it
/// is computed from.
#[derive(Debug, Clone, Default)]
pub struct DerivedKeys {
    list: Vec<DerivedKey>,
    positions: BTreeMap<Arc<str>, usize>,
    order: Vec<usize>,
}

impl DerivedKeys {
    /// The error is a cycle: keys of which each is computed from the next, and the last from the
    /// first.
    pub fn new(list: Vec<DerivedKey>) -> Result<DerivedKeys, Vec<Arc<str>>> {
        let keys = list.iter().enumerate();
        let positions = keys.map(|(index, it)| (it.key.clone(), index)).collect();
        let mut keys = DerivedKeys {
            list,
            positions,
            order: Vec::new(),
        };
        keys.order = keys.evaluation_order()?;
        Ok(keys)
    }

    /// In the configuration's order.
    pub fn iter(&self) -> impl Iterator<Item = &DerivedKey> {
        self.list.iter()
    }

    pub fn get(&self, index: usize) -> Option<&DerivedKey> {
        self.list.get(index)
    }

    /// The place of a key in the configuration.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.positions.get(key).copied()
    }

    pub fn contains(&self, key: &str) -> bool {
        self.positions.contains_key(key)
    }

    /// Whether it is computed from rows of the past, itself or by way of its inputs.
    pub fn needs_history(&self, key: &str) -> bool {
        let mut keys = vec![key];
        let mut at = 0;
        while let Some(key) = keys.get(at).and_then(|key| self.get(self.position(key)?)) {
            if matches!(key.rule, DerivedRule::Window(_)) {
                return true;
            }
            for input in key.inputs() {
                if self.contains(input) && !keys.contains(&&**input) {
                    keys.push(input);
                }
            }
            at += 1;
        }
        false
    }

    /// Places in the order of evaluation.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Whether a derived key is computed from `key`.
    pub fn is_input(&self, key: &str) -> bool {
        self.inputs().any(|input| **input == *key)
    }

    /// Keys that derived keys are computed from and that are not derived themselves.
    pub fn inputs(&self) -> impl Iterator<Item = &Arc<str>> {
        let inputs = self.list.iter().flat_map(DerivedKey::inputs);
        inputs.filter(|input| !self.contains(input))
    }

    /// By rounds: whatever is computed from nothing that is still to come. There are few keys.
    fn evaluation_order(&self) -> Result<Vec<usize>, Vec<Arc<str>>> {
        let mut order = Vec::new();
        let mut is_placed = vec![false; self.list.len()];
        loop {
            let waits_for = |index: usize, is_placed: &[bool]| {
                let inputs = self.list[index].inputs().iter();
                let mut open = inputs.filter_map(|input| self.position(input));
                open.find(|input| !is_placed[*input])
            };
            let ready: Vec<usize> = (0..self.list.len())
                .filter(|index| !is_placed[*index] && waits_for(*index, &is_placed).is_none())
                .collect();
            if ready.is_empty() {
                let Some(mut at) = is_placed.iter().position(|placed| !placed) else {
                    return Ok(order);
                };
                // Whoever waits and can never be placed waits for one that does so, too.
                let mut path = Vec::new();
                while !path.contains(&at) {
                    path.push(at);
                    at = waits_for(at, &is_placed).unwrap_or(at);
                }
                let begin = path.iter().position(|it| *it == at).unwrap_or(0);
                let cycle = path[begin..].iter().map(|it| self.list[*it].key.clone());
                return Err(cycle.collect());
            }
            for index in &ready {
                is_placed[*index] = true;
            }
            order.extend(ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(rules: &[(&str, &str)]) -> Result<DerivedKeys, Vec<Arc<str>>> {
        let key = |(key, formula): &(&str, &str)| DerivedKey {
            key: (*key).into(),
            rule: DerivedRule::Formula(Formula::parse(formula).expect("it is valid")),
            unit: None,
            stale_after: None,
        };
        DerivedKeys::new(rules.iter().map(key).collect())
    }

    #[test]
    fn keys_are_evaluated_behind_their_inputs() {
        let keys = keys(&[("a", "b + c"), ("b", "c * x"), ("c", "x"), ("d", "1")]);
        let keys = keys.expect("there is no cycle");
        assert_eq!(keys.order(), [2, 3, 1, 0]);
        assert!(keys.is_input("x") && !keys.is_input("y") && !keys.is_input("c"));
    }

    #[test]
    fn a_cycle_is_named() {
        let cycle = |rules: &[(&str, &str)]| {
            let error = keys(rules).expect_err("there is a cycle");
            error.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(cycle(&[("a", "a + 1")]), ["a"]);
        assert_eq!(
            cycle(&[("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")]),
            ["a", "b", "c"]
        );
        assert_eq!(
            cycle(&[("ok", "1"), ("p", "q + ok"), ("q", "p")]),
            ["p", "q"]
        );
    }
}
