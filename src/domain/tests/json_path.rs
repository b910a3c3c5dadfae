//! Tests of JSONPath: what it selects, and what is refused.

use serde_json::{Value as Json, json};

use super::*;
use crate::domain::value_path::{ValuePath, locate};

fn house() -> Json {
    serde_json::from_str(
        r#"{
            "doors": [
                {"id": 7, "name": "front", "open": false, "at": "2026-11-29T08:00", "v": [1, 2, 3]},
                {"id": 7.0, "name": "back", "open": true, "at": "2026-11-28T08:00", "v": []},
                {"id": "7", "name": "cat's", "note": null, "v": {"x": 1}}
            ],
            "limit": 2,
            "a b": {"c/d": 1, "~": 2, "": 3},
            "rooms": {"hall": {"t": 20.5}, "attic": {"t": 2.05e1}, "cellar": {"t": 9007199254740993}},
            "huge": [1e400, 0, 123456789012345678901234567890],
            "☺": "smile"
        }"#,
    )
    .expect("JSON")
}

/// The pointers of what a path selects, joined by blanks.
fn selected(path: &str, json: &Json) -> String {
    let path = JsonPath::parse(path).unwrap_or_else(|it| panic!("{path}: {}", it.message));
    let nodes = locate(json, &path, path.select(json).into_iter());
    let pointers: Vec<String> = nodes.into_iter().map(|it| it.pointer).collect();
    pointers.join(" ")
}

#[test]
fn nodes_are_those_of_rfc_9535() {
    let house = house();
    let cases = [
        ("$", ""),
        ("$.limit", "/limit"),
        ("$['limit']", "/limit"),
        ("$ [\"limit\"]", "/limit"),
        ("$['a b']['c/d']", "/a b/c~1d"),
        ("$['a b']['~']", "/a b/~0"),
        ("$['a b']['']", "/a b/"),
        ("$.☺", "/☺"),
        ("$['\\u263a']", "/☺"),
        ("$.doors[0].name", "/doors/0/name"),
        ("$.doors[-1].name", "/doors/2/name"),
        ("$.doors[3]", ""),
        ("$.doors[-4]", ""),
        ("$.doors[1:]", "/doors/1 /doors/2"),
        ("$.doors[:1]", "/doors/0"),
        ("$.doors[::-1]", "/doors/2 /doors/1 /doors/0"),
        ("$.doors[0:9:2]", "/doors/0 /doors/2"),
        ("$.doors[0:3:0]", ""),
        ("$.doors[2,0]", "/doors/2 /doors/0"),
        ("$.doors[0]['id','name']", "/doors/0/id /doors/0/name"),
        // A position is one of a list, a name one of an object.
        ("$.doors.0", "error"),
        ("$.doors['0']", ""),
        ("$.rooms[0]", ""),
        ("$.limit[*]", ""),
        (
            "$.rooms.*.t",
            "/rooms/attic/t /rooms/cellar/t /rooms/hall/t",
        ),
        ("$..t", "/rooms/attic/t /rooms/cellar/t /rooms/hall/t"),
        ("$.doors..x", "/doors/2/v/x"),
        ("$..v[0]", "/doors/0/v/0"),
        // Existence is not truth: null and false are there.
        ("$.doors[?@.open]", "/doors/0 /doors/1"),
        ("$.doors[?@.note]", "/doors/2"),
        ("$.doors[?!@.open]", "/doors/2"),
        ("$.doors[?@.open==true]", "/doors/1"),
        ("$.doors[?@.note==null]", "/doors/2"),
        (
            "$.doors[?@.none==@.nothing].id",
            "/doors/0/id /doors/1/id /doors/2/id",
        ),
        (
            "$.doors[?@.name=='front'].v[*]",
            "/doors/0/v/0 /doors/0/v/1 /doors/0/v/2",
        ),
        ("$.doors[?(@.name == \"cat's\")]", "/doors/2"),
        ("$.doors[?@.name=='cat\\'s']", "/doors/2"),
        ("$.doors[?@.name<'front']", "/doors/1 /doors/2"),
        ("$.doors[?@.at>='2026-11-29']", "/doors/0"),
        ("$.doors[?@.name!='front' && @.open]", "/doors/1"),
        (
            "$.doors[?@.name=='front' || @.id=='7']",
            "/doors/0 /doors/2",
        ),
        ("$.doors[?!(@.name=='front' || @.id=='7')]", "/doors/1"),
        ("$.doors[?@.v[0]==1]", "/doors/0"),
        ("$.doors[?value(@.v[-1:])==3]", "/doors/0"),
        ("$.doors[?length(@.v)==0]", "/doors/1"),
        ("$.doors[?length(@.name)==5]", "/doors/0 /doors/2"),
        ("$.doors[?count(@.v[*])>$.limit]", "/doors/0"),
        ("$.doors[?@.v[?@==2]]", "/doors/0"),
        // Numbers are equal however they are spelled, and no text is a number.
        ("$.doors[?@.id==7]", "/doors/0 /doors/1"),
        ("$.doors[?@.id==7e0]", "/doors/0 /doors/1"),
        ("$.doors[?@.id=='7']", "/doors/2"),
        ("$.rooms[?@.t==20.5]", "/rooms/attic /rooms/hall"),
        ("$.rooms[?@.t>9007199254740991]", "/rooms/cellar"),
        ("$.huge[?@>1]", "/huge/0 /huge/2"),
        ("$.v[?@.name=='front']", ""),
    ];
    for (path, expected) in cases {
        if expected == "error" {
            assert!(JsonPath::parse(path).is_err(), "{path}");
            continue;
        }
        assert_eq!(selected(path, &house), expected, "{path}");
    }
}

#[test]
fn what_is_refused_says_where_and_what_to_write() {
    let cases = [
        ("$.a..b..c", 6, "one `..` is allowed"),
        ("$..a[?@..b]", 7, "one `..` is allowed"),
        ("$[?@.a][?@.b][?@.c]", 14, "at most 2 filters"),
        ("$.a[?match(@.b, 'x.*')]", 5, "match() is not supported"),
        ("$.a[?!search(@.b,'x')]", 6, "search() is not supported"),
        ("$.a[?@.b==$.c[*]]", 10, "must lead to one value"),
        ("$.a[?$..b]", 5, "one value"),
        ("$.a[?$.b==$.c]", 10, "one `$` is allowed"),
        ("$.a[?length($.b)==1]", 12, "not allowed in a function"),
        ("$.a[?@.b[-1]==1]", 8, "value(@.list[-1:])"),
        ("$[*,*][*,*][*,*][*,*]", 15, "8 nodes of one: at most 4"),
        ("$..a[0,1]", 8, "may have one selector"),
        ("$[?@.a==9007199254740992]", 8, "64-bit float"),
        ("$.a[?((((((((@.b))))))))]", 12, "at most 8 brackets"),
        (
            "$.a[?@==1||@==2||@==3||@==4||@==5||@==6||@==7||@==8||@==9]",
            51,
            "at most 8 conditions",
        ),
        ("$.list[01]", 8, "no JSONPath (RFC 9535): from \"1]\""),
        ("$.a b", 3, "from \" b\""),
        ("$.list[(@.length-1)]", 6, "the last element is [-1]"),
        ("$.a[?@.day=='{today+1y}']", 13, "no date placeholder"),
        ("$.a[{now}]", 0, "filled in as $.a[20"),
    ];
    for (path, at, expected) in cases {
        let problem = JsonPath::parse(path).expect_err(path);
        assert!(
            problem.message.contains(expected),
            "{path}: {}",
            problem.message
        );
        assert_eq!(problem.at, at, "{path}: {}", problem.message);
    }
    let long = format!("$.{}", "a".repeat(limits::JSON_PATH_BYTES));
    assert!(
        JsonPath::parse(&long)
            .expect_err("long")
            .message
            .contains("at most 512 bytes")
    );
}

#[test]
fn braces_and_dollars_in_texts_are_text() {
    let json = json!({"{today": 1, "..": 2, "a": [{"b": "$.c..d[?(match(1"}]});
    let cases = [
        ("$['..']", "/.."),
        ("$.a[?@.b=='$.c..d[?(match(1'].b", "/a/0/b"),
    ];
    for (path, expected) in cases {
        assert_eq!(selected(path, &json), expected, "{path}");
    }
}

#[test]
fn date_placeholders_are_filled_in_the_zone() {
    let time = PlaceholderTime {
        // 2026-11-29 23:30 UTC is the next day in Berlin.
        wall: Wall::from_second(1_795_995_000),
        zone: TimeZone::get("Europe/Berlin").expect("zone"),
    };
    let json = json!({"list": [{"day": "2026-11-29", "v": 1}, {"day": "2026-11-30", "v": 2}],
                      "t": [{"at": 1_795_990_000}, {"at": 1_795_999_000}]});
    let cases = [
        ("$.list[?@.day=='{today}'].v", "/list/1/v"),
        ("$.list[?@.day=='{today-1d}'].v", "/list/0/v"),
        ("$.t[?@.at>{now:unix}].at", "/t/1/at"),
    ];
    for (text, expected) in cases {
        let path = JsonPath::parse(text).expect(text);
        assert!(path.is_dated() && path.select(&json).is_empty());
        let filled = path.fill(&time).expect(text);
        assert_eq!(selected(filled.as_str(), &json), expected, "{text}");
    }
}

#[test]
fn only_what_begins_as_json_path_is_one() {
    for (text, is_path) in [
        ("$", true),
        ("$.a", true),
        ("$[0]", true),
        ("", false),
        ("/$.a", false),
        ("${NAME}", false),
        ("a.b", false),
        ("@.a", false),
    ] {
        assert_eq!(JsonPath::is_meant(text), is_path, "{text}");
        let parsed = ValuePath::parse(text).expect(text);
        assert_eq!(matches!(parsed, ValuePath::JsonPath(_)), is_path, "{text}");
        assert_eq!(parsed.as_str(), text);
    }
}

#[test]
fn several_values_are_counted_and_named() {
    let house = house();
    let find = |path: &str| ValuePath::parse(path).expect(path).find(&house);
    let several = find("$.doors[*].id").expect_err("several");
    assert_eq!(
        several.to_string(),
        "3: /doors/0/id, /doors/1/id, /doors/2/id"
    );
    let several = find("$..*").expect_err("several");
    assert!(several.to_string().starts_with("39: "), "{several}");
    assert!(several.to_string().ends_with(", …"), "{several}");
    assert_eq!(find("$.doors[9]"), Ok(None));
}

/// Whatever the path and the value, parsing and selecting end without a panic, and every node
/// found is where its pointer says.
#[test]
fn any_path_on_any_value_ends() {
    let mut random = fastrand::Rng::with_seed(9535);
    let parts = [
        "$",
        ".",
        "..",
        "a",
        "['a']",
        "[\"b\"]",
        "[0]",
        "[-1]",
        "[*]",
        ".*",
        "[?",
        "@",
        "@.a",
        "==",
        "!=",
        "<",
        "]",
        "[",
        "(",
        ")",
        "1",
        "-1",
        "1.5e3",
        "'x'",
        "\"",
        "'",
        "\\",
        "&&",
        "||",
        "!",
        "length(",
        "count(",
        "value(",
        "match(",
        ",",
        ":",
        "[1:2]",
        "[::-1]",
        " ",
        "\n",
        "☺",
        "{now:unix}",
        "{today}",
        "null",
        "true",
        "\u{0}",
        "$.a",
        "@.*",
    ];
    for text in [
        "$['a☺]",
        "$['",
        "$[\"☺",
        "$['☺\\",
        "$['\\☺']",
        "$[?@.a=='☺",
        "$.☺[",
        "$..",
        "$..[",
        "$[?",
        "$[?(",
        "$[?a(",
        "$[?@.a==9☺",
        "$[-",
        "$[☺]",
        "$]",
        "$)",
        "$[?)]",
        "$[?$",
        "$[?$.☺[",
        "$[?$['☺",
    ] {
        if let Ok(path) = JsonPath::parse(text) {
            path.select(&json!(null));
        }
    }
    let house = house();
    let mut parsed = 0;
    for _ in 0..30_000 {
        let mut text = String::from("$");
        for _ in 0..random.usize(0..9) {
            text += parts[random.usize(0..parts.len())];
        }
        let Ok(path) = JsonPath::parse(&text) else {
            continue;
        };
        parsed += 1;
        for index in 0..path.segments().len() {
            path.prefix(index);
        }
        for json in [&house, &json!([[{"a": [1, {"a": "x"}]}]]), &json!(null)] {
            for node in locate(json, &path, path.select(json).into_iter()) {
                assert_eq!(json.pointer(&node.pointer), Some(node.value), "{text}");
            }
        }
    }
    assert!(parsed > 1_000, "{parsed}");
}

/// The segments of the outline are those of the parser: names and positions alone are what a
/// JSON Pointer of the same names finds.
#[test]
fn singular_paths_are_json_pointers() {
    let house = house();
    for (path, pointer) in [
        ("$.doors[0]['name']", "/doors/0/name"),
        ("$['a b'][\"c/d\"]", "/a b/c~1d"),
        ("$ . rooms", "error"),
        ("$ ['rooms'] .hall .t", "/rooms/hall/t"),
    ] {
        let Ok(parsed) = JsonPath::parse(path) else {
            assert_eq!(pointer, "error", "{path}");
            continue;
        };
        assert!(parsed.is_singular(), "{path}");
        assert_eq!(selected(path, &house), pointer, "{path}");
    }
    assert!(
        !JsonPath::parse("$.doors[?@.id]")
            .expect("path")
            .is_singular()
    );
    assert!(!JsonPath::parse("$..t").expect("path").is_singular());
}

/// The thread of a source is enough for the deepest value and the deepest path.
#[test]
fn depth_fits_the_stack_of_a_thread() {
    let run = || {
        let depth = limits::JSON_NESTING;
        let text = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let json: Json = serde_json::from_str(&text).expect("JSON");
        for path in [
            "$..*",
            "$..[?@[?@[0]]]",
            "$..[?((((((length(@)==1))))))]",
            "$..[?length(value(@[0]))==1 && !(!(!(@[0])))]",
        ] {
            let path = JsonPath::parse(path).unwrap_or_else(|it| panic!("{path}: {}", it.message));
            locate(&json, &path, path.select(&json).into_iter());
        }
    };
    let thread = std::thread::Builder::new().stack_size(limits::STACK_BYTES);
    thread
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("it ends");
}
