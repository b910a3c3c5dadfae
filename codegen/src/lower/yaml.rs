//! YAML to a tree with places, from the parser's events, so that nothing a schema-driven
//! reader would trip on (duplicate keys, `200:`, huge integers) is an error.
//!
//! YAML 1.2 rules for scalars: `yes` and `no` are texts. Anchors, aliases and `<<` work,
//! within a bound on what aliases may multiply to. Layouts that PyYAML and js-yaml read are
//! read, also where YAML 1.2 asks for more indentation.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, StructureStyle};

use crate::lower::tree::{
    Entry, Kind, MAX_DEPTH, Node, ParseError, Position, Warning, join_entries, parse_number,
    truncate,
};

/// Nodes that all aliases of a file together may copy ("billion laughs").
const MAX_COPIED: usize = 1_000_000;

/// Blocks of lines indented by tabs, between brackets, that are read: each costs a new start.
const MAX_TAB_BLOCKS: usize = 100;

pub fn read(text: &str, file: u32, warnings: &mut Vec<Warning>) -> Result<Node, ParseError> {
    let mut text = replace_control_characters(text, file, warnings);
    let mut tabbed_lines = HashSet::new();
    let oddities_before = warnings.len();
    for _ in 0..MAX_TAB_BLOCKS {
        match parse(&text, file, &tabbed_lines, warnings) {
            Err(YamlError::Tab { line, error }) => {
                let expanded = expand_tabs(&text, line, &mut tabbed_lines);
                text = Cow::Owned(expanded.ok_or(error)?);
                warnings.truncate(oddities_before);
            }
            Err(YamlError::Other(error)) => return Err(error),
            Ok(node) => return Ok(node),
        }
    }
    Err(ParseError {
        line: 1,
        column: 1,
        message: format!("expected at most {MAX_TAB_BLOCKS} blocks that are indented by tabs"),
    })
}

/// Why a text is refused.
enum YamlError {
    /// By a tab at the beginning of this line (from 1), which YAML allows between brackets
    /// and nowhere else; the parser allows it nowhere.
    Tab {
        line: usize,
        error: ParseError,
    },
    Other(ParseError),
}

/// Reads a text in which the indentation of `tabbed_lines` was tabs.
fn parse(
    text: &str,
    file: u32,
    tabbed_lines: &HashSet<usize>,
    warnings: &mut Vec<Warning>,
) -> Result<Node, YamlError> {
    let mut builder = Builder {
        file,
        warnings,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        copied: 0,
    };
    let options = granit_parser::options! {
        // Files that were joined have the second one's byte-order mark in the middle.
        bom_inside_document_as_content: true,
        // YAML's own limit is 1,024; js-yaml has none, and JSON files have long keys.
        simple_key_max_lookahead: 65_536,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let line = error.marker().line();
            let is_tab = matches!(
                error.kind(),
                ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation
            );
            let error = ParseError {
                line: number(line),
                column: number(error.marker().col() + 1),
                message: format!("expected YAML, but: {}", error.info()),
            };
            if is_tab && !tabbed_lines.contains(&line) {
                YamlError::Tab { line, error }
            } else {
                YamlError::Other(error)
            }
        })?;
        let is_node = matches!(
            event,
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)
        );
        if is_node && builder.is_in_block() && tabbed_lines.contains(&span.start.line()) {
            return Err(YamlError::Other(ParseError {
                line: number(span.start.line()),
                column: 1,
                message: "expected YAML, but: tabs are no indentation (spaces are)".to_owned(),
            }));
        }
        if !builder.take(event, span).map_err(YamlError::Other)? {
            break;
        }
    }
    builder.root.ok_or_else(|| {
        YamlError::Other(ParseError {
            line: 1,
            column: 1,
            message: "expected an OpenAPI description, found an empty file".to_owned(),
        })
    })
}

/// Makes spaces of the tabs that indent `line` (from 1) and the lines after it, as far as
/// they have some; `None` if that line has none. Columns stay as they are.
fn expand_tabs(text: &str, line: usize, tabbed_lines: &mut HashSet<usize>) -> Option<String> {
    let mut expanded = String::with_capacity(text.len());
    let mut is_done = false;
    for (number, content) in (1..).zip(text.split_inclusive('\n')) {
        let rest = content.trim_start_matches([' ', '\t']);
        let indent = &content[..content.len() - rest.len()];
        if number < line || is_done || !indent.contains('\t') {
            is_done |= number >= line;
            expanded += content;
        } else {
            tabbed_lines.insert(number);
            expanded.extend(std::iter::repeat_n(' ', indent.len()));
            expanded += rest;
        }
    }
    tabbed_lines.contains(&line).then_some(expanded)
}

/// Puts U+FFFD in the place of characters that YAML does not allow (the parser refuses the
/// whole file for one), so that line and column of everything else stay as they are.
/// YAML 1.2.2, 5.1 `c-printable`.
fn replace_control_characters<'a>(
    text: &'a str,
    file: u32,
    warnings: &mut Vec<Warning>,
) -> Cow<'a, str> {
    let is_allowed = |character: char| {
        matches!(character, '\t' | '\n' | '\r' | '\u{85}' | ' '..='~' | '\u{a0}'..='\u{fffd}')
            || character > '\u{ffff}'
    };
    let Some(first) = text.find(|character| !is_allowed(character)) else {
        return Cow::Borrowed(text);
    };
    let before = &text[..first];
    warnings.push(Warning {
        place: Position {
            file,
            line: number(before.matches('\n').count() + 1),
            column: number(before.rsplit('\n').next().unwrap_or("").chars().count() + 1),
        },
        message: "a control character is read as U+FFFD, and so is every other one".to_owned(),
    });
    let replaced = text
        .chars()
        .map(|character| {
            if is_allowed(character) {
                character
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect();
    Cow::Owned(replaced)
}

fn number(it: usize) -> u32 {
    u32::try_from(it).unwrap_or(u32::MAX)
}

struct Builder<'a> {
    file: u32,
    warnings: &'a mut Vec<Warning>,
    open: Vec<OpenCollection>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    copied: usize,
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

impl Builder<'_> {
    /// False when the first document has ended: a second one is not ours.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<bool, ParseError> {
        let place = Position {
            file: self.file,
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let as_text =
                    tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix() == "str");
                let kind = match style {
                    ScalarStyle::Plain if !as_text => plain(&text),
                    _ => Kind::Text(text.into_owned()),
                };
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
                let mut node = self.anchors.get(&anchor).cloned().unwrap_or(Node {
                    kind: Kind::Null,
                    place,
                });
                self.copy(&node, place)?;
                if self.open.len() + depth(&node) > MAX_DEPTH {
                    node.kind = Kind::Null;
                }
                if self.wants_key() {
                    self.key(text_of(&node), place);
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
    fn is_in_block(&self) -> bool {
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
            return Err(ParseError {
                line: place.line,
                column: place.column,
                message: "expected fewer than 200 levels inside each other".to_owned(),
            });
        }
        if self.wants_key() {
            // `? [a, b] : c`: no key that OpenAPI knows; its value is kept out of the way.
            self.warnings.push(Warning {
                place,
                message: "a list or an object as a key is not understood".to_owned(),
            });
        }
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
        let kind = match open.what {
            Collection::List(items) => Kind::List(items),
            Collection::Map(entries, _) => Kind::Map(join_entries(merged(entries), self.warnings)),
        };
        let node = Node {
            kind,
            place: open.place,
        };
        if self.wants_key() {
            self.key(truncate(&node.json(), 80), node.place);
            Ok(())
        } else {
            self.add(node, open.anchor)
        }
    }

    /// Counts what anchors and aliases copy: a small file may ask for a lot of memory.
    fn copy(&mut self, node: &Node, place: Position) -> Result<(), ParseError> {
        self.copied = self.copied.saturating_add(count(node));
        if self.copied <= MAX_COPIED {
            return Ok(());
        }
        Err(ParseError {
            line: place.line,
            column: place.column,
            message: "expected aliases (`*name`) that copy at most a million nodes".to_owned(),
        })
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), ParseError> {
        if anchor > 0 {
            self.copy(&node, node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
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
    for merge in merges {
        let maps = match merge.value.kind {
            Kind::List(items) => items,
            _ => vec![merge.value],
        };
        for map in maps {
            let Kind::Map(inherited) = map.kind else {
                continue;
            };
            for entry in inherited {
                if !own.iter().any(|it| it.key == entry.key) {
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

fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|it| count(&it.value)).sum::<usize>(),
        _ => 1,
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
