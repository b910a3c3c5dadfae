//! Record options that contradict each other, or lack another.

use crate::config::problem::Severity;
use crate::config::reader::{TableEntry, TableReader};
use crate::domain::normalise::key_template_problem;
use crate::domain::plan::{AggregateFunction, ElementTime, RecordSelector};
use crate::domain::toml_text::quoted;

const REMOVE_ONE: &str = "remove one of the two";

pub fn check(entry: &TableEntry<'_>, table: &mut TableReader<'_>, selector: &RecordSelector) {
    let combines = ["now", "element_time", "newest_by", "aggregate"];
    let is_combined = combines.into_iter().any(|it| table.get(it).is_some());
    if selector.each.is_some() && !is_combined && !selector.key.contains('{') {
        let key = &selector.key;
        entry.problem(format!(
            "with `each` a key needs a placeholder, so that every element has a key of its own: \
             \"{key}.{{id}}\" for its field id, \"{key}.{{#}}\" for its position; one record of all \
             elements needs `now`, `element_time`, `newest_by` or `aggregate`"
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
        for option in ["decimal", "base", "missing", "null"] {
            let why = format!("with text = true the value is no number: {REMOVE_ONE}");
            refuse(option, &why);
        }
    }
    check_elements(&mut refuse, selector);
}

fn check_elements(refuse: &mut impl FnMut(&'static str, &str), selector: &RecordSelector) {
    check_times(refuse, selector);
    let elements = &selector.elements;
    if elements.now.is_none() {
        for option in ["end_at", "ahead"] {
            refuse(
                option,
                "it is part of `now`, which says where an element begins: add now = \"/…\"",
            );
        }
    } else if selector.each.is_none() {
        refuse(
            "end_at",
            "the end is looked for in the elements of a list: add each = \"/…\"",
        );
    }
    if elements.now.is_some() || (elements.element_time.is_some() && elements.aggregate.is_none()) {
        let why = "elements are compared with no value before: remove it, or write `min` and `max`";
        refuse("max_change", why);
    }
    if let Some(function) = elements.aggregate {
        check_aggregate(refuse, selector, function);
    }
}

fn check_aggregate(
    refuse: &mut impl FnMut(&'static str, &str),
    selector: &RecordSelector,
    function: AggregateFunction,
) {
    let elements = &selector.elements;
    let name = function.name();
    if selector.text {
        let why = format!("aggregate = \"{name}\" is made of numbers: {REMOVE_ONE}");
        refuse("text", &why);
    }
    if !function.is_time() {
        for option in ["element_time", "times_at"] {
            let why = format!("aggregate = \"{name}\" has no use for times: {REMOVE_ONE}");
            refuse(option, &why);
        }
        return;
    }
    if elements.element_time.is_none() && elements.times_at.is_none() {
        refuse(
            "aggregate",
            &format!("{name} needs the times: add element_time = \"/…\", or times_at = \"/…\""),
        );
    }
    for option in [
        "unit",
        "unit_at",
        "scale",
        "offset",
        "min",
        "max",
        "max_change",
    ] {
        refuse(
            option,
            &format!("aggregate = \"{name}\" is a time, as text: {REMOVE_ONE}"),
        );
    }
}

/// The options that say where times are.
fn check_times(refuse: &mut impl FnMut(&'static str, &str), selector: &RecordSelector) {
    let elements = &selector.elements;
    let times = [
        ("now", &elements.now),
        ("element_time", &elements.element_time),
        ("newest_by", &elements.newest_by),
    ];
    let mut first = elements.aggregate.map(|_| "aggregate");
    for (option, time) in times {
        let Some(time) = time else { continue };
        let is_allowed =
            first.is_none() || option == "element_time" && elements.aggregate.is_some();
        if let Some(first) = first.filter(|_| !is_allowed) {
            refuse(
                option,
                &format!("`{first}` says already what is made of the elements: {REMOVE_ONE}"),
            );
        }
        first = first.or(Some(option));
        let is_parallel = *time == ElementTime::Parallel;
        if is_parallel && elements.times_at.is_none() {
            refuse(
                option,
                "true stands for the times of `times_at`: add times_at = \"/…\", or write where the \
                 time is in an element, such as \"/time\"",
            );
        } else if !is_parallel && elements.times_at.is_some() {
            refuse(
                option,
                &format!("`times_at` has the times: write {option} = true"),
            );
        } else if !is_parallel && selector.each.is_none() {
            refuse(
                option,
                &format!(
                    "the time is looked for in the elements of a list: add each = \"/…\"; where a list of \
                     its own has the times, write {option} = true and times_at = \"/…\""
                ),
            );
        }
    }
    if elements.times_at.is_some() && first.is_none() {
        refuse(
            "times_at",
            "nothing uses the times: add now = true, element_time = true or newest_by = true",
        );
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
