//! No input, however mutilated, panics or hangs codegen. Seeded and bounded: a failure names
//! its seed. `MUTATIONS=n` turns n inputs instead of the usual number.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use openapi::compact::{self, CompactApi};
use openapi::lower::candidates::{Candidates, Wanted};
use openapi::lower::limits::Limits;
use openapi::lower::report::Report;
use openapi::lower::spec::Spec;
use openapi::{emit, lower};

const USUAL: u64 = 1_500;
/// For one input; all of them are small.
const PATIENCE: Duration = Duration::from_secs(20);

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % sides.max(1)
    }
}

const SNIPPETS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "&a ",
    "*a",
    "<<: *a\n",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "#",
    "\t",
    "\n",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "é",
    "---\n",
    "...\n",
    "? ",
    "!!str ",
    "!<x> ",
    "%YAML 9\n",
    "$ref: '#/paths'\n",
    "$ref: '#/'\n",
    "{$ref: '#'}",
    "{$ref: 'beside.yaml'}",
    "allOf: [{$ref: '#/components/schemas/Tree'}]\n",
    "{allOf: [{}, {}]}",
    "{oneOf: [{$ref: '#/components/schemas/Tree'}, {$ref: '#/components/schemas/Tree'}]}",
    "enum: []\n",
    "type: [null]\n",
    "type: {}\n",
    "1e999",
    "-0",
    "18446744073709551616",
    "required: true\n",
    "parameters: 5\n",
    "get: null\n",
    "/x/{/}/{y:",
    "{}",
    "[]",
    "null",
    "true",
    "nullable: yes\n",
    "properties: []\n",
    "\r\n",
    "\\u",
    "\\ud800",
    "\"\\ud83d\"",
    "\"\\ud83d\\u0041\"",
    "//",
    "/*",
    ",",
];

fn mutilated(seed: u64, sources: &[Vec<u8>]) -> Vec<u8> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    dice.roll(2);
    let mut bytes = sources[dice.roll(sources.len())].clone();
    for _ in 0..=dice.roll(6) {
        let at = dice.roll(bytes.len());
        let end = (at + dice.roll(60)).min(bytes.len());
        match dice.roll(8) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.truncate(at),
            2 => {
                let part = bytes[at..end].to_vec();
                let to = dice.roll(bytes.len());
                bytes.splice(to..to, part);
            }
            3 if at < bytes.len() => bytes[at] = u8::try_from(dice.roll(256)).unwrap_or(0),
            4 => {
                // A line goes elsewhere: the kind of damage that people do.
                let line = bytes[at..]
                    .iter()
                    .position(|it| *it == b'\n')
                    .map_or(end, |it| at + it + 1);
                let part: Vec<u8> = bytes.drain(at..line.min(bytes.len())).collect();
                let to = dice.roll(bytes.len());
                bytes.splice(to..to, part);
            }
            5 => {
                let deep = SNIPPETS[dice.roll(3)].repeat(dice.roll(400));
                bytes.splice(at..at, deep.into_bytes());
            }
            _ => {
                let snippet = SNIPPETS[dice.roll(SNIPPETS.len())];
                bytes.splice(at..at, snippet.bytes());
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// The whole way; whether anything comes out of it does not matter.
fn generate(bytes: &[u8]) -> usize {
    generate_within(bytes, usize::MAX)
}

fn generate_within(bytes: &[u8], memory_bytes: usize) -> usize {
    let limits = Limits {
        memory_bytes,
        ..Limits::CODEGEN
    };
    let spec = match Spec::from_bytes(Path::new("mutilated.yaml"), bytes.to_vec(), limits) {
        Ok(spec) => spec,
        Err(failure) => {
            assert!(!failure.is_over_limit || memory_bytes < usize::MAX);
            return 0;
        }
    };
    // All that can be called, as if each were named.
    let found = Candidates::find(&spec, &mut Report::default());
    let names = found.gets.iter().chain(&found.posts);
    let wanted = Wanted::Named(names.map(|it| it.id.clone()).collect());
    match lower::lower(&spec, "mutilated", &wanted) {
        Ok((description, report)) => {
            // What is written reads back equal, each schema too.
            let text = compact::write(&description);
            let api = CompactApi::leak(text).read();
            assert_eq!(api, Ok(&description.api));
            emit::emit(&[description], "test").len()
                + report.text().len()
                + report.json().to_string().len()
        }
        Err(failure) => failure.to_string().len(),
    }
}

#[test]
fn no_mutilated_input_panics_or_hangs() {
    let everything = include_str!("fixtures/everything.yaml");
    let sources = vec![
        everything.as_bytes().to_vec(),
        include_bytes!("fixtures/odd.json").to_vec(),
        include_bytes!("fixtures/search.yaml").to_vec(),
        include_bytes!("fixtures/swagger.yaml").to_vec(),
    ];
    for source in &sources {
        assert!(
            generate(source) > 1_000,
            "the unharmed sources give something"
        );
    }
    let count = std::env::var("MUTATIONS")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(USUAL);
    let (tell, told) = mpsc::channel();
    let worker = thread::spawn(move || {
        for seed in 0..count {
            let bytes = mutilated(seed, &sources);
            // Without a limit, and with one that is reached somewhere on the way.
            let limited = 2_000_000 + usize::try_from(seed % 97).unwrap_or(0) * 40_000;
            let both = || generate(&bytes) + generate_within(&bytes, limited);
            let panicked = catch_unwind(AssertUnwindSafe(both)).is_err();
            if tell.send((seed, panicked)).is_err() {
                return;
            }
        }
    });
    for expected in 0..count {
        let (seed, panicked) = told
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("seed {expected} hangs"));
        assert!(!panicked, "seed {seed} panics");
    }
    worker.join().unwrap();
}

/// A thread of main-node has 2 MB of stack.
#[test]
fn the_deepest_files_need_little_stack() {
    let head = "openapi: 3.1.0\npaths:\n  /a:\n    get: {responses: {200: {content: {application/json: {schema: {$ref: '#/x'}}}}}}\nx: ";
    let nested = |open: &str, close: &str, count: usize| {
        format!("{head}{}{}\n", open.repeat(count), close.repeat(count))
    };
    let json = |open: &str, close: &str, count: usize| {
        format!(
            "{{\"openapi\": \"3.1.0\", \"paths\": {{\"/a\": {{\"get\": {{\"responses\": {{\"200\": {{\"content\": \
             {{\"application/json\": {{\"schema\": {}{}}}}}}}}}}}}}}}}}",
            open.repeat(count),
            close.repeat(count)
        )
    };
    let indented: String = (0..198)
        .map(|at| format!("{}a:\n", " ".repeat(at)))
        .collect();
    let texts = [
        nested("[", "]", 195),
        nested("[", "]", 300),
        nested("{allOf: [", "]}", 95),
        nested("{allOf: [{properties: {a: ", "}}]}", 48),
        nested("{default: [", "]}", 95),
        nested("{enum: [", "]}", 95),
        format!("{head}\n{indented}"),
        json("[", "]", 185),
        json("[", "]", 5_000),
        json("{\"allOf\":[", "]}", 90),
        json("{\"items\":", "}", 185),
        json("{\"enum\":[", "]}", 90),
    ];
    let worker = thread::Builder::new().stack_size(2_000_000).spawn(move || {
        for text in texts {
            generate(text.as_bytes());
            generate_within(text.as_bytes(), 24_000_000);
        }
    });
    worker.unwrap().join().unwrap();
}

#[test]
fn schemas_in_circles_and_chains_end() {
    let head = "openapi: 3.1.0\npaths:\n  /a:\n    get: {responses: {200: {content: {application/json: {schema: {$ref: '#/components/schemas/S0'}}}}}}\ncomponents:\n  schemas:\n";
    let chain = |count: usize, one: &dyn Fn(usize) -> String| {
        let mut text = head.to_owned();
        for at in 0..count {
            text.push_str(&format!("    S{at}: {}\n", one(at)));
        }
        text
    };
    let next = |at: usize| format!("{{$ref: '#/components/schemas/S{}'}}", at + 1);
    for text in [
        // A circle of two, of one, through allOf, through oneOf, through properties.
        chain(2, &|at| {
            format!("{{$ref: '#/components/schemas/S{}'}}", 1 - at)
        }),
        chain(1, &|_| "{$ref: '#/components/schemas/S0'}".to_owned()),
        chain(1, &|_| {
            "{$ref: '#/components/schemas/S0', nullable: true}".to_owned()
        }),
        chain(2, &|at| {
            format!(
                "{{allOf: [{{$ref: '#/components/schemas/S{}'}}, {{type: object}}]}}",
                1 - at
            )
        }),
        chain(2, &|at| {
            format!(
                "{{oneOf: [{{$ref: '#/components/schemas/S{}'}}, {{type: string}}]}}",
                1 - at
            )
        }),
        // Long chains.
        chain(5_000, &next),
        chain(5_000, &|at| format!("{{allOf: [{}]}}", next(at))),
        chain(5_000, &|at| format!("{{properties: {{n: {}}}}}", next(at))),
        // What would double with every step if each meeting made a schema.
        chain(60, &|at| {
            format!("{{properties: {{a: {}, b: {}}}}}", next(at), next(at))
        }),
        chain(60, &|at| {
            format!(
                "{{allOf: [{{properties: {{a: {}}}}}, {{properties: {{a: {}}}}}]}}",
                next(at),
                next(at)
            )
        }),
        chain(40, &|at| {
            format!(
                "{{anyOf: [{}, {}, {{type: string}}]}}",
                next(at),
                next(at + 1)
            )
        }),
    ] {
        assert!(generate(text.as_bytes()) > 500);
    }
    // Anchors that multiply.
    let mut laughs = "openapi: 3.0.0\na0: &a0 [x]\n".to_owned();
    for at in 1..40 {
        laughs.push_str(&format!(
            "a{at}: &a{at} [*a{0}, *a{0}, *a{0}, *a{0}]\n",
            at - 1
        ));
    }
    generate(laughs.as_bytes());
}
