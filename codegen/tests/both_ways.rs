//! What is compiled in and what is made of a file at run time are one. `make corpus` asks it of
//! published files, this test of our own; and it shows that the comparison sees what differs.

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
    pub mod everything;
    pub mod request;
    #[path = "../../codegen/tests/fixtures/search.rs"]
    pub mod search;
}
#[path = "../examples/corpus/both_ways/mod.rs"]
mod both_ways;

use std::fs;
use std::path::{Path, PathBuf};

use both_ways::{CompiledIn, Tally, compare};

fn compare_with(name: &'static str, file: &Path) -> Tally {
    let path = file.to_str().unwrap_or_default().to_owned().leak();
    let (apis, calls) = match name {
        "everything" => (&api::everything::APIS, api::everything::CALLS),
        _ => (&api::search::APIS, api::search::CALLS),
    };
    compare(&CompiledIn {
        name,
        path,
        apis,
        calls,
    })
}

fn fixture(name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fixtures.join(format!("{name}.yaml"))
}

#[test]
fn a_file_says_the_same_compiled_in_and_at_run_time() {
    let tally = compare_with("everything", &fixture("everything"));
    assert_eq!(tally.differences, [""; 0]);
    assert_eq!((tally.operations, tally.alone), (6, 6));
    assert_eq!(tally.unsent, [""; 0]);
    assert!(tally.fitting * 10 > tally.documents * 9, "{tally:?}");
    assert!(tally.requests > 300, "{tally:?}");
    assert!(tally.refusals > 100, "{tally:?}");
    assert!(tally.judgements > 200, "{tally:?}");
}

#[test]
fn an_operation_that_is_there_one_way_alone_is_told() {
    // The fixture was generated without it.
    let tally = compare_with("search", &fixture("search"));
    assert_eq!(
        tally.differences,
        ["search: latest (GET /search): missing compiled in"]
    );
    assert_eq!(tally.operations, 4);
    assert_eq!(tally.unsent, [""; 0]);
}

/// Another file at run time than the one that was compiled in: what is told of it.
#[track_caller]
fn check(name: &'static str, (from, to): (&str, &str), expected: &[&str]) {
    let text = fs::read_to_string(fixture(name)).unwrap();
    assert!(text.contains(from), "{from}");
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("both_ways");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join(format!("{name}.yaml"));
    fs::write(&file, text.replacen(from, to, 1)).unwrap();
    let told = compare_with(name, &file).differences;
    for part in expected {
        assert!(
            told.iter().any(|it| it.contains(part)),
            "{from} → {to}: expected {part:?} in {told:#?}"
        );
    }
}

#[test]
fn what_differs_is_told() {
    for (from, to, expected) in [
        (
            "exclusiveMaximum: 100",
            "exclusiveMaximum: 7",
            &[
                "schema 0 of the operation/0: /rules/2/exclusive_maximum",
                "response 200: judgement of a document spoiled at",
            ][..],
        ),
        (
            "style: label, schema: { type: string }",
            "style: matrix, schema: { type: string }",
            &["label (GET /label/{one}/{list}/{exploded}): request of arguments"],
        ),
        (
            "pattern: \"^[a-z]+\\\\d{1,2}$\"",
            "pattern: \"^[a-z]+$\"",
            &["problems of arguments"],
        ),
        (
            "operationId: matrix",
            "operationId: other",
            &["matrix (GET /matrix/{one}/{list}/{exploded}/{object}): missing at run time"],
        ),
        (
            "required: [is]",
            "required: []",
            &["/required: compiled in true, at run time null"],
        ),
        ("name: X-Api-Key", "name: X-Other", &["/security/0/0/kind"]),
        ("title: Everything", "title: Some", &["/title"]),
        ("openapi: 3.1.0", "openapi: 1.0", &["version 1.0"]),
    ] {
        check("everything", (from, to), expected);
    }
    check(
        "search",
        ("maximum: 100", "maximum: 9"),
        &["problems of a body spoiled at"],
    );
    check(
        "search",
        ("application/vnd.search+json", "application/json"),
        &["searchThings (POST /search): request of arguments"],
    );
}
