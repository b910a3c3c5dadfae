use serde_json::json;

use super::*;

/// Expected values are those of Python's `csv`, with blanks removed and numbers read.
#[test]
fn tables_become_arrays_of_rows() {
    for (text, expected) in [
        (
            "time,temp,hum\n2026-01-01T00:00,21.5,45\n",
            json!([{"time": "2026-01-01T00:00", "temp": 21.5, "hum": 45}]),
        ),
        (
            "Zeit;Temp\r\n10:00;21,5\r\n10:05;-3\r\n",
            json!([{"Zeit": "10:00", "Temp": "21,5"}, {"Zeit": "10:05", "Temp": -3}]),
        ),
        ("a\tb\n1\t2", json!([{"a": 1, "b": 2}])),
        ("a|b\n1|x,y\n", json!([{"a": 1, "b": "x,y"}])),
        // Titles in front of the table.
        (
            "Station Berlin\nGenerated 2026-11-29\n\nTime;Temp\n10:00;21,5\n",
            json!([{"Time": "10:00", "Temp": "21,5"}]),
        ),
        ("1,2\n3,-4\n", json!([[1, 2], [3, -4]])),
        ("21,5\n22\n", json!([[21, 5], [22]])),
        // Decimal commas are no delimiters beside semicolons.
        ("10:00;21,5;45,0\n", json!([["10:00", "21,5", "45,0"]])),
        ("1,2\n3,4\n", json!([[1, 2], [3, 4]])),
        ("2026-01-01,x\n", json!([["2026-01-01", "x"]])),
        ("21.5\n22\n", json!([[21.5], [22]])),
        ("temp\n21.5\n", json!([{"temp": 21.5}])),
        ("# device 7\n#\n\na, b\n1, 2\n", json!([{"a": 1, "b": 2}])),
        (
            "name,note\n\"Smith, \"\"J\"\"\",\"two\r\nlines\"\n",
            json!([{"name": "Smith, \"J\"", "note": "two\r\nlines"}]),
        ),
        ("\"a;b\",c\n1,2\n", json!([{"a;b": 1, "c": 2}])),
        (
            "a,a,,a_2\n1,2,3,4\n",
            json!([{"a": 1, "a_2": 2, "_3": 3, "a_2_2": 4}]),
        ),
        ("a,b\n1\n\n,2\n,\n", json!([{"a": 1}, {"a": null, "b": 2}])),
        // A delimiter at the end of each row is no cell.
        ("a,b\n1,2,\n", json!([{"a": 1, "b": 2}])),
        (
            "a,b\n1,2\na,b\n3,4\n",
            json!([{"a": 1, "b": 2}, {"a": 3, "b": 4}]),
        ),
        // InfluxDB: each table has a header of its own, annotated or not.
        (
            "#group,false,false,false\n,result,table,_value\n,,0,5\n\n\
             #group,false,false,true,false\n,result,table,room,_value\n,,1,7,6\n",
            json!([
                {"_1": null, "result": null, "table": 0, "_value": 5},
                {"_1": null, "result": null, "table": 1, "room": 7, "_value": 6},
            ]),
        ),
        (
            ",result,table,_value\n,,0,5\n\n,result,table,room,_value\n,,1,7,6\n",
            json!([
                {"_1": null, "result": null, "table": 0, "_value": 5},
                {"_1": null, "result": null, "table": 1, "room": 7, "_value": 6},
            ]),
        ),
        ("sep=;\r\na;b,c\r\n1;2\r\n", json!([{"a": 1, "b,c": 2}])),
        ("sep=\na\n", json!([{"sep=": "a"}])),
        ("a,b\n", json!([])),
        ("a,b\ntrue,NaN\n", json!([{"a": "true", "b": "NaN"}])),
        (
            "a,b\n007,1e3\n",
            json!([{"a": "007", "b": serde_json::from_str::<Json>("1e3").expect("JSON")}]),
        ),
        ("a,b\r1,2\r", json!([{"a": 1, "b": 2}])),
    ] {
        assert_eq!(parse(text), Ok((expected, Vec::new())), "{text}");
    }
}

#[test]
fn what_a_row_has_too_much_is_an_issue() {
    for (text, expected, issue) in [
        (
            "# x\na,b\n1,2\n3,4,5\n6,7,8\n",
            json!([{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"a": 6, "b": 7}]),
            "wrong_type: /1: expected 2 cells, as the header has, found 3 cells in line 4 and too \
             many in 1 more row",
        ),
        (
            "a,b\n1,\"2\n3,4\n",
            json!([]),
            "wrong_type: the whole response: expected a closing quote in the row of line 2, found `2`",
        ),
    ] {
        let (tree, issues) = parse(text).expect(text);
        assert_eq!(tree, expected, "{text}");
        let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
        assert_eq!(issues, [issue], "{text}");
    }
}

#[test]
fn size_is_bounded() {
    let many = "1,\n".repeat(limits::JSON_VALUES / 2);
    assert_eq!(parse(&many), Err(FormatError::TooMany));
    let objects = format!("a\n{}", "1\n".repeat(limits::JSON_VALUES / 3));
    assert_eq!(parse(&objects), Err(FormatError::TooMany));
    // Every row repeats the names of the columns.
    let text = format!("{}\n{}", "n".repeat(10_000), "1\n".repeat(100_000));
    assert_eq!(parse(&text), Err(FormatError::TooMany));
    let columns = format!("{}\n", "a,".repeat(90_000));
    assert!(parse(&columns).is_ok());
}
