//! List of the record options.

use super::element_time::{print_time, read_time};
use crate::config::reader::TableEntry;
use crate::config::request::value_path::read_value_path;
use crate::config::section::{
    ConfigOption, inline_table, literal, number, plain, text, value_path, with_others,
};
use crate::domain::number_pattern::NumberPattern;
use crate::domain::plan::{AggregateFunction, Decimal, RecordSelector};
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_path};
use crate::domain::value_path::ValuePath;
use crate::limits;

type RecordOption = ConfigOption<RecordSelector>;

/// Options of one record; a pointer alone can replace the table.
pub static OPTIONS: [RecordOption; 23] = [
    RecordOption::new(
        "at",
        "JSON Pointer or JSONPath",
        "required",
        "\"/current/temperature_2m\"",
        "Where the value is in the response; with `each`, where it is in the element. A path alone can replace the table: `temperature = \"/current/temperature_2m\"`.",
        with_others,
        |record| value_path(&record.at),
    ),
    RecordOption::new(
        "unit",
        "text",
        "none (what the response says)",
        "\"°C\"",
        "Unit of the value. Where it is not set, it is what `unit_at` says, else `units_at`, else the text of the value, such as `\"21.5 °C\"` (not where `scale` or `offset` is set).",
        |record, option| record.unit = option.text().map(Into::into),
        |record| text(record.unit.as_deref()?),
    ),
    RecordOption::new(
        "unit_at",
        "JSON Pointer or JSONPath",
        "none",
        "\"/unit\"",
        "Where the unit of the value is in the response; with `each`, where it is in the element.",
        |record, option| record.unit_at = option.entry().and_then(|it| read_value_path(&it)),
        |record| value_path(record.unit_at.as_ref()?),
    ),
    RecordOption::new(
        "decimal",
        "\",\" or \".\"",
        "none (see `numbers`)",
        "\",\"",
        "The decimal mark of numbers in texts; the other of the two groups thousands: with `\",\"` the text `\"1.234,5 kWh\"` is 1234.5. A unit behind the number, or a currency before it, is read too.",
        |record, option| {
            let choices = [Decimal::Comma, Decimal::Point].map(|it| (it.name(), it));
            record.decimal = option.choice(&choices);
        },
        |record| text(record.decimal?.name()),
    ),
    RecordOption::new(
        "pattern",
        "regular expression",
        "none",
        "'power=([-0-9.]+)'",
        "Takes the number out of a text: what its one group matches is read as the value, with `text = true` stored as text. Write it in single quotes, where TOML leaves `\\` as it is; `$` is the end of the text. It has no look-around and no back-references.",
        |record, option| record.pattern = option.entry().and_then(|it| read_pattern(&it)),
        |record| literal(record.pattern.as_ref()?.as_str()),
    ),
    RecordOption::new(
        "base",
        "number, 2 to 36",
        "none (10)",
        "16",
        "Base of whole numbers in texts: with 16 the texts `\"0x1F4\"` and `\"1f4\"` are 500. Values that are numbers in the response are not changed.",
        |record, option| record.base = option.integer(2..=36).map(|base| base as u32),
        |record| plain(record.base?),
    ),
    RecordOption::new(
        "missing",
        "number",
        "none (an issue)",
        "0",
        "The value to publish where the response has nothing at `at`, for APIs that leave out what is zero. It is published as it stands: `scale`, `min` and the like do not apply.",
        |record, option| record.missing = option.number(),
        |record| number(record.missing?),
    ),
    RecordOption::new(
        "null",
        "number",
        "none (an issue)",
        "0",
        "The same where the response has null.",
        |record, option| record.null = option.number(),
        |record| number(record.null?),
    ),
    RecordOption::new(
        "min",
        "number",
        "none",
        "-60",
        "Smallest plausible value, after `scale` and `offset`. A smaller one is dropped and reported as an issue.",
        |record, option| record.min = option.number(),
        |record| number(record.min?),
    ),
    RecordOption::new(
        "max",
        "number",
        "none",
        "60",
        "Largest plausible value, after `scale` and `offset`. A larger one is dropped and reported as an issue.",
        |record, option| record.max = option.number(),
        |record| number(record.max?),
    ),
    RecordOption::new(
        "scale",
        "number",
        "none (1)",
        "0.001",
        "Factor: what is stored is value × `scale` + `offset`.",
        |record, option| record.scale = option.number(),
        |record| number(record.scale?),
    ),
    RecordOption::new(
        "offset",
        "number",
        "none (0)",
        "-273.15",
        "Added after `scale`: what is stored is value × `scale` + `offset`.",
        |record, option| record.offset = option.number(),
        |record| number(record.offset?),
    ),
    RecordOption::new(
        "max_change",
        "number",
        "none",
        "5",
        "Largest plausible change per minute, in the unit of the value. A larger jump is dropped and reported as an issue, until enough minutes have passed for it.",
        |record, option| record.max_change = option.number(),
        |record| number(record.max_change?),
    ),
    RecordOption::new(
        "each",
        "JSON Pointer or JSONPath",
        "none",
        "\"/stations\"",
        "A list or an object in the response: one record is made of each of its elements. With a JSONPath, such as `\"$.stations[*]\"`, the nodes that it finds are the elements. The key is then a template, see \"Keys\" above.",
        |record, option| record.each = option.entry().and_then(|it| read_each(&it)),
        |record| value_path(record.each.as_ref()?),
    ),
    RecordOption::new(
        "now",
        "JSON Pointer, JSONPath, or true",
        "none",
        "\"/start\"",
        "Where the begin of an element is in it: the record is the element whose interval contains now, and it changes when the next one begins. An element ends with the next one, or at `end_at`. `true` with `times_at`. See \"Lists and forecasts\" above.",
        |record, option| record.elements.now = option.entry().and_then(|it| read_time(&it)),
        |record| print_time(record.elements.now.as_ref()?),
    ),
    RecordOption::new(
        "end_at",
        "JSON Pointer or JSONPath",
        "none (the next begin)",
        "\"/end\"",
        "With `now`: where the end of an element is in it.",
        |record, option| {
            record.elements.end_at = option.entry().and_then(|it| read_value_path(&it));
        },
        |record| value_path(record.elements.end_at.as_ref()?),
    ),
    RecordOption::new(
        "ahead",
        "number, 1 to 1000",
        "none",
        "1",
        "With `now`: the record is so many elements after the one that is now; 1 is the next.",
        |record, option| {
            let ahead = option.integer(1..=limits::ELEMENTS_AHEAD);
            record.elements.ahead = ahead.map(|ahead| ahead as usize);
        },
        |record| plain(record.elements.ahead?),
    ),
    RecordOption::new(
        "element_time",
        "JSON Pointer, JSONPath, or true",
        "none",
        "\"/time\"",
        "Where the time of an element is in it: each element becomes a row of the same key at its own time, those ahead of now as a forecast. `true` with `times_at`.",
        |record, option| {
            record.elements.element_time = option.entry().and_then(|it| read_time(&it));
        },
        |record| print_time(record.elements.element_time.as_ref()?),
    ),
    RecordOption::new(
        "newest_by",
        "JSON Pointer, JSONPath, or true",
        "none",
        "\"/time\"",
        "Where the time of an element is in it: the record is the newest element that has a value, and was observed at that time. `true` with `times_at`. Text in braces is filled in as in keys: `\"{#}\"` is the name of the element, `\"{../date} {hour}\"` two fields. See \"Lists and forecasts\" above.",
        |record, option| record.elements.newest_by = option.entry().and_then(|it| read_time(&it)),
        |record| print_time(record.elements.newest_by.as_ref()?),
    ),
    RecordOption::new(
        "times_at",
        "JSON Pointer or JSONPath",
        "none",
        "\"/hourly/time\"",
        "Where the times of the elements are in the response, in a list of their own: the first time is that of the first element.",
        |record, option| {
            record.elements.times_at = option.entry().and_then(|it| read_value_path(&it));
        },
        |record| value_path(record.elements.times_at.as_ref()?),
    ),
    RecordOption::new(
        "aggregate",
        "\"count\", \"sum\", \"min\", \"max\", \"mean\", \"time_of_min\" or \"time_of_max\"",
        "none",
        "\"sum\"",
        "One record of many values: of those of the list at `at`, of those that its JSONPath finds, or with `each` of those at `at` of all elements. Null is left out. Of none, count and sum are 0. `scale`, `min` and the like apply to the result. `time_of_min` and `time_of_max` are the local time of the element, as text; they need `element_time` or `times_at`.",
        |record, option| {
            let choices = AggregateFunction::ALL.map(|it| (it.name(), it));
            record.elements.aggregate = option.choice(&choices);
        },
        |record| text(record.elements.aggregate?.name()),
    ),
    RecordOption::new(
        "map",
        "table",
        "none",
        "{ on = 1, off = 0 }",
        "Numbers for texts, booleans or numbers of the response. `min` to `max_change` apply to the result; numbers without an entry stay as they are.",
        |record, option| record.map = option.entry().map(|it| read_map(&it)).unwrap_or_default(),
        |record| {
            let pair =
                |(text, number): &(String, f64)| format!("{} = {number:?}", bare_or_quoted(text));
            inline_table(record.map.iter().map(pair).collect())
        },
    ),
    RecordOption::new(
        "text",
        "true or false",
        "false",
        "true",
        "Store the value as text, up to 256 bytes, instead of a number. `min`, `max`, `scale` and the like have no effect then.",
        |record, option| record.text = option.boolean().unwrap_or(false),
        |record| record.text.then(|| "true".to_owned()),
    ),
];

/// A JSONPath finds the elements themselves, so one of names alone finds their list.
fn read_each(entry: &TableEntry<'_>) -> Option<ValuePath> {
    let path = read_value_path(entry)?;
    if let ValuePath::JsonPath(path) = &path
        && path.is_singular()
    {
        let path = path.as_str();
        entry.problem(format!(
            "each: {path} is one value, and a JSONPath here finds the elements themselves: write \
             {}",
            quoted_path(&format!("{path}[*]"))
        ));
        return None;
    }
    Some(path)
}

fn read_pattern(entry: &TableEntry<'_>) -> Option<NumberPattern> {
    let text =
        entry.literal_text("a regular expression with one group, such as '([0-9.]+) kWh'")?;
    match NumberPattern::new(&text) {
        Ok(pattern) => Some(pattern),
        Err(problem) => {
            entry.problem(format!("pattern: {} {problem}", quoted(&text)));
            None
        }
    }
}

fn read_map(entry: &TableEntry<'_>) -> Vec<(String, f64)> {
    let entries = entry.entries();
    let pairs = entries.iter();
    pairs
        .filter_map(|pair| Some((pair.key().to_owned(), pair.number()?)))
        .collect()
}
