use std::sync::LazyLock;

use super::*;
use crate::compact::CompactApi;
use crate::schema::Types;

static API: CompactApi = CompactApi::plain(
    r#"
{"name":"weather","title":"","version":"","source_file":""}
{"id":"getForecast","path":"/v1/{place}","servers":[{"url":"https://{region}.example.net/base/","variables":[{"name":"region","default":"eu"}]}],"parameters":[{"argument":"place","location":"path","required":true,"schema":1},{"argument":"latitude","required":true,"schema":2},{"argument":"unit","required":true,"schema":3},{"argument":"units","schema":4},{"argument":"days","schema":5},{"argument":"filter","schema":6},{"argument":"either","schema":7},{"argument":"X-Trace","location":"header","schema":1},{"argument":"api_key","required":true,"filled_by_security":true,"schema":1}],"responses":[{"status":"200","media_type":"","schema":2},{"status":"2XX","media_type":"","schema":5},{"status":"default","media_type":"","schema":3}]}

{"types":"string"}
{"types":"number","rules":[{"minimum":-90.0},{"maximum":90.0}]}
{"types":"string","rules":[{"enum":["celsius","fahrenheit"]},{"default":"\"celsius\""}]}
{"types":"array","rules":[{"items":3}]}
{"types":"integer","rules":[{"minimum":0.0},{"maximum":16.0}]}
{"types":"object","rules":[{"properties":[{"name":"days","schema":5}]}]}
{"rules":[{"variants":[5,4]}]}"#,
);

static OPERATION: LazyLock<&Operation> =
    LazyLock::new(|| &API.read().expect("it is an API").operations[0]);

fn text(it: &str) -> Argument {
    Argument::Text(it.to_owned())
}

#[track_caller]
fn check(more: &[(&str, Argument)], expected: &[&str]) {
    let mut arguments = vec![
        ("place".to_owned(), text("berlin")),
        ("latitude".to_owned(), Argument::Number(52.5)),
    ];
    for (name, argument) in more {
        arguments.retain(|(old, _)| old != name);
        arguments.push(((*name).to_owned(), argument.clone()));
    }
    let found: Vec<String> = check_arguments(&OPERATION, &arguments)
        .iter()
        .map(|it| it.to_string())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn arguments_that_fit_are_no_problem() {
    check(&[], &[]);
    check(
        &[
            ("latitude", Argument::Integer(52)),
            ("unit", text("fahrenheit")),
        ],
        &[],
    );
    check(
        &[("latitude", text("52.5")), ("days", Argument::Number(3.0))],
        &[],
    );
    check(&[("units", Argument::List(vec![text("celsius")]))], &[]);
    check(
        &[("units", text("celsius")), ("either", Argument::Integer(4))],
        &[],
    );
    check(&[("either", Argument::List(vec![text("celsius")]))], &[]);
    check(&[("api_key", text("k"))], &[]);
}

#[test]
fn each_problem_says_what_to_change() {
    check(
        &[("latitud", Argument::Integer(1))],
        &["getForecast has no parameter `latitud`; did you mean `latitude`?"],
    );
    check(
        &[("colour", Argument::Integer(1))],
        &[
            "getForecast has no parameter `colour`; it has: place, latitude, unit, units, days, \
           filter, either, X-Trace, …",
        ],
    );
    check(
        &[("latitude", Argument::Number(95.5))],
        &[
            "`latitude` of getForecast: expected a number from -90 to 90, found 95.5; change it in `params`",
        ],
    );
    check(
        &[("latitude", text("north"))],
        &[
            "`latitude` of getForecast: expected a number from -90 to 90, found \"north\"; change it in `params`",
        ],
    );
    check(
        &[("latitude", Argument::Number(f64::NAN))],
        &[
            "`latitude` of getForecast: expected a number from -90 to 90, found NaN; change it in `params`",
        ],
    );
    check(
        &[(
            "units",
            Argument::List(vec![text("celsius"), text("celcius")]),
        )],
        &[
            "`units` of getForecast: expected one of \"celsius\", \"fahrenheit\", found \"celcius\"; did you mean \"celsius\"?",
        ],
    );
    check(
        &[("place", Argument::Integer(7))],
        &["`place` of getForecast: expected text, found 7; put it in quotes: \"7\""],
    );
    check(
        &[("days", Argument::Number(2.5))],
        &[
            "`days` of getForecast: expected an integer from 0 to 16, found 2.5; change it in `params`",
        ],
    );
    check(
        &[(
            "filter",
            Argument::Object(vec![("days".to_owned(), Argument::Integer(99))]),
        )],
        &[
            "`filter` of getForecast: expected an integer from 0 to 16, found 99; change it in `params`",
        ],
    );
    check(
        &[("days", Argument::List(vec![Argument::Integer(1)]))],
        &[
            "`days` of getForecast: expected an integer from 0 to 16, found a list of 1; change it in `params`",
        ],
    );
}

#[test]
fn what_would_change_the_request_is_refused() {
    check(
        &[("place", text(""))],
        &[
            "`place` of getForecast may not be empty: it is a part of the path; change it in `params`",
        ],
    );
    check(
        &[("place", text(".."))],
        &[
            "`place` of getForecast may not be `.` or `..`: it is a part of the path; change it in `params`",
        ],
    );
    check(
        &[("X-Trace", text("a\r\nEvil: 1"))],
        &[
            "`X-Trace` of getForecast holds a line break or another control character, which no header can carry; change it in `params`",
        ],
    );
}

#[test]
fn what_is_missing_is_asked_for_unless_it_has_a_default_or_a_credential() {
    let found = check_arguments(&OPERATION, &[]);
    let names: Vec<_> = found
        .iter()
        .filter_map(|it| it.argument.as_deref())
        .collect();
    assert_eq!(names, ["place", "latitude"]);
    assert_eq!(
        found[1].message,
        "getForecast needs `latitude` (a number from -90 to 90) and `params` does not give it; add latitude = …"
    );
}

#[test]
fn the_configured_address_wins() {
    let base = |it| OPERATION.base_url(it);
    assert_eq!(base(None).as_deref(), Ok("https://eu.example.net/base"));
    assert_eq!(
        base(Some("http://pi:8080")).as_deref(),
        Ok("http://pi:8080/base")
    );
    assert_eq!(
        base(Some("http://pi:8080/")).as_deref(),
        Ok("http://pi:8080")
    );
    assert_eq!(base(Some("http://pi/x/")).as_deref(), Ok("http://pi/x"));
    assert!(base(Some("pi:8080")).is_err());
}

#[test]
fn the_nearest_declared_status_has_the_schema() {
    let types = |status| OPERATION.schema_for(status).map(|it| it.types);
    assert_eq!(types(200), Some(Types::NUMBER));
    assert_eq!(types(203), Some(Types::INTEGER));
    assert_eq!(types(500), Some(Types::TEXT));
}
