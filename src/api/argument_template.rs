//! Values of an operation's parameters, or of a JSON body, with date and time placeholders.
//!
//! Pure.

use crate::domain::placeholder::{PlaceholderTime, Template};
use openapi::operation::{Argument, Operation, fits};
use openapi::schema::{Schema, SchemaRef, Types};

/// A value whose texts may have placeholders.
#[derive(Debug, Clone, PartialEq)]
pub enum ArgumentTemplate {
    Fixed(Argument),
    Text(Template),
    List(Vec<ArgumentTemplate>),
    Object(Vec<(String, ArgumentTemplate)>),
}

impl ArgumentTemplate {
    /// Texts whose placeholders cannot be read, which the configuration refuses, stay as they are.
    pub fn new(argument: &Argument) -> ArgumentTemplate {
        match argument {
            Argument::Text(text) => match Template::parse(text) {
                Ok(template) if template.has_placeholders() => ArgumentTemplate::Text(template),
                _ => ArgumentTemplate::Fixed(argument.clone()),
            },
            Argument::List(items) => {
                ArgumentTemplate::List(items.iter().map(ArgumentTemplate::new).collect())
            }
            Argument::Object(fields) => {
                let field = |(name, value): &(String, Argument)| {
                    (name.clone(), ArgumentTemplate::new(value))
                };
                ArgumentTemplate::Object(fields.iter().map(field).collect())
            }
            Argument::Integer(_) | Argument::Number(_) | Argument::Boolean(_) => {
                ArgumentTemplate::Fixed(argument.clone())
            }
        }
    }

    pub fn has_placeholders(&self) -> bool {
        match self {
            ArgumentTemplate::Fixed(_) => false,
            ArgumentTemplate::Text(template) => template.has_placeholders(),
            ArgumentTemplate::List(items) => items.iter().any(ArgumentTemplate::has_placeholders),
            ArgumentTemplate::Object(fields) => fields.iter().any(|(_, it)| it.has_placeholders()),
        }
    }

    /// The value at a time. What is nothing but `{…:unix}` or `{…:unix_ms}` is a number.
    pub fn fill(&self, time: &PlaceholderTime) -> Argument {
        match self {
            ArgumentTemplate::Fixed(argument) => argument.clone(),
            ArgumentTemplate::Text(template) => match template.unix_time(time) {
                Some(number) => Argument::Integer(number),
                None => Argument::Text(template.fill(time)),
            },
            ArgumentTemplate::List(items) => {
                Argument::List(items.iter().map(|it| it.fill(time)).collect())
            }
            ArgumentTemplate::Object(fields) => {
                let fields = fields.iter();
                Argument::Object(
                    fields
                        .map(|(name, it)| (name.clone(), it.fill(time)))
                        .collect(),
                )
            }
        }
    }
}

/// The arguments of an operation at a time. A Unix time is a text where the OpenAPI file declares
/// one.
pub fn fill_arguments(
    operation: &Operation,
    arguments: &[(String, ArgumentTemplate)],
    time: &PlaceholderTime,
) -> Vec<(String, Argument)> {
    let fill = |(name, template): &(String, ArgumentTemplate)| {
        let filled = template.fill(time);
        let parameter = operation.parameters.iter().find(|it| it.argument == *name);
        let as_text = || filled.scalar_text().map(Argument::Text);
        let filled = match (template, parameter) {
            (ArgumentTemplate::Text(_), Some(parameter))
                if !fits(operation, parameter, &filled) =>
            {
                let text = as_text().filter(|text| fits(operation, parameter, text));
                text.unwrap_or(filled)
            }
            _ => filled,
        };
        (name.clone(), filled)
    };
    arguments.iter().map(fill).collect()
}

/// A request body, a table or a list, at a time. A Unix time is a text where the OpenAPI file declares one.
pub fn fill_body(schema: &Schema, body: &ArgumentTemplate, time: &PlaceholderTime) -> Argument {
    match body {
        ArgumentTemplate::Text(template) => match template.unix_time(time) {
            Some(number) if !is_text(schema) => Argument::Integer(number),
            _ => Argument::Text(template.fill(time)),
        },
        ArgumentTemplate::List(items) => {
            let of = schema.items().unwrap_or(SchemaRef::ANY.get());
            Argument::List(items.iter().map(|it| fill_body(of, it, time)).collect())
        }
        ArgumentTemplate::Object(fields) => {
            let field = |(name, it): &(String, ArgumentTemplate)| {
                let property = schema.property(name).map(|it| it.schema.get());
                let of = property.or(schema.additional());
                let of = of.unwrap_or(SchemaRef::ANY.get());
                (name.clone(), fill_body(of, it, time))
            };
            Argument::Object(fields.iter().map(field).collect())
        }
        ArgumentTemplate::Fixed(_) => body.fill(time),
    }
}

fn is_text(schema: &Schema) -> bool {
    let types = schema.types;
    types.has(Types::TEXT) && !types.has(Types::INTEGER) && !types.has(Types::NUMBER)
}
