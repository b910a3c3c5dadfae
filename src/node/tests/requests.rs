//! Requests of configured sources at a given time: URL, headers and body, in the zone of the source.

use std::path::PathBuf;

use super::*;
use crate::api::outgoing_request::OutgoingRequest;
use crate::config::environment::Environment;
use crate::config::{Overrides, load};

/// What the sources of a configuration that have date placeholders request at
/// 2026-11-28T23:30:05.250Z.
fn outgoing(text: &str) -> Vec<(String, OutgoingRequest)> {
    let directory = crate::golden::scratch("requests");
    let file: PathBuf = directory.join("main-node.toml");
    std::fs::write(&file, text).expect("a file can be written");
    let overrides = Overrides {
        file: Some(file),
        ..Overrides::default()
    };
    let environment = Environment::new(std::iter::empty());
    let config = load(&overrides, environment, &crate::api::client::APIS).expect("it is valid");
    let _ = std::fs::remove_dir_all(&directory);
    let filled = config.sources.iter().filter_map(|source| {
        let request = request(&config, source).expect("a request");
        let filled = request.fill(Wall(1_795_908_605_250))?;
        let filled = filled.expect("it can be filled");
        Some((source.plan.name.to_string(), filled.outgoing))
    });
    filled.collect()
}

fn requests(text: &str) -> Vec<String> {
    let outgoing = outgoing(text).into_iter();
    let lines = outgoing.map(|(name, outgoing)| {
        let exchange = outgoing.exchange();
        format!("{name}: {} {}", exchange.request, exchange.request_body)
    });
    lines.collect()
}

#[test]
fn a_token_goes_where_auth_says() {
    let place = |auth: &str| {
        let url = format!(
            "[[source]]\nname = \"url\"\nurl = \"http://a.local/x?day={{today}}\"\nauth = {auth}\n"
        );
        let operation = format!(
            "[[source]]\nname = \"operation\"\noperation = \"getForecast\"\nprefix = \"o.\"\n\
             params = {{ latitude = 1, longitude = 2, forecast_days = \"{{now:%u}}\" }}\nauth = {auth}\n"
        );
        let outgoing = outgoing(&format!("{url}{operation}"));
        let places = outgoing.into_iter().map(|(_, outgoing)| {
            let headers = outgoing.headers.iter();
            let header = headers
                .filter(|(name, _)| *name != ureq::http::header::ACCEPT)
                .map(|(name, value)| format!("{name}: {}", value.to_str().expect("it is ASCII")));
            let query = outgoing.uri.query().unwrap_or_default().split('&');
            let param = query.filter(|it| it.contains("k3y")).map(str::to_owned);
            header.chain(param).collect::<Vec<_>>().join("; ")
        });
        places.collect::<Vec<_>>()
    };
    for (auth, expected) in [
        (r#"{ token = "k3y" }"#, "authorization: Bearer k3y"),
        (
            r#"{ token = "k3y", header = "X-Key: {token}" }"#,
            "x-key: k3y",
        ),
        (
            r#"{ token = "k3y", header = "Authorization: Token token={token}" }"#,
            "authorization: Token token=k3y",
        ),
        // No placeholder of dates in a token, and no braces of ours in a header.
        (
            r#"{ token = "k3y{today}", header = "X: {now} {token}" }"#,
            "x: {now} k3y{today}",
        ),
        (r#"{ token = "k3y", param = "api_key" }"#, "api_key=k3y"),
        (
            r#"{ token = "k3y/+&", param = "a[b]" }"#,
            "a%5Bb%5D=k3y%2F%2B%26",
        ),
        (
            r#"{ user = "me", password = "pw" }"#,
            "authorization: Basic bWU6cHc=",
        ),
        (
            r#"{ user = "me", password = "pw", scheme = "basic" }"#,
            "authorization: Basic bWU6cHc=",
        ),
        (r#"{ user = "me", password = "pw", scheme = "digest" }"#, ""),
    ] {
        assert_eq!(place(auth), [expected, expected], "{auth}");
    }
}

#[test]
fn placeholders_are_filled_in_the_zone_of_the_source_or_of_the_node() {
    let text = r##"
timezone = "Europe/Berlin"
[[source]]
name = "without"
url = "http://a.local/{id}?day={date}"
body = { query = "{ today { total } }" }
[[source]]
name = "query"
url = "http://a.local/v1/{today:%Y/%m/%d}/x?at={now}#{today}"
params = { from = "{now-1h:%H:%M}", list = ["{today}", "a b"] }
[[source]]
name = "zone"
url = "http://b.local/{today}/{now:%Y %m&#?}"
observed_zone = "America/New_York"
prefix = "z."
[[source]]
name = "header"
url = "http://c.local/"
headers = { X-Date = "{today}" }
auth = { token = "{today}" }
prefix = "h."
[[source]]
name = "body"
url = "http://d.local/"
body = { at = "{now:unix_ms}", text = "{now:%s%3f}", day = "{today+1d}" }
prefix = "b."
[[source]]
name = "operation"
operation = "getForecast"
params = { latitude = 52.5, longitude = 13.4, forecast_days = "{now:%u}", timezone = "{today:unix}" }
prefix = "o."
"##;
    assert_eq!(
        requests(text),
        [
            "query: GET http://a.local/v1/2026/11/29/x?at=2026-11-29T00:30:05%2B01:00&\
             from=23%3A30&list=2026-11-29,a%20b ",
            "zone: GET http://b.local/2026-11-28/2026%2011%26%23%3F ",
            "header: GET http://c.local/ ",
            "body: POST http://d.local/ \
             {\"at\":1795908605250,\"text\":\"1795908605250\",\"day\":\"2026-11-30\"}",
            "operation: GET https://api.open-meteo.com/v1/forecast?latitude=52.5&longitude=13.4&\
             timezone=1795906800&forecast_days=7 ",
        ]
    );
}
