use std::path::PathBuf;

use openapi::compact::CompactApi;

use crate::config::environment::Environment;
use crate::config::request_types::{ConfiguredBody, RequestMethod};
use crate::config::{Config, Overrides, Problem, read};

static API: CompactApi = CompactApi::plain(
    r#"
{"name":"search","title":"","version":"","source_file":"","servers":[{"url":"http://localhost"}]}
{"id":"latest","path":"/latest","accept":"application/json"}
{"method":"post","id":"search","path":"/search","request_body":{"required":true,"media_type":"application/json","schema":1},"accept":"application/json"}
{"method":"post","id":"form","path":"/form","request_body":{"media_type":"application/x-www-form-urlencoded","encoding":"form","schema":1},"accept":"application/json"}
{"method":"post","id":"query","path":"/query","request_body":{"media_type":"text/plain","encoding":"text","schema":2},"accept":"application/json"}
{"method":"post","id":"refresh","path":"/refresh","accept":"application/json"}

{"types":"object","rules":[{"properties":[{"name":"station","required":true,"schema":2},{"name":"unit","schema":3},{"name":"limit","schema":4},{"name":"period","schema":5},{"name":"password","schema":6},{"name":"filters","schema":7}]}]}
{"types":"string"}
{"types":"string","rules":[{"enum":["celsius","fahrenheit"]}]}
{"types":"integer","rules":[{"maximum":100.0}]}
{"types":"object","rules":[{"properties":[{"name":"from","schema":2},{"name":"at","schema":4}]},"closed"]}
{"types":"string","rules":[{"enum":["open sesame"]}]}
{"types":"array","rules":[{"items":5}]}"#,
);

fn load(source: &str) -> Result<Config, Vec<Problem>> {
    let text = format!("[[source]]\nname = \"a\"\n{source}\n");
    let variables = [(
        "WORD".to_owned(),
        "abcdefghijklmnopqrstuvwxyz0123456789".to_owned(),
    )];
    let environment = Environment::new(variables);
    let apis = [API.read().expect("it is an API")];
    let file = Some(PathBuf::from("a.toml"));
    read(&text, file, &Overrides::default(), environment, &apis)
}

#[track_caller]
fn check(source: &str, expected: &[&str]) {
    let found: Vec<String> = match load(source) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    };
    assert_eq!(found, expected, "{source}");
}

#[test]
fn a_body_that_fits_is_no_problem() {
    for source in [
        "operation = \"latest\"\nmethod = \"GET\"",
        "operation = \"search\"\nmethod = \"POST\"\nbody = { station = \"oslo\" }",
        "operation = \"search\"\nbody = { station = \"{now:unix}\", limit = 5, more = 1 }",
        "operation = \"search\"\nbody = '{\"station\": \"{today}\", \"limit\": 5}'",
        "operation = \"search\"\nbody = { station = \"a\", filters = [{ from = \"{today-1d}\" }] }",
        "operation = \"form\"\nbody = { station = \"oslo\", limit = \"5\" }",
        "operation = \"form\"",
        "operation = \"query\"\nbody = \"from(x) |> last()\"\ncontent_type = \"text/plain\"",
        "operation = \"refresh\"",
    ] {
        check(source, &[]);
    }
}

#[test]
fn each_problem_has_its_place_in_the_body() {
    for (source, expected) in [
        (
            "operation = \"search\"",
            "a.toml:3:13: search is a POST that needs a body: add body = { station = \"…\" }",
        ),
        (
            "operation = \"search\"\nbody = { limit = 5 }",
            "a.toml:4:8: `station` in the body of search: expected text, found nothing; add station = …",
        ),
        (
            "operation = \"search\"\nbody = { station = 5 }",
            "a.toml:4:20: `station` in the body of search: expected text, found the number 5; put it in quotes",
        ),
        (
            "operation = \"search\"\nbody.station = \"a\"\nbody.unit = \"celcius\"",
            "a.toml:5:13: `unit` in the body of search: expected one of \"celsius\", \"fahrenheit\", found the text \"celcius\"; did you mean \"celsius\"?",
        ),
        (
            "operation = \"search\"\nbody = { station = \"a\", limit = 500 }",
            "a.toml:4:33: `limit` in the body of search: expected an integer up to 100, found the number 500; change it",
        ),
        (
            "operation = \"search\"\nbody = { station = \"a\", filters = [{}, { form = \"x\" }] }",
            "a.toml:4:49: `filters/1/form` in the body of search: expected a field that the OpenAPI file names, found `form`; did you mean `from`?",
        ),
        (
            "operation = \"search\"\nbody = { station = \"a\", limit = \"{now+1d:%%}\" }",
            "a.toml:4:33: `limit` in the body of search: expected an integer up to 100, found the text \"{now+1d:%%}\", now \"%\"; change it",
        ),
        (
            "operation = \"search\"\nbody = '{\"station\": 5}'",
            "a.toml:4:8: `station` in the body of search: expected text, found 5; put it in quotes",
        ),
        (
            "operation = \"search\"\nbody = '{\"station\": 5'",
            "a.toml:4:8: the text of `body` is not JSON, as search needs it (line 1, column 13 of the text): correct it, or write a table",
        ),
        (
            "operation = \"form\"\nbody = \"station=oslo\"",
            "a.toml:4:8: `body` of form: expected a table, which is sent as application/x-www-form-urlencoded, found something else; write { name = value }",
        ),
        (
            "operation = \"query\"\nbody = { q = 1 }",
            "a.toml:4:8: `body` of query: expected a text, which is sent as text/plain, found a table; write it in quotes",
        ),
        (
            "operation = \"latest\"\nbody = { q = 1 }",
            "a.toml:4:8: latest is a GET, which has no body: remove `body`",
        ),
        (
            "operation = \"refresh\"\nbody = { q = 1 }",
            "a.toml:4:8: the OpenAPI file declares no body of refresh: remove `body`",
        ),
        (
            "operation = \"latest\"\nmethod = \"POST\"",
            "a.toml:4:10: the OpenAPI file says that latest is a GET: remove `method`",
        ),
        (
            "operation = \"query\"\nbody = \"x\"\ncontent_type = \"text/csv\"",
            "a.toml:5:16: the OpenAPI file says what query is sent as: remove `content_type`",
        ),
    ] {
        check(source, &[expected]);
    }
}

#[test]
fn no_problem_shows_a_secret() {
    for source in [
        "operation = \"search\"\nbody = { station = \"a\", password = \"tomato\" }",
        "operation = \"search\"\nbody = '{\"station\": \"a\", \"password\": \"tomato\"}'",
        "operation = \"search\"\nbody = { station = \"a\", unit = \"${WORD}\" }",
        "operation = \"search\"\nbody = '{\"station\": \"a\", \"unit\": \"${WORD}\"}'",
    ] {
        let Err(problems) = load(source) else {
            panic!("{source}");
        };
        let shown: Vec<String> = problems.iter().map(Problem::to_string).collect();
        let shown = shown.join("\n");
        assert!(shown.contains("in the body of search"), "{shown}");
        assert!(
            !shown.contains("tomato") && !shown.contains("abcdef"),
            "{shown}"
        );
    }
}

#[test]
fn a_field_that_is_nearly_known_is_remarked_upon() {
    let config = load("operation = \"search\"\nbody = { station = \"a\", limti = 5 }");
    let config = config.expect("it is valid");
    let shown: Vec<String> = config
        .remarks
        .iter()
        .map(|it| it.problem.to_string())
        .collect();
    assert!(
        shown.contains(
            &"a.toml:4:25: `limti` in the body of search: expected a field that the OpenAPI file \
              names, found `limti`; did you mean `limit`?"
                .to_owned()
        ),
        "{shown:?}"
    );
    let method = &config.sources[0].method;
    assert!(matches!(
        method,
        RequestMethod::Post(Some(ConfiguredBody::Json(_)))
    ));
}

#[test]
fn what_check_prints_can_be_read_again() {
    for source in [
        "operation = \"search\"\nbody = { station = \"{today}\", limit = 5, filters = [{}] }",
        "operation = \"search\"\nbody = '{\"station\": \"oslo\"}'",
        "operation = \"query\"\nbody = \"a\"",
        "operation = \"refresh\"",
    ] {
        let config = load(source).expect("it is valid");
        let printed = config.to_toml();
        let table = printed.split("[[source]]").nth(1).expect("a source");
        let table = table.replace("name = \"a\"\n", "");
        let again = load(&table).unwrap_or_else(|problems| panic!("{problems:?} in\n{table}"));
        assert_eq!(again.sources[0].method, config.sources[0].method);
    }
}
