//! Test support: reading configurations, and an API with one operation.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::environment::Environment;
use super::{Config, Overrides, Problem, read};
use openapi::compact::CompactApi;
use openapi::operation::Api;

static API: CompactApi = CompactApi::plain(
    r#"
{"name":"open_meteo","title":"Open-Meteo","version":"1","source_file":"openapi.yaml","servers":[{"url":"https://api.open-meteo.com"}]}
{"id":"getForecast","summary":"A forecast","path":"/v1/forecast","parameters":[{"argument":"latitude","name":"latitude","required":true,"schema":1},{"argument":"longitude","name":"longitude","required":true,"schema":2},{"argument":"current","name":"current","schema":4}],"accept":"application/json","responses":[{"status":"default","media_type":"application/json","schema":5}]}

{"types":"number","rules":[{"minimum":-90.0},{"maximum":90.0}]}
{"types":"number"}
{"types":"string","rules":[{"enum":["temperature_2m","rain"]}]}
{"types":"array","rules":[{"items":3}]}
{"types":"object","rules":[{"properties":[{"name":"current","required":true,"schema":6}]}]}
{"types":"object"}"#,
);

pub fn api() -> &'static Api {
    API.read().expect("it is an API")
}

pub fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let file = Some(PathBuf::from("main-node.toml"));
    let environment = Environment::new(variables);
    read(text, file, &Overrides::default(), environment, &[api()])
}

pub fn problems(text: &str) -> String {
    match load_text(text, &[]) {
        Ok(_) => "no problem".to_owned(),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
            lines.join("\n")
        }
    }
}

/// An OpenAPI file.
pub const EVCC: &str = r#"
openapi: 3.0.0
info: { title: evcc, version: "1" }
servers: [{ url: "http://evcc.local:7070/api" }]
paths:
  /state:
    get:
      operationId: getState
      parameters:
        - { name: jq, in: query, schema: { type: string, maxLength: 20 } }
      responses: { "200": { description: it, content: { application/json: { schema: { type: object } } } } }
    put:
      operationId: setState
      responses: { "200": { description: it } }
  /sessions/{year}:
    get:
      parameters:
        - { name: year, in: path, required: true, schema: { type: integer, minimum: 2020 } }
      responses: { "200": { description: it, content: { application/json: { schema: { type: array } } } } }
  /query:
    post:
      operationId: query
      requestBody: { content: { application/json: { schema: { type: object } } } }
      responses: { "200": { description: it, content: { application/json: { schema: { type: object } } } } }
  /page:
    get:
      operationId: getPage
      responses: { "200": { description: it, content: { text/html: {} } } }
  /tariff/{type}:
    get:
      parameters:
        - { name: type, in: path, required: true, schema: { type: string, enum: [grid, feedin] } }
      responses: { "200": { description: it, content: { application/json: {} } } }
  /cost:
    get:
      operationId: cost$
      responses: { "200": { description: it, content: { application/json: {} } } }
  /forecast:
    get:
      operationId: getForecast
      responses: { "200": { description: it, content: { application/json: {} } } }
"#;

pub const METER: &str = "[[source]]\nname = \"meter\"\nurl = \"http://meter.local/api\"\n";

/// Reads a documented configuration with the compiled-in operations, and with the files and
/// variables that it refers to. Paths in the result begin with `DIR`.
pub fn load_example(example: &str, variables: &[(&str, &str)]) -> Result<String, Vec<String>> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = crate::golden::scratch(&format!("example-{count}"));
    for name in ["password", "smtp-password", "home-ca.pem", "token"] {
        std::fs::write(directory.join(name), "hush\n").expect("a file can be written");
    }
    for name in ["evcc.yaml", "openapi.yaml"] {
        std::fs::write(directory.join(name), EVCC).expect("a file can be written");
    }
    if example.contains("client.pem") {
        let made = rcgen::generate_simple_self_signed(["node.example".to_owned()]);
        let made = made.expect("a certificate");
        let key = made.signing_key.serialize_pem();
        for (name, text) in [("client.pem", made.cert.pem() + &key), ("client.key", key)] {
            std::fs::write(directory.join(name), text).expect("a file can be written");
        }
    }
    let own = [
        "METER_TOKEN",
        "NTFY_TOKEN",
        "NTFY_PASSWORD",
        "INFLUX_TOKEN",
        "INFLUX_PASSWORD",
        "METER_PASSWORD",
        "MAIL_PASSWORD",
        "MQTT_PASSWORD",
        "SHELLY_PASSWORD",
        "TIBBER_TOKEN",
        "MAIL_CLIENT_SECRET",
        "MAIL_REFRESH_TOKEN",
        "OCTOPUS_KEY",
        "SOLAREDGE_KEY",
        "ENPHASE_TOKEN",
        "PIHOLE_PASSWORD",
        "NAS_PASSWORD",
        "NETATMO_ID",
        "NETATMO_SECRET",
        "NETATMO_REFRESH_TOKEN",
        "DISPLAY_TOKEN",
        "DISPLAY_PASSWORD",
    ]
    .map(|name| (name, "hush"));
    let variables = own.iter().chain(variables);
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let file = Some(directory.join("main-node.toml"));
    let variables: Vec<(String, String)> = variables.collect();
    let read = |text: &str| {
        let environment = Environment::new(variables.iter().cloned());
        let apis = &crate::api::client::APIS;
        read(text, file.clone(), &Overrides::default(), environment, apis)
    };
    let found = read(example);
    if let Ok(config) = &found {
        reads_back(config, &read);
    }
    let _ = std::fs::remove_dir_all(&directory);
    let without_directory = |text: String| text.replace(&directory.display().to_string(), "DIR");
    match found {
        Ok(config) => Ok(without_directory(config.to_toml())),
        Err(problems) => Err(problems
            .iter()
            .map(|it| without_directory(it.to_string()))
            .collect()),
    }
}

/// What `check` prints of a configuration must mean the same. A secret is masked, so that it reads
/// back as another one.
pub fn reads_back(config: &Config, read: &dyn Fn(&str) -> Result<Config, Vec<Problem>>) {
    let printed = config.to_toml();
    // The mask is shorter than a token may be.
    let unmasked = printed.replace("\ntoken = \"***\"", "\ntoken = \"0123456789abcdef\"");
    let again = match read(&unmasked) {
        Ok(again) => again,
        Err(problems) => panic!("{printed}\n{problems:?}"),
    };
    assert_eq!(again.to_toml(), printed);
    let (before, after) = (effective_plan(config), effective_plan(&again));
    let changed = before.lines().zip(after.lines()).find(|(a, b)| a != b);
    assert_eq!(changed, None, "{printed}");
    assert_eq!(before.len(), after.len());
}

/// The plan with what `check` prints of defaults; it prints each device as a source of its own.
fn effective_plan(config: &Config) -> String {
    let mut plan = config.plan();
    plan.is_example = false;
    for source in &mut plan.sources {
        source.stale_after = Some(source.default_stale_after(Duration::ZERO));
        source.has_shared_prefix = false;
    }
    format!("{plan:#?}")
}

/// The problems of a documented configuration.
pub fn problems_of_example(example: &str) -> Vec<String> {
    load_example(example, &[]).err().unwrap_or_default()
}
