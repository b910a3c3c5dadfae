use super::*;
use crate::monitor::http::handler::Handler as _;
use crate::monitor::http::handler::Response;
use crate::monitor::support::{self as testing, NOW_MS, body, header, request};
use crate::sys::budget::Budget;

#[test]
fn instants_are_parsed_in_both_formats() {
    let now = Wall(NOW_MS);
    for (text, expected) in [
        ("2025-10-30T20:00:00Z", Some(NOW_MS)),
        ("2025-10-30t20:00:00.250z", Some(NOW_MS + 250)),
        ("2025-10-30T21:00:00+01:00", Some(NOW_MS)),
        ("2025-10-30T21:00:00 01:00", Some(NOW_MS)),
        ("-24h", Some(NOW_MS - 86_400_000)),
        ("-1h30m", Some(NOW_MS - 5_400_000)),
        ("-99999999d", Some(NOW_MS - 99_999_999 * 86_400_000)),
        ("+24h", Some(NOW_MS + 86_400_000)),
        (" 30m", Some(NOW_MS + 1_800_000)),
        ("24h", None),
        ("-", None),
        ("-0s", None),
        ("2025-10-30", None),
        ("2025-10-30T20:00:00", None),
        ("2025-10-30T20:00:00Zjunk", None),
        ("1761854400", Some(NOW_MS)),
        ("1761854400250", Some(NOW_MS + 250)),
        ("176185440", None),
        ("17618544000", None),
        ("1761854400.25", None),
        ("", None),
        ("yesterday", None),
    ] {
        assert_eq!(parse_instant(text, now), expected.map(Wall), "{text:?}");
    }
}

#[test]
fn a_wrong_query_gets_an_error_that_names_the_right_form() {
    let monitor = testing::healthy().app();
    for (query, status, detail) in [
        (
            "",
            400,
            "`key` is missing. Example: /history?key=temperature.",
        ),
        (
            "?key=",
            400,
            "`key` is missing. Example: /history?key=temperature.",
        ),
        (
            "?key=temperature&from=noon",
            400,
            "`from` is \"noon\"; expected a time such as 2025-10-30T20:00:00Z, a span from now on such as -24h or %2B24h, or seconds or milliseconds since 1970.",
        ),
        (
            "?key=temperature&from=-1h&to=-2h",
            404,
            "`from` (2025-10-30T19:00:00Z) must be before `to` (2025-10-30T18:00:00Z).",
        ),
        (
            "?key=temperature&points=0",
            400,
            "`points` is \"0\"; expected a whole number from 1 to 2000.",
        ),
        (
            "?key=temperature&points=2001",
            400,
            "`points` is \"2001\"; expected a whole number from 1 to 2000.",
        ),
        (
            "?key=temperature&format=xml",
            400,
            "`format` is \"xml\"; expected json or csv.",
        ),
        (
            "?key=temperature&key=power&key=temperature",
            400,
            "`key` is \"temperature\" twice; give each key once.",
        ),
        (
            "?key=attic&key=temperature&key=cellar",
            404,
            "There are no records \"attic\", \"cellar\".",
        ),
        (
            "?key=temperature&key=temperatur",
            404,
            "There is no record \"temperatur\". Did you mean \"temperature\"?",
        ),
        (
            "?key=temperatur&from=-1m",
            404,
            "There is no record \"temperatur\". Did you mean \"temperature\"?",
        ),
    ] {
        let response = monitor.render(&request(&format!("/history{query}"), &[]));
        let problem: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        assert_eq!(problem["detail"], detail, "{query}");
        assert_eq!(response.status, status);
    }
}

#[test]
fn history_is_written_as_json_and_csv() {
    let monitor = testing::healthy().app();
    let response = monitor.render(&request(
        "/history?key=temperature&from=-90m&points=10",
        &[],
    ));
    assert_eq!(
        body(&response),
        concat!(
            r#"{"key":"temperature","unit":"°C","from":"2025-10-30T18:30:00Z","to":"2025-10-30T20:00:00Z","buckets":["#,
            r#"{"from":"2025-10-30T18:30:00Z","duration_s":1800,"count":2,"min":10.9385325411,"mean":11.9385325411,"max":13.4385325411,"last":11.9385325411},"#,
            r#"{"from":"2025-10-30T19:00:00Z","duration_s":1800,"count":2,"min":11.9294476392,"mean":12.9294476392,"max":14.4294476392,"last":12.9294476392},"#,
            r#"{"from":"2025-10-30T19:30:00Z","duration_s":1800,"count":2,"min":12.9557904622,"mean":13.9557904622,"max":15.4557904622,"last":13.9557904622}]}"#
        )
    );
    let response = monitor.render(&request(
        "/history?key=temperature&from=-30m&format=csv",
        &[],
    ));
    assert_eq!(
        header(&response, "Content-Type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    let mut lines = body(&response).split("\r\n");
    assert_eq!(
        lines.next(),
        Some("from,duration_s,count,min,mean,max,last")
    );
    assert!(
        lines
            .next()
            .is_some_and(|line| line.starts_with("2025-10-30T19:30:00Z,1800,2,"))
    );
    assert_eq!((lines.next(), lines.next()), (Some(""), None));
}

#[test]
fn several_keys_are_a_list_of_what_each_has_alone() {
    let fixture = testing::healthy();
    let monitor = fixture.app();
    let render = |target: &str| {
        let response = monitor.render(&request(target, &[]));
        assert_eq!(response.status, 200, "{target}");
        body(&response).to_owned()
    };
    let span = "from=1761849000000&to=1761854400&points=10";
    let alone = ["temperature", "voltage"].map(|key| {
        let body = render(&format!("/history?key={key}&{span}"));
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["from"], "2025-10-30T18:30:00Z");
        assert_eq!(body["to"], "2025-10-30T20:00:00Z");
        body
    });
    let both = render(&format!("/history?key=temperature&key=voltage&{span}"));
    let both: serde_json::Value = serde_json::from_str(&both).expect("JSON");
    let series = |of: &serde_json::Value| serde_json::json!({"key": of["key"], "unit": of["unit"], "buckets": of["buckets"]});
    assert_eq!(
        both,
        serde_json::json!({
            "from": "2025-10-30T18:30:00Z",
            "to": "2025-10-30T20:00:00Z",
            "series": [series(&alone[0]), series(&alone[1])],
        })
    );
    let csv = render(&format!(
        "/history?key=power&key=temperature&{span}&format=csv"
    ));
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "key,from,duration_s,count,min,mean,max,last");
    let heads: Vec<&str> = lines[1..]
        .iter()
        .filter_map(|line| line.split(":00Z").next())
        .collect();
    assert_eq!(
        heads,
        [
            "power,2025-10-30T18:30",
            "temperature,2025-10-30T18:30",
            "power,2025-10-30T19:00",
            "temperature,2025-10-30T19:00",
            "power,2025-10-30T19:30",
            "temperature,2025-10-30T19:30",
        ]
    );
    // As many keys as there may be, each with the default of points.
    let keys = |count: usize| -> String {
        let keys = (0..count).map(|number| format!("key=key.{number}&"));
        keys.collect()
    };
    for (count, status) in [(limits::HISTORY_KEYS, 404), (limits::HISTORY_KEYS + 1, 400)] {
        let target = format!(
            "/history?{}from=-1h&to=-1m&points=500&format=csv",
            keys(count)
        );
        let response = monitor.render(&request(&target, &[]));
        assert_eq!(response.status, status, "{}", body(&response));
    }
}

#[test]
fn each_of_several_keys_may_read_equal_detail() {
    // As many as there may be, over a day and over years.
    for (hours, least) in [(24, 22_000), (100_000, 15_000)] {
        let keys: Vec<String> = (0..limits::HISTORY_KEYS)
            .map(|n| format!("key=k{n}"))
            .collect();
        let target = format!("/history?{}&from=-{hours}h&points=2000", keys.join("&"));
        let target = RequestTarget::read(&target).expect("a fine target");
        let request = parse_request(&target, Wall(NOW_MS)).expect("a fine request");
        let points = request.queries.iter().map(|query| query.points);
        assert_eq!(points.sum::<usize>(), limits::HISTORY_TOTAL_POINTS);
        let rows = target.row_limits().expect("it reads the database").rows;
        let budget = Budget::new(rows, std::time::Duration::from_secs(3_600));
        for query in &request.queries {
            budget.limit_to_part(limits::HISTORY_KEYS as u64, request.coarse_rows());
            assert!(budget.rows_for_detail() >= least, "{}", query.key);
            let all = budget.rows_for_detail() + request.coarse_rows();
            assert_eq!(budget.spend(all), Ok(()), "{}", query.key);
        }
    }
}

#[test]
fn a_key_that_a_spreadsheet_could_run_is_a_text_in_csv() {
    let mut fixture = testing::healthy();
    fixture.stored.push("=1+1");
    let monitor = fixture.app();
    let response = monitor.render(&request(
        "/history?key=%3D1%2B1&key=temperature&from=-30m&format=csv",
        &[],
    ));
    let line = body(&response).lines().nth(1);
    assert!(line.is_some_and(|line| line.starts_with("'=1+1,2025-10-30T19:30:00Z,")));
}

#[test]
fn an_unknown_key_is_404_and_new_or_forgotten_keys_have_their_history() {
    let mut young = testing::healthy();
    young.stored = Vec::new();
    let mut forgotten = testing::healthy();
    forgotten.snapshot.records.clear();
    forgotten.stored = vec!["attic", "cellar"];
    let empty = |key: &str| {
        format!(
            r#"{{"key":"{key}","unit":null,"from":"2025-10-29T20:00:00Z","to":"2025-10-30T20:00:00Z","buckets":[]}}"#
        )
    };
    let csv = "from,duration_s,count,min,mean,max,last\r\n";
    let lines = |response: &Response| body(response).lines().count();
    for (fixture, key, status, rows) in [
        (&young, "power", 200, 0),
        // Named by the configuration, and without a reading.
        (&young, "voltage", 200, 0),
        (&young, "attic", 404, 0),
        (&young, "voltag", 404, 0),
        (&forgotten, "attic", 200, 44),
        (&forgotten, "sky", 200, 0),
        (&forgotten, "roof", 404, 0),
    ] {
        let monitor = fixture.clone().app();
        let render = |target: &str| monitor.render(&request(target, &[]));
        let json = render(&format!("/history?key={key}"));
        let table = render(&format!("/history?key={key}&format=csv"));
        let page = render(&format!("/web/key/{key}"));
        assert_eq!(
            [json.status, table.status, page.status],
            [status; 3],
            "{key}"
        );
        if status == 404 {
            assert_eq!(json.body, table.body);
            assert_eq!(json.body, page.body);
            let named = format!("There is no record \\\"{key}\\\".");
            assert!(body(&json).contains(&named), "{}", body(&json));
            continue;
        }
        assert_eq!(lines(&table), rows + 1, "{key}");
        let has_stored_unit = body(&json).contains(r#""unit":"lx""#);
        assert_eq!(has_stored_unit, key == "attic", "{}", body(&json));
        let has_chart = body(&page).contains("<figure class=\"chart\"");
        assert_eq!(has_chart, rows > 0, "{key}");
        let is_young = body(&page).contains("No history yet.");
        assert_eq!(is_young, rows == 0, "{key}");
        if rows == 0 {
            assert_eq!(body(&json).replace("\"W\"", "null"), empty(key));
            assert_eq!(body(&table), csv);
        }
    }
    let monitor = young.app();
    let response = monitor.render(&request("/history?key=voltag", &[]));
    assert!(body(&response).contains("Did you mean \\\"voltage\\\"?"));
    let page = forgotten.app();
    let page = page.render(&request("/web/key/attic", &[]));
    assert!(body(&page).contains("No source provides this key. Its history is kept."));
}

#[test]
fn unreadable_history_is_503_without_details() {
    let mut fixture = testing::healthy();
    fixture.history = Err("cannot open /var/lib/x: disk I/O error".to_owned());
    let response = fixture
        .app()
        .render(&request("/history?key=temperature", &[]));
    assert_eq!(response.status, 503);
    assert!(header(&response, "Retry-After").is_some());
    assert!(!body(&response).contains("/var/lib"));
    // Without the database it is unknown whether there is history of an unknown key.
    let mut fixture = testing::healthy();
    fixture.history = Err("locked".to_owned());
    let monitor = fixture.app();
    for (key, status) in [("temperature", 200), ("attic", 503)] {
        let page = monitor.render(&request(&format!("/web/key/{key}"), &[]));
        assert_eq!(page.status, status, "{key}");
    }
}

#[test]
fn a_forecast_follows_what_was_observed_only_where_the_span_is_ahead() {
    let mut fixture = testing::healthy();
    let hour = std::time::Duration::from_secs(3_600);
    fixture.forecast = vec![Bucket {
        from: Wall(NOW_MS).after(hour),
        seconds: 3_600,
        count: 1,
        min: 9.5,
        mean: 9.5,
        max: 9.5,
        last: 9.5,
    }];
    let monitor = fixture.app();
    let buckets = |span: &str| {
        let target = format!("/history?key=temperature&from=-30m{span}");
        let response = monitor.render(&request(&target, &[]));
        let found: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        found["buckets"].clone()
    };
    let observed = buckets("");
    assert_eq!(observed.as_array().map(Vec::len), Some(1));
    assert_eq!(observed[0].get("forecast"), None);
    assert_eq!(buckets("&to=%2B30m"), observed, "before it begins");
    let both = buckets("&to=%2B24h");
    assert_eq!(both[0], observed[0]);
    let ahead = r#"{"from":"2025-10-30T21:00:00Z","duration_s":3600,"count":1,"min":9.5,"mean":9.5,"max":9.5,"last":9.5,"forecast":true}"#;
    assert_eq!(
        both[1],
        serde_json::from_str::<serde_json::Value>(ahead).expect("JSON")
    );
    let csv = monitor.render(&request(
        "/history?key=temperature&from=-30m&to=%2B2h&format=csv",
        &[],
    ));
    let lines: Vec<&str> = body(&csv).lines().collect();
    assert_eq!(lines[0], "from,duration_s,count,min,mean,max,last,forecast");
    assert!(lines[1].ends_with(",0"), "{}", lines[1]);
    assert_eq!(lines[2], "2025-10-30T21:00:00Z,3600,1,9.5,9.5,9.5,9.5,1");
    let page = monitor.render(&request("/web/key/temperature", &[]));
    assert!(body(&page).contains("class=\"line forecast s1\""));
    assert!(body(&page).contains("; forecast from 9.5 to 9.5\u{a0}°C"));
}
