use super::*;
use crate::schema::{Link, Literal, Property, Rule, Types, leaf};

static LATITUDE: Schema = Schema {
    types: Types::NUMBER,
    rules: &[Rule::Minimum(-90.0), Rule::Maximum(90.0)],
};
static UNIT: Schema = Schema {
    types: Types::TEXT,
    rules: &[
        Rule::Enum(&[Literal::Text("celsius"), Literal::Text("fahrenheit")]),
        Rule::Default("\"celsius\""),
    ],
};
static UNITS: Schema = Schema {
    types: Types::LIST,
    rules: &[Rule::Items(Link::Static(&UNIT))],
};
static DAYS: Schema = Schema {
    types: Types::INTEGER,
    rules: &[Rule::Minimum(0.0), Rule::Maximum(16.0)],
};
static FILTER: Schema = Schema {
    types: Types::OBJECT,
    rules: &[Rule::Properties(&[Property {
        name: "days",
        required: false,
        schema: Link::Static(&DAYS),
    }])],
};
static EITHER: Schema = Schema {
    types: Types::ANY,
    rules: &[Rule::Variants(&[Link::Static(&DAYS), Link::Static(&UNITS)])],
};

const fn parameter(
    name: &'static str,
    location: Location,
    required: bool,
    schema: &'static Schema,
) -> Parameter {
    Parameter {
        argument: name,
        name,
        location,
        required,
        filled_by_security: false,
        style: Style::Form,
        explode: true,
        reserved: false,
        schema,
        description: "",
        example: "",
    }
}

static OPERATION: Operation = Operation {
    api: "weather",
    id: "getForecast",
    summary: "",
    description: "",
    path: "/v1/{place}",
    servers: &[Server {
        url: "https://{region}.example.net/base/",
        description: "",
        variables: &[Variable {
            name: "region",
            default: "eu",
            values: &[],
        }],
    }],
    parameters: &[
        parameter("place", Location::Path, true, &leaf::TEXT),
        parameter("latitude", Location::Query, true, &LATITUDE),
        parameter("unit", Location::Query, true, &UNIT),
        parameter("units", Location::Query, false, &UNITS),
        parameter("days", Location::Query, false, &DAYS),
        parameter("filter", Location::Query, false, &FILTER),
        parameter("either", Location::Query, false, &EITHER),
        parameter("X-Trace", Location::Header, false, &leaf::TEXT),
        Parameter {
            filled_by_security: true,
            ..parameter("api_key", Location::Query, true, &leaf::TEXT)
        },
    ],
    security: &[],
    accept: "application/json",
    response: Link::Static(&leaf::ANY),
    answers: &[
        Answer {
            status: "200",
            media_type: "application/json",
            schema: Link::Static(&LATITUDE),
        },
        Answer {
            status: "2XX",
            media_type: "application/json",
            schema: Link::Static(&DAYS),
        },
        Answer {
            status: "default",
            media_type: "application/json",
            schema: Link::Static(&UNIT),
        },
    ],
    deprecated: false,
};

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
    assert!(std::ptr::eq(OPERATION.schema_for(200).unwrap(), &LATITUDE));
    assert!(std::ptr::eq(OPERATION.schema_for(203).unwrap(), &DAYS));
    assert!(std::ptr::eq(OPERATION.schema_for(500).unwrap(), &UNIT));
}
