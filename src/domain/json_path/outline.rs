//! Outline of a JSONPath: its segments, and what it may not have.
//!
//! The text may be anything: what is no JSONPath is left to the parser.

use super::JsonPathProblem;
use crate::limits;

/// A segment outside of filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Byte offset in the path.
    pub start: usize,
    /// As it is written.
    pub text: String,
    pub is_descendant: bool,
    pub kind: SegmentKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentKind {
    Name(String),
    Index,
    /// A wildcard, a slice, a filter, or several selectors.
    Other,
}

/// What is open at a place of the path.
enum Open {
    Bracket { selectors: usize, is_filter: bool },
    Parenthesis { is_function: bool },
}

struct Outline<'a> {
    text: &'a str,
    at: usize,
    open: Vec<Open>,
    starts: Vec<usize>,
    descendants: usize,
    filters: usize,
    conditions: usize,
    /// Nodes that selectors in brackets make of one.
    selectors: usize,
    /// The end of the last brackets with several.
    several_at: usize,
    /// Queries from `$` in the current condition.
    roots: usize,
}

/// The segments, if the path has nothing that is refused.
pub fn read(text: &str) -> Result<Vec<Segment>, JsonPathProblem> {
    if text.len() > limits::JSON_PATH_BYTES {
        return Err(problem(
            0,
            format!(
                "expected a JSONPath of at most {} bytes, found {}",
                limits::JSON_PATH_BYTES,
                text.len()
            ),
        ));
    }
    let mut outline = Outline {
        text,
        at: 1,
        open: Vec::new(),
        starts: Vec::new(),
        descendants: 0,
        filters: 0,
        conditions: 1,
        selectors: 1,
        several_at: 0,
        roots: 0,
    };
    while outline.at < text.len() {
        outline.step()?;
    }
    if outline.descendants > 0 && outline.selectors > 1 {
        return Err(problem(
            outline.several_at,
            "brackets in a path with `..` may have one selector: write a record for each",
        ));
    }
    let mut ends = outline.starts.iter().skip(1).copied();
    let segments = outline.starts.iter().map(|&start| {
        let end = ends.next().unwrap_or(text.len());
        segment(start, text.get(start..end).unwrap_or_default())
    });
    Ok(segments.collect())
}

impl Outline<'_> {
    fn step(&mut self) -> Result<(), JsonPathProblem> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let begin = self.at;
        self.at += 1;
        match rest {
            [quote @ (b'\'' | b'"'), ..] => self.at = begin + string_length(rest, *quote),
            [b'.', b'.', ..] => {
                self.at += 1;
                self.begin_segment(begin);
                self.descendants += 1;
                if self.descendants > 1 {
                    return Err(problem(
                        begin,
                        "one `..` is allowed in a path: write the names of the fields between",
                    ));
                }
                // The brackets of `..[…]` are of the same segment.
                if self.open.is_empty() && rest.get(2) == Some(&b'[') {
                    self.open(begin + 2)?;
                }
            }
            [b'.', ..] => self.begin_segment(begin),
            [b'[', ..] => {
                self.begin_segment(begin);
                self.open(begin)?;
            }
            [b'(', ..] => self.open_parenthesis(begin)?,
            [b']' | b')', ..] => self.close(begin)?,
            [b',', ..] => {
                if let Some(Open::Bracket {
                    selectors,
                    is_filter,
                }) = self.open.last_mut()
                {
                    *selectors += 1;
                    *is_filter = false;
                }
            }
            [b'?', ..] => self.begin_filter(begin)?,
            [b'&', b'&', ..] | [b'|', b'|', ..] => {
                self.at += 1;
                self.conditions += 1;
                self.roots = 0;
                if self.conditions > limits::JSON_PATH_CONDITIONS {
                    let most = limits::JSON_PATH_CONDITIONS;
                    return Err(problem(
                        begin,
                        format!("at most {most} conditions (`&&`, `||`) are allowed in a path"),
                    ));
                }
            }
            [b'$', ..] => self.begin_root(begin)?,
            [digit, ..] if digit.is_ascii_digit() => self.number(begin, rest)?,
            _ => {}
        }
        Ok(())
    }

    fn begin_segment(&mut self, begin: usize) {
        if self.open.is_empty() {
            self.starts.push(begin);
        }
    }

    fn is_in_filter(&self) -> bool {
        self.open.iter().any(|it| {
            matches!(
                it,
                Open::Bracket {
                    is_filter: true,
                    ..
                }
            )
        })
    }

    fn is_in_function(&self) -> bool {
        self.open
            .iter()
            .any(|it| matches!(it, Open::Parenthesis { is_function: true }))
    }

    /// Opens the bracket at `begin`.
    fn open(&mut self, begin: usize) -> Result<(), JsonPathProblem> {
        self.at = begin + 1;
        let inner = self.text.get(self.at..).unwrap_or_default().trim_start();
        let position = inner.strip_prefix('-').unwrap_or_default();
        let behind = position.trim_start_matches(|c: char| c.is_ascii_digit());
        if behind.len() < position.len()
            && behind.trim_start().starts_with(']')
            && self.is_in_filter()
        {
            return Err(problem(
                begin,
                "in a filter a position from the end is written as a slice: value(@.list[-1:]) == 1",
            ));
        }
        self.push(
            begin,
            Open::Bracket {
                selectors: 1,
                is_filter: false,
            },
        )
    }

    fn open_parenthesis(&mut self, begin: usize) -> Result<(), JsonPathProblem> {
        let before = self.text.get(..begin).unwrap_or_default();
        let length = before
            .bytes()
            .rev()
            .take_while(|it| it.is_ascii_alphanumeric() || *it == b'_')
            .count();
        let name = &before[before.len() - length..];
        if matches!(name, "match" | "search") {
            return Err(problem(
                begin - length,
                format!(
                    "{name}() is not supported, since its pattern would be compiled for every element: \
                     compare with == or !=, or join several by ||"
                ),
            ));
        }
        let is_function = !name.is_empty();
        self.push(begin, Open::Parenthesis { is_function })
    }

    fn push(&mut self, begin: usize, open: Open) -> Result<(), JsonPathProblem> {
        self.open.push(open);
        if self.open.len() > limits::JSON_PATH_NESTING {
            let most = limits::JSON_PATH_NESTING;
            return Err(problem(
                begin,
                format!("at most {most} brackets and parentheses can be open at once"),
            ));
        }
        Ok(())
    }

    fn close(&mut self, begin: usize) -> Result<(), JsonPathProblem> {
        if let Some(Open::Bracket { selectors, .. }) = self.open.pop() {
            self.selectors = self.selectors.saturating_mul(selectors);
            if selectors > 1 {
                self.several_at = begin;
            }
        }
        if self.selectors > limits::JSON_PATH_SELECTORS {
            return Err(problem(
                begin,
                format!(
                    "the selectors in brackets make {} nodes of one: at most {} are allowed",
                    self.selectors,
                    limits::JSON_PATH_SELECTORS
                ),
            ));
        }
        Ok(())
    }

    fn begin_filter(&mut self, begin: usize) -> Result<(), JsonPathProblem> {
        if let Some(Open::Bracket { is_filter, .. }) = self.open.last_mut() {
            *is_filter = true;
        }
        self.roots = 0;
        self.filters += 1;
        if self.filters > limits::JSON_PATH_FILTERS {
            let most = limits::JSON_PATH_FILTERS;
            return Err(problem(
                begin,
                format!("at most {most} filters are allowed in a path: join conditions by &&"),
            ));
        }
        Ok(())
    }

    /// A query from the root inside a filter is answered for every element.
    fn begin_root(&mut self, begin: usize) -> Result<(), JsonPathProblem> {
        self.roots += 1;
        let rest = self.text.get(begin + 1..).unwrap_or_default();
        let why = if self.is_in_function() {
            "`$` is not allowed in a function: it would be answered for every element; use `@`"
        } else if self.roots > 1 {
            "one `$` is allowed in a condition: compare a field of `@` with it"
        } else if !is_singular(rest) {
            "`$` in a filter must lead to one value, by names and positions: $.limit, $.limits[0]"
        } else {
            return Ok(());
        };
        Err(problem(begin, why))
    }

    /// A number is compared as a 64-bit float, where large whole ones are the same as their
    /// neighbours.
    fn number(&mut self, begin: usize, rest: &[u8]) -> Result<(), JsonPathProblem> {
        let length = rest
            .iter()
            .take_while(|it| it.is_ascii_alphanumeric() || **it == b'_')
            .count();
        self.at = begin + length;
        let before = self.text.as_bytes().get(begin - 1);
        let is_name =
            before.is_some_and(|it| *it == b'.' || it.is_ascii_alphanumeric() || *it == b'_');
        let digits = &self.text[begin..self.at];
        let is_whole = digits.bytes().all(|it| it.is_ascii_digit());
        const MOST: u64 = (1 << 53) - 1;
        if !is_name && is_whole && !digits.parse().is_ok_and(|it: u64| it <= MOST) {
            let why = format!(
                "a whole number in a path is at most {MOST}, since larger ones are not exact as 64-bit floats"
            );
            return Err(problem(begin, why));
        }
        Ok(())
    }
}

fn problem(at: usize, message: impl Into<String>) -> JsonPathProblem {
    JsonPathProblem {
        at,
        message: message.into(),
    }
}

/// Of a string literal, with its quotes.
fn string_length(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            byte if *byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Whether what follows a `$` leads to one value: names and positions alone.
fn is_singular(mut rest: &str) -> bool {
    loop {
        rest = rest.trim_start();
        let behind = if let Some(inner) = rest.strip_prefix('[') {
            let inner = inner.trim_start();
            let length = match inner.as_bytes().first() {
                Some(quote @ (b'\'' | b'"')) => string_length(inner.as_bytes(), *quote),
                _ => inner.bytes().take_while(u8::is_ascii_digit).count(),
            };
            let behind = inner.get(length..).unwrap_or_default().trim_start();
            behind.strip_prefix(']').filter(|_| length > 0)
        } else if let Some(inner) = rest.strip_prefix('.') {
            let length = inner
                .find(|c: char| !is_name_char(c))
                .unwrap_or(inner.len());
            inner.get(length..).filter(|_| length > 0)
        } else {
            return true;
        };
        match behind {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

fn segment(start: usize, text: &str) -> Segment {
    let text = text.trim_end();
    let is_descendant = text.starts_with("..");
    let inner = text.trim_start_matches('.').trim_start();
    let kind = match inner.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(selector) => bracket_kind(selector.trim()),
        None if !inner.is_empty() && inner.chars().all(is_name_char) => {
            SegmentKind::Name(inner.to_owned())
        }
        None => SegmentKind::Other,
    };
    Segment {
        start,
        text: text.to_owned(),
        is_descendant,
        kind,
    }
}

fn bracket_kind(selector: &str) -> SegmentKind {
    let digits = selector.strip_prefix('-').unwrap_or(selector);
    if !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()) {
        return SegmentKind::Index;
    }
    let quote = match selector.as_bytes().first() {
        Some(quote @ (b'\'' | b'"')) => *quote,
        _ => return SegmentKind::Other,
    };
    if string_length(selector.as_bytes(), quote) != selector.len() {
        return SegmentKind::Other;
    }
    let quote = char::from(quote);
    let literal = selector.strip_prefix(quote);
    let literal = literal.and_then(|it| it.strip_suffix(quote));
    match literal.and_then(unquote) {
        Some(name) => SegmentKind::Name(name),
        None => SegmentKind::Other,
    }
}

/// The text of a string literal without its quotes: escapes are those of JSON, and `\'`.
fn unquote(literal: &str) -> Option<String> {
    let mut json = String::from("\"");
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                '\'' => json.push('\''),
                escaped => json.extend(['\\', escaped]),
            },
            '"' => json.push_str("\\\""),
            c => json.push(c),
        }
    }
    json.push('"');
    serde_json::from_str(&json).ok()
}
