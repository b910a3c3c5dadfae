use serde_json::json;

use super::*;

fn number(digits: &str) -> Json {
    serde_json::from_str(digits).expect("a number")
}

#[test]
fn samples_become_an_object_by_name() {
    for (text, expected) in [
        ("# TYPE temp gauge\ntemp 21.5\n", json!({"temp": 21.5})),
        (
            "temp 21.5 1395066363000\nhum{} 45",
            json!({"temp": 21.5, "hum": 45}),
        ),
        (
            "cpu_total{cpu=\"0\",mode=\"idle\"} 1.5e+06\ncpu_total{mode=\"user\",cpu=\"0\",} 2\n",
            json!({"cpu_total": {
                "cpu=0,mode=idle": {"cpu": "0", "mode": "idle", "value": number("1.5e+06")},
                "mode=user,cpu=0": {"mode": "user", "cpu": "0", "value": 2},
            }}),
        ),
        (
            "a NaN\nb +Inf\nc{x=\"1\"} -Inf\nd .5\ne +1\nf 1.",
            json!({"a": null, "b": null, "c": {"x=1": {"x": "1", "value": null}},
                   "d": 0.5, "e": 1.0, "f": 1.0}),
        ),
        (
            "h_bucket{le=\"+Inf\"} 3\nh_sum 1\nh_count 3 # {trace_id=\"x\"} 0.67\n# EOF\nrest",
            json!({"h_bucket": {"le=+Inf": {"le": "+Inf", "value": 3}}, "h_sum": 1, "h_count": 3}),
        ),
        (
            "p { a = \"C:\\\\DIR\\n\\\"x\\\" {},\" , b=\"Küche\" }\t1",
            json!({"p": {"a=C:\\DIR\n\"x\" {},,b=Küche":
                {"a": "C:\\DIR\n\"x\" {},", "b": "Küche", "value": 1}}}),
        ),
        (
            "{\"my.metric\",\"a.b\"=\"c\"} 1\n{\"other\"} 2\n",
            json!({"my.metric": {"a.b=c": {"a.b": "c", "value": 1}}, "other": 2}),
        ),
        (
            "m{value=\"x\"} 1\n",
            json!({"m": {"value=x": {"value": "x", "@value": 1}}}),
        ),
        (
            "m 1\nm{a=\"b\"} 2\n",
            json!({"m": {"": {"value": 1}, "a=b": {"a": "b", "value": 2}}}),
        ),
        (
            "m{a=\"b\"} 2\nm 1\n",
            json!({"m": {"": {"value": 1}, "a=b": {"a": "b", "value": 2}}}),
        ),
        ("# HELP a b\n\n", json!({})),
    ] {
        assert_eq!(parse(text), Ok((expected, Vec::new())), "{text}");
    }
}

#[test]
fn a_line_that_is_no_sample_costs_itself() {
    for (line, issue) in [
        (
            "hum",
            "expected a metric and its number in line 2, found `hum`",
        ),
        (
            "hum x",
            "expected a metric and its number in line 2, found `hum x`",
        ),
        (
            "7 7",
            "expected the name of a metric in line 2, found `7 7`",
        ),
        (
            "hum 1 x",
            "expected a number, and at most a timestamp behind it, in line 2, found `x`",
        ),
        (
            "hum{a=\"1} 2",
            "expected a closing quote in line 2, found `1} 2`",
        ),
        (
            "hum{a=1} 2",
            "expected the value of a label in quotes in line 2, found `1} 2`",
        ),
        (
            "hum{a} 2",
            "expected a label as name=\"value\" in line 2, found `a} 2`",
        ),
        (
            "hum{=\"x\"} 2",
            "expected the name of a label in line 2, found `=\"x\"} 2`",
        ),
        (
            "hum{a=\"1\" b=\"2\"} 2",
            "expected a comma or } behind a label in line 2, found `b=\"2\"} 2`",
        ),
        (
            "hum{a=\"1\"",
            "expected a comma or } behind a label in line 2, found the end",
        ),
    ] {
        let (tree, issues) = parse(&format!("temp 1\n{line}\n")).expect(line);
        assert_eq!(tree, json!({"temp": 1}), "{line}");
        let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
        assert_eq!(issues, [format!("wrong_type: the whole response: {issue}")]);
        // Where no line is a sample, it is another format.
        assert!(matches!(
            parse(line),
            Err(FormatError::Malformed { line: 1, .. })
        ));
    }
}

#[test]
fn the_last_of_equal_samples_counts() {
    let (tree, issues) = parse("a 1\na 2\nb{x=\"1\"} 1\nb{x=\"1\"} 2\n").expect("samples");
    assert_eq!(tree, json!({"a": 2, "b": {"x=1": {"x": "1", "value": 2}}}));
    let issues: Vec<String> = issues.iter().map(ToString::to_string).collect();
    assert_eq!(
        issues,
        [
            "duplicate_key: /a: expected each sample once; the last one counts, found a second \
             sample without labels",
            "duplicate_key: /b: expected each sample once; the last one counts, found a second \
             sample with the labels `x=1`",
        ]
    );
}

#[test]
fn the_number_of_samples_is_bounded() {
    let many: String = (0..=limits::JSON_VALUES / 2)
        .map(|n| format!("a{n} 1\n"))
        .collect();
    assert_eq!(parse(&many), Err(FormatError::TooMany));
    let objects: String = (0..limits::JSON_VALUES / 6)
        .map(|n| format!("a{n}{{b=\"\"}} 1\n"))
        .collect();
    assert_eq!(parse(&objects), Err(FormatError::TooMany));
}
