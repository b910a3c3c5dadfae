//! Running the automata that codegen makes of patterns.
//!
//! Pure, and without a regular expression in it: codegen/src/patterns.rs says how the table is
//! laid out.

const DEAD: u8 = 0;
const MATCH: u8 = 1;
const FIRST_STATE: u8 = 2;

/// Whether a text holds what the pattern of a table describes. A table that is none, as that of
/// a pattern which codegen could not do, takes every text.
pub fn is_match(table: &[u8], text: &str) -> bool {
    walk(table, text).unwrap_or(true)
}

fn walk(table: &[u8], text: &str) -> Option<bool> {
    let (runs, rest) = table.split_first()?;
    let (runs, rest) = rest.split_at_checked(usize::from(*runs) * 2)?;
    let (classes, rows) = rest.split_first()?;
    let width = usize::from(*classes) + 1;
    let row = |state: u8| {
        rows.chunks_exact(width)
            .nth(usize::from(state.checked_sub(FIRST_STATE)?))
    };
    let mut state = FIRST_STATE;
    for byte in text.bytes() {
        let run = runs.chunks_exact(2).find(|run| byte <= run[0])?;
        state = *row(state)?.get(usize::from(run[1]))?;
        match state {
            DEAD => return Some(false),
            MATCH => return Some(true),
            _ => {}
        }
    }
    Some(*row(state)?.last()? == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_takes_every_text() {
        for table in [
            &[][..],
            &[1],
            &[1, 255, 0],
            &[1, 255, 0, 1],
            &[1, 255, 9, 1, 2, 0],
        ] {
            assert!(is_match(table, "text"), "{table:?}");
        }
    }
}
