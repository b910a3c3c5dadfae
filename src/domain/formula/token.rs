//! Tokens of a formula: numbers, keys, functions, operators.

use std::sync::Arc;

use super::functions::Function;
use super::{SIGNATURES, is_name_part, key_in_formula};
use crate::limits;

/// One token, and where it begins in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TokenKind {
    Number(f64),
    /// Index of a key in [`Tokens::keys`].
    Key(usize),
    /// A function's name, behind which a parenthesis opens.
    Function(Function),
    Open,
    Close,
    Comma,
    Sign(&'static str),
}

pub struct Tokens {
    pub list: Vec<Token>,
    /// The keys, each once.
    pub keys: Vec<Arc<str>>,
}

/// Longer signs before their beginnings.
const SIGNS: [&str; 15] = [
    "<=", ">=", "==", "!=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "^", "!",
];

/// What other languages write, and what is written here.
const OTHER_SIGNS: [(&str, &str); 18] = [
    ("**", "write ^ for a power"),
    ("<>", "write != for \"is not equal\""),
    ("=", "write == to compare"),
    ("&", "write && for \"and\""),
    ("|", "write || for \"or\""),
    ("?", "write if(condition, then, otherwise)"),
    (";", "arguments are separated by a comma"),
    (
        "'",
        "a key with other characters is written in backticks: `living room`",
    ),
    ("$", "a key is written without a $"),
    ("{", "a key is written without braces"),
    ("–", "write - to subtract"),
    ("−", "write - to subtract"),
    ("×", "write * to multiply"),
    ("·", "write * to multiply"),
    ("÷", "write / to divide"),
    ("≤", "write <="),
    ("≥", "write >="),
    ("≠", "write !="),
];

/// Operators that other languages write as words.
const OTHER_WORDS: [(&str, &str); 3] = [("and", "&&"), ("or", "||"), ("not", "!")];

const WINDOW: &str = "a value of the past is a [derived.NAME] of its own";

/// Functions of other languages, and what is written here.
const OTHER_FUNCTIONS: [(&str, &str); 15] = [
    ("sum", "write a + b"),
    ("avg", "write mean(a, b, …)"),
    ("average", "write mean(a, b, …)"),
    ("pow", "write ^ for a power"),
    ("power", "write ^ for a power"),
    ("log", "write ln(x), or log10(x)"),
    ("int", "write floor(x), or round(x)"),
    ("float", "a key is a number as it is"),
    ("rate", WINDOW),
    ("increase", WINDOW),
    ("integral", WINDOW),
    ("min_over_time", WINDOW),
    ("max_over_time", WINDOW),
    ("avg_over_time", WINDOW),
    ("states", "a key is written as it is, without a function"),
];

/// Reads the tokens of a formula.
pub fn read(text: &str) -> Result<Tokens, String> {
    if text.len() > limits::FORMULA_BYTES {
        return Err(format!(
            "the formula has {} bytes, more than {}: give a part of it a [derived.NAME] of its own",
            text.len(),
            limits::FORMULA_BYTES
        ));
    }
    let mut tokens = Tokens {
        list: Vec::new(),
        keys: Vec::new(),
    };
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let kind = match first {
            '0'..='9' | '.' => number(&mut rest)?,
            '`' | '"' => quoted_key(&mut rest, first, &mut tokens.keys)?,
            '(' => mark(&mut rest, TokenKind::Open),
            ')' => mark(&mut rest, TokenKind::Close),
            ',' => mark(&mut rest, TokenKind::Comma),
            _ if first.is_alphabetic() || first == '_' => name(&mut rest, &mut tokens.keys)?,
            _ => sign(&mut rest)?,
        };
        tokens.list.push(Token { kind, start });
        rest = rest.trim_start();
    }
    if tokens.list.is_empty() {
        return Err("the formula is empty: write for example \"grid + solar\"".to_owned());
    }
    Ok(tokens)
}

fn mark(rest: &mut &str, kind: TokenKind) -> TokenKind {
    *rest = &rest[1..];
    kind
}

/// Takes as many characters as belong to the token.
fn take<'a>(rest: &mut &'a str, belongs: impl Fn(char) -> bool) -> &'a str {
    let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    let (taken, after) = rest.split_at(end);
    *rest = after;
    taken
}

fn number(rest: &mut &str) -> Result<TokenKind, String> {
    let all = *rest;
    take(rest, |c| c.is_ascii_digit() || c == '.');
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.starts_with(|c: char| c.is_ascii_digit()) {
            *rest = digits;
            take(rest, |c| c.is_ascii_digit());
        }
    }
    let written = &all[..all.len() - rest.len()];
    let number = written.parse().ok().filter(|it: &f64| it.is_finite());
    let word = take(rest, is_name_part);
    match number {
        Some(number) if word.is_empty() => Ok(TokenKind::Number(number)),
        Some(_) => Err(format!(
            "expected an operator behind {written}, found {word}; a key that begins with a digit is \
             written in backticks: `{written}{word}`"
        )),
        None => Err(format!("{written} is not a number")),
    }
}

fn name(rest: &mut &str, keys: &mut Vec<Arc<str>>) -> Result<TokenKind, String> {
    let name = take(rest, is_name_part);
    if let Some((word, sign)) = OTHER_WORDS.iter().find(|(word, _)| *word == name) {
        return Err(format!(
            "{word} is not an operator: write {sign}; a key of that name is written in backticks: `{word}`"
        ));
    }
    if !rest.trim_start().starts_with('(') {
        return Ok(key(name, keys));
    }
    match Function::named(name) {
        Some(function) => Ok(TokenKind::Function(function)),
        None => {
            let other = OTHER_FUNCTIONS.iter().find(|(it, _)| *it == name);
            let advice = other.map_or_else(
                || {
                    let names: Vec<&str> = SIGNATURES.iter().map(|it| it.name).collect();
                    format!("known are {}", names.join(", "))
                },
                |(_, advice)| (*advice).to_owned(),
            );
            Err(format!("there is no function {name}: {advice}"))
        }
    }
}

fn quoted_key(rest: &mut &str, quote: char, keys: &mut Vec<Arc<str>>) -> Result<TokenKind, String> {
    let Some((name, after)) = rest[1..].split_once(quote) else {
        return Err(format!(
            "the key {rest} has no closing {quote}: write a key in backticks as `living room`"
        ));
    };
    if name.is_empty() {
        return Err(format!("{quote}{quote} is an empty key"));
    }
    *rest = after;
    Ok(key(name, keys))
}

fn key(name: &str, keys: &mut Vec<Arc<str>>) -> TokenKind {
    let known = keys.iter().position(|key| **key == *name);
    TokenKind::Key(known.unwrap_or_else(|| {
        keys.push(name.into());
        keys.len() - 1
    }))
}

fn sign(rest: &mut &str) -> Result<TokenKind, String> {
    let known = SIGNS.iter().find(|it| rest.starts_with(**it));
    let other = OTHER_SIGNS.iter().find(|(it, _)| rest.starts_with(it));
    match (known, other) {
        (Some(known), Some((other, advice))) if other.len() > known.len() => {
            Err(format!("{other} is not an operator: {advice}"))
        }
        (Some(known), _) => {
            *rest = &rest[known.len()..];
            Ok(TokenKind::Sign(known))
        }
        (None, Some((other, advice))) => Err(format!("{other} is not an operator: {advice}")),
        (None, None) => {
            let word = take(rest, |c| !c.is_whitespace());
            Err(format!(
                "{word:?} is not an operator; if it belongs to a key, write the key in backticks: {}",
                key_in_formula(&format!("name{word}"))
            ))
        }
    }
}
