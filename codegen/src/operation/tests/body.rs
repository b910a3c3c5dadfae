use super::*;
use crate::operation::Method;

/// An operation whose body has the first of these schemas.
fn operation(schemas: &str, encoding: BodyEncoding) -> Operation {
    let schemas = crate::support::references(schemas);
    Operation {
        id: "searchThings".to_owned(),
        method: Method::Post,
        request_body: Some(RequestBody {
            required: true,
            media_type: "application/json".to_owned(),
            encoding,
            schema: schemas[1],
            ..RequestBody::default()
        }),
        ..Operation::default()
    }
}

const SEARCH: &str = r#"{"types":"object","rules":[{"properties":[{"name":"station","required":true,"schema":2},{"name":"unit","schema":3},{"name":"limit","schema":4},{"name":"filters","schema":5}]}]}
{"types":"string","rules":[{"pattern":"^[a-z]+$"}]}
{"types":"string","rules":[{"enum":["celsius","fahrenheit"]}]}
{"types":"integer","rules":[{"minimum":1.0},{"maximum":100.0}]}
{"types":"array","rules":[{"items":6}]}
{"types":"object","rules":[{"properties":[{"name":"field","required":true,"schema":3}]},"closed"]}"#;

#[track_caller]
fn check(body: Value, expected: &[&str]) {
    let operation = operation(SEARCH, BodyEncoding::Json);
    let found: Vec<String> = check_body(&operation, Some(&body))
        .iter()
        .map(|it| {
            let doubt = if it.is_doubt() { "?" } else { "" };
            format!(
                "{doubt}{}: {}, {}; {}",
                it.pointer, it.expected, it.found, it.change
            )
        })
        .collect();
    assert_eq!(found, expected, "{body}");
}

#[test]
fn each_problem_of_a_body_says_what_to_change() {
    use serde_json::json;
    check(json!({"station": "oslo", "limit": 5}), &[]);
    check(json!({"station": "oslo", "more": {"x": 1}}), &[]);
    check(json!([]), &[": an object, a list of 0; change it"]);
    check(
        json!({"unit": "celsius"}),
        &["/station: text that matches ^[a-z]+$, nothing; add station = …"],
    );
    check(
        json!({"station": 7}),
        &["/station: text that matches ^[a-z]+$, 7; put it in quotes"],
    );
    check(
        json!({"station": "oslo", "limit": "5"}),
        &["/limit: an integer from 1 to 100, \"5\"; write it without quotes"],
    );
    check(
        json!({"station": "oslo", "limit": 500}),
        &["/limit: an integer from 1 to 100, 500; change it"],
    );
    check(
        json!({"station": "oslo", "unit": "celcius"}),
        &["/unit: one of \"celsius\", \"fahrenheit\", \"celcius\"; did you mean \"celsius\"?"],
    );
    check(
        json!({"station": "oslo", "filters": [{"field": "celsius", "feild": 1}]}),
        &["/filters/0/feild: a field that the OpenAPI file names, `feild`; did you mean `field`?"],
    );
    check(
        json!({"station": "oslo", "limt": 5}),
        &["?/limt: a field that the OpenAPI file names, `limt`; did you mean `limit`?"],
    );
}

#[test]
fn a_body_belongs_to_operations_that_declare_one() {
    let post = operation(SEARCH, BodyEncoding::Json);
    let problems = check_body(&post, None);
    assert_eq!(problems[0].expected, "a body: searchThings needs one");
    let mut without = post.clone();
    without.request_body = None;
    assert_eq!(check_body(&without, None), []);
    let problems = check_body(&without, Some(&Value::Null));
    assert_eq!(problems[0].change, "remove it");
    let mut optional = post;
    if let Some(body) = &mut optional.request_body {
        body.required = false;
    }
    assert_eq!(check_body(&optional, None), []);
}

#[test]
fn forms_are_tables_whose_numbers_may_be_texts_and_texts_are_texts() {
    let body = serde_json::json!({"station": "oslo", "limit": "5"});
    let form = operation(SEARCH, BodyEncoding::Form);
    assert_eq!(check_body(&form, Some(&body)), []);
    let text = Value::String("station=oslo".to_owned());
    assert_eq!(check_body(&form, Some(&text)).len(), 1);
    let plain = operation("{\"types\":\"string\"}", BodyEncoding::Text);
    assert_eq!(check_body(&plain, Some(&text)), []);
    assert_eq!(check_body(&plain, Some(&body)).len(), 1);
}
