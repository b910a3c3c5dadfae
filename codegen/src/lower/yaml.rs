//! YAML to a tree with places, from the parser's events, so that nothing a schema-driven
//! reader would trip on (duplicate keys, `200:`, huge integers) is an error.
//!
//! YAML 1.2 rules for scalars: `yes` and `no` are texts. Anchors, aliases and `<<` work,
//! within a bound on what aliases may multiply to. Layouts that PyYAML and js-yaml read are
//! read, also where YAML 1.2 asks for more indentation.

use std::borrow::Cow;
use std::collections::HashSet;

use granit_parser::{ErrorKind, Event, Parser};

use crate::lower::limits::{Memory, hashed, heap};
use crate::lower::tree::{Node, ParseError, Position, Warning};

mod builder;
use builder::Builder;

/// Blocks of lines indented by tabs, between brackets, that are read: each costs a new start.
const MAX_TAB_BLOCKS: usize = 100;

/// Characters after which `[…]` or a text can be no key any more. YAML's own limit is 1,024;
/// js-yaml has none, and JSON files have long keys. The parser keeps so much of a file as tokens.
const MAX_KEY_CHARACTERS: usize = 7_500;
/// Those tokens while their queue grows: it doubles to a power of two. What they own is counted
/// as what is not read yet, but for the allocator's part of it.
const TOKENS: usize = (8_192 + 4_096) * (size_of::<granit_parser::Token<'_>>() + 32);
/// The parser itself: its buffers and stacks.
const PARSER: usize = 64_000;
/// Of a byte that is not read yet: it may be part of a long text, which lies in the parser's
/// memory twice while that grows, and here.
const UNREAD: usize = 4;

/// The tree of a text. What it takes of `memory` stays counted.
pub fn read(
    text: &str,
    file: u32,
    warnings: &mut Vec<Warning>,
    memory: &Memory,
) -> Result<Node, ParseError> {
    let mut text = replace_control_characters(text, file, warnings, memory)?;
    let own = if matches!(text, Cow::Owned(_)) {
        heap(text.len())
    } else {
        0
    };
    let mut own_tabs = 0;
    let mut tabbed_lines = HashSet::new();
    let oddities_before = warnings.len();
    for _ in 0..MAX_TAB_BLOCKS {
        let before = memory.used();
        match parse(&text, file, &tabbed_lines, warnings, memory) {
            Err(YamlError::Tab { line, error }) => {
                memory.give_back(memory.used() - before);
                // The old text and the new one, and a number of each of its lines.
                if own_tabs == 0 {
                    own_tabs = 2 * heap(text.len()) + text.len() / 2 * hashed(8);
                    take(memory, own_tabs, file)?;
                }
                let expanded = expand_tabs(&text, line, &mut tabbed_lines);
                text = Cow::Owned(expanded.ok_or(error)?);
                warnings.truncate(oddities_before);
            }
            Err(YamlError::Other(error)) => return Err(error),
            Ok(node) => {
                memory.give_back(own + own_tabs);
                return Ok(node);
            }
        }
    }
    Err(ParseError::new(
        1,
        1,
        format!("expected at most {MAX_TAB_BLOCKS} blocks that are indented by tabs"),
    ))
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
    memory: &Memory,
) -> Result<Node, YamlError> {
    let mut unread = text.len();
    take(
        memory,
        TOKENS.min(unread * 256) + PARSER + unread * UNREAD,
        file,
    )
    .map_err(YamlError::Other)?;
    let mut builder = Builder::new(file, warnings, memory);
    let options = granit_parser::options! {
        // Files that were joined have the second one's byte-order mark in the middle.
        bom_inside_document_as_content: true,
        simple_key_max_lookahead: MAX_KEY_CHARACTERS,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let line = error.marker().line();
            let is_tab = matches!(
                error.kind(),
                ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation
            );
            let error = ParseError::new(
                number(line),
                number(error.marker().col() + 1),
                format!("expected YAML, but: {}", error.info()),
            );
            if is_tab && !tabbed_lines.contains(&line) {
                YamlError::Tab { line, error }
            } else {
                YamlError::Other(error)
            }
        })?;
        // Its place counts characters, of which there are no more than bytes.
        let still = unread.min(text.len().saturating_sub(span.start.index()));
        memory.give_back((unread - still) * UNREAD);
        unread = still;
        let is_node = matches!(
            event,
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)
        );
        if is_node && builder.is_in_block() && tabbed_lines.contains(&span.start.line()) {
            return Err(YamlError::Other(ParseError::new(
                number(span.start.line()),
                1,
                "expected YAML, but: tabs are no indentation (spaces are)",
            )));
        }
        if !builder.take(event, span).map_err(YamlError::Other)? {
            break;
        }
    }
    memory.give_back(TOKENS.min(text.len() * 256) + PARSER + unread * UNREAD);
    builder.finish().ok_or_else(|| {
        YamlError::Other(ParseError::new(
            1,
            1,
            "expected an OpenAPI description, found an empty file",
        ))
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
    memory: &Memory,
) -> Result<Cow<'a, str>, ParseError> {
    let is_allowed = |character: char| {
        matches!(character, '\t' | '\n' | '\r' | '\u{85}' | ' '..='~' | '\u{a0}'..='\u{fffd}')
            || character > '\u{ffff}'
    };
    let Some(first) = text.find(|character| !is_allowed(character)) else {
        return Ok(Cow::Borrowed(text));
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
    let replaced = |character: char| {
        if is_allowed(character) {
            character
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    let length = text.chars().map(|it| replaced(it).len_utf8()).sum();
    take(memory, heap(length), file)?;
    let mut whole = String::with_capacity(length);
    whole.extend(text.chars().map(replaced));
    Ok(Cow::Owned(whole))
}

fn take(memory: &Memory, bytes: usize, file: u32) -> Result<(), ParseError> {
    let place = Position {
        file,
        line: 1,
        column: 1,
    };
    if memory.take(bytes, place) {
        Ok(())
    } else {
        Err(ParseError::over_limit(place))
    }
}

fn number(it: usize) -> u32 {
    u32::try_from(it).unwrap_or(u32::MAX)
}
