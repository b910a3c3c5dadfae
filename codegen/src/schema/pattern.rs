//! Regular expressions of `pattern`: from ECMA 262, which OpenAPI files have, to `regex_lite`.
//!
//! Pure. A pattern is sought anywhere in the text. What cannot be compiled (look-around,
//! back-references, `\p{…}`, what is too large) takes every text; `lower` notes why.

use regex_lite::{Regex, RegexBuilder};

/// A longer pattern is not compiled: its syntax tree takes about 130 bytes for each of its own.
/// With all of these limits none takes more than some 200 kB while it is compiled or sought.
pub const MAX_PATTERN_BYTES: usize = 1_000;
const MAX_TRANSLATED_BYTES: usize = 4_000;
/// Of the compiled pattern; `[A-Za-z0-9_-]{1,500}` takes as much.
const MAX_COMPILED_BYTES: usize = 64_000;
const MAX_NESTING: u32 = 50;

/// `\s` and `\S` as items of a class: `regex_lite` has the white space of ASCII alone.
const SPACE: &str =
    r"\t-\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}";
const NO_SPACE: &str = r"\x00-\x08\x0E-\x1F!-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF}";

/// The compiled pattern, or why it cannot be checked.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("it is longer than {MAX_PATTERN_BYTES} bytes"));
    }
    let translated = to_rust_syntax(pattern)?;
    if translated.len() > MAX_TRANSLATED_BYTES {
        return Err(r"it has too many `\s` or `\S`".to_owned());
    }
    RegexBuilder::new(&translated)
        .size_limit(MAX_COMPILED_BYTES)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| error.to_string())
}

/// Whether a text holds what the pattern describes.
pub fn is_match(pattern: &str, text: &str) -> bool {
    compile(pattern).map_or(true, |regex| regex.is_match(text))
}

/// ECMA 262 in the syntax of `regex_lite`. Groups capture nothing: memory of a search grows with
/// the number of groups that do.
fn to_rust_syntax(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '\\' => out.push_str(&escape(&mut rest, false)),
            '[' => class(&mut rest, &mut out)?,
            '(' if rest.starts_with('?') => {
                out.push('(');
                let name = rest.strip_prefix("?P<").or(rest.strip_prefix("?<"));
                let name = name.filter(|it| !it.starts_with(['=', '!']));
                if let Some((_, inside)) = name.and_then(|it| it.split_once('>')) {
                    out.push_str("?:");
                    rest = inside;
                }
            }
            '(' => out.push_str("(?:"),
            other => out.push(other),
        }
    }
    Ok(out)
}

/// The rest of a class: `[`, `&`, `~`, and a `-` that is between no two characters, mean themselves.
fn class(rest: &mut &str, out: &mut String) -> Result<(), String> {
    out.push('[');
    if let Some(inside) = rest.strip_prefix('^') {
        out.push('^');
        *rest = inside;
    }
    if rest.starts_with(']') {
        // No character to ECMA 262, and a `]` to most others.
        return Err("a character class begins with `]`: write `\\]`".to_owned());
    }
    let (mut may_begin_range, mut is_end_of_range) = (false, false);
    while let Some(letter) = rest.chars().next() {
        *rest = &rest[letter.len_utf8()..];
        if letter == '-' && may_begin_range && !rest.starts_with(']') {
            out.push('-');
            (may_begin_range, is_end_of_range) = (false, true);
            continue;
        }
        let mut is_character = true;
        match letter {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '\\' => {
                is_character = !rest.starts_with(['d', 'D', 's', 'S', 'w', 'W']);
                out.push_str(&escape(rest, true));
            }
            '[' | '&' | '~' | '-' => out.extend(['\\', letter]),
            other => out.push(other),
        }
        may_begin_range = is_character && !is_end_of_range;
        is_end_of_range = false;
    }
    Ok(())
}

/// What follows a backslash.
fn escape(rest: &mut &str, is_in_class: bool) -> String {
    let Some(letter) = rest.chars().next() else {
        return "\\".to_owned();
    };
    *rest = &rest[letter.len_utf8()..];
    match letter {
        's' if is_in_class => SPACE.to_owned(),
        'S' if is_in_class => NO_SPACE.to_owned(),
        's' => format!("[{SPACE}]"),
        'S' => format!("[{NO_SPACE}]"),
        'b' if is_in_class => "\\x08".to_owned(),
        // Borders of words to `regex_lite`.
        '<' | '>' => letter.to_string(),
        other => format!("\\{other}"),
    }
}

#[cfg(test)]
#[path = "tests/pattern.rs"]
mod tests;
