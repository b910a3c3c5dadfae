//! The tables of a generated module: its schemas and operations as static data.

use std::fmt::Write as _;

use crate::compact_schemas::Lines;
use crate::emit::doc;
use crate::lower::names::{self, Scope};
use crate::model::{
    ANY, Api, Literal, Location, Operation, Parameter, Rule, Schema, SchemaId, SecurityKind,
    SecurityScheme, Server, Style, Types,
};

/// What a schema is written as where it is referred to.
enum Form {
    /// `&leaf::NUMBER`.
    Leaf(&'static str),
    /// A static of its own.
    Named(String),
    /// In place.
    Inline,
}

/// Inline schemas this deep get a static of their own: nobody reads further to the right.
const MAX_INLINE_DEPTH: usize = 6;

pub fn data(out: &mut String, api: &Api) {
    let forms = forms(api);
    out.push_str(
        "\n    /// The operations and schemas as data.\n    #[rustfmt::skip]\n    pub mod data {\n",
    );
    out.push_str("        use openapi::operation::*;\n        use openapi::schema::*;\n\n");
    let _ = write!(
        out,
        "        pub static API: Api = Api {{\n            \
            name: {}, title: {}, version: {}, source_file: {},\n            \
            servers: SERVERS,\n            operations: &[\n",
        text(&api.name),
        text(&api.title),
        text(&api.version),
        text(&api.source_file)
    );
    for operation in &api.operations {
        let _ = writeln!(out, "                &{},", operation.static_name);
    }
    out.push_str("            ],\n        };\n\n");
    let _ = writeln!(
        out,
        "        static SERVERS: &[Server] = {};",
        servers(&api.servers)
    );
    let lines = Lines::of(api);
    let _ = writeln!(out, "\n        static SCHEMAS: Pack = {};", lines.pack(api));
    let writer = Writer { api, forms, lines };
    for operation in &api.operations {
        writer.operation(out, operation);
    }
    for (id, form) in writer.forms.iter().enumerate() {
        if let Form::Named(name) = form {
            let _ = write!(out, "\n        static {name}: Schema = ");
            writer.schema(out, id, 2);
            out.push_str(";\n");
        }
    }
    out.push_str("    }\n");
}

fn forms(api: &Api) -> Vec<Form> {
    // Only parameters have statics; what responses lead to is packed.
    let mut uses = vec![0_usize; api.schemas.len()];
    let mut open: Vec<SchemaId> = api
        .operations
        .iter()
        .flat_map(|it| &it.parameters)
        .map(|it| it.schema)
        .collect();
    while let Some(id) = open.pop() {
        uses[id] += 1;
        if uses[id] == 1 {
            open.extend(api.schemas[id].rules.iter().flat_map(Rule::children));
        }
    }
    // (A circle has a way in, so one of it is used twice: writing in place ends.)
    let mut inline: Vec<bool> = (0..api.schemas.len())
        .map(|id| uses[id] == 1 && !api.schemas[id].named)
        .collect();
    cut_deep(api, &mut inline);
    let mut reserved = vec!["API".to_owned(), "SERVERS".to_owned(), "SCHEMAS".to_owned()];
    reserved.extend(api.operations.iter().map(|it| it.static_name.clone()));
    let reserved: Vec<&str> = reserved.iter().map(String::as_str).collect();
    let mut scope = Scope::without(&reserved);
    api.schemas
        .iter()
        .enumerate()
        .map(|(id, schema)| {
            if uses[id] == 0 {
                Form::Leaf("ANY")
            } else if let Some(leaf) = leaf(schema) {
                Form::Leaf(leaf)
            } else if inline[id] {
                Form::Inline
            } else {
                Form::Named(scope.unique(names::shout(&schema.name)))
            }
        })
        .collect()
}

fn cut_deep(api: &Api, inline: &mut [bool]) {
    let mut depth = vec![0_usize; inline.len()];
    let mut open: Vec<SchemaId> = (0..inline.len()).filter(|id| !inline[*id]).collect();
    while let Some(id) = open.pop() {
        for child in api.schemas[id].rules.iter().flat_map(Rule::children) {
            if inline[child] {
                depth[child] = depth[id] + 1;
                if depth[child] > MAX_INLINE_DEPTH {
                    inline[child] = false;
                    depth[child] = 0;
                }
                open.push(child);
            }
        }
    }
}

fn leaf(schema: &Schema) -> Option<&'static str> {
    if !schema.rules.is_empty() {
        return None;
    }
    Some(match schema.types {
        Types::ANY => "ANY",
        Types::BOOLEAN => "BOOLEAN",
        Types::INTEGER => "INTEGER",
        Types::NUMBER => "NUMBER",
        Types::TEXT => "TEXT",
        Types::OBJECT => "OBJECT",
        _ => return None,
    })
}

struct Writer<'a> {
    api: &'a Api,
    forms: Vec<Form>,
    lines: Lines,
}

impl Writer<'_> {
    fn operation(&self, out: &mut String, operation: &Operation) {
        let _ = write!(
            out,
            "\n        pub static {}: Operation = Operation {{\n            \
                api: {},\n            id: {},\n            summary: {},\n            \
                description: {},\n            path: {},\n            servers: {},\n            \
                parameters: &[",
            operation.static_name,
            text(&self.api.name),
            text(&operation.id),
            text(&operation.summary),
            text(if operation.description == operation.summary {
                ""
            } else {
                &operation.description
            }),
            text(&operation.path),
            operation
                .servers
                .as_ref()
                .map_or("SERVERS".to_owned(), |it| servers(it)),
        );
        for parameter in &operation.parameters {
            self.parameter(out, parameter);
        }
        out.push_str(if operation.parameters.is_empty() {
            "],\n"
        } else {
            "\n            ],\n"
        });
        let _ = write!(
            out,
            "            security: {},\n            accept: {},\n            response: ",
            security(&operation.security),
            text(&operation.accept)
        );
        self.packed(out, operation.answers.first().map_or(ANY, |it| it.schema));
        out.push_str(",\n            answers: &[");
        for answer in &operation.answers {
            let _ = write!(
                out,
                "\n                Answer {{ status: {}, media_type: {}, schema: ",
                text(&answer.status),
                text(&answer.media_type)
            );
            self.packed(out, answer.schema);
            out.push_str(" },");
        }
        let _ = write!(
            out,
            "\n            ],\n            deprecated: {},\n        }};\n",
            operation.deprecated
        );
    }

    fn parameter(&self, out: &mut String, parameter: &Parameter) {
        let _ = write!(
            out,
            "\n                Parameter {{\n                    \
                argument: {}, name: {}, location: Location::{},\n                    \
                required: {}, filled_by_security: {}, style: Style::{}, explode: {}, reserved: {},\n                    \
                description: {}, example: {},\n                    schema: ",
            text(&parameter.argument),
            text(&parameter.name),
            location(parameter.location),
            parameter.required,
            parameter.filled_by_security,
            style(parameter.style),
            parameter.explode,
            parameter.reserved,
            text(&parameter.description),
            text(&parameter.example)
        );
        self.reference(out, parameter.schema, 5);
        out.push_str(",\n                },");
    }

    fn packed(&self, out: &mut String, id: SchemaId) {
        let _ = write!(out, "Link::Packed(&SCHEMAS, {})", self.lines.line(id));
    }

    fn link(&self, out: &mut String, id: SchemaId, indent: usize) {
        out.push_str("Link::Static(");
        self.reference(out, id, indent);
        out.push(')');
    }

    fn reference(&self, out: &mut String, id: SchemaId, indent: usize) {
        match &self.forms[id] {
            Form::Leaf(name) => {
                let _ = write!(out, "&leaf::{name}");
            }
            Form::Named(name) => {
                let _ = write!(out, "&{name}");
            }
            Form::Inline => {
                out.push('&');
                self.schema(out, id, indent);
            }
        }
    }

    fn schema(&self, out: &mut String, id: SchemaId, indent: usize) {
        let schema = &self.api.schemas[id];
        let _ = write!(out, "Schema {{ types: {}, rules: &[", types(schema.types));
        let nested = schema.rules.iter().any(|it| !it.children().is_empty());
        let separator = if nested {
            format!("\n{}", "    ".repeat(indent + 1))
        } else {
            String::new()
        };
        for (at, rule) in schema.rules.iter().enumerate() {
            if nested {
                out.push_str(&separator);
            } else if at > 0 {
                out.push(' ');
            }
            self.rule(out, rule, indent + 1);
            if nested || at + 1 < schema.rules.len() {
                out.push(',');
            }
        }
        if nested {
            let _ = write!(out, "\n{}", "    ".repeat(indent));
        }
        out.push_str("] }");
    }

    fn rule(&self, out: &mut String, rule: &Rule, indent: usize) {
        out.push_str("Rule::");
        let _ = match rule {
            Rule::Format(it) => write!(out, "Format({})", text(it)),
            Rule::Minimum(it) => write!(out, "Minimum({})", it.0),
            Rule::Maximum(it) => write!(out, "Maximum({})", it.0),
            Rule::Above(it) => write!(out, "Above({})", it.0),
            Rule::Below(it) => write!(out, "Below({})", it.0),
            Rule::Enum(it) => {
                let literals: Vec<String> = it.iter().map(literal).collect();
                write!(out, "Enum(&[{}])", literals.join(", "))
            }
            Rule::Pattern(it, table) => {
                let table = table.escape_ascii();
                write!(out, "Pattern({}, b\"{table}\")", text(it))
            }
            Rule::Closed => write!(out, "Closed"),
            Rule::Default(it) => write!(out, "Default({})", text(it)),
            Rule::Example(it) => write!(out, "Example({})", text(it)),
            Rule::Description(it) => write!(out, "Description({})", text(it)),
            Rule::Discriminator(property, mapping) => {
                let mapping: Vec<String> = mapping
                    .iter()
                    .map(|(name, at)| format!("({}, {at})", text(name)))
                    .collect();
                write!(
                    out,
                    "Discriminator({}, &[{}])",
                    text(property),
                    mapping.join(", ")
                )
            }
            Rule::Properties(properties) => {
                out.push_str("Properties(&[");
                for property in properties {
                    let _ = write!(
                        out,
                        "\n{}Property {{ name: {}, required: {}, schema: ",
                        "    ".repeat(indent + 1),
                        text(&property.name),
                        property.required
                    );
                    self.link(out, property.schema, indent + 1);
                    out.push_str(" },");
                }
                write!(out, "\n{}])", "    ".repeat(indent))
            }
            Rule::Additional(it) => self.wrapped(out, "Additional", *it, indent),
            Rule::Items(it) => self.wrapped(out, "Items", *it, indent),
            Rule::Prefix(it) => self.list(out, "Prefix", it, indent),
            Rule::Variants(it) => self.list(out, "Variants", it, indent),
        };
    }

    fn wrapped(
        &self,
        out: &mut String,
        name: &str,
        id: SchemaId,
        indent: usize,
    ) -> std::fmt::Result {
        let _ = write!(out, "{name}(");
        self.link(out, id, indent);
        write!(out, ")")
    }

    fn list(
        &self,
        out: &mut String,
        name: &str,
        ids: &[SchemaId],
        indent: usize,
    ) -> std::fmt::Result {
        let _ = write!(out, "{name}(&[");
        for id in ids {
            let _ = write!(out, "\n{}", "    ".repeat(indent + 1));
            self.link(out, *id, indent + 1);
            out.push(',');
        }
        write!(out, "\n{}])", "    ".repeat(indent))
    }
}

fn servers(servers: &[Server]) -> String {
    let written: Vec<String> = servers
        .iter()
        .map(|server| {
            let variables: Vec<String> = server
                .variables
                .iter()
                .map(|it| {
                    let values: Vec<String> = it.values.iter().map(|it| text(it)).collect();
                    format!(
                        "Variable {{ name: {}, default: {}, values: &[{}] }}",
                        text(&it.name),
                        text(&it.default),
                        values.join(", ")
                    )
                })
                .collect();
            format!(
                "Server {{ url: {}, description: {}, variables: &[{}] }}",
                text(&server.url),
                text(&server.description),
                variables.join(", ")
            )
        })
        .collect();
    format!("&[{}]", written.join(", "))
}

fn security(alternatives: &[Vec<SecurityScheme>]) -> String {
    let written: Vec<String> = alternatives
        .iter()
        .map(|schemes| {
            let schemes: Vec<String> = schemes
                .iter()
                .map(|it| {
                    let kind = match &it.kind {
                        SecurityKind::ApiKey(place, name) => {
                            format!("ApiKey(Location::{}, {})", location(*place), text(name))
                        }
                        SecurityKind::Basic => "Basic".to_owned(),
                        SecurityKind::Bearer => "Bearer".to_owned(),
                    };
                    format!(
                        "SecurityScheme {{ name: {}, kind: SecurityKind::{kind}, description: {} }}",
                        text(&it.name),
                        text(&it.description)
                    )
                })
                .collect();
            format!("&[{}]", schemes.join(", "))
        })
        .collect();
    format!("&[{}]", written.join(", "))
}

fn types(types: Types) -> String {
    if types.is_any() {
        return if types.has(Types::NULLABLE) {
            "Types::ANY.or(Types::NULLABLE)"
        } else {
            "Types::ANY"
        }
        .to_owned();
    }
    let null = if types.has(Types::NULLABLE) {
        (Types::NULLABLE, "NULLABLE")
    } else {
        (Types::NULL, "NULL")
    };
    let mut names = [
        (Types::OBJECT, "OBJECT"),
        (Types::LIST, "LIST"),
        (Types::TEXT, "TEXT"),
        (Types::NUMBER, "NUMBER"),
        (Types::INTEGER, "INTEGER"),
        (Types::BOOLEAN, "BOOLEAN"),
        null,
    ]
    .into_iter()
    .filter(|(one, _)| types.has(*one))
    .map(|(_, name)| name);
    let mut written = format!("Types::{}", names.next().unwrap_or("NONE"));
    for name in names {
        let _ = write!(written, ".or(Types::{name})");
    }
    written
}

fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Null => "Literal::Null".to_owned(),
        Literal::Boolean(it) => format!("Literal::Boolean({it})"),
        Literal::Number(it) => format!("Literal::Number({})", text(it)),
        Literal::Text(it) => format!("Literal::Text({})", text(it)),
        Literal::Json(it) => format!("Literal::Json({})", text(it)),
    }
}

fn location(location: Location) -> &'static str {
    match location {
        Location::Path => "Path",
        Location::Query => "Query",
        Location::Header => "Header",
        Location::Cookie => "Cookie",
    }
}

fn style(style: Style) -> &'static str {
    match style {
        Style::Simple => "Simple",
        Style::Label => "Label",
        Style::Matrix => "Matrix",
        Style::Form => "Form",
        Style::SpaceDelimited => "SpaceDelimited",
        Style::PipeDelimited => "PipeDelimited",
        Style::DeepObject => "DeepObject",
        Style::TabDelimited => "TabDelimited",
        Style::Json => "Json",
    }
}

/// A Rust string literal; what the compiler or an eye would trip on is escaped.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for it in text.chars() {
        match it {
            '"' | '\\' => {
                out.push('\\');
                out.push(it);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            it if it.is_control() || doc(&it.to_string()).is_empty() && it != ' ' => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(it));
            }
            it => out.push(it),
        }
    }
    out.push('"');
    out
}
