//! Tests of the arguments of `operations` and of the list of compiled-in operations.

use super::*;
use crate::config::environment::Environment;
use crate::config::load;

#[test]
fn printed_operations_can_be_pasted() {
    let printed = list(&APIS, &[]).to_string();
    let place = crate::golden::scratch("operations");
    let file = place.join("main-node.toml");
    std::fs::write(&file, &printed).expect("a file");
    let overrides = Overrides {
        file: Some(file),
        ..Overrides::default()
    };
    let config = load(&overrides, Environment::default(), &APIS);
    let config = config.unwrap_or_else(|problems| panic!("{problems:?} in\n{printed}"));
    assert_eq!(config.sources.len(), 1);
    let params = "params = { latitude = 52.52, longitude = 13.41, \
                  current = [\"temperature_2m\",\"relative_humidity_2m\"]";
    let printed = printed.replace("\", \"", "\",\"");
    assert!(printed.contains(params), "{printed}");
    std::fs::remove_dir_all(place).expect("its own directory");
}

#[test]
fn words_filter_operations() {
    let listed = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
        list(&APIS, &words).to_string()
    };
    assert!(listed(&["FORECAST"]).contains("[[source]]"));
    let none = listed(&["forecast", "tide"]);
    assert!(
        none.starts_with("# none of the 1 compiled-in operations has"),
        "{none}"
    );
}

#[test]
fn an_argument_is_a_file_or_a_word() {
    let there = |word: &str| ["apis/evcc", "evcc.yaml", "b.json"].contains(&word);
    let known = |word: &str| "getforecast /v1/forecast".contains(word);
    for (arguments, file, words) in [
        ("", None, ""),
        ("weather hourly", None, "weather hourly"),
        ("evcc.yaml", Some("evcc.yaml"), ""),
        ("evcc.yml state", Some("evcc.yml"), "state"),
        ("state EVCC.JSON log", Some("EVCC.JSON"), "state log"),
        ("apis/evcc", Some("apis/evcc"), ""),
        ("apis/missing", Some("apis/missing"), ""),
        ("./", Some("./"), ""),
        // As in 0.1, and paths of the file's operations.
        ("/v1/forecast", None, "/v1/forecast"),
        ("evcc.yaml /api/state", Some("evcc.yaml"), "/api/state"),
        ("evcc.yaml /latest.json", Some("evcc.yaml"), "/latest.json"),
        (".yaml", None, ".yaml"),
    ] {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let found = split_file(&arguments, &there, &known);
        assert_eq!(found, Ok((file, words)), "{arguments:?}");
    }
    let two = ["evcc.yaml".to_owned(), "b.json".to_owned()];
    assert_eq!(
        split_file(&two, &there, &known),
        Err(
            "expected one OpenAPI file, found evcc.yaml and b.json: run the command for each"
                .to_owned()
        )
    );
}
