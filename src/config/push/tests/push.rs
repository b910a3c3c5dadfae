//! Tests of `[[push]]`: its problems, and what stays secret.

use crate::config::support::{load_example, problems_of_example};

const SOURCE: &str =
    "[[source]]\nname = \"a\"\nurl = \"http://a.local/\"\n[source.records]\nt = \"/t\"\n";

fn problems(tables: &str) -> Vec<String> {
    problems_of_example(&format!("{SOURCE}{tables}"))
}

#[test]
fn wrong_options_are_problems_with_their_place_and_what_to_write() {
    const AWTRIX: &str =
        "[[push]]\nurl = \"http://a.local\"\nformat = \"awtrix\"\nkeys = [\"t\"]\n";
    for (table, line, expected) in [
        ("[[push]]\nformat = \"awtrix\"\n", 6, "needs a url"),
        (
            "[[push]]\nurl = \"http://a.local/\"\n",
            6,
            "needs something to send",
        ),
        (
            "[[push]]\nurl = \"a.local/{key}\"\n",
            7,
            "expected an address",
        ),
        (
            "[[push]]\nurl = \"http://{key}.local/\"\n",
            7,
            "cannot be in",
        ),
        (
            "[[push]]\nurl = \"http://a.local\"\nformat = \"awtrix\"\n",
            6,
            "room for 20",
        ),
        (
            "[[push]]\nurl = \"http://me@a.local/api/notify\"\nformat = \"awtrix\"\nkeys = [\"t\"]\n",
            7,
            "write url = \"http://a.local\"",
        ),
        (
            "[[push]]\nurl = \"http://a.local/\"\nformat = \"awtrx\"\n",
            8,
            "one of \"awtrix\", \"json\"",
        ),
        (
            "[[push]]\nurl = \"http://a.local/\"\nformat = \"json\"\nbody = \"{key}\"\n",
            9,
            "remove one of",
        ),
        (
            "[[push]]\nurl = \"http://a.local/\"\nformat = \"json\"\nmethod = \"GET\"\n",
            9,
            "no body",
        ),
        (
            "[[push]]\nurl = \"http://a.local/\"\nbody = '{\"a\": {value}'\n",
            8,
            "not valid JSON at line 1",
        ),
        (
            "[[push]]\nurl = \"http://a.local/\"\nbody = '{\"a\": \"b\" {key}}'\n",
            8,
            "not valid JSON at line 1",
        ),
        (
            "[[push]]\nurl = \"http://a.local/{key}\"\nicons = { t = \"1\" }\n",
            8,
            "is of an AWTRIX display",
        ),
        (
            "[[push]]\nurl = \"http://a.local/{key}\"\nuser = \"me\"\n",
            8,
            "needs a `password`",
        ),
        (
            "[[push]]\nurl = \"http://a.local/{key}\"\npassword = \"x\"\n",
            8,
            "needs a `user`",
        ),
        (
            "[[push]]\nurl = \"http://a.local/{key}\"\nevery = \"10ms\"\n",
            8,
            "from \"1s\" to \"1d\"",
        ),
        (
            "[[push]]\nurl = \"http://a.local/{key}\"\nheaders = { A = \"b\\nc\" }\n",
            8,
            "not a valid HTTP header",
        ),
        (
            "[[push]]\nurl = \"http://a.local/{key}\"\nca_file = \"a.pem\"\n",
            8,
            "no TLS",
        ),
        (
            "[[push]]\nurl = \"http://a.local/{key}\"\nbroker = 1\n",
            8,
            "unknown option \"broker\"",
        ),
        (&format!("{AWTRIX}method = \"PUT\"\n"), 10, "only POST"),
        (
            &format!("{AWTRIX}lifetime = \"1s\"\n"),
            10,
            "from \"10s\" to \"1d\"",
        ),
        (
            &format!("{AWTRIX}lifetime = \"20s\"\nevery = \"15s\"\n"),
            10,
            "at least twice `every`",
        ),
        (
            &format!("{AWTRIX}lifetime_mode = \"frame\"\n"),
            10,
            "\"delete\", \"mark\"",
        ),
        (&format!("{AWTRIX}{AWTRIX}"), 10, "give each a name"),
        (
            &format!("{AWTRIX}name = \"x\"\n{AWTRIX}name = \"x\"\n"),
            11,
            "called \"x\" too",
        ),
    ] {
        let found = problems(table);
        let [problem] = found.as_slice() else {
            panic!("{table}\none problem expected, found {found:?}");
        };
        assert!(problem.contains(&format!(":{line}:")), "{table}\n{problem}");
        assert!(problem.contains(expected), "{table}\n{problem}");
    }
}

#[test]
fn credentials_are_masked() {
    let table = "[[push]]\nurl = \"https://me:hushurl@a.local/x?token=hushtoken&k={key}\"\n\
                 headers = { Authorization = \"Bearer hushheader\" }\n\
                 body = '{\"password\": \"hushbody\", \"v\": {value}}'\n\
                 [[push]]\nname = \"b\"\nurl = \"http://b.local/{key}\"\nuser = \"me\"\npassword = \"hushpassword\"\n";
    let printed = load_example(&format!("{SOURCE}{table}"), &[]).expect("no problem");
    assert!(!printed.contains("hush"), "{printed}");
    assert!(printed.contains("[[push]]\nname = \"b\""), "{printed}");
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let documents = [
        include_str!("../../../../docs/outputs.md"),
        include_str!("../../../../README.md"),
    ];
    let blocks = documents
        .iter()
        .flat_map(|it| it.split("```toml\n").skip(1));
    let blocks = blocks.filter_map(|it| it.split("```").next());
    let mut count = 0;
    for block in blocks.filter(|it| it.contains("[[push]]")) {
        let found = load_example(&format!("{SOURCE}{block}"), &[]);
        assert!(found.is_ok(), "{block}\n{found:?}");
        count += 1;
    }
    assert_eq!(count, 4);
}
