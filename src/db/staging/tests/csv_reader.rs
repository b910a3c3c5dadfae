//! Records of CSV.

use super::*;

/// Line and fields of each record.
fn records(text: &[u8]) -> Result<Vec<(u64, Vec<String>)>, String> {
    let format = CsvFormat {
        delimiter: b',',
        has_returns: text.windows(2).any(|it| it == b"\r\n"),
    };
    let mut reader = CsvReader::new(text, format);
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
    for end in ["\n", "\r\n"] {
        for last in ["", end] {
            let text = [
                "a,b",
                "1,\"x",
                "y\"",
                "",
                "2,z",
                "3,5\" pipe",
                "\"4\",\"q\rr\"",
            ]
            .join(end);
            let text = format!("{text}{last}");
            let of = |line: u64, first: &str, second: &str| {
                (line, vec![first.to_owned(), second.to_owned()])
            };
            assert_eq!(
                records(text.as_bytes()).expect("its quotes are closed"),
                [
                    of(1, "a", "b"),
                    of(2, "1", &format!("x{end}y")),
                    of(5, "2", "z"),
                    of(6, "3", "5\" pipe"),
                    of(7, "4", "q\rr"),
                ],
                "{end:?} {last:?}"
            );
        }
    }
}

#[test]
fn a_quote_that_is_not_closed_is_named_with_its_line() {
    for (text, line) in [
        ("a,b\n1,2\n3,\"4\n5,6\n", Some(3)),
        ("a,\"b", Some(1)),
        ("a,\"", Some(1)),
        ("a,\"b\"\"\n", Some(1)),
        ("a\n\n\"b\n", Some(3)),
        ("a,\"b\"", None),
        ("a,\"b\"c\n", None),
        ("a,b\"\n", None),
        ("a, \"b\n", None),
        ("\"a\nb\" ,c\n", None),
    ] {
        let found = records(text.as_bytes());
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
