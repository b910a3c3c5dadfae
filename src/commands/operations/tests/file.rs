//! Tests of the list of a vendor's OpenAPI file.

use std::path::PathBuf;

use super::*;
use crate::commands::operations::configured::ConfiguredApi;
use crate::golden;

/// A file with one of each: keys, bodies, names that need quotes, texts that would leave a comment.
const HOUSE: &str = r##"
openapi: 3.0.3
info: {title: "House\u001b[31m", version: "1"}
servers: [{url: /api}]
security: [{key: []}]
paths:
  /state:
    get:
      operationId: getState
      summary: "All values\n[[source]]"
      parameters:
        - {name: $top, in: query, required: true, schema: {type: string, example: $5}}
        - {name: unit, in: query, required: true, schema: {enum: [null, "k\"W"]}}
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/State"}}}}}
    delete: {responses: {}}
  /STATE:
    get:
      operationId: getSTATE
      responses: {"200": {description: ok, content: {application/json: {schema: {type: object, properties: {a: {$ref: missing.yaml}}}}}}}
  "/new\nline":
    get: {operationId: "a\"$b", security: [], servers: [{url: "http://house.example"}], responses: {"200": {description: ok}}}
  /search:
    post:
      operationId: search
      summary: Finds values
      requestBody: {required: true, content: {application/json: {schema: {type: object, required: [from], properties: {from: {type: string, format: date}, count: {type: integer}}}}}}
      responses: {"200": {description: ok, content: {application/json: {}}}}
  /needsBody:
    get:
      operationId: getBody
      requestBody: {required: true, content: {application/json: {}}}
      responses: {"200": {description: ok, content: {application/json: {}}}}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}
  schemas:
    State:
      type: object
      properties:
        power: {type: number}
        battery: {type: object, properties: {soc: {type: integer}, name: {type: string}}}
        parent: {$ref: "#/components/schemas/State"}
"##;

/// A directory with a file.
fn place(test: &str, name: &str, text: &str) -> (PathBuf, String, Configured) {
    let place = golden::scratch(test);
    let file = place.join(name);
    std::fs::write(&file, text).expect("a file");
    let configured = Configured {
        file: Some(place.join("main-node.toml")),
        ..Configured::default()
    };
    (place, file.display().to_string(), configured)
}

fn listed(file: &str, words: &[&str], configured: &Configured) -> Result<String, String> {
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
    FileListing::read(file, &words, configured).map(|it| it.to_string())
}

/// The list with its commented-out tables.
fn with_posts(listed: &str) -> String {
    let lines = listed.lines().map(|line| match line.strip_prefix('#') {
        Some(option) if !option.starts_with(' ') => option,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn everything_that_a_file_offers_is_listed() {
    let (place, file, configured) = place("listed", "house.yaml", HOUSE);
    let text = listed(&file, &[], &configured).expect("it can be read");
    let directory = place.display().to_string();
    golden::check("operations-file.txt", &text.replace(&directory, "DIR"));
    let pasted: toml::Table = text.parse().expect("it is TOML");
    assert_eq!(pasted["api"][0]["file"].as_str(), Some("house.yaml"));
    assert_eq!(pasted["source"].as_array().map(Vec::len), Some(3));
    let all: toml::Table = with_posts(&text).parse().expect("it is TOML");
    let sources = all["source"].as_array().expect("sources");
    let mut names: Vec<_> = sources.iter().map(|it| it["name"].as_str()).collect();
    names.dedup();
    assert_eq!(names.len(), 4);
    std::fs::remove_dir_all(place).expect("its own directory");
}

#[test]
fn words_choose_operations_of_the_file() {
    let (place, file, configured) = place("words", "house.yaml", HOUSE);
    for (words, expected) in [
        (
            &["finds"][..],
            "House\\u{1b}[31m 1 (house.yaml): 1 of 5 operations",
        ),
        (
            &["/State", "all"],
            "House\\u{1b}[31m 1 (house.yaml): 1 of 5 operations",
        ),
        (
            &["tide"],
            "none of the 5 operations of house.yaml has \"tide\" in its id, path or summary",
        ),
    ] {
        let text = listed(&file, words, &configured).expect("it can be read");
        let text = text.replace(&format!("{}/", place.display()), "");
        let first = text.lines().next().and_then(|it| it.strip_prefix("# "));
        assert_eq!(first, Some(expected), "{text}");
    }
    std::fs::remove_dir_all(place).expect("its own directory");
}

#[test]
fn a_file_of_the_configuration_keeps_its_name() {
    let (place, file, mut configured) = place("configured", "house.yaml", HOUSE);
    configured.apis = ["home", "other"]
        .map(|name| ConfiguredApi {
            name: name.to_owned(),
            file: place.join(if name == "home" {
                "house.yaml"
            } else {
                "other.yaml"
            }),
        })
        .into();
    let text = listed(&file, &["finds"], &configured).expect("it can be read");
    assert!(
        text.contains("has this file as [[api]] \"home\": paste"),
        "{text}"
    );
    assert!(!text.contains("\n[[api]]"), "{text}");
    // The other file may have such an operation too.
    assert!(text.contains("\n#api = \"home\"\n"), "{text}");
    std::fs::remove_dir_all(place).expect("its own directory");
}

#[test]
fn names_of_apis_differ_from_those_that_are_there() {
    let configured = Configured {
        apis: vec![ConfiguredApi {
            name: "evcc".to_owned(),
            file: PathBuf::new(),
        }],
        ..Configured::default()
    };
    for (module, expected) in [
        ("house", "house"),
        ("evcc", "evcc2"),
        ("open_meteo", "open_meteo2"),
        (
            "a_description_with_a_very_long_title_of_words",
            "a_description_with_a_very_long_title",
        ),
    ] {
        assert_eq!(new_name(module, &configured), expected);
    }
}

#[test]
fn a_file_that_cannot_be_listed_is_described() {
    for (name, text, expected) in [
        (
            "other.yaml",
            "openapi: 3.0.0\n",
            "but the file does not exist; check the path",
        ),
        (
            "house.yaml",
            "- a\n",
            "house.yaml:1:1: expected an OpenAPI description",
        ),
        (
            "house.yaml",
            "a: [\n",
            "fix this place, or download the file again",
        ),
        (
            "house.json",
            "{\"openapi\": \"3.0.0\", \"paths\": {}}",
            "expected `paths` to hold at least one path",
        ),
        (".", "", "it is a directory"),
    ] {
        let (place, _, configured) = place("failures", "house.yaml", text);
        if name == "house.json" {
            std::fs::write(place.join(name), text).expect("a file");
        }
        let file = place.join(name).display().to_string();
        let failure = listed(&file, &[], &configured).expect_err(name);
        assert!(failure.contains(expected), "{failure}");
        std::fs::remove_dir_all(place).expect("its own directory");
    }
}

#[test]
fn the_memory_of_a_small_machine_is_named() {
    let failure = |is_over_limit| Failure {
        text: "a.yaml: too large".to_owned(),
        is_over_limit,
    };
    for (is_over_limit, memory_bytes, expected) in [
        (false, 1_000_000, "a.yaml: too large"),
        (true, limits::COMMAND_API_MEMORY_BYTES, "a.yaml: too large"),
        (
            true,
            30_000_000,
            "a.yaml: too large; this machine has 30 MB for it: where more memory is free, more can be read",
        ),
    ] {
        assert_eq!(
            describe_failure(&failure(is_over_limit), memory_bytes),
            expected
        );
    }
}

#[test]
fn the_service_does_not_see_homes() {
    for (file, configuration, expected) in [
        ("/home/a/evcc.yaml", "/etc/main-node/main-node.toml", true),
        ("evcc.yaml", "/etc/main-node/main-node.toml", false),
        ("/srv/evcc.yaml", "/etc/main-node/main-node.toml", false),
        ("/home/a/evcc.yaml", "main-node.toml", false),
    ] {
        assert_eq!(is_hidden(file, configuration), expected, "{file}");
    }
}
