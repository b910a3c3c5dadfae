//! Record options that contradict each other, or lack another.

use crate::config::problem::Severity;
use crate::config::reader::{TableEntry, TableReader};
use crate::domain::normalise::key_template_problem;
use crate::domain::plan::{ElementTime, RecordSelector};
use crate::domain::toml_text::quoted;

const REMOVE_ONE: &str = "remove one of the two";

pub fn check(entry: &TableEntry<'_>, table: &mut TableReader<'_>, selector: &RecordSelector) {
    let combines = ["newest_by", "aggregate"];
    let is_combined = combines.into_iter().any(|it| table.get(it).is_some());
    if selector.each.is_some() && !is_combined && !selector.key.contains('{') {
        let key = &selector.key;
        entry.problem(format!(
            "with `each` a key needs a placeholder, so that every element has a key of its own: \
             \"{key}.{{id}}\" for its field id, \"{key}.{{#}}\" for its position; one record of all \
             elements needs `newest_by` or `aggregate`"
        ));
    }
    check_key(entry, selector);
    if let (Some(min), Some(max)) = (selector.min, selector.max)
        && min > max
    {
        entry.problem(format!("min = {min} is above max = {max}: swap them"));
    }
    let mut refuse = |option: &'static str, why: &str| {
        if let Some(entry) = table.get(option) {
            entry.problem(format!("{option}: {why}"));
        }
    };
    if selector.unit.is_some() && selector.unit_at.is_some() {
        refuse(
            "unit_at",
            &format!("`unit` says what the unit is: {REMOVE_ONE}"),
        );
    }
    if selector.base.is_some() && selector.decimal.is_some() {
        refuse(
            "decimal",
            &format!("a number with `base` is whole: {REMOVE_ONE}"),
        );
    }
    if selector.text {
        for option in ["decimal", "base", "missing", "null", "aggregate"] {
            let why = format!("with text = true the value is no number: {REMOVE_ONE}");
            refuse(option, &why);
        }
    }
    check_elements(&mut refuse, selector);
}

fn check_elements(refuse: &mut impl FnMut(&'static str, &str), selector: &RecordSelector) {
    let elements = &selector.elements;
    if elements.aggregate.is_some() && elements.newest_by.is_some() {
        refuse(
            "newest_by",
            &format!("`aggregate` makes one record of all elements: {REMOVE_ONE}"),
        );
    }
    let times = [("newest_by", &elements.newest_by)];
    let has_time = times.iter().any(|(_, time)| time.is_some());
    for (option, time) in times {
        match time {
            Some(ElementTime::Parallel) if elements.times_at.is_none() => {
                refuse(
                    option,
                    "true stands for the times of `times_at`: add times_at = \"/…\", or write where the \
                     time is in an element, such as \"/time\"",
                );
            }
            Some(ElementTime::Path(_) | ElementTime::Template(_))
                if elements.times_at.is_some() =>
            {
                refuse(
                    option,
                    &format!("`times_at` has the times: write {option} = true"),
                );
            }
            Some(ElementTime::Path(_) | ElementTime::Template(_)) if selector.each.is_none() => {
                refuse(
                    option,
                    "the time is looked for in the elements of a list: add each = \"/…\"",
                );
            }
            _ => {}
        }
    }
    if elements.times_at.is_some() && !has_time {
        refuse("times_at", "nothing uses the times: add newest_by = true");
    }
}

/// What a key with braces, or without, needs.
pub fn check_key(entry: &TableEntry<'_>, selector: &RecordSelector) {
    let key = &selector.key;
    // A key template is filled in by the elements of `each`.
    if selector.each.is_none() && key.contains(['{', '}']) {
        let message = format!(
            "the key {} has braces, but its record has no `each`, so nothing is filled in: add each = \
             \"/…\", or remove the braces",
            quoted(key)
        );
        entry.remark(Severity::Problem, message);
    }
    if selector.each.is_some()
        && let Some(problem) = key_template_problem(key)
    {
        entry.problem(problem);
    }
}
