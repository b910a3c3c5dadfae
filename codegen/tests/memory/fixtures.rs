//! Files that ask for a lot of memory, each in another way.

/// What kind of end a fixture has within 24 MB.
#[derive(Debug, PartialEq)]
pub enum End {
    Fits,
    OverLimit,
    Broken,
}

fn head() -> String {
    "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths:\n  /a: {get: {responses: {200: \
     {content: {application/json: {schema: {$ref: '#/components/schemas/S0'}}}}}}}\n"
        .to_owned()
}

fn schemas(count: usize, one: impl Fn(usize) -> String) -> String {
    let mut text = head() + "components:\n  schemas:\n";
    for at in 0..count {
        text += &format!("    S{at}: {}\n", one(at));
    }
    text
}

fn operations(count: usize, shared: &str, one: impl Fn(usize) -> String) -> String {
    let mut text = format!("openapi: 3.0.0\n{shared}paths:\n");
    for at in 0..count {
        text += &format!("  /p{at}: {}\n", one(at));
    }
    text
}

fn json(rest: &str) -> String {
    format!("{{\"openapi\":\"3.0.0\",\"paths\":{{\"/a\":{{\"get\":{{}}}}}},\"x\":{rest}}}")
}

// A table of cases is as long as it has cases.
#[allow(clippy::too_many_lines)]
pub fn fixtures() -> Vec<(&'static str, String, End)> {
    use End::{Broken, Fits, OverLimit};
    let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
    let next = |at: usize| format!("{{$ref: '#/components/schemas/S{}'}}", at + 1);
    let keys = |count: usize| {
        let entries: Vec<String> = (0..count).map(|at| format!("\"{at}\":0")).collect();
        format!("{{{}}}", entries.join(","))
    };
    let properties = |count: usize| {
        let all: Vec<String> = (0..count)
            .map(|at| format!("p{at}: {{type: string}}"))
            .collect();
        format!("{{properties: {{{}}}}}", all.join(", "))
    };
    let mut laughs = head() + "a0: &a0 [x]\n";
    for at in 1..12 {
        laughs += &format!("a{at}: &a{at} [*a{0}, *a{0}, *a{0}, *a{0}]\n", at - 1);
    }
    let base = format!(
        "b: &b {{{}}}\n",
        (0..2_000)
            .map(|at| format!("k{at}: 1"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let get = "{get: {responses: {200: {content: {application/json: {schema: {type: number}}}}}}}";
    vec![
        ("small", head(), Fits),
        ("tiny JSON entries", json(&keys(60_000)), Fits),
        ("too many JSON entries", json(&keys(180_000)), OverLimit),
        ("empty lists", json(&list("[]", 600_000)), OverLimit),
        ("fewer empty lists", json(&list("[]", 60_000)), Fits),
        ("lists of one", json(&list("[0]", 400_000)), OverLimit),
        (
            "deep",
            json(&format!("{}{}", "[".repeat(190), "]".repeat(190))),
            Fits,
        ),
        (
            "deep lists",
            json(&list(
                &format!("{}{}", "[".repeat(150), "]".repeat(150)),
                5_000,
            )),
            OverLimit,
        ),
        ("too deep", json(&"[".repeat(900_000)), Broken),
        (
            "a long text",
            json(&format!("\"{}\"", "x".repeat(1_900_000))),
            Fits,
        ),
        (
            "a long text with escapes",
            json(&format!("\"{}\"", "\\n".repeat(950_000))),
            Fits,
        ),
        (
            "an endless text",
            json(&format!("\"{}", "\\n".repeat(950_000))),
            Broken,
        ),
        (
            "repeated keys",
            json(&format!(
                "{{{}}}",
                vec!["\"k\":{\"k\":1}"; 100_000].join(",")
            )),
            OverLimit,
        ),
        (
            "fewer repeated keys",
            json(&format!(
                "{{{}}}",
                vec!["\"k\":{\"k\":1}"; 15_000].join(",")
            )),
            Fits,
        ),
        (
            "YAML flow",
            head() + "x: " + &list("[]", 500_000),
            OverLimit,
        ),
        (
            "YAML flow in lines",
            head() + "x: " + &list("[]\n ", 40_000),
            Fits,
        ),
        (
            "YAML block",
            head() + "x:\n" + &"  - 1\n".repeat(200_000),
            OverLimit,
        ),
        (
            "less YAML block",
            head() + "x:\n" + &"  - 1\n".repeat(50_000),
            Fits,
        ),
        (
            "YAML keys",
            head()
                + "x:\n"
                + &(0..20_000)
                    .map(|at| format!("  k{at}: v\n"))
                    .collect::<String>(),
            Fits,
        ),
        (
            "a long YAML text",
            format!("{}x: \"{}\"\n", head(), "\\n".repeat(900_000)),
            Fits,
        ),
        (
            "a long YAML block",
            format!("{}x: |\n{}", head(), "  xy\n".repeat(350_000)),
            Fits,
        ),
        (
            "a long plain YAML text",
            format!("{}x: {}\n", head(), "xy ".repeat(600_000)),
            Fits,
        ),
        (
            "control characters",
            format!("{}x: \"{}\"\n", head(), "\u{1}".repeat(600_000)),
            Fits,
        ),
        (
            "many control characters",
            format!("{}x: \"{}\"\n", head(), "\u{1}".repeat(1_900_000)),
            OverLimit,
        ),
        (
            "tabs",
            format!("{}x: [\n{}]\n", head(), "\t1,\n".repeat(20_000)),
            Fits,
        ),
        (
            "anchors",
            head()
                + "x:\n"
                + &(0..60_000)
                    .map(|at| format!("  - &a{at} {at}\n"))
                    .collect::<String>(),
            OverLimit,
        ),
        ("aliases", laughs, OverLimit),
        (
            "merges",
            format!("{}{base}x:\n{}", head(), "  - {<<: *b}\n".repeat(2_000)),
            OverLimit,
        ),
        (
            "a key of a list",
            format!("{}? [{}]\n: 1\n", head(), "x, ".repeat(20_000)),
            Fits,
        ),
        (
            "references to files",
            head()
                + "x:\n"
                + &(0..30_000)
                    .map(|at| format!("  - {{$ref: none/{at}}}\n"))
                    .collect::<String>(),
            OverLimit,
        ),
        ("a chain of references", schemas(8_000, next), Fits),
        (
            "a chain of allOf",
            schemas(8_000, |at| format!("{{allOf: [{}]}}", next(at))),
            Fits,
        ),
        (
            "a chain of properties",
            schemas(3_000, |at| format!("{{properties: {{n: {}}}}}", next(at))),
            Fits,
        ),
        (
            "a longer chain of properties",
            schemas(25_000, |at| format!("{{properties: {{n: {}}}}}", next(at))),
            OverLimit,
        ),
        (
            "a fan of allOf",
            schemas(4_000, |at| match at {
                0 => properties(4_000),
                _ => format!(
                    "{{allOf: [{{$ref: '#/components/schemas/S0'}}], items: {}}}",
                    next(at)
                ),
            })
            .replace("schemas/S0'}}}}}}}", "schemas/S1'}}}}}}}"),
            OverLimit,
        ),
        ("many properties", schemas(1, |_| properties(10_000)), Fits),
        (
            "a long enum",
            schemas(1, |_| {
                format!("{{type: string, enum: {}}}", list("abcdef", 40_000))
            }),
            Fits,
        ),
        (
            "an enum of objects",
            schemas(1, |_| {
                format!("{{enum: {}}}", list("{a: \"\\u0001\"}", 8_000))
            }),
            Fits,
        ),
        (
            "many required",
            schemas(1, |_| format!("{{required: {}}}", list("r", 20_000))),
            Fits,
        ),
        (
            "broken types",
            schemas(1, |_| {
                format!(
                    "{{type: [{}]}}",
                    (0..30_000)
                        .map(|at| format!("t{at}"))
                        .collect::<Vec<_>>()
                        .join(",")
                )
            }),
            Fits,
        ),
        (
            "10,000 operations",
            operations(10_000, "", |_| get.to_owned()),
            OverLimit,
        ),
        (
            "2,000 operations",
            operations(2_000, "", |_| get.to_owned()),
            Fits,
        ),
        (
            "operations of one item",
            operations(10_000, "x: {get: {}, put: {}, post: {}}\n", |_| {
                "{$ref: '#/x'}".to_owned()
            }),
            OverLimit,
        ),
        (
            "equal names",
            operations(1, "", |_| get.to_owned())
                + &(1..2_000)
                    .map(|at| format!("  {}: {get}\n", "/".repeat(at % 200 + 1)))
                    .collect::<String>(),
            Fits,
        ),
        (
            "servers for each",
            operations(
                2_000,
                &format!("servers: {}\n", list("{url: http://h}", 1_000)),
                |_| get.to_owned(),
            ),
            OverLimit,
        ),
        (
            "schemes for each",
            operations(
                2_000,
                &format!(
                    "security: {}\n",
                    (0..1_000)
                        .map(|at| format!("[{{s{at}: []}}]"))
                        .collect::<Vec<_>>()
                        .join("")
                        .replace("][", ",")
                ),
                |_| get.to_owned(),
            ),
            OverLimit,
        ),
        (
            "parameters for each",
            operations(
                1_000,
                &format!(
                    "x: {{parameters: [{}], get: {{}}}}\n",
                    (0..500)
                        .map(|at| format!("{{name: q{at}, in: query}}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
                |_| "{$ref: '#/x'}".to_owned(),
            ),
            OverLimit,
        ),
        (
            "patterns",
            operations(1, "", |_| {
                format!(
                    "{{get: {{parameters: [{}]}}}}",
                    (0..20)
                        .map(|at| format!(
                            "{{name: q{at}, in: query, schema: {{pattern: '{}{at}'}}}}",
                            [
                                "^[a-z]{1,200}$",
                                "(a|b|[^c]{90}){9}",
                                "\\\\p{L}{1,50}",
                                "x{1000}{100}"
                            ][at % 4]
                        ))
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            }),
            Fits,
        ),
        (
            "words",
            operations(1, "", |_| {
                format!("{{get: {{summary: \"{}\"}}}}", "a ".repeat(900_000))
            }),
            Fits,
        ),
        (
            "statuses",
            operations(1, "", |_| {
                format!(
                    "{{get: {{responses: {{{}}}}}}}",
                    (0..3_000)
                        .map(|at| format!("{at}: {{}}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            }),
            Fits,
        ),
        (
            "responses",
            operations(1, "", |_| {
                format!(
                    "{{get: {{responses: {{200: {{content: {{{}}}}}}}}}}}",
                    (0..3_000)
                        .map(|at| format!("text/x{at}: {{}}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            }),
            Fits,
        ),
    ]
}
