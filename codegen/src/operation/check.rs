//! Whether arguments fit an operation, and what to change where they do not.
//!
//! Every message is for a tired person: expected, found, what to change. Nothing is altered.

use super::{Argument, ArgumentProblem, Location, Operation, Parameter, Style};
use crate::schema::{Literal, Schema, SchemaRef, Types};

/// Every problem of these arguments, each with what to change; none means it can be called.
pub fn check_arguments(
    operation: &Operation,
    arguments: &[(String, Argument)],
) -> Vec<ArgumentProblem> {
    let mut problems = Vec::new();
    for (position, (name, argument)) in arguments.iter().enumerate() {
        let problem = match operation.parameters.iter().find(|it| it.argument == *name) {
            None => Some(unknown_argument(operation, name)),
            Some(_)
                if arguments[..position]
                    .iter()
                    .any(|(earlier, _)| earlier == name) =>
            {
                Some(format!(
                    "`{name}` is given twice to {}; keep one",
                    operation.id
                ))
            }
            Some(parameter) => describe_mismatch(operation, parameter, argument),
        };
        problems.extend(problem.map(|message| ArgumentProblem {
            argument: Some(name.clone()),
            message,
        }));
    }
    for parameter in &operation.parameters {
        let given = arguments
            .iter()
            .any(|(name, _)| *name == parameter.argument);
        let needed = parameter.required && !parameter.filled_by_security;
        if needed && !given && parameter.default_value().is_none() {
            problems.push(ArgumentProblem {
                argument: Some(parameter.argument.clone()),
                message: format!(
                    "{} needs `{}` ({}) and `params` does not give it; add {} = …",
                    operation.id,
                    parameter.argument,
                    parameter.describe(),
                    toml_key(&parameter.argument)
                ),
            });
        }
    }
    problems
}

/// A TOML key: quoted where it has to be.
fn toml_key(name: &str) -> String {
    let bare = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

fn unknown_argument(operation: &Operation, name: &str) -> String {
    let names = operation.parameters.iter().map(|it| it.argument.as_str());
    match nearest(name, names) {
        Some(near) => format!(
            "{} has no parameter `{name}`; did you mean `{near}`?",
            operation.id
        ),
        None if operation.parameters.is_empty() => {
            format!("{} takes no parameters; remove `{name}`", operation.id)
        }
        None => {
            let mut known: Vec<&str> = operation
                .parameters
                .iter()
                .map(|it| it.argument.as_str())
                .take(8)
                .collect();
            if operation.parameters.len() > known.len() {
                known.push("…");
            }
            format!(
                "{} has no parameter `{name}`; it has: {}",
                operation.id,
                known.join(", ")
            )
        }
    }
}

/// The known name that a person most likely meant.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase();
    known
        .map(|it| (strsim::damerau_levenshtein(&folded, &it.to_lowercase()), it))
        .filter(|(distance, it)| *distance <= 1 + it.chars().count().min(folded.len()) / 4)
        .min()
        .map(|(_, it)| it)
}

/// Whether an argument may stand for a parameter.
pub fn fits(operation: &Operation, parameter: &Parameter, argument: &Argument) -> bool {
    describe_mismatch(operation, parameter, argument).is_none()
}

fn describe_mismatch(
    operation: &Operation,
    parameter: &Parameter,
    argument: &Argument,
) -> Option<String> {
    if parameter.style == Style::Json {
        return None;
    }
    let id = &operation.id;
    let name = &parameter.argument;
    if let Some(text) = argument.scalar_text() {
        let hint = match parameter.location {
            Location::Path if text.is_empty() => "may not be empty: it is a part of the path",
            Location::Path if is_dots(&text) => "may not be `.` or `..`: it is a part of the path",
            Location::Header | Location::Cookie if text.chars().any(|it| it.is_control()) => {
                "holds a line break or another control character, which no header can carry"
            }
            _ => "",
        };
        if !hint.is_empty() {
            return Some(format!("`{name}` of {id} {hint}; change it in `params`"));
        }
    }
    let mismatch = find_mismatch(parameter.schema.get(), argument, 0)?;
    let near = match &mismatch.found {
        Argument::Text(text) => nearest(text, listed_texts(mismatch.schema)),
        _ => None,
    };
    let change = match (near, &mismatch.found) {
        (Some(near), _) => format!("did you mean \"{near}\"?"),
        (None, Argument::Integer(_) | Argument::Number(_) | Argument::Boolean(_))
            if mismatch.schema.types == Types::TEXT && mismatch.schema.literals().is_empty() =>
        {
            format!("put it in quotes: \"{}\"", mismatch.found.describe())
        }
        _ => "change it in `params`".to_owned(),
    };
    Some(format!(
        "`{name}` of {id}: expected {}, found {}; {change}",
        mismatch.schema.describe(),
        mismatch.found.describe()
    ))
}

fn is_dots(text: &str) -> bool {
    text == "." || text == ".."
}

fn listed_texts(schema: &Schema) -> impl Iterator<Item = &str> {
    schema
        .literals()
        .iter()
        .filter_map(|literal| match literal {
            Literal::Text(it) => Some(it.as_str()),
            _ => None,
        })
}

struct Mismatch {
    schema: &'static Schema,
    found: Argument,
}

fn find_mismatch(schema: &'static Schema, argument: &Argument, depth: usize) -> Option<Mismatch> {
    if depth > 32 {
        return None;
    }
    let no = || {
        Some(Mismatch {
            schema,
            found: argument.clone(),
        })
    };
    let variants = schema.variants();
    if !variants.is_empty() {
        let mut first = None;
        for variant in variants {
            match find_mismatch(variant.get(), argument, depth + 1) {
                None => return None,
                some => first = first.or(some),
            }
        }
        return if variants.len() == 1 {
            first
        } else {
            variant_mismatch(variants, argument, first)
        };
    }
    let types = schema.types;
    match argument {
        Argument::List(items) if types.has(Types::LIST) => {
            let of = schema.items()?;
            items
                .iter()
                .find_map(|item| find_mismatch(of, item, depth + 1))
        }
        // One value for a list of one.
        _ if types.has(Types::LIST) && !types.is_any() && is_wrong_type(types, argument) => {
            if matches!(argument, Argument::Object(_)) {
                return no();
            }
            find_mismatch(schema.items()?, argument, depth + 1)
        }
        Argument::List(_) => no(),
        Argument::Object(fields) if types.has(Types::OBJECT) => {
            fields.iter().find_map(|(name, value)| {
                let property = schema.property(name).map(|it| it.schema.get());
                find_mismatch(property.or(schema.additional())?, value, depth + 1)
            })
        }
        Argument::Object(_) => no(),
        _ if is_wrong_type(types, argument) => no(),
        _ if scalar_fits(schema, argument) => None,
        _ => no(),
    }
}

/// Whether a scalar of the right type is one of the listed values, in range and of the pattern.
fn scalar_fits(schema: &Schema, argument: &Argument) -> bool {
    let Some(text) = argument.scalar_text() else {
        return true;
    };
    let types = schema.types;
    let literals = schema.literals();
    let number = parsed(&text);
    let is = |literal: &Literal| match literal {
        Literal::Text(it) => *it == text,
        Literal::Boolean(it) => it.to_string() == text,
        Literal::Number(it) => *it == text || it.parse().is_ok_and(|it: f64| Some(it) == number),
        Literal::Null | Literal::Json(_) => false,
    };
    let is_listed = literals.is_empty() || literals.iter().any(is);
    let is_numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
    let is_outside = is_numeric && number.is_some_and(|it| schema.excludes(it));
    let is_odd =
        matches!(argument, Argument::Text(_)) && types.has(Types::TEXT) && schema.mismatches(&text);
    is_listed && !is_outside && !is_odd
}

/// Variants of one form, like two enums, share the first one's message.
fn variant_mismatch(
    variants: &[SchemaRef],
    argument: &Argument,
    first: Option<Mismatch>,
) -> Option<Mismatch> {
    let whole = variants
        .iter()
        .find(|it| !is_wrong_type(it.types, argument));
    match whole {
        Some(schema) => Some(Mismatch {
            schema: schema.get(),
            found: argument.clone(),
        }),
        None => first,
    }
}

fn parsed(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|it| it.is_finite())
}

/// Whether no scalar type of these takes the argument. Text that holds a number is taken
/// for one: it may come from the environment.
fn is_wrong_type(types: Types, argument: &Argument) -> bool {
    let number = types.has(Types::NUMBER);
    let integer = number || types.has(Types::INTEGER);
    !match argument {
        Argument::Text(text) => {
            types.has(Types::TEXT)
                || (number && parsed(text).is_some())
                || (integer && text.trim().parse::<i64>().is_ok())
                || (types.has(Types::BOOLEAN) && matches!(text.as_str(), "true" | "false"))
        }
        Argument::Integer(_) => integer,
        Argument::Number(it) => it.is_finite() && (number || (integer && it.fract() == 0.0)),
        Argument::Boolean(_) => types.has(Types::BOOLEAN),
        Argument::List(_) => types.has(Types::LIST),
        Argument::Object(_) => types.has(Types::OBJECT),
    }
}
