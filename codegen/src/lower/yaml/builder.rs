//! The parser's events to a tree: anchors, aliases, merges, keys of any kind.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, ScalarStyle, Span, StructureStyle};

use super::number;
use crate::lower::limits::{self, ENTRY, ITEM, Memory, OPEN, hashed, heap};
use crate::lower::tree::{
    Entry, Kind, MAX_DEPTH, Map, Node, ParseError, Position, Warning, join_entries, parse_number,
    truncate, warn,
};

/// Nodes that all aliases of a file together may copy ("billion laughs").
const MAX_COPIED: usize = 1_000_000;

pub(super) struct Builder<'a> {
    file: u32,
    warnings: &'a mut Vec<Warning>,
    memory: &'a Memory,
    open: Vec<OpenCollection>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    /// Nodes that anchors and aliases copied.
    copied: usize,
    /// Bytes that are counted for `anchors`.
    anchored: usize,
}

struct OpenCollection {
    place: Position,
    anchor: usize,
    style: StructureStyle,
    what: Collection,
}

enum Collection {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(String, Position)>),
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        file: u32,
        warnings: &'a mut Vec<Warning>,
        memory: &'a Memory,
    ) -> Builder<'a> {
        Builder {
            file,
            warnings,
            memory,
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            copied: 0,
            anchored: 0,
        }
    }

    /// The tree, where there is one; its anchors are needed no more.
    pub(super) fn finish(self) -> Option<Node> {
        self.memory.give_back(self.anchored);
        self.root
    }

    /// False when the first document has ended: a second one is not ours.
    pub(super) fn take(&mut self, event: Event<'_>, span: Span) -> Result<bool, ParseError> {
        let place = Position {
            file: self.file,
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let as_text =
                    tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix() == "str");
                let length = text.len();
                let kind = match style {
                    ScalarStyle::Plain if !as_text => plain(&text),
                    _ => Kind::Text(exact(text)),
                };
                self.count(heap(length), place)?;
                let node = Node { kind, place };
                if self.wants_key() {
                    // A key is text, whatever it looks like: `200:`, `yes:`.
                    self.key(text_of(&node), place);
                } else {
                    self.add(node, anchor)?;
                }
            }
            Event::SequenceStart(style, anchor, _) => {
                self.start(Collection::List(Vec::new()), style, place, anchor)?;
            }
            Event::MappingStart(style, anchor, _) => {
                self.start(Collection::Map(Vec::new(), None), style, place, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => {
                let mut node = Node {
                    kind: Kind::Null,
                    place,
                };
                if let Some(anchored) = self.anchors.get(&anchor) {
                    let (nodes, bytes) = size(anchored);
                    self.copy(nodes, bytes, place)?;
                    node = self.anchors.get(&anchor).cloned().unwrap_or(node);
                }
                if self.open.len() + depth(&node) > MAX_DEPTH {
                    node.kind = Kind::Null;
                }
                if self.wants_key() {
                    let needed = node.json_memory();
                    self.count(needed, node.place)?;
                    self.key(text_of(&node), place);
                    self.memory.give_back(needed);
                } else {
                    self.add(node, 0)?;
                }
            }
            Event::DocumentEnd => return Ok(false),
            // Start and end of the stream; what else there is has to be asked for.
            _ => {}
        }
        Ok(true)
    }

    fn wants_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(OpenCollection {
                what: Collection::Map(_, None),
                ..
            })
        )
    }

    fn key(&mut self, text: String, place: Position) {
        if let Some(OpenCollection {
            what: Collection::Map(_, key),
            ..
        }) = self.open.last_mut()
        {
            *key = Some((text, place));
        }
    }

    /// Whether the innermost list or object is written by indentation, not by brackets.
    pub(super) fn is_in_block(&self) -> bool {
        let open = self.open.last();
        open.is_none_or(|open| open.style == StructureStyle::Block)
    }

    fn start(
        &mut self,
        what: Collection,
        style: StructureStyle,
        place: Position,
        anchor: usize,
    ) -> Result<(), ParseError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(ParseError::new(
                place.line,
                place.column,
                "expected fewer than 200 levels inside each other",
            ));
        }
        if self.wants_key() {
            // `? [a, b] : c`: no key that OpenAPI knows; its value is kept out of the way.
            warn(self.warnings, place, || {
                "a list or an object as a key is not understood".to_owned()
            });
        }
        self.count(OPEN, place)?;
        self.open.push(OpenCollection {
            place,
            anchor,
            style,
            what,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), ParseError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let (kind, children, kept) = match open.what {
            Collection::List(items) => {
                let count = items.len();
                let items = items.into_boxed_slice();
                (Kind::List(items), count * ITEM, limits::list(count))
            }
            Collection::Map(entries, _) => {
                let count = entries.len();
                let map = self.closed(entries, open.place)?;
                // Merging may have put more in.
                let all = count.max(map.len());
                (Kind::Map(map), count * ENTRY, limits::map(all))
            }
        };
        self.memory.give_back(OPEN + children);
        self.count(kept, open.place)?;
        let node = Node {
            kind,
            place: open.place,
        };
        if self.wants_key() {
            let needed = node.json_memory();
            self.count(needed, node.place)?;
            self.key(truncate(&node.json(), 80), node.place);
            self.memory.give_back(needed);
            Ok(())
        } else {
            self.add(node, open.anchor)
        }
    }

    fn count(&self, bytes: usize, place: Position) -> Result<(), ParseError> {
        if self.memory.take(bytes, place) {
            Ok(())
        } else {
            Err(ParseError::over_limit(place))
        }
    }

    /// A map whose entries are all there.
    fn closed(&mut self, entries: Vec<Entry>, place: Position) -> Result<Map, ParseError> {
        let merges = entries.iter().filter(|it| it.key == "<<");
        let inherited: usize = merges.map(|it| inherited(&it.value)).sum();
        let needed = if inherited > 0 {
            (inherited + weight(&entries)) * (2 * ENTRY + hashed(24))
        } else {
            0
        };
        self.count(needed, place)?;
        let map = join_entries(merged(entries), self.warnings, self.memory);
        self.memory.give_back(needed);
        if self.memory.is_exceeded() {
            return Err(ParseError::over_limit(place));
        }
        Ok(map)
    }

    /// Counts what anchors and aliases copy: a small file may ask for a lot of memory.
    fn copy(&mut self, nodes: usize, bytes: usize, place: Position) -> Result<(), ParseError> {
        self.copied = self.copied.saturating_add(nodes);
        self.count(bytes, place)?;
        if self.copied <= MAX_COPIED {
            return Ok(());
        }
        Err(ParseError::new(
            place.line,
            place.column,
            "expected aliases (`*name`) that copy at most a million nodes",
        ))
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), ParseError> {
        if anchor > 0 {
            let (nodes, bytes) = size(&node);
            let bytes = bytes + hashed(size_of::<(usize, Node)>()) + 256;
            self.copy(nodes, bytes, node.place)?;
            self.anchored += bytes;
            self.anchors.insert(anchor, node.clone());
        }
        let is_in_list = matches!(
            self.open.last(),
            Some(OpenCollection {
                what: Collection::List(_),
                ..
            })
        );
        self.count(if is_in_list { ITEM } else { ENTRY }, node.place)?;
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(OpenCollection {
                what: Collection::List(items),
                ..
            }) => items.push(node),
            Some(OpenCollection {
                what: Collection::Map(entries, key),
                ..
            }) => {
                if let Some((key, place)) = key.take() {
                    entries.push(Entry {
                        key,
                        place,
                        value: node,
                    });
                }
            }
        }
        Ok(())
    }
}

/// `<<: *base` puts the entries of `base` in, where the map does not say them itself.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    if !entries.iter().any(|entry| entry.key == "<<") {
        return entries;
    }
    let (merges, mut own): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.key == "<<");
    let mut known: HashSet<String> = own.iter().map(|it| it.key.clone()).collect();
    for merge in merges {
        let maps = match merge.value.kind {
            Kind::List(items) => items.into_vec(),
            _ => vec![merge.value],
        };
        for map in maps {
            let Kind::Map(inherited) = map.kind else {
                continue;
            };
            for entry in inherited.into_entries() {
                if known.insert(entry.key.clone()) {
                    own.push(entry);
                }
            }
        }
    }
    own
}

fn text_of(node: &Node) -> String {
    match &node.kind {
        Kind::Null => String::new(),
        Kind::List(_) | Kind::Map(_) => truncate(&node.json(), 80),
        _ => node.text().unwrap_or("").to_owned(),
    }
}

/// A scalar without quotes, by YAML 1.2's core schema.
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if parse_number(text).is_some() => Kind::Number(text.to_owned()),
        // A number that no f64 holds is one still.
        _ if text.len() > 20 && text.bytes().all(|it| it.is_ascii_digit()) => {
            Kind::Number(text.to_owned())
        }
        _ => Kind::Text(text.to_owned()),
    }
}

/// The weight of what a `<<` may put in.
fn inherited(merge: &Node) -> usize {
    let lists = merge.items().iter().map(|it| weight(it.entries()));
    weight(merge.entries()) + lists.sum::<usize>()
}

/// Entries, one with a long key as several.
fn weight(entries: &[Entry]) -> usize {
    entries.iter().map(|it| it.key.len() / 64 + 1).sum()
}

/// A text as long as it is.
fn exact(text: Cow<'_, str>) -> String {
    let mut text = text.into_owned();
    text.shrink_to_fit();
    text
}

/// Nodes of a tree, and the bytes that a copy of it takes.
fn size(node: &Node) -> (usize, usize) {
    let add = |sum: (usize, usize), node: &Node| {
        let (nodes, bytes) = size(node);
        (sum.0 + nodes, sum.1 + bytes)
    };
    match &node.kind {
        Kind::Number(it) | Kind::Text(it) => (1, heap(it.len())),
        Kind::List(items) => items.iter().fold((1, limits::list(items.len())), add),
        Kind::Map(map) => map.iter().fold((1, limits::map(map.len())), |sum, entry| {
            let sum = add(sum, &entry.value);
            (sum.0, sum.1 + heap(entry.key.len()))
        }),
        Kind::Null | Kind::Bool(_) => (1, 0),
    }
}

fn depth(node: &Node) -> usize {
    let inside = match &node.kind {
        Kind::List(items) => items.iter().map(depth).max(),
        Kind::Map(entries) => entries.iter().map(|it| depth(&it.value)).max(),
        _ => None,
    };
    1 + inside.unwrap_or(0)
}
