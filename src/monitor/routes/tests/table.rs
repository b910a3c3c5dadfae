use super::*;

#[test]
fn every_target_names_a_route_or_an_error() {
    use TargetError::*;
    let unknown = |name: &str, known| {
        Err(UnknownParameter {
            name: name.to_owned(),
            known,
        })
    };
    type Expected<'a> = Result<(Route, &'a str), TargetError>;
    let rows: [(&str, Expected); 56] = [
        ("/", Ok((Route::Home, ""))),
        ("/?", Ok((Route::Home, ""))),
        ("/web/", Ok((Route::Home, ""))),
        ("/web", Ok((Route::Overview, ""))),
        ("/web?fragment=all", Ok((Route::Overview, ""))),
        ("/web/key/a", Ok((Route::Key, "a"))),
        ("/web/key/a%2Fb%20c?span=7d", Ok((Route::Key, "a/b c"))),
        ("/web/source/weather", Ok((Route::Source, "weather"))),
        ("/web/alerts", Ok((Route::Alerts, ""))),
        ("/web/about", Ok((Route::System, ""))),
        ("/web/system", Ok((Route::System, ""))),
        (
            "/web/group/Rooms%20upstairs",
            Ok((Route::Group, "Rooms upstairs")),
        ),
        ("/web/style/1.css", Ok((Route::Style, "1.css"))),
        ("/web/script/1.js", Ok((Route::Script, "1.js"))),
        ("/snapshot", Ok((Route::Snapshot, ""))),
        ("/%73napshot", Ok((Route::Snapshot, ""))),
        ("/snapshot?keys=a,b&format=text", Ok((Route::Snapshot, ""))),
        (
            "/snapshot/current.temp",
            Ok((Route::SnapshotKey, "current.temp")),
        ),
        ("/snapshot/%C3%A4", Ok((Route::SnapshotKey, "ä"))),
        ("/snapshot/a+b", Ok((Route::SnapshotKey, "a+b"))),
        ("/status", Ok((Route::Status, ""))),
        ("/healthz", Ok((Route::Healthz, ""))),
        ("/metrics", Ok((Route::Metrics, ""))),
        ("/history?key=a", Ok((Route::History, ""))),
        ("/events", Ok((Route::Events, ""))),
        ("/openapi.json", Ok((Route::OpenApi, ""))),
        ("/robots.txt", Ok((Route::Robots, ""))),
        ("/favicon.svg?state=warn", Ok((Route::Favicon, ""))),
        ("/wall?theme=dark", Ok((Route::Wall, ""))),
        ("/wall/kitchen", Ok((Route::Wall, "kitchen"))),
        ("/manifest.webmanifest", Ok((Route::Manifest, ""))),
        ("/web/icon/192.png", Ok((Route::Icon, "192.png"))),
        ("/api/setup", Ok((Route::DeviceSetup, ""))),
        ("/api/display", Ok((Route::DeviceDisplay, ""))),
        ("/api/log", Ok((Route::DeviceLog, ""))),
        ("/snapshot/", Err(NotFound)),
        ("/snapshot/a/b", Err(NotFound)),
        ("//snapshot", Err(NotFound)),
        ("/Snapshot", Err(NotFound)),
        ("/web/../snapshot", Err(NotFound)),
        ("/snapshot/{key}", Ok((Route::SnapshotKey, "{key}"))),
        ("/web/key/", Err(NotFound)),
        ("/web/key", Err(NotFound)),
        ("", Err(NotFound)),
        ("*", Err(NotFound)),
        ("/{key}", Err(NotFound)),
        ("/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", Err(NotFound)),
        ("/snapshot/%", Err(BadEscape)),
        ("/snapshot/%f", Err(BadEscape)),
        ("/snapshot/%ff", Err(BadEscape)),
        ("/snapshot/%+1", Err(BadEscape)),
        ("/snapshot?keys=%zz", Err(BadEscape)),
        ("/status?verbose=1", unknown("verbose", &[])),
        ("/snapshot?keys=a&keys=b", Err(GivenTwice("keys"))),
        ("/history?key=a&key=b", Ok((Route::History, ""))),
        ("/history?key=a&to=-1h&to=-1h", Err(GivenTwice("to"))),
    ];
    for (target, expected) in rows {
        let read = RequestTarget::read(target);
        let found = read
            .as_ref()
            .map(|target| (target.row.route, target.path_parameter.as_str()));
        assert_eq!(found.map_err(Clone::clone), expected, "{target}");
    }
}

#[test]
fn every_route_is_in_the_table_and_has_a_name() {
    for row in &TABLE {
        let example = row
            .template
            .replace("{key}", "x")
            .replace("{name}", "x")
            .replace("{file}", "x");
        assert_eq!(
            RequestTarget::read(&example).map(|target| target.row.route),
            Ok(row.route)
        );
        assert_eq!(route_name(&format!("{example}?nonsense")), row.name);
        assert_eq!(
            allowed_methods(&format!("{example}?nonsense")),
            Ok(row.methods)
        );
    }
    assert_eq!(route_name("/nowhere"), UNKNOWN);
    assert_eq!(allowed_methods("/nowhere"), Err(TargetError::NotFound));
    assert_eq!(allowed_methods("*"), Ok(READ));
}

#[test]
fn lists_are_split_at_literal_commas() {
    let is_member = |member: &str| member == "x,y";
    for (query, expected) in [
        ("keys=a,b", vec!["a", "b"]),
        ("keys=a%2Cb", vec!["a", "b"]),
        ("keys=x%2Cy,b", vec!["x,y", "b"]),
        ("keys=a+b", vec!["a b"]),
        ("keys=", vec![""]),
    ] {
        let target = RequestTarget::read(&format!("/snapshot?{query}")).expect("a fine target");
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(target.list("keys", is_member), Some(expected), "{query}");
    }
}

#[test]
fn encoding_is_undone_by_decoding() {
    for text in ["plain", "a/b c+d%e&f=g,h", "°C ä \u{1F600}", "\"<>'"] {
        assert_eq!(
            percent_decode(&percent::encode(text), false).as_deref(),
            Some(text)
        );
        assert_eq!(
            percent_decode(&percent::encode(text), true).as_deref(),
            Some(text)
        );
    }
}

#[test]
fn only_healthz_is_public() {
    for (target, expected) in [
        ("/healthz", true),
        ("/healthz?x", true),
        ("/healthz/", false),
        ("/%68ealthz", false),
        ("/", false),
        ("/events", false),
        ("/openapi.json", false),
        ("/nowhere", false),
    ] {
        assert_eq!(has_access(target, Access::Public), expected, "{target}");
    }
}
