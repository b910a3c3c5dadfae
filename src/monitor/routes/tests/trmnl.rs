use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::domain::plan::{Panel, PanelColours, PictureLayout, Rotation};
use crate::domain::time::{ClockTrust, Moment, Wall};
use crate::domain::time_window::TimeWindow;
use crate::monitor::http::handler::Handler as _;
use crate::monitor::support::{self as testing, body, header, moment, request};
use crate::sys::clock::ManualClock;
use std::time::Duration;

const HALL: &str = "AA:BB:CC:DD:EE:0F";

fn display(name: &str, device: Option<&str>) -> DisplayPlan {
    DisplayPlan {
        name: name.into(),
        model: None,
        panel: Panel {
            width: 800,
            height: 480,
            colours: PanelColours::Grey { bits: 1 },
            rotation: Rotation::None,
        },
        layout: PictureLayout::Grid,
        keys: Vec::new(),
        chart: None,
        footer: Vec::new(),
        every: Duration::from_secs(900),
        quiet: TimeWindow::parse("23:00-06:00"),
        device: device.and_then(MacAddress::parse),
    }
}

/// A node with the displays hall and attic, each with a device, and one without.
struct Node {
    app: App,
    clock: Arc<ManualClock>,
}

impl Node {
    fn new(scratch: &str, password: Option<&'static str>) -> Node {
        let directory = crate::golden::scratch(scratch);
        Node::again(&directory.join("main-node.db"), password)
    }

    /// The same node after a restart.
    fn again(database: &std::path::Path, password: Option<&'static str>) -> Node {
        let mut fixture = testing::healthy();
        fixture.plan.pages.displays = vec![
            display("hall", Some(HALL)),
            display("attic", Some("aa:bb:cc:dd:ee:10")),
            display("kitchen", None),
        ];
        fixture.database = database.to_owned();
        fixture.password = password;
        let clock = Arc::new(ManualClock::new(testing::now()));
        let app = fixture.app_with(clock.clone());
        // As node does at start.
        app.context.device_keys.load().expect("it can be read");
        Node { app, clock }
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        testing::respond(&self.app, &device_request(target, headers))
    }

    fn json(&self, target: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let response = self.get(target, headers);
        let found = serde_json::from_str(body(&response)).expect("JSON");
        (response.status, found)
    }

    fn setup(&self, mac: &str) -> (u16, Value) {
        self.json("/api/setup", &[("id", mac), ("fw-version", "1.8.14")])
    }

    fn key(&self, mac: &str) -> String {
        let (status, answer) = self.setup(mac);
        assert_eq!(status, 200, "{answer}");
        answer["api_key"].as_str().expect("a key").to_owned()
    }

    fn post(&self, headers: &[(&str, &str)]) -> Response {
        let request = device_request("/api/log", headers);
        self.app.post(&request).expect("the path takes POST")
    }
}

fn device_request(target: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = request(target, headers);
    let has_host = request.header("host").is_some();
    if !has_host {
        let host = ("host".to_owned(), "pi.local:8000".to_owned());
        request.headers.push(host);
    }
    request
}

#[test]
fn a_configured_device_is_set_up_in_any_spelling_of_its_mac() {
    let node = Node::new("trmnl-setup", None);
    let key = node.key(HALL);
    assert_ne!(key, node.key("AA:BB:CC:DD:EE:10"));
    for mac in ["aa:bb:cc:dd:ee:0f", "AA-BB-CC-DD-EE-0F", "aabbccddee0f"] {
        let (status, answer) = node.setup(mac);
        let expected = serde_json::json!({
            "status": 200,
            "api_key": key,
            "friendly_id": key[..6].to_ascii_uppercase(),
            "image_url": "http://pi.local:8000/display/hall.bmp",
            "message": "This is the display hall of main-node.",
        });
        assert_eq!((status, answer), (200, expected), "{mac}");
    }
    let mut headers = Vec::new();
    assert_eq!(node.json("/api/setup", &headers).0, 400);
    headers.push(("id", "no MAC"));
    assert_eq!(node.json("/api/setup", &headers).0, 400);
}

#[test]
fn an_unknown_device_is_remembered_and_told_404() {
    let node = Node::new("trmnl-unknown", None);
    for last in 0..20 {
        let mac = format!("11:22:33:44:55:{last:02x}");
        let headers = [("id", &*mac), ("model", "<b>og</b>")];
        let (status, answer) = node.json("/api/setup", &headers);
        assert_eq!(status, 404);
        assert_eq!(answer["status"], 404);
        assert_eq!(answer["api_key"], Value::Null);
        let message = answer["message"].as_str().expect("a text");
        assert!(message.ends_with(&format!("[[display]] device = \"{}\"", mac.to_uppercase())));
        assert_eq!(node.json("/api/setup", &headers).0, 404, "again");
    }
    let unknown = node.app.devices.refused();
    assert_eq!(unknown.len(), limits::REFUSED_DEVICES);
    assert_eq!(unknown[15].mac.as_str(), "11:22:33:44:55:13");
    // Strangers do not push out the device of a display.
    node.json("/api/display", &[("id", HALL), ("access-token", "0123")]);
    for last in 0..20 {
        let mac = format!("11:22:33:44:55:{last:02x}");
        node.json("/api/setup", &[("id", &*mac), ("model", "<b>og</b>")]);
    }
    let refused = node.app.devices.refused();
    assert_eq!(refused.len(), limits::REFUSED_DEVICES);
    assert_eq!(refused[0].mac.as_str(), HALL.to_uppercase());
    let page = node.get("/web/system", &[]);
    let page = body(&page);
    assert!(
        page.contains("<code>device = &quot;11:22:33:44:55:13&quot;</code>"),
        "{page}"
    );
    assert!(
        !page.contains("11:22:33:44:55:03"),
        "the oldest are forgotten"
    );
    assert!(page.contains("11:22:33:44:55:13 (&lt;b&gt;og&lt;/b&gt;). To show"));
    assert!(!page.contains("<b>"), "what a stranger says is escaped");
    assert!(page.contains("Not seen since start: <a href=\"/display/hall\">hall</a>, <a href=\"/display/attic\">attic</a>, <a href=\"/display/kitchen\">kitchen</a>."));
}

#[test]
fn with_a_password_a_key_is_given_once_and_for_ten_minutes_after_pairing() {
    let node = Node::new("trmnl-once", Some("secret"));
    let key = node.key(HALL);
    let (status, answer) = node.setup(HALL);
    assert_eq!((status, &answer["status"]), (403, &Value::from(403)));
    let message = answer["message"].as_str().expect("a text");
    assert!(message.contains("main-node pair hall"), "{message}");
    assert!(!answer.to_string().contains(&key));
    let why = DeviceRefusal::KeyGivenBefore("hall".into());
    assert_eq!(node.app.devices.refused()[0].why, why);
    let device = MacAddress::parse(HALL).expect("a MAC");
    let keys = &node.app.context.device_keys;
    keys.pair(&device, testing::now().wall)
        .expect("it can be written");
    assert_eq!(node.key(HALL), key);
    assert!(node.app.devices.refused().is_empty(), "it has its key");
    node.clock.advance(Duration::from_secs(599));
    assert_eq!(node.key(HALL), key);
    node.clock.advance(Duration::from_secs(1));
    assert_eq!(node.setup(HALL).0, 403);
    assert_eq!(
        node.setup("AA:BB:CC:DD:EE:10").0,
        200,
        "that of another is its first"
    );
}

#[test]
fn a_device_with_a_wrong_key_is_named_until_it_has_its_own() {
    let node = Node::new("trmnl-refused", None);
    let key = node.key(HALL);
    let ask = |key: &str| {
        node.json("/api/display", &[("id", HALL), ("access-token", key)])
            .0
    };
    let system = || body(&node.get("/web/system", &[])).to_owned();
    assert_eq!(ask(&key), 200);
    assert!(!system().contains("TRMNL device"), "{}", system());
    let other = node.key("AA:BB:CC:DD:EE:10");
    for wrong in ["", "0123", &other] {
        assert_eq!(ask(wrong), 401, "{wrong}");
        let refused = node.app.devices.refused();
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].why, DeviceRefusal::WrongKey("hall".into()));
        let page = system();
        for expected in [
            "The TRMNL device of hall came ",
            HALL,
            "<code>main-node pair hall</code>",
        ] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
    }
    assert_eq!(ask(&key), 200);
    assert!(!system().contains("TRMNL device"), "it has its key");
    for _ in 0..20 {
        ask("0123");
    }
    node.clock.advance(Duration::from_secs(120));
    assert_eq!(ask(&key), 200, "it has waited");
    for _ in 0..10 {
        node.json("/api/display", &[("access-token", "0123")]);
    }
    assert_eq!(ask(&key), 429);
    assert!(
        node.app.devices.refused().is_empty(),
        "nobody looked at its key"
    );
    node.clock.advance(Duration::from_secs(120));
    let stranger = node.json(
        "/api/display",
        &[("id", "00:00:00:00:00:01"), ("access-token", "0123")],
    );
    assert_eq!(stranger.0, 401);
    assert!(
        node.app.devices.refused().is_empty(),
        "no display has that device"
    );
}

#[test]
fn a_device_whose_key_cannot_be_made_is_named_with_the_reason() {
    let directory = crate::golden::scratch("trmnl-no-key");
    let node = Node::again(&directory.join("main-node.db"), None);
    let file = directory.join("displays.json");
    std::fs::write(&file, "{").expect("it can be written");
    for _ in 0..3 {
        let response = node.get("/api/setup", &[("id", HALL)]);
        assert_eq!(response.status, 503);
        assert_eq!(header(&response, "Retry-After"), Some("60"));
    }
    let page = node.get("/web/system", &[]);
    for expected in ["for its key, which cannot be made: ", "it is damaged", HALL] {
        assert!(
            body(&page).contains(expected),
            "{expected}: {}",
            body(&page)
        );
    }
    std::fs::remove_file(&file).expect("it is there");
    node.key(HALL);
    let page = node.get("/web/system", &[]);
    assert!(!body(&page).contains("cannot be made"), "{}", body(&page));
}

#[test]
fn a_device_is_told_what_to_show_and_how_long_to_sleep() {
    let node = Node::new("trmnl-display", Some("secret"));
    let key = node.key(HALL);
    let headers = [("id", HALL), ("access-token", &*key)];
    let (status, answer) = node.json("/api/display", &headers);
    let file = answer["filename"].as_str().expect("a name").to_owned();
    let expected = serde_json::json!({
        "status": 0,
        "image_url": format!("http://pi.local:8000/display/hall.png?token={key}"),
        "filename": file,
        "refresh_rate": 900,
        "update_firmware": false,
        "firmware_url": "",
        "reset_firmware": false,
        "special_function": "none",
    });
    assert_eq!((status, answer), (200, expected));
    assert!(
        file.starts_with("hall-") && file.len() == "hall-".len() + 8,
        "{file}"
    );
    // It is 21:00 by the node's zone, and quiet from 23:00 until 06:00.
    for (hours, expected) in [(1, 900), (2, 7 * 3600), (3, 6 * 3600), (9, 900)] {
        let at = moment(86_400 + hours * 3600);
        node.clock.set(at);
        let (_, answer) = node.json("/api/display", &headers);
        assert_eq!(answer["refresh_rate"], expected, "{hours} h later");
        assert_eq!(answer["filename"], file, "nothing else has changed");
    }
    // The address is the one by which the device reaches this node.
    let mut request = device_request("/api/display", &headers);
    request.base = "/node".to_owned();
    request.is_https = true;
    let response = node.app.render(&request);
    assert!(body(&response).contains("\"https://pi.local:8000/node/display/hall.png?token="));
    assert_eq!(header(&response, "Content-Encoding"), None);
    assert_eq!(
        header(&response, "Cache-Control"),
        Some("private, no-store")
    );
}

#[test]
fn a_key_opens_what_its_display_needs_and_nothing_else() {
    let node = Node::new("trmnl-access", Some("secret"));
    let (hall, attic) = (node.key(HALL), node.key("AA:BB:CC:DD:EE:10"));
    let hall = [("id", HALL), ("access-token", &*hall)];
    assert_eq!(node.get("/api/display", &hall).status, 200);
    for path in [
        "/web",
        "/snapshot",
        "/status",
        "/history?key=power",
        "/metrics",
        "/",
        "/events",
    ] {
        assert_eq!(node.get(path, &hall).status, 401, "{path}");
        assert!(!testing::is_event_stream(
            &node.app,
            &device_request(path, &hall)
        ));
    }
    // The key of another display, none, and a wrong one.
    for (status, headers) in [
        (401, [("id", HALL), ("access-token", &*attic)]),
        (401, [("id", HALL), ("access-token", "")]),
        (401, [("id", HALL), ("x", "y")]),
        (401, [("id", HALL), ("access-token", "wrong")]),
        (
            401,
            [("id", "11:22:33:44:55:66"), ("access-token", &*attic)],
        ),
        (200, [("x", "y"), ("access-token", &*attic)]),
    ] {
        let response = node.get("/api/display", &headers);
        assert_eq!(response.status, status, "{headers:?}");
        assert!(status == 200 || !body(&response).contains(&*attic));
        assert_eq!(
            node.post(&headers).status,
            if status == 200 { 204 } else { 401 }
        );
    }
    assert_eq!(node.get("/api/log", &hall).status, 405);
    node.clock.advance(Duration::from_secs(60));
    // Pictures: those of its own display, with the password any.
    let password = ("authorization", "Basic OnNlY3JldA==");
    let (own, other) = (hall[1], ("access-token", &*attic));
    for (status, path, headers) in [
        (200, "/display/hall.png", &[own][..]),
        (200, "/display/hall.bmp", &[own]),
        (200, "/display/hall.json", &[own]),
        (401, "/display/hall", &[own]),
        (401, "/display/hall.png", &[other]),
        (401, "/display/hall.png", &[]),
        (401, "/display/attic.png", &[own]),
        (401, "/display/kitchen.png", &[own]),
        (401, "/display/nowhere.png", &[own]),
        (200, "/display/hall.png", &[other, password]),
        (200, "/display/attic.png", &[other]),
    ] {
        assert_eq!(node.get(path, headers).status, status, "{path} {headers:?}");
    }
}

#[test]
fn wrong_keys_are_counted_by_address() {
    let node = Node::new("trmnl-guesses", None);
    let key = node.key(HALL);
    for _ in 0..limits::WRONG_PASSWORDS {
        let wrong = [("id", HALL), ("access-token", "0123")];
        assert_eq!(node.get("/api/display", &wrong).status, 401);
    }
    let right = [("id", HALL), ("access-token", &*key)];
    let refused = node.get("/api/display", &right);
    assert_eq!(
        (refused.status, header(&refused, "Retry-After")),
        (429, Some("60"))
    );
    assert_eq!(node.post(&right).status, 429);
    let mut other = device_request("/api/display", &right);
    other.peer = "192.168.0.77".parse().expect("an address");
    assert_eq!(node.app.render(&other).status, 200);
    node.clock.advance(Duration::from_secs(60));
    assert_eq!(node.get("/api/display", &right).status, 200);
}

#[test]
fn keys_and_what_was_given_outlive_a_restart() {
    let directory = crate::golden::scratch("trmnl-restart");
    let database = directory.join("main-node.db");
    let node = Node::again(&database, Some("secret"));
    let key = node.key(HALL);
    let node = Node::again(&database, Some("secret"));
    let headers = [("id", HALL), ("access-token", &*key)];
    assert_eq!(node.get("/api/display", &headers).status, 200);
    assert_eq!(node.setup(HALL).0, 403);
}

#[test]
fn a_log_is_taken_once_a_second_from_an_address() {
    let node = Node::new("trmnl-log", Some("secret"));
    let (hall, attic) = (node.key(HALL), node.key("AA:BB:CC:DD:EE:10"));
    let hall = [("id", HALL), ("access-token", &*hall)];
    let taken = node.post(&hall);
    assert_eq!((taken.status, taken.body.len()), (204, 0));
    let again = node.post(&[("access-token", &*attic)]);
    assert_eq!(
        (again.status, header(&again, "Retry-After")),
        (429, Some("1"))
    );
    node.clock.advance(Duration::from_millis(1_000));
    assert_eq!(node.post(&hall).status, 204);
    let mut foreign = device_request("/api/log", &hall);
    foreign.headers.retain(|(name, _)| name != "host");
    foreign
        .headers
        .push(("host".to_owned(), "evil.example".to_owned()));
    let refused = node.app.post(&foreign).expect("the path takes POST");
    assert_eq!(refused.status, 421);
    for target in [
        "/api/display",
        "/api/setup",
        "/snapshot",
        "/nowhere",
        "/api/log/",
    ] {
        assert!(
            node.app.post(&device_request(target, &hall)).is_none(),
            "{target}"
        );
    }
}

#[test]
fn without_displays_there_is_no_protocol() {
    let app = testing::healthy().app();
    for target in ["/api/setup", "/api/display", "/api/log"] {
        let request = device_request(target, &[("id", HALL)]);
        assert_eq!(testing::respond(&app, &request).status, 404, "{target}");
        assert!(app.post(&request).is_none(), "{target}");
        assert_eq!(app.options(&request).status, 404, "{target}");
        let refused = app.rejection(405, Some(&request));
        assert_eq!(header(&refused, "Allow"), Some("GET, HEAD, OPTIONS"));
    }
    let node = Node::new("trmnl-methods", None);
    let options = node.app.options(&device_request("/api/log", &[]));
    assert_eq!(header(&options, "Allow"), Some("OPTIONS, POST"));
    // Behind a password an unknown path is not told from others.
    let mut fixture = testing::healthy();
    fixture.password = Some("secret");
    let app = fixture.app();
    let request = device_request("/api/setup", &[("id", HALL)]);
    assert_eq!(testing::respond(&app, &request).status, 401);
}

#[test]
fn telemetry_is_of_one_display_however_its_address_changes() {
    let node = Node::new("trmnl-telemetry", None);
    let key = node.key(HALL);
    let poll = |peer: &str, more: &[(&str, &str)]| {
        let mut headers = vec![("id", HALL), ("access-token", &*key)];
        headers.extend(more);
        let mut request = device_request("/api/display", &headers);
        request.peer = peer.parse().expect("an address");
        assert_eq!(node.app.render(&request).status, 200);
        let mut list = node.app.displays.list();
        assert_eq!(list.len(), 1);
        list.remove(0)
    };
    let first = poll(
        "192.168.0.30",
        &[
            ("battery-voltage", "3.74"),
            ("rssi", "-61"),
            ("fw-version", "1.8.14"),
            ("model", "og"),
            ("width", "800"),
            ("height", "480"),
        ],
    );
    assert_eq!(first.configured.as_deref(), Some("hall"));
    let charge = first.charge.expect("it says it");
    assert_eq!((charge.volts, charge.percent), (Some(3.74), 55.0));
    assert_eq!(
        (first.rssi_dbm, first.size),
        (Some(-61.0), Some((800, 480)))
    );
    assert_eq!(first.firmware.as_deref(), Some("1.8.14"));
    assert_eq!(
        first.next_poll(testing::now()),
        Some(Duration::from_secs(900))
    );
    // Odd values change no number; long ones are cut.
    let long = "9".repeat(10_000);
    for odd in ["NaN", "inf", "-1", "", "1e300", "\u{e9}", &long] {
        let seen = poll(
            "192.168.0.31",
            &[
                ("battery-voltage", odd),
                ("percent-charged", odd),
                ("model", &long),
            ],
        );
        assert_eq!(seen.charge, Some(charge), "{odd:.10}");
        assert!(seen.model.expect("it was sent").chars().count() <= limits::DISPLAY_CHARS);
        assert_eq!(seen.address.to_string(), "192.168.0.31");
    }
    for odd in ["NaN", "0", "12", "x"] {
        assert_eq!(
            poll("192.168.0.31", &[("rssi", odd)]).rssi_dbm,
            None,
            "{odd}"
        );
    }
    // What the device reckons itself goes before the volts.
    let seen = poll(
        "192.168.0.31",
        &[
            ("battery-voltage", "3.5"),
            ("percent-charged", "31.4"),
            ("rssi", "-70 dBm"),
        ],
    );
    let charge = seen.charge.expect("it says it");
    assert_eq!((charge.volts, charge.percent), (Some(3.5), 31.4));
    assert_eq!(seen.rssi_dbm, Some(-70.0));
    let facts = node.app.display_facts();
    assert_eq!((&*facts[0].name, facts[0].battery), ("hall", Some(charge)));
    let (_, status) = node.json("/status", &[]);
    let shown = &status["displays"][0];
    assert_eq!(shown["display"], "hall");
    assert_eq!(shown["battery_percent"].as_f64(), Some(31.4));
    assert_eq!(shown["next_poll_s"].as_f64(), Some(900.0));
    assert_eq!(
        status["displays_not_seen"],
        serde_json::json!(["attic", "kitchen"])
    );
    let metrics = node.get("/metrics", &[]);
    assert!(body(&metrics).contains("mainnode_display_battery_volts{display=\"hall\"} 3.5\n"));
    let page = node.get("/web/system", &[]);
    assert!(
        body(&page).contains("battery 3.50 V (31 %)"),
        "{}",
        body(&page)
    );
    assert!(!body(&page).contains(&key) && !status.to_string().contains(&key));
}

#[test]
fn a_panel_of_another_size_than_its_picture_is_named() {
    let node = Node::new("trmnl-size", None);
    let key = node.key(HALL);
    for (width, height, is_other) in [
        ("800", "480", false),
        ("480", "800", false),
        ("1872", "1404", true),
    ] {
        let sizes = [("width", width), ("height", height)];
        let headers = [[("id", HALL), ("access-token", &*key)], sizes].concat();
        assert_eq!(node.get("/api/display", &headers).status, 200);
        let page = node.get("/web/system", &[]);
        let is_said = body(&page).contains("but its picture has 800 × 480");
        assert_eq!(is_said, is_other, "{width} × {height}");
    }
}

#[test]
fn a_low_battery_is_in_the_picture_and_in_its_name() {
    let node = Node::new("trmnl-low", None);
    let key = node.key(HALL);
    let mut names = Vec::new();
    for (volts, shown) in [
        ("4.0", Value::Null),
        ("3.6", Value::Null),
        ("3.42", Value::from("battery 15 %")),
        ("3.41", Value::from("battery 15 %")),
        ("3.32", Value::from("battery 5 %")),
        ("4.0", Value::Null),
    ] {
        let headers = [
            ("id", HALL),
            ("access-token", &*key),
            ("battery-voltage", volts),
        ];
        let (_, answer) = node.json("/api/display", &headers);
        names.push(answer["filename"].as_str().expect("a name").to_owned());
        let (_, picture) = node.json("/display/hall.json", &headers);
        assert_eq!(picture["battery"], shown, "{volts} V");
        let etag = node.app.displays.list().remove(0).etag;
        assert!(
            etag.contains(
                names
                    .last()
                    .expect("it has one")
                    .trim_start_matches("hall-")
            )
        );
    }
    assert_eq!(names[0], names[1]);
    assert_ne!(names[1], names[2]);
    assert_eq!(names[2], names[3]);
    assert_ne!(names[3], names[4]);
    assert_eq!(names[0], names[5]);
    let list = node.app.displays.list();
    assert_eq!(
        (list.len(), list[0].polls),
        (1, 6),
        "what a device downloads is no poll"
    );
}

#[test]
fn quiet_hours_are_no_silence() {
    let node = Node::new("trmnl-quiet", None);
    let key = node.key(HALL);
    let headers = [("id", HALL), ("access-token", &*key)];
    for minutes in [90, 105, 120] {
        node.clock.set(moment(86_400 + minutes * 60));
        assert_eq!(node.get("/api/display", &headers).status, 200);
    }
    // Told at 23:00 to sleep until 06:00.
    for (hours, is_silent) in [(5, false), (9, false), (10, true)] {
        node.clock.set(moment(86_400 + hours * 3600));
        let display = node.app.displays.list().remove(0);
        let now = node.app.context.clock.now();
        assert_eq!(display.is_silent(now), is_silent, "{hours} h");
    }
}

/// It may have been told by an earlier run to sleep.
#[test]
fn quiet_hours_in_which_the_node_starts_are_no_silence() {
    let mut fixture = testing::healthy();
    let quiet = [None, Some("18:00-20:00"), Some("22:00-23:00")];
    fixture.plan.pages.displays = quiet
        .map(|quiet| DisplayPlan {
            quiet: quiet.and_then(TimeWindow::parse),
            ..display(quiet.unwrap_or("never"), None)
        })
        .into();
    let clock = Arc::new(ManualClock::new(testing::now()));
    let app = fixture.app_with(clock.clone());
    let started = app.context.settings.started;
    // It started at seven in the evening, three hours ago.
    let now = |trust| Moment {
        mono: started.mono.after(Duration::from_secs(3 * 3600)),
        wall: Wall(started.wall.0 + 3 * 3_600_000),
        trust,
    };
    for (trust, expected) in [
        (ClockTrust::Untrusted, [3, 3, 3]),
        (ClockTrust::Trusted, [3, 2, 3]),
    ] {
        clock.set(now(trust));
        let facts = app.display_facts();
        assert!(facts.iter().all(|it| !it.is_seen));
        let hours = facts.iter().map(|it| it.silence.as_secs().div_ceil(3600));
        assert_eq!(hours.collect::<Vec<_>>(), expected, "{trust:?}");
    }
}
