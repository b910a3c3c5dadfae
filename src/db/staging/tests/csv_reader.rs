//! Records of CSV.

use std::io::BufReader;

use super::*;
use crate::db::test_support::Dice;

/// Line and fields of each record.
fn records(text: &[u8], delimiter: u8) -> Result<Vec<(u64, Vec<String>)>, String> {
    // Small, so that records are longer than what is read at once.
    let mut reader = CsvReader::new(BufReader::with_capacity(3, text), delimiter);
    let mut record = CsvRecord::default();
    let mut found = Vec::new();
    while reader.read(&mut record)? {
        let fields = record.fields();
        let fields = fields.map(|field| String::from_utf8_lossy(field).into_owned());
        found.push((record.line, fields.collect()));
    }
    Ok(found)
}

#[test]
fn records_have_the_line_of_the_file_where_they_begin() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["a,b", "1,\"x", "y\"", "", "2,z", "3,5\" pipe"].join(end);
        let of = |line: u64, first: &str, second: &str| {
            (line, vec![first.to_owned(), second.to_owned()])
        };
        assert_eq!(
            records(text.as_bytes(), b',').expect("its quotes are closed"),
            [
                of(1, "a", "b"),
                of(2, "1", &format!("x{end}y")),
                of(5, "2", "z"),
                of(6, "3", "5\" pipe"),
            ],
            "{end:?}"
        );
    }
}

#[test]
fn a_quote_that_is_not_closed_is_named_with_its_line() {
    for (text, line) in [
        ("a,b\n1,2\n3,\"4\n5,6\n", Some(3)),
        ("a,\"b", Some(1)),
        ("a,\"", Some(1)),
        ("a,\"b\"\"\n", Some(1)),
        ("\"a\nb\",\"c\n", Some(2)),
        // The next quote is the begin of a field, not the end of one.
        ("a,b\n1,\"2\n3,\"4\"\n", Some(2)),
        ("\"a\",\"b\n\"c\",\"d\"\n", Some(1)),
        ("a,\"b\"", None),
        ("a,\"b\"c\n", None),
        ("a,b\"\n", None),
        ("a, \"b\n", None),
        ("\"a\nb\" ,c\n", None),
    ] {
        let found = records(text.as_bytes(), b',');
        match line {
            Some(line) => {
                let begin = format!("line {line}: a quote is opened and never closed; ");
                assert!(
                    found.as_ref().is_err_and(|it| it.starts_with(&begin)),
                    "{text:?}: {found:?}"
                );
            }
            None => assert!(found.is_ok(), "{text:?}: {found:?}"),
        }
    }
}

#[test]
fn fields_are_those_of_the_csv_crate() {
    let mut dice = Dice(0x5eed_1234_5678_9abc);
    for round in 0..3_000 {
        let length = dice.below(24);
        let text: Vec<u8> = (0..length)
            .map(|_| b",;\"\"\r\n\nab "[dice.below(10) as usize])
            .collect();
        let Ok(found) = records(&text, b',') else {
            continue;
        };
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true);
        let expected: Vec<Vec<String>> = reader
            .from_reader(&*text)
            .byte_records()
            .map(|record| record.expect("it is in memory"))
            .map(|record| {
                let fields = record.iter();
                let fields = fields.map(|field| String::from_utf8_lossy(field).into_owned());
                fields.collect()
            })
            .collect();
        let found: Vec<Vec<String>> = found.into_iter().map(|(_, fields)| fields).collect();
        assert_eq!(
            found,
            expected,
            "round {round}: {:?}",
            text.escape_ascii().to_string()
        );
    }
}
