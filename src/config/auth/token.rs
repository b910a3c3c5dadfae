//! Token of the configuration, and where it goes: `token`, `header`, `param`.

use std::path::Path;

use crate::config::auth_types::{ConfiguredCredential, TokenCredential};
use crate::config::reader::{TableEntry, TableReader};
use crate::config::section::text;
use crate::domain::redact::MASK;
use crate::domain::token_placement::{TOKEN_PLACEHOLDER, TokenPlacement};

/// Shorter words of a header's template are words of a language.
const LONG_WORD: usize = 8;

const SHAPE: &str = "a text such as \"X-Api-Key: {token}\"";

const HEADER: &str = "expected \"NAME: VALUE\" with {token} in VALUE, such as \
                      \"X-Api-Key: {token}\" or \"Authorization: Token {token}\"";

pub fn read(table: &mut TableReader<'_>, _: &Path) -> Option<ConfiguredCredential> {
    let token = table.get("token").map(|item| item.secret());
    let placement = read_placement(table);
    Some(ConfiguredCredential::Token(TokenCredential {
        token: token??,
        placement: placement?,
    }))
}

/// Reads `header` and `param`, of every kind that has a token. `None`: a problem is reported.
pub fn read_placement(table: &mut TableReader<'_>) -> Option<TokenPlacement> {
    match (table.get("header"), table.get("param")) {
        (None, None) => Some(TokenPlacement::Standard),
        (Some(header), None) => read_header(&header),
        (None, Some(param)) => read_param(&param),
        (Some(_), Some(param)) => {
            param.problem("a token is sent once: keep one of `header` and `param`");
            None
        }
    }
}

fn read_header(entry: &TableEntry<'_>) -> Option<TokenPlacement> {
    let written = entry.text_as(SHAPE)?;
    let placement = TokenPlacement::of_header(&written);
    let is_valid = placement.as_ref().and_then(|it| it.header("x"));
    let is_valid = is_valid.is_some_and(|(name, value)| {
        name.parse::<ureq::http::HeaderName>().is_ok()
            && value.parse::<ureq::http::HeaderValue>().is_ok()
    });
    let Some(placement) = placement.filter(|_| is_valid) else {
        // What is written may be the token itself.
        entry.problem(format!("header: {HEADER}"));
        return None;
    };
    if let TokenPlacement::Header { template, .. } = &placement {
        let words = template
            .split(TOKEN_PLACEHOLDER)
            .filter(|part| !is_plain(part))
            .flat_map(|part| part.split(|c: char| !c.is_alphanumeric() && !"-_.".contains(c)));
        words
            .filter(|word| word.len() >= LONG_WORD)
            .for_each(|word| entry.add_secret(word));
    }
    Some(placement)
}

/// Nothing, or the name of an authentication scheme: `Bearer`, `Token token=`.
fn is_plain(part: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || " =\"-".contains(c);
    part.chars().all(is_letter) && part.split([' ', '=', '"', '-']).all(|it| it.len() <= 16)
}

fn read_param(entry: &TableEntry<'_>) -> Option<TokenPlacement> {
    let name = entry.text_as("a text")?;
    let is_name = |c: char| !c.is_control() && !" =&?#{}".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        entry.problem("param: expected the name of a query parameter, such as \"api_key\"");
        return None;
    }
    Some(TokenPlacement::Param(name))
}

/// Without what may be a secret beside the token.
pub fn print_header(placement: &TokenPlacement) -> Option<String> {
    let TokenPlacement::Header { name, template } = placement else {
        return None;
    };
    let shown = |part| if is_plain(part) { part } else { MASK };
    let parts: Vec<&str> = template.split(TOKEN_PLACEHOLDER).map(shown).collect();
    text(&format!("{name}: {}", parts.join(TOKEN_PLACEHOLDER)))
}

pub fn print_param(placement: &TokenPlacement) -> Option<String> {
    text(placement.param()?)
}
