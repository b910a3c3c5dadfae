//! An inline description, generated, compiled with main-node's own runtime, and called
//! against a loopback server that shows the bytes of each request.
//!
//! The generated fixture is committed, so that it is compiled here without a second cargo; a
//! test fails when it is stale, `UPDATE_GOLDEN=1` writes it anew.

#![allow(dead_code)]

/// What `request` needs of main-node.
#[path = "../../src/domain"]
mod domain {
    pub mod percent;
}
#[path = "../../src/api"]
mod api {
    pub mod basic_auth;
    #[path = "../../codegen/tests/fixtures/everything.rs"]
    pub mod client;
    #[path = "../../codegen/tests/fixtures/large.rs"]
    pub mod large;
    pub mod request;
    #[path = "../../codegen/tests/fixtures/search.rs"]
    pub mod search;
}

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use api::client::{APIS, CALLS};
use api::request::{Call, Credential, Endpoint, PreparedCall};
use openapi::lower::candidates::Wanted;
use openapi::operation::{Argument, ArgumentProblem, Location, Operation};
use openapi::schema::{self, validate};

fn operation(id: &str) -> &'static Operation {
    APIS.iter()
        .chain(&*api::search::APIS)
        .flat_map(|api| &api.operations)
        .find(|it| it.id == id)
        .unwrap_or_else(|| panic!("no {id}"))
}

/// An operation with its arguments, and what sends it.
struct Prepared(&'static Call, PreparedCall);

fn prepare(
    id: &str,
    arguments: &[(String, Argument)],
    body: Option<&Argument>,
) -> Result<Prepared, ArgumentProblem> {
    let operation = operation(id);
    let call = CALLS
        .iter()
        .chain(api::search::CALLS)
        .find(|it| it.api == operation.api && it.operation == operation.id)
        .unwrap_or_else(|| panic!("nothing sends {id}"));
    Ok(Prepared(
        call,
        PreparedCall::new(operation, arguments, body)?,
    ))
}

fn text(it: &str) -> Argument {
    Argument::Text(it.to_owned())
}

fn list(items: &[&str]) -> Argument {
    Argument::List(items.iter().map(|it| text(it)).collect())
}

fn object(fields: &[(&str, Argument)]) -> Argument {
    Argument::Object(
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    )
}

/// Sends a prepared call to a raw listener; gives the request that came.
fn sent(Prepared(call, prepared): &Prepared, change: impl FnOnce(&mut Endpoint)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).to_lowercase();
        let length = text.split("content-length: ").nth(1);
        let length = length.and_then(|it| it.lines().next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).unwrap();
        head.extend(body);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            .unwrap();
        String::from_utf8(head).unwrap()
    });
    let mut endpoint = Endpoint {
        base: format!("http://{address}/base/"),
        ..Endpoint::default()
    };
    change(&mut endpoint);
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let mut response = (call.send)(prepared, &endpoint, &agent).unwrap();
    assert_eq!(response.body_mut().read_to_string().unwrap(), "{}");
    server.join().unwrap()
}

#[track_caller]
fn prepared(id: &str, arguments: &[(&str, Argument)]) -> Prepared {
    let arguments: Vec<(String, Argument)> = arguments
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    prepare(id, &arguments, None).unwrap_or_else(|problem| panic!("{problem}"))
}

#[track_caller]
fn check(id: &str, arguments: &[(&str, Argument)], target: &str) {
    let head = sent(&prepared(id, arguments), |_| {});
    let line = head.lines().next().unwrap_or("");
    assert_eq!(line, format!("GET /base{target} HTTP/1.1"));
}

#[test]
fn path_parameters_in_every_style() {
    let numbers = Argument::List(vec![Argument::Integer(1), Argument::Integer(2)]);
    let parts = object(&[("r", Argument::Integer(100)), ("g", text("a/b"))]);
    check(
        "simple",
        &[
            ("list", numbers),
            ("object", parts.clone()),
            ("exploded", parts.clone()),
            ("text", text("ü ?")),
        ],
        "/simple/1,2/r,100,g,a%2Fb/r=100,g=a%2Fb/%C3%BC%20%3F.json",
    );
    check(
        "label",
        &[
            ("one", text("x")),
            ("list", list(&["a", "b"])),
            ("exploded", list(&["a", "b"])),
        ],
        "/label/.x/.a,b/.a.b",
    );
    let flags = Argument::List(vec![Argument::Boolean(true), Argument::Boolean(false)]);
    check(
        "matrix",
        &[
            ("one", Argument::Number(0.5)),
            ("list", flags),
            ("exploded", list(&["a", "b"])),
            ("object", parts),
        ],
        "/matrix/;one=0.5/;list=true,false/;exploded=a;exploded=b/;r=100;g=a%2Fb",
    );
}

#[test]
fn query_parameters_in_every_style() {
    let numbers = Argument::List(vec![Argument::Integer(1), Argument::Number(2.5)]);
    let deep = object(&[
        ("a", Argument::Integer(1)),
        ("b", object(&[("c", list(&["x", "y"]))])),
    ]);
    check(
        "query-styles",
        &[("by", text("a&b"))],
        "/query?fixed=1&by=a%26b",
    );
    check(
        "query-styles",
        &[
            ("by", text("x")),
            ("exploded", list(&["a", "b c"])),
            ("joined", numbers),
            ("spaced", list(&["a", "b"])),
            ("piped", list(&["a", "b"])),
            ("deep", deep),
            ("fields", object(&[("p", text("1")), ("q", text("2"))])),
            ("filter[name]", text("n")),
            ("raw", text("a/b:c&d")),
            ("json", object(&[("k", list(&["v"]))])),
            ("type", text("yes")),
        ],
        "/query?fixed=1&by=x&exploded=a&exploded=b%20c&joined=1,2.5&spaced=a%20b&piped=a%7Cb\
         &deep%5Ba%5D=1&deep%5Bb%5D%5Bc%5D=x&deep%5Bb%5D%5Bc%5D=y&p=1&q=2&filter%5Bname%5D=n\
         &raw=a/b:c%26d&json=%7B%22k%22%3A%5B%22v%22%5D%7D&type=yes",
    );
}

#[track_caller]
fn check_post(id: &str, body: Option<Argument>, line: &str, media_type: &str, written: &str) {
    let request = sent(&prepare(id, &[], body.as_ref()).unwrap(), |_| {});
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(head.lines().next(), Some(line));
    let head = head.to_lowercase();
    assert_eq!(body, written);
    assert!(
        head.contains(&format!("content-length: {}", written.len())),
        "{head}"
    );
    assert_eq!(
        head.matches("content-type: ").count(),
        usize::from(!media_type.is_empty())
    );
    assert!(head.contains(media_type), "{head}");
}

#[test]
fn posts_carry_the_body_that_their_file_declares() {
    let line = "POST /base/search HTTP/1.1";
    let json = "content-type: application/vnd.search+json";
    let period = object(&[("from", text("2025-01-01"))]);
    let body = object(&[
        ("station", text("oslo")),
        ("period", period),
        ("limit", Argument::Integer(5)),
    ]);
    let written = r#"{"station":"oslo","period":{"from":"2025-01-01"},"limit":5}"#;
    check_post("searchThings", Some(body), line, json, written);
    let form = object(&[
        ("q", text("a b&c=ü")),
        ("tags", list(&["x", "y"])),
        (
            "piped",
            Argument::List(vec![Argument::Integer(1), Argument::Integer(2)]),
        ),
        ("deep", object(&[("gte", Argument::Integer(3))])),
        ("json", object(&[("k", Argument::Boolean(true))])),
    ]);
    check_post(
        "searchByForm",
        Some(form),
        "POST /base/form HTTP/1.1",
        "content-type: application/x-www-form-urlencoded",
        "q=a%20b%26c%3D%C3%BC&tags=x&tags=y&piped=1%7C2&deep%5Bgte%5D=3&json=%7B%22k%22%3Atrue%7D",
    );
    let line = "POST /base/query HTTP/1.1";
    let words = "from(bucket: \"a\")\n |> last()";
    check_post(
        "query",
        Some(text(words)),
        line,
        "content-type: text/plain",
        words,
    );
    check_post("query", None, line, "", "");
    check_post("postRefresh", None, "POST /base/refresh HTTP/1.1", "", "");
    let missing = prepare("searchThings", &[], None).err();
    assert_eq!(
        missing.map(|it| it.message).as_deref(),
        Some(
            "`body` of searchThings: expected a body: searchThings needs one, found none; \
             add body = …"
        )
    );
}

#[test]
fn headers_cookies_and_credentials_go_where_they_belong() {
    let fetch = prepared(
        "getPlacesById",
        &[
            ("id", Argument::Integer(7)),
            ("id_query", Argument::Integer(8)),
            ("id_header", text("nine")),
            ("id_cookie", text("t;n")),
            ("session", list(&["a", "b"])),
            ("X-List", list(&["a", "b"])),
            ("self", text("s")),
            ("userId", text("u1")),
            ("user_id", text("u2")),
            ("温度", text("°")),
            ("2fa", text("f")),
        ],
    );
    let endpoint = |to: &mut Endpoint| {
        let key = |location, name: &str| Credential::Key {
            location,
            name: name.to_owned(),
            value: "k&y".to_owned(),
        };
        to.credentials = vec![key(Location::Query, "appid"), key(Location::Cookie, "sid")];
        to.headers = vec![("accept".to_owned(), "application/json;v=2".to_owned())];
    };
    let head = sent(&fetch, endpoint);
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(
        lines.remove(0),
        "GET /base/places/7?id=8&self=s&userId=u1&user_id=u2\
         &%E6%B8%A9%E5%BA%A6=%C2%B0&2fa=f&appid=k%26y HTTP/1.1"
    );
    for line in [
        "id: nine",
        "x-list: a,b",
        "cookie: id=t%3Bn; session=a,b; sid=k%26y",
        "accept: application/json;v=2",
    ] {
        assert!(
            lines
                .iter()
                .any(|it| it.to_lowercase() == line.to_lowercase()),
            "{line} in {head}"
        );
    }
}

#[test]
fn defaults_and_tokens_fill_what_params_leaves_out() {
    let fetch = prepared("String", &[("token", text("t"))]);
    let head = sent(&fetch, |to| {
        to.credentials = vec![Credential::Bearer {
            token: "secret".to_owned(),
        }];
    });
    assert!(
        head.starts_with("GET /base/token?chart=system.cpu HTTP/1.1"),
        "{head}"
    );
    assert!(
        head.to_lowercase().contains("authorization: bearer secret"),
        "{head}"
    );
    let head = sent(&fetch, |to| {
        to.credentials = vec![Credential::Basic {
            user: "Aladdin".to_owned(),
            password: "open sesame".to_owned(),
        }];
    });
    assert!(
        head.contains("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        "{head}"
    );
}

#[test]
fn a_header_cannot_smuggle_another() {
    let arguments = [("token".to_owned(), text("a\r\nEvil: 1"))];
    let problem = prepare("String", &arguments, None);
    assert!(problem.is_err_and(|it| it.message.contains("line break")));
    // What is not checked, the HTTP library refuses.
    let Prepared(call, prepared) = prepared("String", &[("token", text("t"))]);
    let to = Endpoint {
        base: "http://127.0.0.1:1".to_owned(),
        headers: vec![("token".to_owned(), "a\r\nEvil: 1".to_owned())],
        ..Endpoint::default()
    };
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    assert!(matches!(
        (call.send)(&prepared, &to, &agent),
        Err(ureq::Error::Http(_))
    ));
}

#[test]
fn the_generated_schema_validates_a_response() {
    let tree = operation("getPlacesById").response();
    let value = serde_json::json!({
        "value": 100, "kind": "<", "branches": [{"value": 1}, {"value": "x", "kind": 3}],
        "either": {"is": "Leaf", "size": null},
    });
    let found: Vec<String> = validate(tree, &value, 9)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "/value: expected a number from 0 to below 100, found 100",
            "/branches/1/value: expected a number from 0 to below 100, found \"x\"",
            "/branches/1/kind: expected one of \"<\", \">=\", 1, 2.5, true, found 3",
        ]
    );
    assert_eq!(
        tree.property("value").and_then(|it| it.schema.example()),
        Some("21.5")
    );
    assert_eq!(
        tree.property("value")
            .and_then(|it| it.schema.description()),
        Some("How warm")
    );
    assert_eq!(APIS[0].operations.len(), CALLS.len());
}

/// An answer of many fields, too long to stay readable.
fn large_source() -> String {
    let mut out = "openapi: 3.0.0\ninfo: {title: Large, version: '1'}\npaths:\n  /all:\n    get:\n      \
         operationId: all\n      responses:\n        '200':\n          description: fine\n          \
         content:\n            application/json:\n              schema:\n                type: object\n                \
         properties:\n"
        .to_owned();
    for at in 0..LARGE {
        out.push_str(&format!(
            "                  f{at}: {{type: number, maximum: {at}, description: '\"No\\ {at}\", °C'}}\n"
        ));
    }
    out
}

const LARGE: usize = 350;

#[test]
fn schemas_deflated_in_the_binary_say_what_the_file_says() {
    let all = api::large::APIS[0].operations[0].response();
    assert_eq!(all.properties().len(), LARGE);
    for at in 0..LARGE {
        let field = all.property(&format!("f{at}")).unwrap().schema.get();
        assert_eq!(field.maximum(), Some(at as f64));
        assert_eq!(field.description(), Some(&*format!("\"No\\ {at}\", °C")));
    }
}

#[test]
fn the_fixtures_are_what_codegen_makes() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let source = |name: &str| std::fs::read(here.join(name)).unwrap();
    let named = |names: &[&str]| Wanted::Named(names.iter().map(|it| (*it).to_owned()).collect());
    let posts = named(&["searchThings", "searchByForm", "query", "POST /refresh"]);
    for (name, source, wanted) in [
        ("everything", source("everything.yaml"), Wanted::Gets),
        ("large", large_source().into_bytes(), Wanted::Gets),
        ("search", source("search.yaml"), posts),
    ] {
        let file = format!("{name}.yaml");
        let spec = openapi::lower::spec::Spec::from_bytes(
            Path::new(&file),
            source,
            openapi::lower::limits::Limits::CODEGEN,
        )
        .unwrap();
        let (description, report) = openapi::lower::lower(&spec, name, &wanted).unwrap();
        assert!(report.skipped.is_empty(), "{}", report.text());
        let fresh = openapi::emit::emit(&[description], "UPDATE_GOLDEN=1 cargo test -p codegen");
        assert_eq!(fresh.contains("CompactApi::deflated("), name == "large");
        let path = here.join(format!("{name}.rs"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == fresh,
            "tests/fixtures/{name}.rs is stale: UPDATE_GOLDEN=1"
        );
    }
}

#[test]
fn patterns_are_judged_as_their_file_means_them() {
    let uuid =
        "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12})$";
    let id = "0b2f8f0e-3a0a-4b9e-8a53-6f0e5d1c2b3a";
    for (pattern, texts) in [
        (uuid, &[(id, true), (&id[1..], false), ("", false)][..]),
        (
            r"^\d[x:]\d$",
            &[
                ("1x2", true),
                ("1:2", true),
                ("1-2", false),
                ("11x2", false),
                ("1x2\n", false),
            ],
        ),
        (
            "^[a-zA-Z0-9._-]+$",
            &[("a.b-c_9", true), ("a b", false), ("ä", false), ("", false)],
        ),
        (
            r"[-.a-zA-Z0-9]+?\.txt",
            &[("x/read.me.txt?", true), (".txt", false), ("txt", false)],
        ),
        (
            r"^(init\.mp4|seg_\d+\.m4s)$",
            &[
                ("init.mp4", true),
                ("seg_12.m4s", true),
                ("seg_.m4s", false),
                ("initxmp4", false),
            ],
        ),
        (
            r"(.+)\.(jpg|png|gif)",
            &[
                ("é.png", true),
                (".png", false),
                ("a.jpeg", false),
                ("a.jpg.zip", true),
            ],
        ),
        ("^.{1,3}$", &[("äöü", true), ("äöüx", false), ("", false)]),
        ("", &[("", true), ("x", true)]),
        ("b*", &[("", true), ("x", true)]),
        (r"\bkey\b", &[("a key is", true), ("monkey", false)]),
        (
            r"^[[&&~\]\d\w]$",
            &[
                ("[", true),
                ("&", true),
                ("~", true),
                ("]", true),
                ("7", true),
                ("٧", false),
                ("%", false),
            ],
        ),
        // It cannot be checked: nothing is ruled out.
        ("^(?!api/).*", &[("api/x", true), ("x", true)]),
    ] {
        let rule = schema::Rule::Pattern(pattern.to_owned());
        let schema = schema::Schema {
            types: schema::Types::TEXT,
            rules: vec![rule],
        };
        for (text, fits) in texts {
            assert_eq!(!schema.mismatches(text), *fits, "{pattern} {text:?}");
        }
    }
}

#[test]
fn an_argument_that_breaks_its_pattern_is_refused_with_the_pattern() {
    let places = operation("getPlacesById");
    let given = |text: &str| {
        let id = ("id".to_owned(), Argument::Integer(1));
        let user = ("user_id".to_owned(), Argument::Text(text.to_owned()));
        openapi::operation::check_arguments(places, &[id, user])
    };
    assert!(given("anna07").is_empty());
    let found: Vec<String> = given("anna").into_iter().map(|it| it.message).collect();
    assert_eq!(
        found,
        [
            r#"`user_id` of getPlacesById: expected text that matches ^[a-z]+\d{1,2}$, found "anna"; change it in `params`"#
        ]
    );
}
