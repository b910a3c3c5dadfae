//! Scalars of a schema: types by name, listed values, examples, first sentences.

use crate::lower::tree::{Kind, Node, json_number, quoted, truncate};
use crate::schema::{Literal, Types};

/// Examples longer than this are prose.
const MAX_EXAMPLE: usize = 32;
/// Likewise of a parameter, which may be a list.
const MAX_SHOWN: usize = 96;

pub fn is_null_schema(node: &Node) -> bool {
    let only_null = |it: &Node| it.is_null() || it.text() == Some("null");
    if node.get("type").is_some_and(|it| {
        only_null(it) || (!it.items().is_empty() && it.items().iter().all(only_null))
    }) {
        return true;
    }
    let listed = node.get("enum").map(Node::items).unwrap_or(&[]);
    node.get("const").is_some_and(Node::is_null)
        || (!listed.is_empty() && listed.iter().all(Node::is_null))
}

pub fn type_of(name: &str) -> Option<Types> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "null" | "nil" => Types::NULL,
        "boolean" | "bool" => Types::BOOLEAN,
        "integer" | "int" | "int32" | "int64" | "long" => Types::INTEGER,
        "number" | "float" | "double" | "decimal" => Types::NUMBER,
        "string" | "str" | "text" | "date" | "date-time" | "datetime" | "uuid" => Types::TEXT,
        "array" | "list" => Types::LIST,
        "object" | "dict" | "map" => Types::OBJECT,
        "any" => Types::ANY,
        _ => return None,
    })
}

pub fn type_of_value(node: &Node) -> Types {
    match &node.kind {
        Kind::Null => Types::NULL,
        Kind::Bool(_) => Types::BOOLEAN,
        Kind::Number(it) if it.bytes().all(|it| it.is_ascii_digit() || it == b'-') => {
            Types::INTEGER
        }
        Kind::Number(_) => Types::NUMBER,
        Kind::Text(_) => Types::TEXT,
        Kind::List(_) => Types::LIST,
        Kind::Map(_) => Types::OBJECT,
    }
}

/// A listed value; one that YAML took for another type than the declared is put right.
pub fn literal(node: &Node, types: Types) -> Literal {
    let numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
    match &node.kind {
        Kind::Null if types.without(Types::NULL) == Types::TEXT && !types.has(Types::NULL) => {
            Literal::Text("null".to_owned())
        }
        Kind::Null => Literal::Null,
        Kind::Bool(it) if types.has(Types::BOOLEAN) || !types.has(Types::TEXT) => {
            Literal::Boolean(*it)
        }
        Kind::Number(it) if numeric || !types.has(Types::TEXT) => match json_number(it) {
            Some(number) => Literal::Number(number),
            None => Literal::Text(it.clone()),
        },
        Kind::Text(it) if numeric && !types.has(Types::TEXT) => match json_number(it) {
            Some(number) => Literal::Number(number),
            None => Literal::Text(it.clone()),
        },
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => {
            Literal::Text(node.text().unwrap_or("").to_owned())
        }
        Kind::List(_) | Kind::Map(_) => Literal::Json(node.json()),
    }
}

pub fn example(node: &Node, types: Types) -> Option<String> {
    // `example: {value: 3}` is how examples of parameters look.
    let node = if types.has(Types::OBJECT) {
        node
    } else {
        node.get("value").unwrap_or(node)
    };
    example_of(node, types)
}

/// A scalar example of the declared type, as JSON.
pub fn example_of(node: &Node, types: Types) -> Option<String> {
    let numeric = types.has(Types::NUMBER) || types.has(Types::INTEGER);
    let json = match &node.kind {
        Kind::Bool(it) if types.has(Types::BOOLEAN) => it.to_string(),
        Kind::Number(it) | Kind::Text(it) if numeric && !types.has(Types::TEXT) => json_number(it)?,
        Kind::Number(it) if numeric => json_number(it)?,
        Kind::Text(it) | Kind::Number(it)
            if types.has(Types::TEXT) && !types.is_any() && it.len() <= MAX_EXAMPLE =>
        {
            quoted(it)
        }
        _ => return None,
    };
    (json.len() <= MAX_EXAMPLE).then_some(json)
}

/// A scalar or a list of scalars, as JSON; what is longer is no value to begin with.
pub fn short_json(node: &Node) -> Option<String> {
    let is_scalar = |it: &Node| !matches!(it.kind, Kind::Null | Kind::List(_) | Kind::Map(_));
    let is_list = matches!(node.kind, Kind::List(_)) && !node.items().is_empty();
    let fits = is_scalar(node) || (is_list && node.items().iter().all(is_scalar));
    if fits {
        node.json_within(MAX_SHOWN)
    } else {
        None
    }
}

/// The first sentence of a text, in one line, without markup that nobody renders.
pub fn first_sentence(text: &str, most: usize) -> String {
    // What is cut off anyway need not be looked at; the dots at a sentence's end are not counted.
    let line = words(text, 4 * most + 1_000);
    let end = line.find(". ").map_or(line.as_str(), |at| &line[..at]);
    truncate(end.trim_end_matches('.').trim(), most)
}

/// The words of a text with a space between them: so many characters, or all there are.
pub fn words(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut left = most;
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            left = left.saturating_sub(1);
        }
        for letter in word.chars().take(left) {
            line.push(letter);
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    line
}
