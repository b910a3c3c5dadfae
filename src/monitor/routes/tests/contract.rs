//! Contract tests: `openapi.json`, the route table and actual responses match.

use serde_json::Value as Json;

use super::table::TABLE;
use crate::domain::failure::Cause;
use crate::monitor::support::{self as testing, body, header, request};

fn contract() -> Json {
    serde_json::from_str(include_str!("../../openapi.json")).expect("the contract is JSON")
}

/// Follows a `$ref`, if this is one.
fn resolved<'a>(contract: &'a Json, node: &'a Json) -> &'a Json {
    match node["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            contract
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => node,
    }
}

/// The part of JSON Schema that the contract uses. Stricter in one point: what is not in
/// `properties` must not be served, so that the contract is complete. Problems alone may have
/// more.
fn violation(contract: &Json, schema: &Json, json: &Json, at: &str) -> Option<String> {
    let schema = resolved(contract, schema);
    for list in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[list].as_array() {
            let mut wrongs = choices
                .iter()
                .map(|choice| violation(contract, choice, json, at));
            return if wrongs.any(|wrong| wrong.is_none()) {
                None
            } else {
                Some(format!("{at}: {json} is none of its alternatives"))
            };
        }
    }
    let kind = match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let is_kind = |name: &Json| name == kind || (name == "number" && kind == "integer");
    let fits = match &schema["type"] {
        Json::Array(kinds) => kinds.iter().any(is_kind),
        name => is_kind(name),
    };
    if !fits {
        return Some(format!("{at}: {json} is no {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(json)
    {
        return Some(format!("{at}: {json} is none of {allowed:?}"));
    }
    if schema["format"] == "date-time"
        && let Some(text) = json.as_str()
        && !(text.parse::<jiff::Timestamp>().is_ok() && text.len() == 20 && text.ends_with('Z'))
    {
        return Some(format!("{at}: {text} is no time in UTC with Z"));
    }
    if let Some(items) = json.as_array() {
        let wrong = |(index, item): (usize, &Json)| {
            violation(contract, &schema["items"], item, &format!("{at}/{index}"))
        };
        return items.iter().enumerate().find_map(wrong);
    }
    let fields = json.as_object()?;
    for required in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(required.as_str().unwrap_or_default()) {
            return Some(format!("{at}: {required} is missing"));
        }
    }
    fields.iter().find_map(|(name, field)| {
        let declared = schema["properties"]
            .get(name)
            .or_else(|| schema.get("additionalProperties"));
        match declared {
            Some(declared) => violation(contract, declared, field, &format!("{at}/{name}")),
            None if schema.get("properties").is_none() => None,
            None if schema["properties"].get("detail").is_some() => None,
            None => Some(format!("{at}: {name} is not in the contract")),
        }
    })
}

/// The one operation of a path.
fn operation(path: &Json) -> &Json {
    path.get("get").unwrap_or(&path["post"])
}

#[test]
fn every_route_is_in_the_contract_and_the_reverse() {
    let contract = contract();
    let paths = contract["paths"].as_object().expect("paths");
    let mut routed: Vec<&str> = TABLE.iter().map(|row| row.template).collect();
    let mut described: Vec<&str> = paths.keys().map(String::as_str).collect();
    routed.sort_unstable();
    described.sort_unstable();
    assert_eq!(routed, described);
    for row in &TABLE {
        let parameters = operation(&paths[row.template])["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let names = |place: &str| -> Vec<String> {
            let of_place = parameters
                .iter()
                .filter(|parameter| parameter["in"] == place);
            of_place
                .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                .collect()
        };
        let mut expected: Vec<&str> = row.parameters.to_vec();
        let mut found = names("query");
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{}", row.template);
        for name in names("path") {
            assert!(
                row.template.contains(&format!("{{{name}}}")),
                "{}",
                row.template
            );
        }
        assert_eq!(row.template.contains('{'), !names("path").is_empty());
    }
}

#[test]
fn every_reference_resolves_and_every_operation_id_is_unique() {
    fn walk(contract: &Json, node: &Json, names: &mut Vec<String>) {
        resolved(contract, node);
        match node {
            Json::Object(fields) => {
                names.extend(node["operationId"].as_str().map(str::to_owned));
                fields
                    .values()
                    .for_each(|field| walk(contract, field, names));
            }
            Json::Array(items) => items.iter().for_each(|item| walk(contract, item, names)),
            _ => {}
        }
    }
    let contract = contract();
    let mut names = Vec::new();
    walk(&contract, &contract, &mut names);
    assert_eq!(names.len(), TABLE.len());
    names.sort();
    names.dedup();
    assert_eq!(names.len(), TABLE.len(), "two operations have one name");
}

#[test]
fn examples_match_their_schemas() {
    let contract = contract();
    let mut seen = 0;
    for path in contract["paths"].as_object().expect("paths").values() {
        let mut responses: Vec<&Json> = operation(path)["responses"]
            .as_object()
            .expect("responses")
            .values()
            .map(|documented| resolved(&contract, documented))
            .collect();
        responses.dedup();
        for documented in responses {
            for content in documented["content"]
                .as_object()
                .into_iter()
                .flat_map(|c| c.values())
            {
                for example in content["examples"]
                    .as_object()
                    .into_iter()
                    .flat_map(|e| e.values())
                {
                    let wrong = violation(&contract, &content["schema"], &example["value"], "");
                    assert_eq!(wrong, None);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 8, "{seen} examples");
}

#[test]
fn responses_match_the_contract() {
    let contract = contract();
    let fixtures = [
        testing::healthy(),
        testing::healthy()
            .failing("weather", Cause::RateLimited, 1_380)
            .deriving("house", "power / voltage")
            .stale(&["temperature", "humidity", "sky", "power"])
            .volatile_storage("the database is in memory")
            .backup_failing("the directory /mnt/usb does not exist")
            .storage_trouble("the disk is full"),
        testing::just_started(),
    ];
    for fixture in fixtures {
        let monitor = fixture.app();
        let display = [("user-agent", "matrix/1"), ("x-display-battery", "80%")];
        testing::from_memory(&monitor, &request("/snapshot", &display)).expect("it is in memory");
        for (target, template) in [
            ("/snapshot", "/snapshot"),
            ("/snapshot?full=1", "/snapshot"),
            ("/snapshot?keys=sky,power", "/snapshot"),
            ("/snapshot?keys=nothing", "/snapshot"),
            ("/snapshot?format=text", "/snapshot"),
            ("/snapshot/sky", "/snapshot/{key}"),
            ("/snapshot/power?full=1", "/snapshot/{key}"),
            ("/snapshot/%zz", "/snapshot/{key}"),
            ("/status", "/status"),
            ("/status?x=1", "/status"),
            ("/history?key=power", "/history"),
            ("/history?key=power&format=csv", "/history"),
            ("/history?key=power&from=x", "/history"),
            ("/history?key=power&key=temperature", "/history"),
            ("/history?key=power&key=temperature&format=csv", "/history"),
            ("/healthz", "/healthz"),
            ("/metrics", "/metrics"),
            ("/openapi.json", "/openapi.json"),
            ("/", "/"),
            ("/web", "/web"),
            ("/web/key/power", "/web/key/{key}"),
            ("/web/source/meter", "/web/source/{name}"),
            ("/web/about", "/web/about"),
            ("/web/style/old.css", "/web/style/{file}"),
            ("/robots.txt", "/robots.txt"),
            ("/favicon.svg", "/favicon.svg"),
            ("/manifest.webmanifest", "/manifest.webmanifest"),
            ("/wall", "/wall"),
            ("/api/setup", "/api/setup"),
            ("/api/display", "/api/display"),
            ("/wall?theme=blue", "/wall"),
            ("/wall/none", "/wall/{name}"),
            ("/web/icon/192.png", "/web/icon/{file}"),
            ("/web/icon/1.png", "/web/icon/{file}"),
        ] {
            let request = request(target, &[]);
            let response = testing::respond(&monitor, &request);
            let responses = &contract["paths"][template]["get"]["responses"];
            let documented = responses.get(response.status.to_string());
            let documented = documented
                .unwrap_or_else(|| panic!("{target}: {} is not in the contract", response.status));
            let documented = resolved(&contract, documented);
            if response.status == 302 {
                continue;
            }
            let kind = header(&response, "Content-Type").expect("a body has a type");
            let kind = kind.split(';').next().unwrap_or_default();
            let content = documented["content"].get(kind);
            let content =
                content.unwrap_or_else(|| panic!("{target}: {kind} is not in the contract"));
            if kind.ends_with("json") {
                let json: Json = serde_json::from_str(body(&response)).expect("JSON");
                let wrong = violation(&contract, &content["schema"], &json, target);
                assert_eq!(wrong, None);
            }
        }
    }
}
