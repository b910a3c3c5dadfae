//! How arguments are written into a URL, a header or a cookie: RFC 6570 and OpenAPI's styles.

use crate::domain::percent::{self, encode};
use openapi::operation::{Argument, Location, Parameter, Style};

/// The path template with its `{names}` filled. What follows a `?` in it is a query already.
pub fn expand<'a>(
    template: &str,
    given: &mut dyn Iterator<Item = (&'a Parameter, &'a Argument)>,
) -> String {
    let given: Vec<(&Parameter, &Argument)> = given.collect();
    let mut path = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            path.push('{');
            rest = after;
            continue;
        };
        if let Some((parameter, value)) = given.iter().find(|it| it.0.name == name) {
            path.push_str(&path_text(parameter, value));
        }
        rest = after;
    }
    path.push_str(rest);
    // What a template may hold and a URL may not.
    path.chars()
        .map(|it| {
            if is_url(it) {
                it.to_string()
            } else {
                encode(&it.to_string())
            }
        })
        .collect()
}

fn is_url(it: char) -> bool {
    it.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(it)
}

fn path_text(parameter: &Parameter, value: &Argument) -> String {
    let escape = escape_of(parameter);
    let name = encode(&parameter.name);
    match (parameter.style, value) {
        (Style::Label, Argument::List(_) | Argument::Object(_)) => {
            let between = if parameter.explode { "." } else { "," };
            format!(".{}", join(parameter, value, between, &escape))
        }
        (Style::Label, _) => format!(".{}", join(parameter, value, ",", &escape)),
        (Style::Matrix, Argument::List(items)) if parameter.explode => items
            .iter()
            .map(|item| format!(";{name}={}", scalar(item, &escape)))
            .collect(),
        (Style::Matrix, Argument::Object(_)) if parameter.explode => {
            format!(";{}", join(parameter, value, ";", &escape))
        }
        (Style::Matrix, _) => format!(";{name}={}", join(parameter, value, ",", &escape)),
        _ => join(parameter, value, ",", &escape),
    }
}

/// `name=value` pairs for a query or a cookie.
pub fn pairs(parameter: &Parameter, value: &Argument) -> Vec<String> {
    let escape = escape_of(parameter);
    let name = encode(&parameter.name);
    let pair = |name: &str, value: String| format!("{name}={value}");
    match (parameter.style, value) {
        (Style::DeepObject, Argument::Object(fields)) => {
            let mut deep = Vec::new();
            for (field, value) in fields {
                deepen(
                    &format!("{}[{field}]", parameter.name),
                    value,
                    &escape,
                    &mut deep,
                );
            }
            deep
        }
        (Style::Json, _) => vec![pair(&name, escape(&value.to_json().to_string()))],
        (_, Argument::List(items)) if parameter.explode => items
            .iter()
            .map(|item| pair(&name, scalar(item, &escape)))
            .collect(),
        (_, Argument::Object(fields)) if parameter.explode => fields
            .iter()
            .map(|(field, value)| pair(&encode(field), scalar(value, &escape)))
            .collect(),
        (Style::SpaceDelimited, _) => vec![pair(&name, join(parameter, value, "%20", &escape))],
        (Style::PipeDelimited, _) => vec![pair(&name, join(parameter, value, "%7C", &escape))],
        (Style::TabDelimited, _) => vec![pair(&name, join(parameter, value, "%09", &escape))],
        _ => vec![pair(&name, join(parameter, value, ",", &escape))],
    }
}

fn deepen(name: &str, value: &Argument, escape: &dyn Fn(&str) -> String, out: &mut Vec<String>) {
    match value {
        Argument::Object(fields) => {
            for (field, value) in fields {
                deepen(&format!("{name}[{field}]"), value, escape, out);
            }
        }
        Argument::List(items) => {
            for item in items {
                deepen(name, item, escape, out);
            }
        }
        _ => out.push(format!("{}={}", encode(name), scalar(value, escape))),
    }
}

/// A value in one piece: lists and objects with `between` between their parts.
pub fn join(
    parameter: &Parameter,
    value: &Argument,
    between: &str,
    escape: &dyn Fn(&str) -> String,
) -> String {
    if parameter.style == Style::Json {
        return escape(&value.to_json().to_string());
    }
    let parts: Vec<String> = match value {
        Argument::List(items) => items.iter().map(|item| scalar(item, escape)).collect(),
        Argument::Object(fields) if parameter.explode => fields
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), scalar(value, escape)))
            .collect(),
        Argument::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| [escape(name), scalar(value, escape)])
            .collect(),
        _ => return scalar(value, escape),
    };
    parts.join(between)
}

/// What has parts where no style says how to write them is written as JSON.
fn scalar(value: &Argument, escape: &dyn Fn(&str) -> String) -> String {
    escape(
        &value
            .scalar_text()
            .unwrap_or_else(|| value.to_json().to_string()),
    )
}

fn escape_of(parameter: &Parameter) -> impl Fn(&str) -> String + use<> {
    let set = match (parameter.allow_reserved, parameter.location) {
        // A name in a query may not end it.
        (true, Location::Query) => percent::RESERVED_IN_QUERY,
        (true, _) => percent::RESERVED,
        (false, _) => percent::COMPONENT,
    };
    move |text| percent::encode_set(text, set)
}
