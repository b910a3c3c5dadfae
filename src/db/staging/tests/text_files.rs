//! CSV and JSON lines.

use super::*;

#[test]
fn a_file_is_refused_with_what_to_do_about_it() {
    let case = Case::new();
    for (name, content, expected) in [
        ("empty.csv", &b""[..], "it is empty"),
        (
            "blank.csv",
            b" \n\n",
            "expected an SQLite file, CSV or JSON lines, found blanks",
        ),
        (
            "a.csv.gz",
            b"\x1f\x8b\x08\0\0",
            "it is compressed; unpack it first, or as a pipe: `zcat FILE | main-node import -`",
        ),
        (
            "a.xlsx",
            b"PK\x03\x04",
            "it is a spreadsheet or a ZIP archive; save the sheet as CSV",
        ),
        (
            "a.xls",
            b"\xd0\xcf\x11\xe0\xa1",
            "it is a spreadsheet; save it as CSV",
        ),
        (
            "utf16.csv",
            b"\xff\xfet\0i\0",
            "it is UTF-16; save it as UTF-8",
        ),
        (
            "list.json",
            b" [\n{\"a\": 1}]",
            "it is a JSON list; make a line of each object with `jq -c '.[]'`",
        ),
        (
            "image",
            b"\x7fELF\x02\0\0\0",
            "found a file that begins with \"\\x7fELF\\x02\\x00\\x00\\x00\"",
        ),
        (
            "no-header.csv",
            b"2025-10-30T20:00:00Z,t,1\n",
            "found no timestamp and no key and no value in the first line: 2025-10-30T20:00:00Z,t,1",
        ),
        (
            "columns.csv",
            b"time,key,value\n",
            "found no timestamp in the first line: time,key,value",
        ),
        (
            "twice.csv",
            b"timestamp,key,value,unit, Key \n",
            "the first line names the column key twice, as column 2 and as column 5",
        ),
        (
            "open.csv",
            b"timestamp,key,value\r\n2025-10-30,t,1\r\n2025-10-30,t,\"2\r\n2025-10-31,t,3\r\n",
            "line 3: a quote is opened and never closed",
        ),
        (
            "taken.csv",
            b"timestamp,key,value\n2025-10-30,t,\"1\n2025-10-31,t,\"2\n",
            "line 2: a field in quotes goes on to line 3; is a quote not closed?",
        ),
        (
            "more.csv",
            b"timestamp,key,value,text\n2025-10-30,t,,\"1\n2025-10-31,t,\",2\n",
            "line 2: a field in quotes goes on to line 3; is a quote not closed?",
        ),
        (
            "mac.csv",
            b"timestamp,key,value\r2025-10-30,t,1\r",
            "its lines end with CR alone; as a pipe: `tr '\\r' '\\n' <FILE | main-node import -`",
        ),
    ] {
        let input = case.write(name, content);
        let error = case.error(&input);
        let begin = format!("/data/{name} cannot be imported: ");
        assert!(
            error.starts_with(&begin) && error.contains(expected),
            "{error}"
        );
    }
    for (path, expected) in [
        (
            "",
            "/data/ cannot be imported: it is a directory; name a file in it",
        ),
        (
            "absent",
            "/data/absent cannot be imported: no such file or directory",
        ),
    ] {
        assert_eq!(case.error(&case.directory.path(path)), expected);
    }
}

#[test]
fn csv_has_columns_by_name_in_any_order() {
    let case = Case::new();
    for csv in [
        "timestamp,key,value,unit\n2025-10-30T20:00:00Z,t,21.5,°C\n2025-10-30T20:01:00Z,t,-3,°C\n",
        "\u{feff}Value,Unit,KEY,Timestamp\r\n21.5,°C,t,2025-10-30 20:00:00\r\n-3,°C,t,2025-10-30 20:01:00\r\n",
        "timestamp\tkey\tvalue\tunit\n1761854400\tt\t21.5\t°C\n1761854460\tt\t-3\t°C\n",
        "timestamp;key;value;unit\n30.10.2025 20:00;t;21,5;°C\n30.10.2025 20:01;t;-3;°C\n",
        "timestamp;key;value;unit\n30.10.2025 20:00;t;21.5;°C\n30.10.2025 20:01;t;-3,0;°C\n",
        "\"timestamp\",\"key\",\"value\",\"unit\"\n\"2025-10-30T20:00\",\"t\",\"21.5\",\"°C\"\n\n\"2025-10-30T20:01\",\"t\",\"-3\",\"°C\"",
        "sep=;\r\ntimestamp;key;value;unit\r\n30.10.2025 20:00;t;21,5;°C\r\n30.10.2025 20:01;t;-3;°C\r\n",
        "\u{feff}\"SEP=,\"\r\ntimestamp,key,value,unit\r\n2025-10-30 20:00,t,21.5,°C\r\n2025-10-30 20:01,t,-3,°C\r\n",
        "timestamp, key, value, unit\n2025-10-30 20:00, t, 21.5, °C\n2025-10-30 20:01 , t , -3 , °C\n",
        "id,timestamp,key,value,unit\n7,2025-10-30T20:00:00Z,t,21.5,°C\n8,2025-10-30T20:01:00Z,t,-3\n",
    ] {
        let input = case.write("a.csv", csv);
        let (report, staged) = case.staged(&input);
        assert_eq!(
            staged,
            [
                "1 t [°C]",
                "2025-10-30T20:00:00Z t = 21.5",
                "2025-10-30T20:01:00Z t = -3.0"
            ],
            "{csv}"
        );
        assert_eq!((report.skipped, report.notes), (vec![], vec![]), "{csv}");
    }
}

#[test]
fn lines_that_are_wrong_are_counted_and_the_first_is_named() {
    let case = Case {
        latest: Some(Wall::from_second(1_761_854_400)),
        ..Case::new()
    };
    let long = "x".repeat(129);
    let csv = format!(
        "timestamp,key,value,room\n\
         2025-10-30T20:00:00Z,t,1,kitchen\n\
         2025-10-30T20:00:00Z,t\n\
         2025-10-30T20:00:00Z,t,1,2,3\n\
         never,t,1,\n\
         yesterday,t,1,\n\
         30.10.25 20:00,t,1,\n\
         1969-12-31T23:59:59Z,t,1,\n\
         2025-10-30T20:00:01Z,t,1,\n\
         2025-10-30T20:00:00Z,,1,\n\
         2025-10-30T20:00:00Z,{long},1,\n\
         2025-10-30T20:00:00Z,t,,\n\
         2025-10-30T20:00:00Z,t,NaN,\n\
         2025-10-30T20:00:00Z,t,1e999,\n"
    );
    let input = case.write("a.csv", csv);
    let (report, staged) = case.staged(&input);
    assert_eq!(staged, ["1 t []", "2025-10-30T20:00:00Z t = 1.0"]);
    assert_eq!(
        report.to_string(),
        format!(
            "13 rows read from CSV\n\
             1 reading of 1 key, from 2025-10-30T20:00:00Z to 2025-10-30T20:00:00Z\n\
             left out: 2 rows with fields too many or too few, or that are no JSON (line 3: \"2025-10-30T20:00:00Z,t\")\n\
             left out: 2 rows whose time cannot be read (line 5: \"never\")\n\
             left out: 1 row whose time cannot be read: write the year with four digits (line 7: \"30.10.25 20:00\")\n\
             left out: 1 row before 1970 or after 9999 (line 8: \"1969-12-31T23:59:59Z\")\n\
             left out: 1 row ahead of this machine's clock (line 9: \"2025-10-30T20:00:01Z\")\n\
             left out: 1 row without a key (line 10)\n\
             left out: 1 row whose key has control characters or more than 128 bytes (line 11: \"{}…)\n\
             left out: 1 row without a value (line 12)\n\
             left out: 2 rows whose value is infinite or NaN (line 13: \"NaN\")\n\
             note: columns that are not read: room\n",
            &long[..38]
        )
    );
}

#[test]
fn a_quote_that_is_not_closed_is_an_error_not_a_field_of_the_whole_file() {
    let case = Case::new();
    let mut csv = "timestamp,key,value\n2025-10-30,t,1\n2025-10-30,\"t,1\n".to_owned();
    while csv.len() as u64 <= 2 * limits::IMPORT_LINE_BYTES {
        csv += "2025-10-30,t,1\n";
    }
    let error = case.error(&case.write("a.csv", csv));
    assert!(
        error.contains("line 3: it has more than 1000000 bytes") && error.contains("closing quote"),
        "{error}"
    );
    let error = case.error(&case.write("a.jsonl", format!("{{\"a\":\"{}", "x".repeat(1_500_000))));
    assert!(error.contains("line 1: it has more than"), "{error}");
}

#[test]
fn lines_are_those_of_the_file_also_behind_line_breaks_in_quotes() {
    let case = Case::new();
    let csv = "timestamp,key,value,text\r\n2025-10-30,sky,,\"a\r\nb\"\r\n\r\nnever,t,1,\r\n2025-10-30,t,\"1\",2,\"3\"\r\n";
    let (report, _) = case.staged(&case.write("a.csv", csv));
    let examples: Vec<&str> = report.skipped.iter().map(|it| &*it.example).collect();
    assert_eq!(
        examples,
        ["line 5: \"never\"", "line 6: \"2025-10-30,t,1,2,3\""]
    );
}

#[test]
fn a_number_that_may_be_two_is_left_out_until_people_say_what_its_decimal_mark_is() {
    let csv = "timestamp;key;value\n2025-10-30;a;1.234,5\n2025-10-30;b;1.236\n2025-10-30;c;12.345.678\n\
               2025-10-30;d;21.5\n2025-10-30;e;1234.567\n2025-10-30;f;1,236\n2025-10-30;g;21,5\n";
    let quoted = "timestamp,key,value\n2025-10-30,a,\"1.234,5\"\n2025-10-30,b,1.236\n";
    let lines = r#"{"timestamp":"2025-10-30","key":"b","value":"1.236"}
{"timestamp":"2025-10-30","key":"d","value":21.5}"#;
    let (comma, point) = (Some(Decimal::Comma), Some(Decimal::Point));
    for (name, text, decimal, expected) in [
        (
            "a.csv",
            csv,
            None,
            "a = 1234.5, d = 21.5, e = 1234.567, f = 1.236, g = 21.5",
        ),
        (
            "a.csv",
            csv,
            comma,
            "a = 1234.5, b = 1236.0, c = 12345678.0, d = 21.5, e = 1234.567, f = 1.236, g = 21.5",
        ),
        (
            "a.csv",
            csv,
            point,
            "b = 1.236, d = 21.5, e = 1234.567, f = 1236.0, g = 21.5",
        ),
        ("b.csv", quoted, None, "b = 1.236"),
        ("b.csv", quoted, comma, "a = 1234.5, b = 1236.0"),
        ("c.jsonl", lines, None, "b = 1.236, d = 21.5"),
        ("c.jsonl", lines, comma, "b = 1236.0, d = 21.5"),
    ] {
        let case = Case {
            decimal,
            ..Case::new()
        };
        let (report, staged) = case.staged(&case.write(name, text));
        let numbers: Vec<&str> = staged
            .iter()
            .filter_map(|line| line.strip_prefix("2025-10-30T00:00:00Z "))
            .filter(|line| !line.contains("NULL"))
            .collect();
        assert_eq!(numbers.join(", "), expected, "{name} {decimal:?}");
        let left_out = match (name, decimal) {
            ("a.csv", None) => vec![(SkipReason::AmbiguousNumber, 2)],
            _ => vec![],
        };
        assert_eq!(reasons(&report), left_out, "{name} {decimal:?}");
    }
}

#[test]
fn texts_are_readings_too_and_lose_the_apostrophe_of_an_export() {
    let case = Case::new();
    let csv = "timestamp,key,value,unit,text,clock,meta\n\
               2025-10-30,a,,,clear sky,,\n\
               2025-10-30,b,cloudy,,,,\n\
               2025-10-30,c,,,'=1+1,untrusted,\n\
               2025-10-30,d,,,'quoted',,\n\
               2025-10-30,'@e,true,,,,\n\
               2025-10-30,f,False,'-x,,untrusted,\"{\"\"stated\"\":true}\"\n\
               2025-10-30,g,,,5,,\n";
    let (report, staged) = case.staged(&case.write("a.csv", csv));
    assert_eq!(
        staged,
        [
            "1 a []",
            "2 b []",
            "3 c []",
            "4 d []",
            "5 @e []",
            "6 f [-x]",
            "7 g []",
            "2025-10-30T00:00:00Z a = NULL {\"text\":\"clear sky\"}",
            "2025-10-30T00:00:00Z b = NULL {\"text\":\"cloudy\"}",
            "2025-10-30T00:00:00Z c = NULL {\"clock\":\"untrusted\",\"text\":\"=1+1\"}",
            "2025-10-30T00:00:00Z d = NULL {\"text\":\"'quoted'\"}",
            "2025-10-30T00:00:00Z @e = 1.0",
            "2025-10-30T00:00:00Z f = 0.0 {\"clock\":\"untrusted\",\"stated\":true}",
            "2025-10-30T00:00:00Z g = NULL {\"text\":\"5\"}",
        ]
    );
    assert_eq!(report.skipped, []);
    assert_eq!(
        report.notes,
        ["1 row whose value is a text and no number (line 3: \"cloudy\")"]
    );
}

#[test]
fn text_that_is_not_utf_8_is_counted() {
    let case = Case::new();
    let csv = b"timestamp,key,value,text\n2025-10-30,k\xfcche,1,\n2025-10-30,t,,k\xfchl\n2025-10-30,t,k\xfchl,\n";
    let (report, _) = case.staged(&case.write("a.csv", csv));
    assert_eq!(reasons(&report), [(SkipReason::NotUtf8, 3)]);
    assert_eq!(report.skipped[0].example, "line 2: \"k\u{fffd}che\"");
}

#[test]
fn json_lines_are_those_of_an_export() {
    let case = Case::new();
    let lines = r#"{"timestamp":"2025-10-30T20:00:00Z","key":"t","value":21.5,"unit":"°C"}

{"timestamp":1761854401,"key":"t","value":22,"other":[1]}
{"timestamp":1761854402000,"key":"open","value":true}
{"timestamp":"2025-10-30T20:00:03Z","key":"sky","value":null,"text":"clear","clock":"untrusted"}
{"timestamp":"2025-10-30T20:00:04Z","key":"sky","text":"","meta":{"stated":true}}
{"timestamp":"2025-10-30T20:00:05Z","key":"t","value":{"a":1}}
{"timestamp":"2025-10-30T20:00:05Z","key":["t"],"value":1}
{"timestamp":"2025-10-30T20:00:05Z","key":"t","value":1e999}
{"timestamp":"2025-10-30T20:00:05Z","value":1}
{"timestamp":null,"key":"t","value":1}
{"timestamp":"2025-10-30T20:00:05Z","key":"t","value":1
"#;
    let (report, staged) = case.staged(&case.write("a.jsonl", lines));
    assert_eq!(
        staged,
        [
            "1 t [°C]",
            "2 open []",
            "3 sky []",
            "2025-10-30T20:00:00Z t = 21.5",
            "2025-10-30T20:00:01Z t = 22.0",
            "2025-10-30T20:00:02Z open = 1.0",
            "2025-10-30T20:00:03Z sky = NULL {\"clock\":\"untrusted\",\"text\":\"clear\"}",
            "2025-10-30T20:00:04Z sky = NULL {\"stated\":true,\"text\":\"\"}",
        ]
    );
    assert_eq!(
        reasons(&report),
        [
            (SkipReason::WrongType, 1),
            (SkipReason::BadKey, 1),
            (SkipReason::NotFinite, 1),
            (SkipReason::NoKey, 1),
            (SkipReason::BadTime, 1),
            (SkipReason::BrokenLine, 1),
        ]
    );
    assert!(
        report.skipped[5]
            .example
            .starts_with("line 12: \"{\"timestamp\"")
    );
}

#[test]
fn summaries_are_whole_hours_and_days_of_utc() {
    let case = Case::new();
    let csv = "timestamp,key,value,seconds,count,min,max,last\n\
               2025-10-30T20:00:00Z,t,1.5,3600,2,1,2,2\n\
               2025-10-30T00:00:00Z,t,0.3,86400,3,0.3,0.3,0.3\n\
               2025-10-30T00:00:00Z,u,0.30000000000001,86400,3,0.3,0.3,0.3\n\
               2025-10-30T20:30:00Z,t,1.5,3600,2,1,2,2\n\
               2025-10-30T00:00:00+01:00,t,1.5,86400,2,1,2,2\n\
               2025-10-30T20:00:00Z,t,1.5,300,2,1,2,2\n\
               2025-10-30T20:00:00Z,t,1.5,3600,0,1,2,2\n\
               2025-10-30T20:00:00Z,t,1.5,3600,2,2,1,2\n\
               2025-10-30T20:00:00Z,t,3,3600,2,1,2,2\n\
               2025-10-30T20:00:00Z,t,1.5,3600,2,1,2,\n\
               2025-10-30T20:00:00Z,t,,3600,2,1,2,2\n";
    let (report, staged) = case.staged(&case.write("a.csv", csv));
    assert_eq!(
        staged,
        [
            "1 t []",
            "2 u []",
            "3600 s from 2025-10-30T20:00:00Z t: 2 of 1.0 to 2.0, mean 1.5, last 2.0",
            "86400 s from 2025-10-30T00:00:00Z t: 3 of 0.3 to 0.3, mean 0.3, last 0.3",
            "86400 s from 2025-10-30T00:00:00Z u: 3 of 0.3 to 0.3, mean 0.3, last 0.3",
        ]
    );
    assert_eq!(reasons(&report), [(SkipReason::BadSummary, 8)]);
    assert_eq!((report.staged.hours, report.staged.days), (1, 2));
}
