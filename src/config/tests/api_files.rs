//! OpenAPI files of the configuration: lookup, problems, and what a service does without one.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::config::environment::Environment;
use crate::config::support::EVCC;
use crate::config::{Config, Overrides, Problem, Severity, SourceTarget, read};
use crate::golden::scratch;

const API: &str = "[[api]]\nname = \"evcc\"\nfile = \"evcc.yaml\"\n";

struct House {
    directory: PathBuf,
}

impl House {
    fn new(name: &str) -> House {
        let directory = scratch(name);
        fs::write(directory.join("evcc.yaml"), EVCC).expect("written");
        House { directory }
    }

    fn read(&self, text: &str, usage: ApiFileUse) -> Result<Config, Vec<Problem>> {
        let file = Some(self.directory.join("main-node.toml"));
        let environment = Environment::default().with_api_files(usage);
        let apis = &crate::api::client::APIS;
        read(text, file, &Overrides::default(), environment, apis)
    }

    /// The problems of a file with one source, without the directory.
    fn problems(&self, apis: &str, source: &str, usage: ApiFileUse) -> String {
        let text = format!("{apis}[[source]]\nname = \"s\"\n{source}");
        let problems = match self.read(&text, usage) {
            Ok(config) => {
                let mut remarks = config.remarks.iter();
                assert!(remarks.all(|it| it.severity != Severity::Problem));
                return "none".to_owned();
            }
            Err(problems) => problems,
        };
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        self.without_directory(&lines.join("\n"))
    }

    fn without_directory(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.directory.display()), "")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn operation(config: &Config) -> &'static Operation {
    config.sources[0].operation().expect("it has one")
}

#[test]
fn a_source_names_an_operation_of_a_file_by_id_or_by_method_and_path() {
    let house = House::new("api-names");
    for (source, id) in [
        ("operation = \"getState\"\n", "getState"),
        (
            "operation = \"GET /state\"\nparams = { jq = \".x\" }\n",
            "getState",
        ),
        ("operation = \"/state\"\napi = \"evcc\"\n", "getState"),
        (
            "operation = \"GET /sessions/{year}\"\nparams = { year = 2026 }\n",
            "getSessionsByYear",
        ),
        ("operation = \"query\"\nbody = { a = 1 }\n", "query"),
        ("operation = \"POST /query\"\nbody = { a = 1 }\n", "query"),
        (
            "operation = \"getForecast\"\napi = \"evcc\"\n",
            "getForecast",
        ),
        ("operation = \"cost$$\"\n", "cost$"),
    ] {
        let text = format!("{API}[[source]]\nname = \"s\"\n{source}");
        let config = house.read(&text, ApiFileUse::Command);
        let config = config.unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
        assert_eq!(operation(&config).id, id, "{source}");
        assert_eq!(operation(&config).api, "evcc");
        assert_eq!(
            operation(&config).base_url(None).as_deref(),
            Ok("http://evcc.local:7070/api")
        );
        let printed = config.to_toml();
        assert!(
            printed.contains("\n[[api]]\nname = \"evcc\"\nfile = \""),
            "{printed}"
        );
        assert!(
            printed.contains(&format!(
                "operation = \"{}\"\napi = \"evcc\"",
                id.replace('$', "$$")
            )),
            "{printed}"
        );
        let again = house
            .read(&printed, ApiFileUse::Command)
            .expect("it reads back");
        assert_eq!(again.to_toml(), printed);
    }
}

#[test]
fn only_what_sources_name_is_kept() {
    let house = House::new("api-kept");
    let text = format!("{API}[[source]]\nname = \"s\"\noperation = \"getState\"\n");
    let config = house.read(&text, ApiFileUse::Service).expect("valid");
    assert_eq!(config.apis.len(), 1);
    assert_eq!(
        config.apis[0].lowered_form, None,
        "the service reads so small a file itself"
    );
    let file = DescriptionFile {
        name: "evcc",
        path: &house.directory.join("evcc.yaml"),
        lowered_form: Path::new("unused"),
    };
    let wanted = ["getState".to_owned(), "of another API".to_owned()];
    let loaded = file
        .read(&wanted, ApiFileUse::Service)
        .expect("it can be read");
    let ids: Vec<&str> = loaded
        .api
        .operations
        .iter()
        .map(|it| it.id.as_str())
        .collect();
    assert_eq!(ids, ["getState"]);
    assert!(loaded.names.iter().any(|it| it == "getSessionsByYear"));
}

#[test]
fn problems_name_the_place_and_what_to_change() {
    let house = House::new("api-problems");
    let file = |name: &str| format!("[[api]]\nname = \"evcc\"\nfile = \"{name}\"\n");
    fs::write(
        house.directory.join("broken.yaml"),
        "openapi: 3.0.0\npaths: {\n",
    )
    .expect("written");
    fs::write(house.directory.join("page.yaml"), "<html>").expect("written");
    let twice = format!("{API}{API}");
    let compiled = "[[api]]\nname = \"open_meteo\"\nfile = \"evcc.yaml\"\n";
    let state = "operation = \"getState\"\n";
    for (apis, source, expected) in [
        (
            API,
            "operation = \"getStat\"\n",
            "main-node.toml:6:13: there is no operation \"getStat\"; did you mean \"getState\"?",
        ),
        (
            API,
            "operation = \"qqqqqqq\"\napi = \"evcc\"\n",
            "there is no operation \"qqqqqqq\"; `main-node operations evcc.yaml` lists what there is",
        ),
        (
            API,
            "operation = \"getForecast\"\n",
            "several APIs have an operation \"getForecast\": say which with api = \"…\" (open_meteo, evcc)",
        ),
        (
            API,
            "operation = \"qqqqqqq\"\n",
            "there is no operation \"qqqqqqq\"; `main-node operations evcc.yaml` lists what there is",
        ),
        (
            API,
            "operation = \"cost\"\n",
            "there is no operation \"cost\"; did you mean \"cost$$\"?",
        ),
        (
            API,
            "operation = \"getState\"\nbase_url = \"http://…\"\n",
            "base_url: … stands for an address that only you know",
        ),
        (
            API,
            "operation = \"getState\"\napi = \"evc\"\n",
            "api: expected one of the APIs: open_meteo, evcc, found the text \"evc\"",
        ),
        (
            API,
            "operation = \"setState\"\n",
            "evcc.yaml:12:5: expected a GET or POST operation, found \"setState\", which is PUT /state: main-node only reads",
        ),
        (
            API,
            "operation = \"getPage\"\n",
            "evcc.yaml:26:5: getPage cannot be called: ",
        ),
        (
            API,
            "operation = \"getState\"\nparams = { jr = \"x\" }\n",
            "jr",
        ),
        (
            API,
            "operation = \"GET /sessions/{year}\"\nparams = { year = 2000 }\n",
            "2020",
        ),
        (
            &file("gone.yaml"),
            state,
            "main-node.toml:1:1: gone.yaml: expected an OpenAPI file (YAML or JSON), but",
        ),
        (
            &file("broken.yaml"),
            state,
            "main-node.toml:1:1: broken.yaml:",
        ),
        (&file("page.yaml"), state, "main-node.toml:1:1: page.yaml:"),
        (
            &twice,
            state,
            "main-node.toml:4:1: there is another API called \"evcc\": give this one another name",
        ),
        (
            compiled,
            "operation = \"getState\"\napi = \"open_meteo\"\n",
            "there is another API called \"open_meteo\"",
        ),
        (
            "[[api]]\nname = \"evcc\"\n",
            state,
            "an [[api]] needs a file: name = \"evcc\", file = \"evcc.yaml\"",
        ),
        (
            "[[api]]\nname = \"../x\"\nfile = \"evcc.yaml\"\n",
            state,
            "name: expected a name of letters, digits, - and _, found the text \"../x\"",
        ),
        (
            "[[api]]\nname = \"evcc\"\nfile = \"evcc.yaml\"\nurl = \"x\"\n",
            state,
            "unknown option \"url\" in [[api]]",
        ),
        (
            "[api]\nname = \"evcc\"\nfile = \"evcc.yaml\"\n",
            state,
            "api: expected a list of tables, each under a heading [[api]]",
        ),
    ] {
        for usage in [ApiFileUse::Command, ApiFileUse::Reload] {
            let found = house.problems(apis, source, usage);
            assert!(
                found.contains(expected),
                "{apis}{source}{usage:?}:\n{found}"
            );
        }
    }
    let found = house.problems(&file("gone.yaml"), state, ApiFileUse::Command);
    assert_eq!(found.lines().count(), 1, "once: {found}");
    let devices = format!("{}{DEVICES}", file("gone.yaml"));
    let found = house.read(&devices, ApiFileUse::Command).expect_err("gone");
    assert_eq!(found.len(), 1, "once: {found:?}");
}

/// One source for each of two devices.
const DEVICES: &str = "[[source]]\nfor = { d1 = \"10.0.0.1\", d2 = \"10.0.0.2\" }\noperation = \"getState\"\n\
     base_url = \"http://{device}\"\n";

#[test]
fn a_broken_file_is_the_only_problem_of_a_source_with_security_schemes() {
    let house = House::new("api-broken-schemes");
    fs::write(house.directory.join("evcc.yaml"), "openapi: 3.0.0\n").expect("written");
    let source = "operation = \"getState\"\nauth = { hdr = \"a\", bas = { user = \"u\", password = \"p\" } }\n";
    for usage in [ApiFileUse::Command, ApiFileUse::Reload] {
        let found = house.problems(API, source, usage);
        assert_eq!(found.lines().count(), 1, "{found}");
        assert!(found.contains("expected `paths`"), "{found}");
    }
    let typing_error = "operation = \"getState\"\nauth = { user = \"u\" }\n";
    let found = house.problems(API, typing_error, ApiFileUse::Command);
    assert!(found.contains("password"), "{found}");
}

#[test]
fn a_service_starts_without_devices_whose_file_is_gone() {
    let house = House::new("api-devices");
    let text = format!("[[api]]\nname = \"evcc\"\nfile = \"gone.yaml\"\n{DEVICES}");
    let config = house.read(&text, ApiFileUse::Service).expect("it starts");
    assert_eq!(config.sources.len(), 2);
    for source in &config.sources {
        let SourceTarget::Unavailable { reason, .. } = &source.target else {
            panic!("{:?} is available", source.plan.name);
        };
        assert!(
            reason.contains("gone.yaml: expected an OpenAPI file"),
            "{reason}"
        );
    }
}

#[test]
fn a_service_starts_without_what_a_file_does_not_give() {
    let house = House::new("api-service");
    fs::write(
        house.directory.join("broken.yaml"),
        "openapi: 3.0.0\npaths: {\n",
    )
    .expect("written");
    let meter = "[[source]]\nname = \"meter\"\nurl = \"http://meter.local/\"\n";
    for (file, source, expected) in [
        (
            "gone.yaml",
            "operation = \"getState\"",
            "gone.yaml: expected an OpenAPI file",
        ),
        (
            "gone.yaml",
            "operation = \"getState\"",
            "run `main-node check`",
        ),
        (
            "broken.yaml",
            "operation = \"getState\"\napi = \"evcc\"\nauth = { token = \"t\" }",
            "broken.yaml:",
        ),
        (
            "evcc.yaml",
            "operation = \"getStates\"",
            "there is no operation \"getStates\"",
        ),
        (
            "evcc.yaml",
            "operation = \"setState\"",
            "which is PUT /state",
        ),
        (
            "evcc.yaml",
            "operation = \"getState\"\nparams = { day = 1 }\nbody = \"x\"",
            "day",
        ),
    ] {
        let text = format!(
            "[[api]]\nname = \"evcc\"\nfile = \"{file}\"\n{meter}[[source]]\nname = \"s\"\n{source}\n"
        );
        let config = house.read(&text, ApiFileUse::Service);
        let config = config.unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
        let SourceTarget::Unavailable { reason, .. } = &config.sources[1].target else {
            panic!("{source} is available");
        };
        assert!(reason.contains(expected), "{file} {source}: {reason}");
        assert!(
            config
                .remarks
                .iter()
                .any(|it| it.severity == Severity::Problem)
        );
        assert!(matches!(config.sources[0].target, SourceTarget::Url { .. }));
        for usage in [ApiFileUse::Command, ApiFileUse::Reload] {
            assert!(house.read(&text, usage).is_err(), "{usage:?}: {source}");
        }
    }
    // What does not depend on the file is a problem for the service too.
    for source in [
        "operation = \"getState\"\nevry = \"5m\"",
        "operation = \"getState\"\napi = \"other\"",
        "operation = \"getForecast\"\napi = \"open_meteo\"\nparams = { latitude = 100 }",
    ] {
        let text = format!("{API}[[source]]\nname = \"s\"\n{source}\n");
        assert!(house.read(&text, ApiFileUse::Service).is_err(), "{source}");
    }
}

#[test]
fn a_file_that_is_too_large_for_the_service_needs_its_lowered_form() {
    let house = House::new("api-large");
    let large = format!("{EVCC}# {}\n", "x".repeat(2_000_000));
    fs::write(house.directory.join("evcc.yaml"), &large).expect("written");
    let database = house.directory.join("n.db");
    let text = |operation: &str| {
        format!(
            "database = \"{}\"\n{API}[[source]]\nname = \"s\"\noperation = \"{operation}\"\n",
            database.display()
        )
    };
    let reason = |operation: &str| {
        let config = house.read(&text(operation), ApiFileUse::Service);
        match &config.expect("the service starts").sources[0].target {
            SourceTarget::Unavailable { reason, .. } => house.without_directory(reason),
            _ => "available".to_owned(),
        }
    };
    let missing = reason("getState");
    assert!(
        missing.contains("its lowered form n.api-evcc.jsonl is missing"),
        "{missing}"
    );
    assert!(missing.contains("run `main-node check`"), "{missing}");

    let config = house
        .read(&text("getState"), ApiFileUse::Command)
        .expect("valid");
    assert_eq!(operation(&config).id, "getState");
    let form = config.apis[0].lowered_form.as_ref().expect("it is needed");
    assert_eq!(form.path, house.directory.join("n.api-evcc.jsonl"));
    form.write().expect("written");
    assert_eq!(reason("getState"), "available");

    let unnamed = reason("GET /sessions/{year}");
    assert!(
        unnamed.contains("evcc.yaml is too large for the service, so run `main-node check`"),
        "{unnamed}"
    );
    fs::write(house.directory.join("evcc.yaml"), format!("{large}#")).expect("written");
    let changed = reason("getState");
    assert!(
        changed.contains("evcc.yaml has changed since its lowered form"),
        "{changed}"
    );
}

#[test]
fn operations_of_all_files_take_bounded_memory() {
    let house = House::new("api-bounded");
    let operation = |number: usize| {
        let values: Vec<String> = (0..30_000)
            .map(|at| format!("a-value-{number}-{at:016}"))
            .collect();
        format!(
            "  /p{number}:\n    get:\n      operationId: p{number}\n      parameters:\n        - name: a\n          in: \
             query\n          schema: {{ type: string, enum: [{}] }}\n      responses: {{ \"200\": {{ description: it, \
             content: {{ application/json: {{}} }} }} }}\n",
            values.join(", ")
        )
    };
    let mut text = String::new();
    for number in 0..7 {
        let file = format!("openapi: 3.0.0\npaths:\n{}", operation(number));
        fs::write(house.directory.join(format!("a{number}.yaml")), file).expect("written");
        text += &format!("[[api]]\nname = \"a{number}\"\nfile = \"a{number}.yaml\"\n");
    }
    for number in 0..7 {
        text += &format!(
            "[[source]]\nname = \"s{number}\"\noperation = \"p{number}\"\nbase_url = \"http://a.local\"\n"
        );
    }
    let problems = house
        .read(&text, ApiFileUse::Command)
        .expect_err("too much");
    let found: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert!(found[0].contains("name fewer operations"), "{found:?}");
    // A service keeps what it has room for.
    let config = house.read(&text, ApiFileUse::Service).expect("it starts");
    let available = config
        .sources
        .iter()
        .filter(|it| it.operation().is_some())
        .count();
    assert!((1..7).contains(&available), "{available}");
    // The same again takes nothing.
    let again = house.read(&text, ApiFileUse::Service).expect("it starts");
    assert_eq!(
        again
            .sources
            .iter()
            .filter(|it| it.operation().is_some())
            .count(),
        available
    );
}

#[test]
fn a_value_that_is_not_filled_in_is_told() {
    let house = House::new("api-unfilled");
    let text = format!(
        "{API}[[source]]\nname = \"s\"\noperation = \"getState\"\nparams = {{ jq = \"…\" }}\n"
    );
    let config = house
        .read(&text, ApiFileUse::Command)
        .expect("it can be sent");
    let found: Vec<String> = config
        .remarks
        .iter()
        .map(|it| it.problem.to_string())
        .collect();
    assert_eq!(config.remarks[0].severity, Severity::Problem);
    assert!(
        found[0].ends_with("jq: … stands for a value that only you know: write it"),
        "{found:?}"
    );
}
