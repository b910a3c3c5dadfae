//! POST operations of files: generated where a person names them, with the body that their file
//! declares, in Swagger 2.0 and OpenAPI 3.

use std::path::Path;

use openapi::compact::Description;
use openapi::lower::candidates::Wanted;
use openapi::lower::limits::Limits;
use openapi::lower::report::Report;
use openapi::lower::spec::Spec;
use openapi::lower::{self, candidates};
use openapi::operation::Method;

fn load(text: &str) -> Spec {
    Spec::from_bytes(
        Path::new("a.yaml"),
        text.as_bytes().to_vec(),
        Limits::CODEGEN,
    )
    .unwrap()
}

fn lowered(text: &str, names: &[&str]) -> Result<(Description, Report), String> {
    let names = names.iter().map(|it| (*it).to_owned()).collect();
    lower::lower(&load(text), "a", &Wanted::Named(names)).map_err(|it| it.text)
}

const OK: &str =
    "responses: {'200': {description: ok, content: {application/json: {}}, schema: {}}}";

/// What becomes of a POST: its body in the compact form, or why it is skipped.
#[track_caller]
fn check(version: &str, operation: &str, expected: &str) {
    let text = format!(
        "{version}\ninfo: {{title: A, version: '1'}}\npaths:\n  /a:\n    post: {{operationId: a, {operation}, {OK}}}\n{SHARED}"
    );
    let (description, report) = lowered(&text, &["a"]).unwrap();
    let found = match (description.api.operations.first(), report.skipped.first()) {
        (Some(it), _) => {
            assert_eq!(it.method, Method::Post);
            let body = it.request_body.as_ref();
            body.map_or("no body".to_owned(), |body| {
                let schema = &description.schemas[body.schema.id()];
                let schema = serde_json::to_string(schema).unwrap();
                let required = if body.required { "required " } else { "" };
                format!("{required}{} {:?} {schema}", body.media_type, body.encoding)
            })
        }
        (None, Some(it)) => it.reason.clone(),
        (None, None) => "nothing".to_owned(),
    };
    assert_eq!(found, expected, "{operation}");
}

const SHARED: &str = "\
consumes: [application/json]
definitions: {Q: {type: object, required: [q], properties: {q: {type: string}}}}
components:
  schemas: {Q: {$ref: '#/definitions/Q'}, Nested: {properties: {n: {type: object}}}}
  requestBodies: {Q: {required: true, content: {text/json: {schema: {$ref: '#/definitions/Q'}}}}}
";

const Q: &str =
    r#"{"types":"object","rules":[{"properties":[{"name":"q","required":true,"schema":2}]}]}"#;

#[test]
fn bodies_of_swagger_2() {
    for (operation, expected) in [
        ("summary: none", "no body".to_owned()),
        (
            "parameters: [{in: body, name: x, required: true, schema: {$ref: '#/definitions/Q'}}]",
            format!("required application/json Json {Q}"),
        ),
        (
            "consumes: [application/xml, application/vnd.a+json], parameters: [{in: body, name: x, schema: {type: object}}]",
            r#"application/vnd.a+json Json {"types":"object"}"#.to_owned(),
        ),
        (
            "consumes: [application/xml], parameters: [{in: body, name: x, schema: {type: object}}]",
            "its request body is application/xml; expected JSON, a form or a text".to_owned(),
        ),
        (
            "consumes: [application/xml], parameters: [{in: body, name: x, schema: {type: string}}]",
            r#"application/xml Text {"types":"string"}"#.to_owned(),
        ),
        (
            "consumes: [application/x-www-form-urlencoded], parameters: [{in: formData, name: q, type: string, required: true}]",
            format!("required application/x-www-form-urlencoded Form {Q}"),
        ),
        (
            "parameters: [{in: formData, name: q, type: string}]",
            "its request body is application/json; expected JSON, a form or a text".to_owned(),
        ),
        (
            "consumes: [], parameters: [{in: formData, name: f, type: file}]",
            "its form field \"f\" is a file, which main-node does not send".to_owned(),
        ),
        (
            "consumes: [multipart/form-data], parameters: [{in: formData, name: q, type: string}]",
            "its request body is multipart/form-data; expected JSON, a form or a text".to_owned(),
        ),
    ] {
        check("swagger: '2.0'", operation, &expected);
    }
}

#[test]
fn bodies_of_openapi_3() {
    let form = "application/x-www-form-urlencoded";
    for version in ["openapi: 3.0.3", "openapi: 3.1.0"] {
        for (operation, expected) in [
            (
                "requestBody: {$ref: '#/components/requestBodies/Q'}".to_owned(),
                format!("required text/json Json {Q}"),
            ),
            (
                "requestBody: {$ref: '#/components/requestBodies/Gone'}".to_owned(),
                "`#/components/requestBodies/Gone` cannot be followed: there is no \"Gone\"".to_owned(),
            ),
            (
                format!("requestBody: {{content: {{{form}: {{}}, application/json: {{}}}}}}"),
                "application/json Json {}".to_owned(),
            ),
            (
                "requestBody: {content: {'*/*': {schema: {type: object}}}}".to_owned(),
                r#"application/json Json {"types":"object"}"#.to_owned(),
            ),
            ("requestBody: {}".to_owned(), "application/json Json {}".to_owned()),
            (
                format!("requestBody: {{content: {{{form}: {{schema: {{$ref: '#/components/schemas/Q'}}}}}}}}"),
                format!("{form} Form {Q}"),
            ),
            (
                format!("requestBody: {{content: {{{form}: {{schema: {{$ref: '#/components/schemas/Nested'}}}}}}}}"),
                "its form field \"n\" has fields of its own, which a form cannot carry".to_owned(),
            ),
            (
                format!("requestBody: {{content: {{{form}: {{schema: {{type: array}}}}}}}}"),
                "its request body is a form of a list, not of fields".to_owned(),
            ),
            (
                "requestBody: {content: {application/graphql: {schema: {type: string}}}}".to_owned(),
                r#"application/graphql Text {"types":"string"}"#.to_owned(),
            ),
            (
                "requestBody: {content: {application/octet-stream: {schema: {type: string, format: binary}}}}".to_owned(),
                "its request body is application/octet-stream; expected JSON, a form or a text".to_owned(),
            ),
        ] {
            check(version, &operation, &expected);
        }
    }
}

const MANY: &str = "\
openapi: 3.0.3
info: {title: A, version: '1'}
x-main-node-operations: [getA]
paths:
  /a:
    get: {operationId: getA, responses: {200: {content: {application/json: {}}}}}
    post: {operationId: postA, responses: {200: {content: {application/json: {}}}}}
    put: {operationId: putA}
  /b:
    post: {responses: {200: {content: {application/json: {}}}}}
    delete: {}
  /c:
    get: {operationId: same, responses: {200: {content: {application/json: {}}}}}
    post: {operationId: same, responses: {200: {content: {application/json: {}}}}}
";

#[test]
fn only_what_is_named_is_generated() {
    let names = ["getA", "postA", "postB", "same", "POST /c"];
    for bits in 1_usize..1 << names.len() {
        let wanted: Vec<&str> = (0..names.len())
            .filter(|at| bits >> at & 1 == 1)
            .map(|at| names[at])
            .collect();
        let (description, report) = lowered(MANY, &wanted).unwrap();
        let found: Vec<&str> = description
            .api
            .operations
            .iter()
            .map(|it| it.id.as_str())
            .collect();
        let mut expected: Vec<&str> = ["getA", "same", "postA", "postB"]
            .into_iter()
            .filter(|it| wanted.contains(it))
            .collect();
        expected.extend(wanted.contains(&"POST /c").then_some("postC"));
        assert_eq!(found, expected);
        assert_eq!(report.included.len(), wanted.len());
        let posts = found.iter().filter(|it| it.starts_with("post")).count();
        assert_eq!(report.posts_left_out.len(), 3 - posts);
        let gets = found.len() - posts;
        let code = openapi::emit::emit(&[description], "test");
        assert_eq!(code.matches("agent.post(").count(), posts);
        assert_eq!(code.matches("agent.get(").count(), gets);
    }
}

#[test]
fn a_post_is_not_generated_because_a_file_says_so() {
    for (text, wanted) in [
        (MANY.replace("x-main", "x-other"), vec!["getA", "same"]),
        (MANY.to_owned(), vec!["getA"]),
    ] {
        let spec = load(&text);
        let (description, _) =
            lower::lower(&spec, "a", &candidates::listed_by_file(&spec)).unwrap();
        let found: Vec<&str> = description
            .api
            .operations
            .iter()
            .map(|it| &*it.id)
            .collect();
        assert_eq!(found, wanted);
    }
    let spec = load(&MANY.replace("[getA]", "[postA]"));
    let refused = lower::lower(&spec, "a", &candidates::listed_by_file(&spec)).unwrap_err();
    assert_eq!(
        refused.text,
        "a.yaml:7:5: expected GET operations in `x-main-node-operations`, found \"postA\", which \
         is POST /a; name it yourself if it only reads: --operations postA"
    );
}

#[test]
fn methods_that_write_are_refused_by_name() {
    for (name, place) in [("putA", "8:5"), ("PUT /a", "8:5"), ("delete /b", "11:5")] {
        let refused = lowered(MANY, &["getA", name]).unwrap_err();
        let expected = format!("a.yaml:{place}: expected a GET or POST operation, found {name:?}");
        assert!(refused.starts_with(&expected), "{refused}");
    }
}

#[test]
fn words_choose_gets_and_posts_for_a_list() {
    let text = format!(
        "openapi: 3.0.0\ninfo: {{title: A, version: '1'}}\npaths:\n  \
         /state:\n    get: {{operationId: getState, summary: All values, {OK}}}\n    \
         post: {{operationId: search, description: Finds values. Long., {OK}}}\n    \
         delete: {{{OK}}}\n  \
         /log:\n    get: {{operationId: getLog, {OK}}}\n"
    );
    for (words, expected) in [
        (&[][..], "getState getLog search, 0 GETs and 0 POSTs left"),
        (&["values"], "getState search, 1 GETs and 0 POSTs left"),
        (&["/log"], "getLog, 1 GETs and 1 POSTs left"),
        (&["finds", "state"], "search, 2 GETs and 0 POSTs left"),
        (&["tide"], ", 2 GETs and 1 POSTs left"),
    ] {
        let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        let (description, report) =
            lower::lower(&load(&text), "a", &Wanted::Matching(words.clone())).unwrap();
        let ids: Vec<&str> = description
            .api
            .operations
            .iter()
            .map(|it| it.id.as_str())
            .collect();
        let (gets, posts) = (report.not_requested, report.posts_left_out.len());
        let found = format!("{}, {gets} GETs and {posts} POSTs left", ids.join(" "));
        assert_eq!(found, expected, "{words:?}");
        assert_eq!(
            (report.gets(), report.posts(), report.other_methods),
            (2, 1, 1)
        );
    }
}
