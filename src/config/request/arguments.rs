//! Parameters of a source's operation.

use toml::de::DeValue;

use super::placeholders::{
    add_quoted_secrets, add_text_secrets, note_unfilled, read_template, sample_time,
    warn_unknown_value,
};
use crate::api::argument_template::{ArgumentTemplate, fill_arguments};
use crate::config::reader::{TableEntry, TableReader};
use crate::domain::redact::MASK;
use crate::domain::secret_detection::is_secret_name;
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_value};
use crate::limits;
use openapi::operation::{Argument, Location, Operation, Parameter, check_arguments};

pub fn read_arguments(
    table: &TableReader<'_>,
    operation: &TableEntry<'_>,
    params: Option<&TableEntry<'_>>,
    found: &'static Operation,
) -> Vec<(String, Argument)> {
    let entries = params.map(TableEntry::entries).unwrap_or_default();
    let arguments: Vec<(String, Argument)> = entries
        .iter()
        .filter_map(|entry| Some((entry.key().to_owned(), read_parameter(entry)?)))
        .collect();
    for (entry, (name, argument)) in entries.iter().zip(&arguments) {
        let is_credential = |it: &Parameter| {
            let is_place = matches!(it.location, Location::Header | Location::Cookie);
            it.argument == *name && (it.filled_by_security || is_place)
        };
        add_secrets(
            entry,
            name,
            argument,
            found.parameters.iter().any(is_credential),
        );
    }
    let templates: Vec<(String, ArgumentTemplate)> = arguments
        .iter()
        .map(|(name, argument)| (name.clone(), ArgumentTemplate::new(argument)))
        .collect();
    let filled = fill_arguments(found, &templates, &sample_time());
    for problem in check_arguments(found, &filled) {
        let entry = entries
            .iter()
            .find(|entry| problem.argument.as_deref() == Some(entry.key()));
        let span = match (entry, params) {
            (Some(entry), _) => entry.key_span(),
            (None, Some(params)) => params.key_span(),
            (None, None) => operation.span(),
        };
        table.reader().problem(&span, problem.message);
    }
    arguments
}

/// Registers values as secrets by their parameter names, at any depth.
pub fn add_secrets(entry: &TableEntry<'_>, name: &str, argument: &Argument, is_secret: bool) {
    let is_secret = is_secret || is_secret_name(name);
    match argument {
        Argument::List(items) => items
            .iter()
            .for_each(|item| add_secrets(entry, name, item, is_secret)),
        Argument::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| add_secrets(entry, name, value, is_secret)),
        _ if is_secret => argument
            .scalar_text()
            .into_iter()
            .for_each(|text| add_text_secrets(entry, &text)),
        Argument::Text(text) => add_quoted_secrets(entry, text),
        _ => {}
    }
}

/// The texts and numbers of a value at any depth, each with the name of its field.
pub fn argument_texts(argument: &Argument) -> Vec<(&str, String)> {
    fn add<'a>(found: &mut Vec<(&'a str, String)>, name: &'a str, argument: &'a Argument) {
        match argument {
            Argument::List(items) => items.iter().for_each(|it| add(found, name, it)),
            Argument::Object(fields) => fields.iter().for_each(|(name, it)| add(found, name, it)),
            _ => found.extend(argument.scalar_text().map(|text| (name, text))),
        }
    }
    let mut found = Vec::new();
    add(&mut found, "", argument);
    found
}

/// The same fields without their values.
pub fn masked_argument(argument: &Argument) -> Argument {
    match argument {
        Argument::List(items) => Argument::List(items.iter().map(masked_argument).collect()),
        Argument::Object(fields) => {
            let field = |(name, it): &(String, Argument)| (name.clone(), masked_argument(it));
            Argument::Object(fields.iter().map(field).collect())
        }
        _ => Argument::Text(MASK.to_owned()),
    }
}

fn read_parameter(item: &TableEntry<'_>) -> Option<Argument> {
    read_argument(item, limits::PARAMETER_DEPTH, "a parameter")
}

/// A value with tables and lists inside, of at most `depth` levels; texts may have date
/// placeholders.
pub fn read_argument(item: &TableEntry<'_>, depth: usize, what: &str) -> Option<Argument> {
    let Some(depth) = depth.checked_sub(1) else {
        item.problem(format!("{}: nested too deeply for {what}", item.key()));
        return None;
    };
    Some(match item.value() {
        DeValue::String(_) => {
            let text = item.text()?;
            warn_unknown_value(item, &text);
            read_template(item, &text)?;
            Argument::Text(text)
        }
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Argument::Integer(integer),
            Err(_) => {
                item.expected("a whole number of at most 64 bits");
                return None;
            }
        },
        DeValue::Float(_) => Argument::Number(item.number()?),
        DeValue::Boolean(truth) => Argument::Boolean(*truth),
        DeValue::Datetime(time) => Argument::Text(time.to_string()),
        DeValue::Array(_) => Argument::List(
            item.tables()
                .iter()
                .filter_map(|entry| read_argument(entry, depth, what))
                .collect(),
        ),
        DeValue::Table(_) => Argument::Object(
            item.entries()
                .iter()
                .filter_map(|entry| {
                    Some((entry.key().to_owned(), read_argument(entry, depth, what)?))
                })
                .collect(),
        ),
    })
}

/// The query string of a `url` source: scalars, and lists joined by commas.
pub fn read_query(params: &TableEntry<'_>) -> Vec<(String, String)> {
    let mut query = Vec::new();
    for entry in params.entries() {
        let argument = read_parameter(&entry);
        if let Some(argument) = &argument {
            add_secrets(&entry, entry.key(), argument, false);
        }
        let text = match argument {
            None => continue,
            Some(Argument::List(items)) => items
                .iter()
                .map(Argument::scalar_text)
                .collect::<Option<Vec<String>>>()
                .map(|texts| texts.join(",")),
            Some(argument) => argument.scalar_text(),
        };
        match text {
            Some(text) => {
                note_unfilled(&entry, &text);
                query.push((entry.key().to_owned(), text));
            }
            None => entry.expected("a text, a number, true or false, or a list of these"),
        }
    }
    query
}

/// As TOML, secrets masked.
pub fn argument_as_toml(argument: &Argument) -> String {
    match argument {
        Argument::Text(text) => quoted_value(text),
        Argument::Number(number) => format!("{number:?}"),
        Argument::List(items) => {
            let items: Vec<String> = items.iter().map(argument_as_toml).collect();
            format!("[{}]", items.join(", "))
        }
        Argument::Object(fields) => {
            if fields.is_empty() {
                return "{}".to_owned();
            }
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| {
                    let shown = if is_secret_name(name) {
                        quoted(MASK)
                    } else {
                        argument_as_toml(value)
                    };
                    format!("{} = {shown}", bare_or_quoted(name))
                })
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Argument::Integer(_) | Argument::Boolean(_) => argument.scalar_text().unwrap_or_default(),
    }
}
