//! Patterns of parameters, made into automata that a few lines can run.
//!
//! A pattern is a regular expression as ECMA 262 has them (OpenAPI 3, "Data Types"), sought
//! anywhere in the text. Compiling one takes more code than a small node should carry, so it
//! is done here, and what is left is a table: `schema::pattern` in main-node walks it.
//!
//! The table: how many runs of bytes there are; for each its last byte and its class; how many
//! classes there are; then for each state, from 2 on, the next state by class, and 1 if the
//! text may end here. State 0 is lost, 1 is won, 2 is where it begins.

use std::collections::HashMap;

use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

const DEAD: u8 = 0;
const MATCH: u8 = 1;
const FIRST_STATE: u8 = 2;
/// What a table may take of the binary; most take 200.
const MAX_TABLE_BYTES: usize = 2_048;

/// The table of a pattern, or why there is none.
pub fn table(pattern: &str) -> Result<Vec<u8>, String> {
    let config = dense::Config::new()
        .minimize(true)
        .dfa_size_limit(Some(1 << 20))
        .determinize_size_limit(Some(1 << 20));
    let dfa = dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().unicode(true).utf8(true))
        .build(&to_rust_syntax(pattern))
        .map_err(|error| {
            if error.is_size_limit_exceeded() {
                "it is too large".to_owned()
            } else {
                "it uses look-around or back-references, or is not a regular expression".to_owned()
            }
        })?;
    let input = Input::new("").anchored(Anchored::No);
    let start = dfa
        .start_state_forward(&input)
        .map_err(|error| error.to_string())?;
    let mut states = vec![start];
    let mut numbers = HashMap::from([(start, FIRST_STATE)]);
    let mut rows: Vec<Vec<u8>> = Vec::new();
    while let Some(state) = states.get(rows.len()).copied() {
        let mut row = Vec::with_capacity(257);
        for byte in 0..=255 {
            let next = dfa.next_state(state, byte);
            row.push(number(&dfa, next, &mut states, &mut numbers)?);
        }
        let may_end = dfa.is_match_state(dfa.next_eoi_state(state));
        row.push(u8::from(may_end));
        rows.push(row);
    }
    encode(&rows)
}

fn number(
    dfa: &dense::DFA<Vec<u32>>,
    state: StateID,
    states: &mut Vec<StateID>,
    numbers: &mut HashMap<StateID, u8>,
) -> Result<u8, String> {
    if dfa.is_dead_state(state) {
        return Ok(DEAD);
    }
    if dfa.is_quit_state(state) {
        return Err("it uses Unicode word boundaries".to_owned());
    }
    // The automaton says so one byte late, and what follows a match does not matter.
    if dfa.is_match_state(state) {
        return Ok(MATCH);
    }
    if let Some(number) = numbers.get(&state) {
        return Ok(*number);
    }
    let next = u8::try_from(states.len() + usize::from(FIRST_STATE));
    let next = next.map_err(|_| "it is too large".to_owned())?;
    states.push(state);
    numbers.insert(state, next);
    Ok(next)
}

fn encode(rows: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    let mut classes: Vec<Vec<u8>> = Vec::new();
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for byte in 0..=255_u8 {
        let column: Vec<u8> = rows.iter().map(|row| row[usize::from(byte)]).collect();
        let class = classes.iter().position(|known| *known == column);
        let class = class.unwrap_or_else(|| {
            classes.push(column);
            classes.len() - 1
        });
        let class = u8::try_from(class).map_err(|_| "it is too large".to_owned())?;
        match runs.last_mut() {
            Some((last, of)) if *of == class => *last = byte,
            _ => runs.push((byte, class)),
        }
    }
    let too_large = |_| "it is too large".to_owned();
    let mut table = vec![u8::try_from(runs.len()).map_err(too_large)?];
    table.extend(runs.iter().flat_map(|(last, class)| [*last, *class]));
    table.push(u8::try_from(classes.len()).map_err(too_large)?);
    for (state, row) in rows.iter().enumerate() {
        table.extend(classes.iter().map(|column| column[state]));
        table.extend(row.last());
    }
    if table.len() > MAX_TABLE_BYTES {
        Err("it is too large".to_owned())
    } else {
        Ok(table)
    }
}

/// ECMA 262 in the words of the regex library: `\d` and `\w` are ASCII, and `[`, `&` and `~` in
/// a class mean themselves.
fn to_rust_syntax(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut letters = pattern.chars();
    let mut is_in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('d') if is_in_class => out.push_str("0-9"),
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') if is_in_class => out.push_str("0-9A-Za-z_"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('b') => out.push_str("(?-u:\\b)"),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if is_in_class => out.push_str("\\["),
            '&' | '~' if is_in_class => out.extend(['\\', letter]),
            '[' => {
                is_in_class = true;
                out.push('[');
            }
            ']' => {
                is_in_class = false;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_small_and_says_what_it_says() {
        // Runs up to `@`, `a`, and the rest; lost, won, the beginning.
        let table = table("^a").expect("it has one");
        assert_eq!(table, [3, b'`', 0, b'a', 1, 255, 0, 2, 0, 3, 0, 1, 1, 1]);
    }

    #[test]
    fn what_cannot_be_a_table_says_why() {
        for (pattern, why) in [
            ("^(?!api/).*", "it uses look-around"),
            (r"(a)\1", "it uses look-around"),
            ("(", "it uses look-around"),
            (r"^\p{L}{1,200}$", "too large"),
            ("^.{1,2000}$", "too large"),
        ] {
            let found = table(pattern).expect_err(pattern);
            assert!(found.contains(why), "{pattern}: {found}");
        }
    }
}
