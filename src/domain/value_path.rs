//! Path to a value of a response: JSON Pointer (RFC 6901) or JSONPath (RFC 9535).
//!
//! Pure.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde_json::Value as Json;

use super::json_path::{JsonPath, JsonPathProblem, Segment, SegmentKind};
use super::placeholder::PlaceholderTime;
use super::text::ellipsis;
use crate::limits;

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValuePath {
    /// JSON Pointer; the empty one is the whole response.
    Pointer(String),
    JsonPath(Box<JsonPath>),
}

/// A value and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct LocatedValue<'a> {
    /// RFC 6901 JSON Pointer.
    pub pointer: String,
    pub value: &'a Json,
}

/// Several values where one is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeveralNodes {
    count: usize,
    /// Pointers of the first ones.
    first: Vec<String>,
}

impl fmt::Display for SeveralNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.count, self.first.join(", "))?;
        if self.count > self.first.len() {
            f.write_str(", …")?;
        }
        Ok(())
    }
}

impl ValuePath {
    /// A text that begins with `$.` or `$[` is a JSONPath, another a JSON Pointer.
    pub fn parse(text: &str) -> Result<ValuePath, JsonPathProblem> {
        if JsonPath::is_meant(text) {
            let path = JsonPath::parse(text)?;
            return Ok(ValuePath::JsonPath(Box::new(path)));
        }
        Ok(ValuePath::from(text))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        match self {
            ValuePath::Pointer(pointer) => pointer,
            ValuePath::JsonPath(path) => path.as_str(),
        }
    }

    /// The name with which a JSONPath ends.
    pub fn last_name(&self) -> Option<&str> {
        let ValuePath::JsonPath(path) = self else {
            return None;
        };
        match &path.segments().last()?.kind {
            SegmentKind::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it is the whole response.
    pub fn is_root(&self) -> bool {
        matches!(self.as_str(), "" | "$")
    }

    pub fn is_dated(&self) -> bool {
        matches!(self, ValuePath::JsonPath(path) if path.is_dated())
    }

    /// Fills date placeholders in. A path that they make invalid stays as it is, and finds nothing.
    pub fn fill(&mut self, time: &PlaceholderTime) {
        if let ValuePath::JsonPath(path) = self
            && path.is_dated()
            && let Ok(filled) = path.fill(time)
        {
            **path = filled;
        }
    }

    /// The one value that it finds in `root`, if there is any.
    pub fn find<'a>(&self, root: &'a Json) -> Result<Option<LocatedValue<'a>>, SeveralNodes> {
        let path = match self {
            ValuePath::Pointer(pointer) => {
                let pointer = pointer.clone();
                return Ok(root
                    .pointer(&pointer)
                    .map(|value| LocatedValue { pointer, value }));
            }
            ValuePath::JsonPath(path) => path,
        };
        let values = path.select(root);
        let count = values.len();
        let shown = match count {
            1 => 1,
            _ => limits::JSON_PATH_NODES_SHOWN,
        };
        let mut nodes = locate(root, path, values.into_iter().take(shown));
        if count > 1 {
            let first = nodes.iter();
            let first = first.map(|it| ellipsis(&it.pointer, limits::SAMPLE_CHARS));
            let first = first.collect();
            return Err(SeveralNodes { count, first });
        }
        Ok(nodes.pop())
    }
}

/// A JSON Pointer.
impl From<&str> for ValuePath {
    fn from(pointer: &str) -> ValuePath {
        ValuePath::Pointer(pointer.to_owned())
    }
}

/// A JSON Pointer.
impl From<String> for ValuePath {
    fn from(pointer: String) -> ValuePath {
        ValuePath::Pointer(pointer)
    }
}

impl fmt::Display for ValuePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The pointers of values that `path`, or its first segments, selected in `root`, in the order
/// given.
pub fn locate<'a>(
    root: &'a Json,
    path: &JsonPath,
    values: impl Iterator<Item = &'a Json>,
) -> Vec<LocatedValue<'a>> {
    let values: Vec<&Json> = values.collect();
    let mut search = Search {
        wanted: values.iter().copied().map(std::ptr::from_ref).collect(),
        places: HashMap::new(),
        steps: Vec::new(),
    };
    search.visit(root, path.segments());
    let nodes = values.into_iter().map(|value| {
        let found = search.places.get(&std::ptr::from_ref(value));
        let pointer = found.cloned().unwrap_or_default();
        LocatedValue { pointer, value }
    });
    nodes.collect()
}

/// A walk along the segments of a path that ends when all wanted values are found. The depth of
/// a response is bounded by its reader.
struct Search<'a> {
    wanted: HashSet<*const Json>,
    places: HashMap<*const Json, String>,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Search<'a> {
    fn visit(&mut self, value: &'a Json, segments: &[Segment]) {
        let address = std::ptr::from_ref(value);
        if self.wanted.remove(&address) {
            self.places.insert(address, self.pointer());
        }
        let (segment, rest) = match segments.split_first() {
            // What is below is selected by the same segment.
            Some((segment, _)) if segment.is_descendant => (segment, segments),
            Some(both) => both,
            None => return,
        };
        let name = match &segment.kind {
            SegmentKind::Name(name) if !segment.is_descendant => Some(name),
            _ => None,
        };
        match (value, name) {
            (Json::Object(fields), Some(name)) => {
                if let Some((name, field)) = fields.get_key_value(name) {
                    self.step(Step::Name(name), field, rest);
                }
            }
            (Json::Object(fields), None) => {
                for (name, field) in fields {
                    self.step(Step::Name(name), field, rest);
                }
            }
            (Json::Array(items), None) => {
                for (index, item) in items.iter().enumerate() {
                    self.step(Step::Index(index), item, rest);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, step: Step<'a>, child: &'a Json, segments: &[Segment]) {
        if !self.wanted.is_empty() {
            self.steps.push(step);
            self.visit(child, segments);
            self.steps.pop();
        }
    }

    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.steps {
            pointer.push('/');
            match step {
                Step::Name(name) => pointer.push_str(&escape(name)),
                Step::Index(index) => pointer.push_str(&index.to_string()),
            }
        }
        pointer
    }
}

/// A name as it is written in a JSON Pointer.
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The name that a segment of a JSON Pointer stands for.
pub fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// The index in a list, or the name in an object, of what is at `pointer`.
pub fn last_name(pointer: &str) -> String {
    unescape(pointer.rsplit('/').next().unwrap_or_default())
}
