//! The compact form of an API: JSON lines, written by codegen and read by main-node.
//!
//! ```text
//! {"name":"open_meteo",…}     the API
//! {"id":"getForecast",…}      each operation
//!                             an empty line
//! {"types":"number",…}        each schema, by its number; number 0, which says nothing, is left out
//! ```
//!
//! What a line holds follows from the types (`operation`, `schema`). Operations are read at
//! once, a schema when it is first asked for: of a large API most are never. What is read stays
//! for the life of the program; schemas that refer to each other in circles are no harm, for a
//! reference is followed only when somebody asks. A long text is deflated in the binary and
//! inflated when first read, never past the stated length.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::operation::{Api, Operation};
use crate::schema::{Rule, Schema};

/// What this takes at most stays readable in the generated file. Beyond it everybody who runs
/// the binary would pay for what nobody reads: deflated it is a fifth.
const MAX_READABLE: usize = 32_000;

/// Its best: codegen runs once.
const DEFLATE_LEVEL: u8 = 10;

/// An API with its schemas, as a file lowers to it.
#[derive(Debug, Default)]
pub struct Description {
    pub api: Api,
    /// By number; number 0 says nothing.
    pub schemas: Vec<Schema>,
}

/// The number of a schema in its API. It leads nowhere until its API was read.
#[derive(Clone, Copy, Default)]
pub struct SchemaRef {
    id: u32,
    bundle: Option<&'static SchemaBundle>,
}

/// The schemas of one API, read one by one.
pub struct SchemaBundle {
    lines: Vec<(&'static str, OnceLock<Schema>)>,
}

/// An API in the binary, read when first asked for.
pub struct CompactApi {
    source: Source,
    schemas: OnceLock<SchemaBundle>,
    api: OnceLock<Result<Api, String>>,
}

enum Source {
    Plain(&'static str),
    /// The length that it inflates to, and raw deflate.
    Deflated(usize, &'static [u8]),
}

/// A compact text as a generated file holds it.
pub enum Packed {
    Plain(String),
    Deflated(usize, Vec<u8>),
}

static ANY: Schema = Schema::of(crate::schema::Types::ANY);

/// The compact form of a description.
pub fn write(description: &Description) -> String {
    let mut out = String::with_capacity(text_length(description));
    out.push_str(&json(&description.api));
    for operation in &description.api.operations {
        let mut operation = operation.clone();
        if operation.servers == description.api.servers {
            operation.servers.clear();
        }
        out.push('\n');
        out.push_str(&json(&operation));
    }
    out.push('\n');
    for schema in description.schemas.iter().skip(1) {
        out.push('\n');
        out.push_str(&json(schema));
    }
    if description.schemas.len() <= 1 {
        out.push('\n');
    }
    out
}

/// Bytes of the compact form, or more.
fn text_length(description: &Description) -> usize {
    let lines = lines(description);
    lines.sum::<usize>() + 4 + description.api.operations.len() + description.schemas.len()
}

fn lines(description: &Description) -> impl Iterator<Item = usize> {
    let operations = description.api.operations.iter().map(length);
    let schemas = description.schemas.iter().skip(1).map(length);
    std::iter::once(length(&description.api))
        .chain(operations)
        .chain(schemas)
}

/// Bytes of heap that `write` takes: the text, and a line while it grows.
#[cfg(feature = "lower")]
pub(crate) fn memory(description: &Description) -> usize {
    text_length(description) + 6 * lines(description).max().unwrap_or(0) + 1_000
}

/// Bytes of a value's line, found without making it.
pub(crate) fn length(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // `json` makes six bytes of some characters: of one that has one byte, and of others
            // that have two at least.
            let more = bytes.iter().map(|byte| match byte {
                0x7f => 5,
                0x80.. => 2,
                _ => 0,
            });
            self.0 += bytes.len() + more.sum::<usize>();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // As in `json`: nothing here can fail.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// As it is, or deflated where it is long.
pub fn pack(text: String) -> Packed {
    if text.len() <= MAX_READABLE {
        return Packed::Plain(text);
    }
    let bytes = miniz_oxide::deflate::compress_to_vec(text.as_bytes(), DEFLATE_LEVEL);
    Packed::Deflated(text.len(), bytes)
}

/// JSON without characters that a compiler or an eye would trip on.
fn json(value: &impl Serialize) -> String {
    // These types have string keys and finite numbers alone: nothing in them cannot be JSON.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        if is_unprintable(it) {
            let mut units = [0; 2];
            for unit in it.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(it);
        }
    }
    out
}

/// Control characters and marks of direction, which the compiler refuses in a literal.
pub fn is_unprintable(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

impl CompactApi {
    pub const fn plain(text: &'static str) -> CompactApi {
        CompactApi::of(Source::Plain(text))
    }

    /// `bytes` inflate to a text of `length` bytes.
    pub const fn deflated(length: usize, bytes: &'static [u8]) -> CompactApi {
        CompactApi::of(Source::Deflated(length, bytes))
    }

    /// A text that was not compiled in; it stays for the life of the program.
    pub fn leak(text: String) -> &'static CompactApi {
        Box::leak(Box::new(CompactApi::plain(String::leak(text))))
    }

    const fn of(source: Source) -> CompactApi {
        CompactApi {
            source,
            schemas: OnceLock::new(),
            api: OnceLock::new(),
        }
    }

    pub fn read(&'static self) -> Result<&'static Api, &'static str> {
        let api = self.api.get_or_init(|| {
            let text = self.text()?;
            let text = text.trim_start_matches('\n');
            let (head, schemas) = text.split_once("\n\n").unwrap_or((text, ""));
            let bundle = self.schemas.get_or_init(|| SchemaBundle::new(schemas));
            read_api(head, bundle)
        });
        api.as_ref().map_err(String::as_str)
    }

    fn text(&self) -> Result<&'static str, String> {
        match self.source {
            Source::Plain(text) => Ok(text),
            Source::Deflated(length, bytes) => {
                let inflated = miniz_oxide::inflate::decompress_to_vec_with_limit(bytes, length)
                    .map_err(|error| error.to_string())?;
                let text = String::from_utf8(inflated).map_err(|error| error.to_string())?;
                if text.len() == length {
                    Ok(String::leak(text))
                } else {
                    Err(format!("expected {length} bytes, found {}", text.len()))
                }
            }
        }
    }
}

/// Every API of a build. One that cannot be read is not there: codegen wrote them, and its tests
/// read what it writes.
pub fn read_all(apis: &[&'static CompactApi]) -> Vec<&'static Api> {
    apis.iter().filter_map(|it| it.read().ok()).collect()
}

fn read_api(text: &str, bundle: &'static SchemaBundle) -> Result<Api, String> {
    let mut lines = text.split('\n');
    let failed = |error: serde_json::Error| error.to_string();
    let mut api: Api = serde_json::from_str(lines.next().unwrap_or("")).map_err(failed)?;
    for line in lines {
        let mut operation: Operation = serde_json::from_str(line).map_err(failed)?;
        operation.api = api.name.clone();
        if operation.servers.is_empty() {
            operation.servers = api.servers.clone();
        }
        for schema in operation.schemas_mut() {
            schema.bundle = Some(bundle);
        }
        api.operations.push(operation);
    }
    Ok(api)
}

impl SchemaBundle {
    fn new(text: &'static str) -> SchemaBundle {
        let lines = text.split('\n').filter(|line| !line.is_empty());
        SchemaBundle {
            lines: lines.map(|line| (line, OnceLock::new())).collect(),
        }
    }

    /// A line that cannot be read says nothing: codegen writes them, and its tests read each.
    fn get(&'static self, id: u32) -> &'static Schema {
        let line = (id as usize)
            .checked_sub(1)
            .and_then(|at| self.lines.get(at));
        let Some((text, schema)) = line else {
            return &ANY;
        };
        schema.get_or_init(|| {
            let mut schema: Schema = serde_json::from_str(text).unwrap_or_default();
            for child in schema.rules.iter_mut().flat_map(Rule::children_mut) {
                child.bundle = Some(self);
            }
            schema
        })
    }
}

impl SchemaRef {
    /// The schema that says nothing.
    pub const ANY: SchemaRef = SchemaRef {
        id: 0,
        bundle: None,
    };

    pub fn new(id: usize) -> SchemaRef {
        SchemaRef {
            id: u32::try_from(id).unwrap_or(0),
            bundle: None,
        }
    }

    pub fn id(self) -> usize {
        self.id as usize
    }

    pub fn get(self) -> &'static Schema {
        self.bundle.map_or(&ANY, |bundle| bundle.get(self.id))
    }
}

impl Deref for SchemaRef {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        self.get()
    }
}

impl PartialEq for SchemaRef {
    fn eq(&self, other: &SchemaRef) -> bool {
        self.id == other.id
    }
}

impl Eq for SchemaRef {}

impl fmt::Debug for SchemaRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "schema {}", self.id)
    }
}

impl Serialize for SchemaRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.id.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SchemaRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SchemaRef, D::Error> {
        u32::deserialize(deserializer).map(|id| SchemaRef { id, bundle: None })
    }
}

#[cfg(test)]
#[path = "tests/compact.rs"]
mod tests;
