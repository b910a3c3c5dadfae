//! XML to a tree, as Python's xmltodict makes it: attributes are `@name`, text beside them is
//! `#text`, an element with text alone is its text, repeated elements are an array.
//!
//! Pure. No DTD, no entities but the five of XML.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value as Json};

use super::{FormatError, ValueBudget, leaf};
use crate::domain::json_path::SegmentKind;
use crate::domain::plan::{Selection, SourcePlan};
use crate::domain::value_path::{ValuePath, escape};
use crate::limits;

/// Parses a whole document.
pub fn parse(text: &str, lists: &XmlLists) -> Result<Json, FormatError> {
    let mut document = Document {
        text,
        lists,
        at: 0,
        open: Vec::new(),
        path: String::new(),
        root: Map::new(),
        budget: ValueBudget::default(),
    };
    let mut reader = Reader::from_str(text);
    loop {
        document.at = reader.buffer_position() as usize;
        let event = reader
            .read_event()
            .map_err(|error| document.syntax(&error))?;
        match event {
            Event::Start(tag) => document.open(&tag)?,
            Event::Empty(tag) => {
                document.open(&tag)?;
                document.close()?;
            }
            Event::End(_) => document.close()?,
            Event::Text(text) => document.add_text(&text.xml10_content())?,
            Event::CData(text) => document.add_text(&text.xml10_content())?,
            Event::GeneralRef(reference) => document.add_reference(&reference)?,
            Event::DocType(_) => {
                return Err(document.expected("XML without a DOCTYPE, which is not read"));
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    document.at = text.len();
    match document.open.last() {
        Some(element) => Err(document.expected(&format!("</{}>", element.name))),
        None if document.root.is_empty() => {
            document.at = 0;
            Err(document.expected("an XML element"))
        }
        None => Ok(Json::Object(document.root)),
    }
}

/// Which elements are lists however often they occur, because the configuration reads them as
/// such: those of an `each`, and those in front of an index.
#[derive(Debug, Default)]
pub struct XmlLists {
    /// Paths of elements, without indices.
    paths: BTreeSet<String>,
    /// Names of elements that are lists wherever they occur.
    names: BTreeSet<String>,
    /// Names of the elements of an `each`, by the path of their parent: they are an empty list
    /// if they do not occur in it.
    may_be_empty: BTreeMap<String, BTreeSet<String>>,
}

impl XmlLists {
    pub fn of_plan(plan: &SourcePlan) -> XmlLists {
        let mut lists = XmlLists::default();
        for path in plan.observed_at.iter().chain(&plan.units_at) {
            lists.add_value_path("", path);
        }
        if let Selection::Selectors(selectors) = &plan.selection {
            for selector in selectors {
                // The path of an element; unknown behind `..`.
                let element = match selector.list() {
                    None => Some(String::new()),
                    Some(list) => lists.add_list(list),
                };
                if let Some(times) = &selector.elements.times_at {
                    lists.add_list(times);
                }
                let Some(element) = element else { continue };
                if selector.each.is_some() || selector.list().is_none() {
                    lists.add_value_path(&element, &selector.at);
                }
                for path in selector
                    .unit_at
                    .iter()
                    .chain(selector.elements.element_paths())
                {
                    lists.add_value_path(&element, path);
                }
                for part in selector.key.split('{').skip(1) {
                    let field = part.split('}').next().unwrap_or_default();
                    lists.add_pointer(&format!("{element}{field}"));
                }
            }
        }
        lists
    }

    /// Adds the elements in front of an index; a name never begins with a digit.
    fn add_pointer(&mut self, pointer: &str) -> String {
        let mut path = String::new();
        for segment in pointer.split('/').skip(1) {
            if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
                self.add_path(&path);
            } else {
                path.push('/');
                path.push_str(segment);
            }
        }
        path
    }

    /// Adds the elements in front of a position, a wildcard or a filter too. The pointer of what
    /// the path finds in the element at `begin`, if it is known.
    fn add_value_path(&mut self, begin: &str, path: &ValuePath) -> Option<String> {
        let path = match path {
            ValuePath::Pointer(pointer) => {
                let pointer = format!("{begin}{pointer}");
                self.add_pointer(&pointer);
                return Some(pointer);
            }
            ValuePath::JsonPath(path) => path,
        };
        let mut found = Some(begin.to_owned());
        let mut name: Option<&str> = None;
        for segment in path.segments() {
            if segment.is_descendant {
                found = None;
            }
            match &segment.kind {
                SegmentKind::Name(child) => {
                    if let Some(place) = &mut found {
                        *place += &format!("/{}", escape(child));
                    }
                    name = Some(child);
                }
                SegmentKind::Index | SegmentKind::Other => {
                    let listed = name.take().filter(|_| !segment.is_descendant);
                    if let Some(place) = &mut found {
                        place.push_str("/0");
                        self.add_pointer(place);
                    } else if let Some(listed) = listed {
                        self.names.insert(listed.to_owned());
                    }
                }
            }
        }
        found
    }

    /// Adds the list that a path finds, or the one at its place; the pointer of its elements.
    fn add_list(&mut self, path: &ValuePath) -> Option<String> {
        let found = self.add_value_path("", path)?;
        match path {
            ValuePath::JsonPath(path) if !path.is_singular() => Some(found),
            _ => {
                self.add_each(&found);
                Some(format!("{found}/0"))
            }
        }
    }

    fn add_each(&mut self, each: &str) {
        let path = self.add_pointer(each);
        self.add_path(&path);
        if let Some((parent, name)) = path.rsplit_once('/').filter(|it| !it.0.is_empty()) {
            let names = self.may_be_empty.entry(parent.to_owned()).or_default();
            names.insert(name.to_owned());
        }
    }

    /// The root is never a list: there is always one.
    fn add_path(&mut self, path: &str) {
        if path.matches('/').count() > 1 {
            self.paths.insert(path.to_owned());
        }
    }
}

/// An element that is not closed yet.
struct OpenElement {
    name: String,
    fields: Map<String, Json>,
    text: String,
}

struct Document<'a> {
    text: &'a str,
    lists: &'a XmlLists,
    /// Where the current event begins.
    at: usize,
    open: Vec<OpenElement>,
    /// The names of the open elements, each behind a slash.
    path: String,
    root: Map<String, Json>,
    budget: ValueBudget,
}

impl Document<'_> {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), FormatError> {
        let name = tag.name().into_inner().to_owned();
        if !is_name(&name) {
            return Err(self.expected("the name of an XML element"));
        }
        if self.open.is_empty() && !self.root.is_empty() {
            return Err(self.expected("one root element, and nothing after it"));
        }
        if self.open.len() >= limits::XML_DEPTH {
            let most = limits::XML_DEPTH;
            return Err(self.expected(&format!("at most {most} levels of elements")));
        }
        self.budget.take(1)?;
        let mut fields = Map::new();
        // Its check for repeated attributes takes quadratic time.
        for attribute in tag.attributes().with_checks(false) {
            self.budget.take(1)?;
            let attribute = attribute.map_err(|_| self.expected("attributes as name=\"value\""))?;
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|_| {
                    self.expected("attributes with no entities but &amp; &lt; &gt; &quot; &apos;")
                })?;
            let name = format!("@{}", attribute.key.into_inner());
            if fields.insert(name, leaf(&value)).is_some() {
                return Err(self.expected("each attribute once"));
            }
        }
        self.path.push('/');
        self.path.push_str(&name);
        self.open.push(OpenElement {
            name,
            fields,
            text: String::new(),
        });
        Ok(())
    }

    /// Closes the innermost element; the reader has compared the names.
    fn close(&mut self) -> Result<(), FormatError> {
        let Some(mut element) = self.open.pop() else {
            return Ok(());
        };
        for name in self
            .lists
            .may_be_empty
            .get(&self.path)
            .into_iter()
            .flatten()
        {
            let list = || Json::Array(Vec::new());
            element.fields.entry(name.clone()).or_insert_with(list);
        }
        let text = leaf(&element.text);
        let value = if element.fields.is_empty() {
            text
        } else {
            self.budget.take(limits::OBJECT_VALUES)?;
            if !text.is_null() {
                element.fields.insert("#text".to_owned(), text);
            }
            Json::Object(element.fields)
        };
        let is_list =
            self.lists.paths.contains(&self.path) || self.lists.names.contains(&element.name);
        self.path.truncate(self.path.len() - element.name.len() - 1);
        let siblings = match self.open.last_mut() {
            Some(parent) => &mut parent.fields,
            None => &mut self.root,
        };
        match siblings.get_mut(&element.name) {
            Some(Json::Array(items)) => items.push(value),
            Some(first) => *first = Json::Array(vec![first.take(), value]),
            None => {
                let value = if is_list {
                    Json::Array(vec![value])
                } else {
                    value
                };
                siblings.insert(element.name, value);
            }
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) -> Result<(), FormatError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => {
                self.at += text.len() - text.trim_start().len();
                return Err(self.expected("XML elements and no text outside"));
            }
        }
        Ok(())
    }

    fn add_reference(&mut self, reference: &BytesRef<'_>) -> Result<(), FormatError> {
        let known = match &**reference {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "apos" => Some('\''),
            "quot" => Some('"'),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        let known =
            known.ok_or_else(|| self.expected("no entities but &amp; &lt; &gt; &quot; &apos;"))?;
        self.add_text(known.encode_utf8(&mut [0; 4]))
    }

    fn syntax(&self, error: &Error) -> FormatError {
        match error {
            Error::IllFormed(IllFormedError::MismatchedEndTag { expected, .. }) => {
                self.expected(&format!("</{expected}>"))
            }
            Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => {
                self.expected("a start tag before this end tag")
            }
            Error::IllFormed(IllFormedError::UnclosedReference) => {
                self.expected("&amp; for a single &")
            }
            Error::Syntax(error) => self.expected(&format!("well-formed XML ({error})")),
            _ => self.expected("well-formed XML"),
        }
    }

    fn expected(&self, expected: &str) -> FormatError {
        let parts = self.text.split_at_checked(self.at);
        let (before, rest) = parts.unwrap_or((self.text, ""));
        let line = 1 + before.matches('\n').count();
        FormatError::malformed(line, expected, rest)
    }
}

/// Whether it can be a name: what follows `<` in other texts is none.
fn is_name(name: &str) -> bool {
    let begins = |c: char| c.is_alphabetic() || c == '_' || c == ':';
    name.starts_with(begins) && !name.contains(['/', '<', '&', '"', '\'', '='])
}

#[cfg(test)]
#[path = "tests/xml.rs"]
mod tests;
