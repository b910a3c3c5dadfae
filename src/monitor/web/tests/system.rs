use crate::domain::failure::Cause;
use crate::monitor::http::handler::Handler as _;
use crate::monitor::support::{self as testing, body, golden, request};

#[test]
fn shows_sources_displays_storage_and_the_node() {
    let monitor = testing::healthy()
        .failing("weather", Cause::Dns, 1_380)
        .app();
    let display = [("user-agent", "matrix/1"), ("x-display-name", "Kitchen")];
    testing::from_memory(&monitor, &request("/snapshot", &display)).expect("it is in memory");
    let mut all = String::new();
    // The machine's part differs from machine to machine.
    for part in ["sources", "displays", "storage", "node", "links"] {
        let response = monitor.render(&request(&format!("/web/system?fragment={part}"), &[]));
        all += body(&response);
    }
    golden("system.html", &all);
    // The page's name in 0.1.
    for path in ["/web/system", "/web/about"] {
        let whole = monitor.render(&request(path, &[]));
        assert!(body(&whole).contains("Memory used by main-node"), "{path}");
    }
}

#[test]
fn storage_that_is_not_kept_and_backups_that_fail_are_told() {
    let page = page_of(
        testing::healthy()
            .volatile_storage("the database is in memory")
            .backup_failing("the stick is absent"),
    );
    for text in [
        "<dt>Not kept</dt><dd>the database is in memory</dd>",
        "in /mnt/usb: the newest is of 2025-10-30 19:00:00 +01<br>the stick is absent",
        "Backups are not made",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[test]
fn outputs_are_listed_with_their_state() {
    let healthy = page_of(testing::healthy());
    assert!(!healthy.contains("Outputs"), "{healthy}");
    let text = page_of(testing::healthy().output_failing("mqtt", "connection refused", 300));
    for words in [
        "Outputs",
        "mqtt://broker.lan:1883",
        "connection refused, for 5 min",
        "The output mqtt has delivered nothing to mqtt://broker.lan:1883</a> for 5 min: connection refused.",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
    let short = page_of(testing::healthy().output_failing("mqtt", "connection refused", 30));
    assert!(!short.contains("has delivered nothing"), "{short}");
}

fn page_of(fixture: testing::NodeFixture) -> String {
    let response = fixture.app().render(&request("/web/system", &[]));
    body(&response).to_owned()
}
