use openapi::compact::CompactApi;

use super::*;

/// The skeleton of an operation with this request body and these schemas.
fn made(body: &str, schemas: &str) -> Option<String> {
    let text = format!(
        "{}\n{{\"id\":\"search\",\"method\":\"post\",\"request_body\":{{\"media_type\":\"\",\"schema\":1,{body}}}}}\n\n{schemas}",
        r#"{"name":"a","title":"","version":"","source_file":""}"#,
    );
    let api = CompactApi::leak(text).read().expect("it is an API");
    body_skeleton(&api.operations[0])
}

const SEARCH: &str = r#"{"types":"object","rules":[{"properties":[{"name":"a b","required":true,"schema":2},{"name":"period","required":true,"schema":4},{"name":"note","schema":3},{"name":"ids","required":true,"schema":6},{"name":"on","required":true,"schema":7}]}]}
{"types":"string|null","rules":[{"enum":[null,"x","y"]}]}
{"types":"string"}
{"types":"object","rules":[{"properties":[{"name":"from","required":true,"schema":5},{"name":"to","schema":5}]}]}
{"types":"string","rules":[{"format":"date"}]}
{"types":"array","rules":[{"items":8}]}
{"types":"boolean"}
{"types":"integer","rules":[{"minimum":3.0}]}"#;

#[test]
fn a_body_begins_with_the_examples_of_its_file() {
    let required = "\"required\":true";
    let all = r#"{ "a b" = "x", ids = [3], on = true, period = { from = "{today}" } }"#;
    assert_eq!(made(required, SEARCH).as_deref(), Some(all));
    // An example with null cannot be written, but parts of it can.
    let example = r#""required":true,"example":"{\"a b\":null,\"ids\":[7,8],\"on\":false,\"period\":{\"from\":\"2025-01-01\"}}""#;
    let some = r#"{ "a b" = "x", ids = [7, 8], on = false, period = { from = "2025-01-01" } }"#;
    assert_eq!(made(example, SEARCH).as_deref(), Some(some));
    let valid = r#""example":"{\"a b\":\"y\",\"ids\":[7],\"on\":false,\"period\":{\"from\":\"2025-01-01\"},\"note\":\"n\"}""#;
    let whole =
        r#"{ "a b" = "y", ids = [7], note = "n", on = false, period = { from = "2025-01-01" } }"#;
    assert_eq!(made(valid, SEARCH).as_deref(), Some(whole));
    // Nothing is needed and nothing shown.
    let optional = r#"{"types":"object","rules":[{"properties":[{"name":"a","schema":0}]}]}"#;
    assert_eq!(made("\"required\":false", optional), None);
    assert_eq!(made(required, optional).as_deref(), Some("{}"));
    let text = "\"required\":true,\"encoding\":\"text\"";
    assert_eq!(
        made(text, "{\"types\":\"string\"}").as_deref(),
        Some("\"…\"")
    );
}

#[test]
fn a_schema_that_contains_itself_ends() {
    let tree =
        r#"{"types":"object","rules":[{"properties":[{"name":"a","required":true,"schema":1}]}]}"#;
    let made = made("\"required\":true", tree).expect("a skeleton");
    assert_eq!(made.matches("a = ").count(), limits::EXAMPLE_BODY_DEPTH);
}
