//! Response schemas as text, one JSON line each, as `domain::schema::Pack` reads them. A short
//! text is written as it is; a long one is deflated.

use std::fmt::Write as _;

use crate::emit::doc;
use crate::lower::tree::quoted;
use crate::model::{ANY, Api, Literal, Rule, Schema, SchemaId, Types};

/// What an API may cost the binary, about, with its text readable in the generated file.
/// Beyond it everybody who runs the binary would pay for what nobody reads: deflated it is a
/// fifth. Three operations of GitHub's file shall add less than 30 kB, whichever they are.
const MAX_READABLE: usize = 16_000;

/// What a parameter costs, about: its texts, its static and the relocations of that, and the
/// code that takes it.
const PARAMETER_BYTES: usize = 300;

/// Its best: codegen runs once.
const DEFLATE_LEVEL: u8 = 10;

/// Width of the generated lines that hold deflated bytes.
const BYTES_WIDTH: usize = 96;

/// Which line each schema has. Line 0 is empty and says nothing.
pub struct Lines {
    line: Vec<usize>,
    order: Vec<SchemaId>,
}

impl Lines {
    /// What the responses lead to, in that order.
    pub fn of(api: &Api) -> Lines {
        let mut lines = Lines {
            line: vec![0; api.schemas.len()],
            order: vec![ANY],
        };
        for answer in api.operations.iter().flat_map(|it| &it.answers) {
            lines.add(answer.schema);
        }
        let mut next = 1;
        while next < lines.order.len() {
            for child in api.schemas[lines.order[next]]
                .rules
                .iter()
                .flat_map(Rule::children)
            {
                lines.add(child);
            }
            next += 1;
        }
        lines
    }

    fn add(&mut self, id: SchemaId) {
        if id != ANY && self.line[id] == 0 {
            self.line[id] = self.order.len();
            self.order.push(id);
        }
    }

    pub fn line(&self, id: SchemaId) -> usize {
        self.line[id]
    }

    /// The expression that makes the pack.
    pub fn pack(&self, api: &Api) -> String {
        let text = self.text(api);
        let parameters: usize = api.operations.iter().map(|it| it.parameters.len()).sum();
        if text.len() + PARAMETER_BYTES * parameters <= MAX_READABLE {
            return format!("Pack::new({})", raw(&text));
        }
        // The one that writes is fixed by Cargo.lock, whatever backend flate2 has in a build:
        // the generated file does not change by itself.
        let bytes = miniz_oxide::deflate::compress_to_vec(text.as_bytes(), DEFLATE_LEVEL);
        format!("Pack::deflated({}, {})", text.len(), byte_string(&bytes))
    }

    /// The whole pack, with a line break before each schema.
    pub fn text(&self, api: &Api) -> String {
        let mut out = String::new();
        for id in self.order.iter().skip(1) {
            out.push('\n');
            self.schema(&mut out, &api.schemas[*id]);
        }
        out
    }

    fn schema(&self, out: &mut String, schema: &Schema) {
        let _ = write!(out, "{{\"t\":\"{}\"", types(schema.types));
        let mut variants = 0;
        let is_number = schema.types.has(Types::INTEGER) || schema.types.has(Types::NUMBER);
        for rule in &schema.rules {
            // The demo takes a number's unit from its description; nothing reads the others.
            if matches!(rule, Rule::Description(_)) && !is_number {
                continue;
            }
            out.push(',');
            let _ = match rule {
                Rule::Format(it) => write!(out, "\"format\":{}", text(it)),
                Rule::Description(it) => write!(out, "\"about\":{}", text(it)),
                Rule::Example(it) => write!(out, "\"example\":{}", text(it)),
                Rule::Default(it) => write!(out, "\"default\":{}", text(it)),
                // Parameters alone have any, and are never packed.
                Rule::Pattern(..) => Ok(()),
                Rule::Minimum(it) => write!(out, "\"min\":{}", it.0),
                Rule::Maximum(it) => write!(out, "\"max\":{}", it.0),
                Rule::Above(it) => write!(out, "\"above\":{}", it.0),
                Rule::Below(it) => write!(out, "\"below\":{}", it.0),
                Rule::Closed => write!(out, "\"closed\":1"),
                Rule::Enum(it) => {
                    let literals: Vec<String> = it.iter().map(literal).collect();
                    write!(out, "\"enum\":[{}]", literals.join(","))
                }
                Rule::Items(it) => write!(out, "\"items\":{}", self.line(*it)),
                Rule::Additional(it) => write!(out, "\"more\":{}", self.line(*it)),
                Rule::Prefix(it) => write!(out, "\"first\":[{}]", self.list(it)),
                Rule::Variants(it) => {
                    variants += 1;
                    let number = if variants > 1 {
                        variants.to_string()
                    } else {
                        String::new()
                    };
                    write!(out, "\"any{number}\":[{}]", self.list(it))
                }
                Rule::Discriminator(property, mapping) => {
                    let mut parts = vec![text(property)];
                    for (name, at) in mapping {
                        parts.extend([text(name), at.to_string()]);
                    }
                    write!(out, "\"kind\":[{}]", parts.join(","))
                }
                Rule::Properties(properties) => {
                    let parts: Vec<String> = properties
                        .iter()
                        .map(|it| {
                            // A name that looks like a mark gets one that is none.
                            let mark = match (it.required, it.name.starts_with(['!', '.'])) {
                                (true, _) => "!",
                                (false, true) => ".",
                                (false, false) => "",
                            };
                            format!(
                                "{},{}",
                                text(&format!("{mark}{}", it.name)),
                                self.line(it.schema)
                            )
                        })
                        .collect();
                    write!(out, "\"has\":[{}]", parts.join(","))
                }
            };
        }
        out.push('}');
    }

    fn list(&self, ids: &[SchemaId]) -> String {
        let lines: Vec<String> = ids.iter().map(|it| self.line(*it).to_string()).collect();
        lines.join(",")
    }
}

fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Boolean(it) => it.to_string(),
        Literal::Number(it) => it.clone(),
        Literal::Text(it) => text(it),
        Literal::Json(it) => escaped(it),
    }
}

fn types(types: Types) -> String {
    if types.is_any() {
        return if types.has(Types::NULLABLE) {
            "any|nullable"
        } else {
            "any"
        }
        .to_owned();
    }
    let names: Vec<&str> = [
        (Types::OBJECT, "object"),
        (Types::LIST, "array"),
        (Types::TEXT, "string"),
        (Types::NUMBER, "number"),
        (Types::INTEGER, "integer"),
        (Types::BOOLEAN, "boolean"),
        (Types::NULLABLE, "nullable"),
        (Types::NULL, "null"),
    ]
    .into_iter()
    .filter(|(one, _)| types.has(*one))
    .map(|(_, name)| name)
    .filter(|name| *name != "null" || !types.has(Types::NULLABLE))
    .collect();
    names.join("|")
}

fn text(text: &str) -> String {
    escaped(&quoted(text))
}

/// JSON that may stand in a raw string: nothing that the compiler or an eye trips on.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for it in json.chars() {
        if it != ' ' && doc(&it.to_string()).is_empty() {
            let mut units = [0; 2];
            for unit in it.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(it);
        }
    }
    out
}

/// A raw string literal.
pub fn raw(text: &str) -> String {
    let mut hashes = "#".to_owned();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{text}\"{hashes}")
}

/// A byte string literal over several lines. Blanks are escaped, for a line that goes on
/// swallows those it begins with.
fn byte_string(bytes: &[u8]) -> String {
    let mut out = "b\"".to_owned();
    let mut width = BYTES_WIDTH;
    for byte in bytes {
        let one = match byte {
            b'"' | b'\\' => format!("\\{}", char::from(*byte)),
            b'!'..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        };
        if width + one.len() > BYTES_WIDTH {
            out.push_str("\\\n");
            width = 0;
        }
        width += one.len();
        out.push_str(&one);
    }
    out.push('"');
    out
}
