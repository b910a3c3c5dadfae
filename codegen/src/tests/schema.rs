use serde_json::{Value, json};

use super::*;

static RANGED: Schema = Schema {
    types: Types::NUMBER,
    rules: &[Rule::Minimum(-60.0), Rule::Below(60.0)],
};
static KIND: Schema = Schema {
    types: Types::TEXT.or(Types::NULL),
    rules: &[Rule::Enum(&[
        Literal::Text("indoor"),
        Literal::Text("outdoor"),
        Literal::Null,
    ])],
};
static LEVEL: Schema = Schema {
    types: Types::INTEGER,
    rules: &[Rule::Enum(&[Literal::Number("1"), Literal::Number("2")])],
};
static SERIES: Schema = Schema {
    types: Types::LIST,
    rules: &[Rule::Items(Link::Static(&leaf::NUMBER))],
};
static CLOSED: Schema = Schema {
    types: Types::OBJECT,
    rules: &[
        Rule::Properties(&[Property {
            name: "a/b",
            required: true,
            schema: Link::Static(&leaf::INTEGER),
        }]),
        Rule::Closed,
    ],
};
static MAP: Schema = Schema {
    types: Types::OBJECT,
    rules: &[Rule::Additional(Link::Static(&leaf::BOOLEAN))],
};
static TREE: Schema = Schema {
    types: Types::OBJECT,
    rules: &[Rule::Properties(&[
        Property {
            name: "value",
            required: true,
            schema: Link::Static(&leaf::NUMBER),
        },
        Property {
            name: "next",
            required: false,
            schema: Link::Static(&TREE),
        },
    ])],
};
static CAT: Schema = Schema {
    types: Types::OBJECT,
    rules: &[Rule::Properties(&[
        Property {
            name: "kind",
            required: true,
            schema: Link::Static(&leaf::TEXT),
        },
        Property {
            name: "lives",
            required: true,
            schema: Link::Static(&leaf::INTEGER),
        },
    ])],
};
static DOG: Schema = Schema {
    types: Types::OBJECT,
    rules: &[Rule::Properties(&[Property {
        name: "bark",
        required: true,
        schema: Link::Static(&leaf::TEXT),
    }])],
};
static PET: Schema = Schema {
    types: Types::ANY,
    rules: &[
        Rule::Variants(&[Link::Static(&CAT), Link::Static(&DOG)]),
        Rule::Discriminator("kind", &[("cat", 0), ("dog", 1)]),
    ],
};
static TEXT_OR_LIST: Schema = Schema {
    types: Types::ANY,
    rules: &[Rule::Variants(&[
        Link::Static(&leaf::TEXT),
        Link::Static(&SERIES),
    ])],
};
/// Nothing but itself: a walk that trusts schemas would never end.
static CIRCLE: Schema = Schema {
    types: Types::ANY,
    rules: &[Rule::Variants(&[
        Link::Static(&CIRCLE),
        Link::Static(&CIRCLE),
        Link::Static(&CIRCLE),
    ])],
};
static ALL: Schema = Schema {
    types: Types::OBJECT,
    rules: &[Rule::Properties(&[
        Property {
            name: "ranged",
            required: false,
            schema: Link::Static(&RANGED),
        },
        Property {
            name: "kind",
            required: false,
            schema: Link::Static(&KIND),
        },
        Property {
            name: "level",
            required: false,
            schema: Link::Static(&LEVEL),
        },
        Property {
            name: "series",
            required: false,
            schema: Link::Static(&SERIES),
        },
        Property {
            name: "closed",
            required: false,
            schema: Link::Static(&CLOSED),
        },
        Property {
            name: "map",
            required: false,
            schema: Link::Static(&MAP),
        },
        Property {
            name: "tree",
            required: false,
            schema: Link::Static(&TREE),
        },
        Property {
            name: "pet",
            required: false,
            schema: Link::Static(&PET),
        },
        Property {
            name: "either",
            required: false,
            schema: Link::Static(&TEXT_OR_LIST),
        },
        Property {
            name: "flag",
            required: true,
            schema: Link::Static(&leaf::BOOLEAN),
        },
    ])],
};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let value: Value = serde_json::from_str(text).unwrap();
    let found: Vec<String> = judge(&ALL, &value, 64)
        .iter()
        .map(Drift::to_string)
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn a_response_that_fits_is_left_in_peace() {
    check(r#"{"flag":true}"#, &[]);
    check(r#"{"flag":true,"undeclared":{"x":[1]}}"#, &[]);
    check(
        r#"{"flag":true,"ranged":-60,"kind":null,"level":2,"series":[1,2.5],"map":{"x":true}}"#,
        &[],
    );
    check(
        r#"{"flag":true,"level":2.0,"tree":{"value":1,"next":{"value":2}}}"#,
        &[],
    );
    check(
        r#"{"flag":true,"pet":{"kind":"cat","lives":9},"either":"x"}"#,
        &[],
    );
    check(r#"{"flag":true,"pet":{"bark":"wow"},"either":[1]}"#, &[]);
}

#[test]
fn each_disagreement_is_named_with_its_place() {
    check(
        "[]",
        &["the response: expected an object, found a list of 0"],
    );
    check("{}", &["/flag: expected true or false, found nothing"]);
    check(
        r#"{"flag":"on","ranged":60,"kind":"attic"}"#,
        &[
            "/ranged: expected a number from -60 to below 60, found 60",
            r#"/kind: expected one of "indoor", "outdoor", null, found "attic""#,
            r#"/flag: expected true or false, found "on""#,
        ],
    );
    check(
        r#"{"flag":null,"level":2.5,"closed":{"a/b":"1","extra":2},"map":{"~":0}}"#,
        &[
            "/level: expected one of 1, 2, found 2.5",
            r#"/closed/a~1b: expected an integer, found "1""#,
            "/closed/extra: expected no such field, found 2",
            "/map/~0: expected true or false, found 0",
            "/flag: expected true or false, found null",
        ],
    );
}

#[test]
fn the_variant_that_is_meant_says_what_is_wrong() {
    check(
        r#"{"flag":true,"pet":{"kind":"cat","lives":"nine"}}"#,
        &[r#"/pet/lives: expected an integer, found "nine""#],
    );
    check(
        r#"{"flag":true,"either":7}"#,
        &["/either: expected text or a list of a number, found 7"],
    );
}

#[test]
fn a_list_says_the_same_thing_once_and_counts() {
    check(
        r#"{"flag":true,"series":[1,null,2,null,null,"x"]}"#,
        &[
            "/series/1: expected a number, found null (3 times)",
            r#"/series/5: expected a number, found "x""#,
        ],
    );
}

#[test]
fn numbers_that_no_float_holds_are_judged_too() {
    check(
        r#"{"flag":true,"series":[1e999999,123456789012345678901234567890]}"#,
        &[],
    );
    check(r#"{"flag":true,"ranged":1e999999}"#, &[]);
    check(
        r#"{"flag":true,"level":99999999999999999999999}"#,
        &["/level: expected one of 1, 2, found 99999999999999999999999"],
    );
}

#[test]
fn text_counts_as_a_number_only_when_asked_to() {
    let value = json!({"flag": true, "ranged": "21.5", "level": "2"});
    assert_eq!(judge(&ALL, &value, 64).len(), 2);
    let lenient = Judge {
        numbers_as_text: true,
        ..Judge::default()
    };
    assert_eq!(lenient.judge(&ALL, &value), []);
    let outside = json!({"flag": true, "ranged": "75"});
    assert_eq!(lenient.judge(&ALL, &outside)[0].kind, DriftKind::OutOfRange);
}

#[test]
fn findings_samples_and_circles_are_bounded() {
    let many: Value = (0..500).map(|at| (format!("k{at}"), json!(at))).collect();
    assert_eq!(judge(&MAP, &many, 16).len(), 16);
    let secret = json!({"flag": "s".repeat(10_000)});
    assert!(judge(&ALL, &secret, 1)[0].found.len() < 50);
    // It ends; what it says does not matter.
    judge(&CIRCLE, &json!({"a": [1, 2, {"b": null}]}), 8);
}

/// Seeded: a failure here fails everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn value(&mut self, depth: u32) -> Value {
        const KEYS: &[&str] = &[
            "ranged", "kind", "series", "next", "value", "pet", "a/b", "", "~", "é",
        ];
        match self.roll(if depth == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.roll(2) == 0),
            2 => json!(self.roll(200) as i64 - 100),
            3 => serde_json::from_str(
                ["1e400", "-0", "0.1", "18446744073709551616"][self.roll(4) as usize],
            )
            .unwrap(),
            4 => json!(["indoor", "", "12", "\u{0}", "nan", "cat"][self.roll(6) as usize]),
            5 => json!("x".repeat(self.roll(80) as usize)),
            6 => (0..self.roll(6)).map(|_| self.value(depth - 1)).collect(),
            _ => (0..self.roll(6))
                .map(|_| {
                    (
                        KEYS[self.roll(10) as usize].to_owned(),
                        self.value(depth - 1),
                    )
                })
                .collect(),
        }
    }

    /// Leaked: a static schema is what the walk takes.
    fn schema(&mut self, depth: u32) -> &'static Schema {
        const KINDS: &[Types] = &[
            Types::NONE,
            Types::NULL,
            Types::BOOLEAN,
            Types::INTEGER,
            Types::NUMBER,
            Types::TEXT,
            Types::LIST,
            Types::OBJECT,
            Types::ANY,
            Types::NULLABLE,
        ];
        if depth == 0 {
            return [&ALL, &PET, &TREE, &CIRCLE, &RANGED, &KIND][self.roll(6) as usize];
        }
        let mut rules = Vec::new();
        for _ in 0..self.roll(4) {
            let inner = self.schema(depth - 1);
            rules.push(match self.roll(9) {
                0 => Rule::Minimum(self.roll(100) as f64 - 50.0),
                1 => Rule::Below(f64::MAX),
                2 => Rule::Enum(&[Literal::Number("1e400"), Literal::Json("[1"), Literal::Null]),
                3 => Rule::Properties(Box::leak(Box::new([
                    Property {
                        name: "next",
                        required: true,
                        schema: Link::Static(inner),
                    },
                    Property {
                        name: "",
                        required: false,
                        schema: Link::Static(&ALL),
                    },
                ]))),
                4 => Rule::Closed,
                5 => Rule::Additional(Link::Static(inner)),
                6 => Rule::Items(Link::Static(inner)),
                7 => Rule::Prefix(Box::leak(Box::new([Link::Static(inner)]))),
                _ => Rule::Variants(Box::leak(Box::new([
                    Link::Static(inner),
                    Link::Static(&PET),
                    Link::Static(inner),
                ]))),
            });
        }
        let types = KINDS[self.roll(10) as usize].or(KINDS[self.roll(10) as usize]);
        Box::leak(Box::new(Schema {
            types,
            rules: Box::leak(rules.into_boxed_slice()),
        }))
    }
}

#[test]
fn any_json_against_any_schema_ends_within_bounds() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for _ in 0..2_000 {
        let schema = dice.schema(3);
        let value = dice.value(4);
        let drifts = Judge {
            bound: 20,
            numbers_as_text: dice.roll(2) == 0,
        }
        .judge(schema, &value);
        assert!(drifts.len() <= 20);
        for drift in drifts {
            assert!(drift.found.chars().count() < 60, "{drift}");
            // A pointer leads to what it speaks of, or to where that is missing.
            let parent = drift.pointer.rsplit_once('/').map_or("", |it| it.0);
            assert!(value.pointer(parent).is_some(), "{drift}");
        }
    }
}

/// Three schemas in every line of which something is said.
const PACKED: &str = "\n{\"t\":\"object\",\"has\":[\"!at\",2,\"next\",1,\"°\",3]}\n\
     {\"t\":\"integer|null\",\"about\":\"When, s\",\"min\":0,\"example\":\"7\"}\n\
     {\"t\":\"string\",\"enum\":[\"a\",\"ü\"]}";

fn deflate(text: &str) -> &'static [u8] {
    use std::io::Write as _;
    let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(text.as_bytes()).unwrap();
    Vec::leak(writer.finish().unwrap())
}

fn packed(pack: Pack) -> &'static Schema {
    Link::Packed(Box::leak(Box::new(pack)), 1).get()
}

#[test]
fn a_deflated_pack_reads_the_same_as_its_text() {
    let plain = packed(Pack::new(PACKED));
    let deflated = packed(Pack::deflated(PACKED.len(), deflate(PACKED)));
    assert_eq!(format!("{plain:?}"), format!("{deflated:?}"));
    for (one, other) in plain.properties().iter().zip(deflated.properties()) {
        assert_eq!(one.name, other.name);
        let (one, other) = (one.schema.get(), other.schema.get());
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
    assert_eq!(deflated.properties().len(), 3);
    let value = json!({"at": -1, "next": {"at": 3, "°": "b"}});
    let drift = |schema| format!("{:?}", judge(schema, &value, 9));
    assert_eq!(drift(plain), drift(deflated));
}

#[test]
fn a_damaged_deflated_pack_says_nothing_and_takes_no_more_memory_than_stated() {
    let bytes = deflate(PACKED);
    let bomb = deflate(&"\n".repeat(1 << 20));
    for (length, bytes) in [
        (PACKED.len(), &bytes[..bytes.len() / 2]),
        (PACKED.len(), &bytes[1..]),
        (PACKED.len(), &[]),
        (PACKED.len() - 1, bytes),
        (PACKED.len() + 1, bytes),
        (64, bomb),
    ] {
        let schema = packed(Pack::deflated(length, bytes));
        assert!(schema.types.is_any() && schema.rules.is_empty());
    }
}
