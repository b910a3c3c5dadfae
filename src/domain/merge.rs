//! Merge rules: one value of several sources that provide the same key.

use super::plan::Merge;
use super::reading::{Value, round_computed};
use super::time::Wall;
use crate::domain::compact_sort::CompactSort;

/// The value of one source.
#[derive(Debug, Clone, Copy)]
pub struct Contribution<'a> {
    pub value: &'a Value,
    pub observed: Wall,
    pub stale: bool,
}

/// The merged value.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    pub value: Value,
    /// Indices of the contributions it was made of, in order; the first is the newest
    /// observed, whose timestamp the merged value takes.
    pub contributors: Vec<usize>,
}

/// Merges contributions given in the configuration's order. Fresh ones alone count; where
/// none is fresh, the last known are merged the same way, so that a display keeps showing
/// something, marked stale. `None` without contributions.
pub fn merge(how: Merge, contributions: &[Contribution]) -> Option<Merged> {
    let any_fresh = contributions.iter().any(|c| !c.stale);
    let mut counted: Vec<usize> = (0..contributions.len())
        .filter(|index| !contributions[*index].stale || !any_fresh)
        .collect();
    if matches!(how, Merge::Mean | Merge::Median) {
        let numeric = |index: &usize| contributions[*index].value.number().is_some();
        if counted.iter().any(numeric) {
            counted.retain(numeric);
        } else {
            // Texts have no mean: the first configured source counts.
            counted.truncate(1);
        }
    }
    // Newest first; among equally new ones the first configured. The sort is stable.
    let newest_first = |from: &mut Vec<usize>| {
        from.compact_sort_by_key(|index| std::cmp::Reverse(contributions[*index].observed));
    };
    match how {
        Merge::Priority => counted.truncate(1),
        Merge::Latest => {
            newest_first(&mut counted);
            counted.truncate(1);
        }
        Merge::Mean | Merge::Median => newest_first(&mut counted),
    }
    let first = contributions.get(*counted.first()?)?;
    let value = match counted.as_slice() {
        [_] => first.value.clone(),
        several => {
            let mut numbers: Vec<f64> = several
                .iter()
                .filter_map(|index| contributions[*index].value.number())
                .collect();
            Value::Number(round_computed(match how {
                Merge::Median => median(&mut numbers),
                _ => mean(&numbers),
            }))
        }
    };
    Some(Merged {
        value,
        contributors: counted,
    })
}

/// The arithmetic mean, taken so that the sum of large numbers does not overflow.
pub fn mean(numbers: &[f64]) -> f64 {
    let count = numbers.len() as f64;
    numbers.iter().map(|number| number / count).sum()
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        1 => numbers[middle],
        _ => mean(&numbers[middle - 1..=middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_by_rule_over_fresh_values_only() {
        const FRESH: bool = false;
        const STALE: bool = true;
        type Row<'a> = (Merge, &'a [(f64, i64, bool)], f64, &'a [usize]);
        let rows: [Row; 9] = [
            (
                Merge::Priority,
                &[(1.0, 5, FRESH), (2.0, 9, FRESH)],
                1.0,
                &[0],
            ),
            (
                Merge::Priority,
                &[(1.0, 5, STALE), (2.0, 4, FRESH)],
                2.0,
                &[1],
            ),
            (
                Merge::Priority,
                &[(1.0, 5, STALE), (2.0, 9, STALE)],
                1.0,
                &[0],
            ),
            (
                Merge::Latest,
                &[(1.0, 5, FRESH), (2.0, 9, FRESH)],
                2.0,
                &[1],
            ),
            (
                Merge::Latest,
                &[(1.0, 5, FRESH), (2.0, 5, FRESH)],
                1.0,
                &[0],
            ),
            (
                Merge::Mean,
                &[(1.0, 5, FRESH), (2.0, 9, FRESH), (9.0, 9, STALE)],
                1.5,
                &[1, 0],
            ),
            (
                Merge::Mean,
                &[(f64::MAX, 1, FRESH), (f64::MAX, 1, FRESH)],
                1.797_693_134_86e308,
                &[0, 1],
            ),
            (
                Merge::Median,
                &[(1.0, 1, FRESH), (50.0, 2, FRESH), (2.0, 3, FRESH)],
                2.0,
                &[2, 1, 0],
            ),
            (
                Merge::Median,
                &[(0.1, 1, FRESH), (0.2, 2, FRESH)],
                0.15,
                &[1, 0],
            ),
        ];
        for (how, given, expected, from) in rows {
            let values: Vec<Value> = given.iter().map(|row| Value::Number(row.0)).collect();
            let contributions: Vec<Contribution> = given
                .iter()
                .zip(&values)
                .map(|(row, value)| Contribution {
                    value,
                    observed: Wall(row.1),
                    stale: row.2,
                })
                .collect();
            let merged = merge(how, &contributions).expect("there are contributions");
            assert_eq!(merged.value, Value::Number(expected), "{how:?} {given:?}");
            assert_eq!(merged.contributors, from, "{how:?} {given:?}");
        }
        assert_eq!(merge(Merge::Mean, &[]), None);
    }

    #[test]
    fn texts_have_no_mean_so_the_first_configured_counts() {
        let texts = [Value::Text("a".into()), Value::Text("b".into())];
        let contributions = texts.each_ref().map(|value| Contribution {
            value,
            observed: Wall(0),
            stale: false,
        });
        let merged = merge(Merge::Mean, &contributions).expect("there are contributions");
        assert_eq!(merged.value, Value::Text("a".into()));
    }
}
