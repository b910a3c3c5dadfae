use crate::config::MqttVersion;
use crate::config::support::{METER, load_text, problems};
use crate::domain::plan::KeySelector;

fn document(lines: &str) -> String {
    format!("name = \"lake\"\n{METER}[mqtt]\n{lines}")
}

#[test]
fn the_address_names_broker_port_tls_and_login() {
    for (url, shown, user, password) in [
        ("mqtt://broker", "mqtt://broker:1883", None, None),
        ("mqtts://broker", "mqtts://broker:8883", None, None),
        ("MQTT://Broker:1884/", "mqtt://Broker:1884", None, None),
        ("mqtt://[::1]", "mqtt://[::1]:1883", None, None),
        (
            "mqtt://[fe80::1%25eth0]:1",
            "mqtt://[fe80::1%25eth0]:1",
            None,
            None,
        ),
        ("mqtt://me@broker", "mqtt://broker:1883", Some("me"), None),
        (
            "mqtt://me:p%40ss:w@broker.local",
            "mqtt://broker.local:1883",
            Some("me"),
            Some("p@ss:w"),
        ),
        (
            "mqtt://me:a/b@c@h",
            "mqtt://h:1883",
            Some("me"),
            Some("a/b@c"),
        ),
    ] {
        let config = load_text(&document(&format!("url = \"{url}\"\n")), &[]).expect(url);
        let mqtt = config.mqtt.as_ref().expect(url);
        assert_eq!(mqtt.url(), shown, "{url}");
        assert_eq!(mqtt.user.as_deref(), user, "{url}");
        let found = mqtt.password.as_ref().map(|it| it.reveal());
        assert_eq!(found, password, "{url}");
        if let Some(password) = password {
            assert!(!config.to_toml().contains(password), "{url}");
            assert!(!format!("{config:?}").contains(password), "{url}");
        }
    }
}

#[test]
fn names_follow_from_the_node_unless_they_are_set() {
    let config = load_text(&document("url = \"mqtt://b\"\n"), &[]).expect("valid");
    let mqtt = config.mqtt.expect("there is one");
    assert_eq!(mqtt.prefix, "main-node/lake");
    assert_eq!(mqtt.client_id, "main-node-lake");
    assert_eq!(mqtt.discovery_prefix, "homeassistant");
    assert_eq!(mqtt.version, MqttVersion::V3);
    assert!(mqtt.keys.is_empty() && !mqtt.home_assistant);
    let lines = "url = \"mqtt://b\"\nprefix = \"a/b c\"\nversion = 5\nkeys = [\"x\", \"y.*\"]\n";
    let config = load_text(&document(lines), &[]).expect("valid");
    let mqtt = config.mqtt.expect("there is one");
    assert_eq!(mqtt.prefix, "a/b c");
    assert_eq!(mqtt.version, MqttVersion::V5);
    assert_eq!(mqtt.keys, ["x", "y.*"].map(KeySelector::new));
    // A name of the host may have any character.
    let text = document("url = \"mqtt://b\"\n").replace("lake", "Haus am See/1");
    if let Ok(config) = load_text(&text, &[]) {
        let mqtt = config.mqtt.expect("there is one");
        assert_eq!(mqtt.prefix, "main-node/Haus%20am%20See%2F1");
    }
}

#[test]
fn a_problem_says_what_to_write() {
    let url = "url = \"mqtt://b\"\n";
    for (lines, expected) in [
        (
            String::new(),
            "[mqtt] needs the broker: url = \"mqtt://HOST\"",
        ),
        (
            "url = \"broker:1883\"".to_owned(),
            "url: expected a scheme: write \"mqtt://broker:1883\", or mqtts:// with TLS",
        ),
        ("url = \"tcp://b\"".to_owned(), "url: write \"mqtt://b\""),
        (
            "url = \"ssl://b:8883\"".to_owned(),
            "url: write \"mqtts://b:8883\"",
        ),
        (
            "url = \"wss://b/mqtt\"".to_owned(),
            "MQTT over WebSocket is not spoken here",
        ),
        (
            "url = \"http://b\"".to_owned(),
            "a broker has no web address",
        ),
        (
            "url = \"amqp://b\"".to_owned(),
            "expected mqtt:// or mqtts://, found \"amqp://\"",
        ),
        ("url = \"mqtt://b/topic\"".to_owned(), "the option `prefix`"),
        (
            "url = \"mqtt://\"".to_owned(),
            "expected mqtt://HOST or mqtt://HOST:PORT",
        ),
        (
            "url = \"mqtt://b:\"".to_owned(),
            "expected mqtt://HOST or mqtt://HOST:PORT",
        ),
        (
            "url = \"mqtt://b:70000\"".to_owned(),
            "expected mqtt://HOST",
        ),
        ("url = \"mqtt://b:0\"".to_owned(), "expected mqtt://HOST"),
        (
            "url = \"mqtt://:hush@b\"".to_owned(),
            "a password without a user",
        ),
        (format!("{url}password = \"hush\""), "add user = "),
        (
            "url = \"mqtt://me:hush@b\"\npassword = \"hush\"".to_owned(),
            "`password` stands in `url` too",
        ),
        (
            "url = \"mqtt://me@b\"\nuser = \"me\"".to_owned(),
            "`user` stands in `url` too",
        ),
        (
            format!("{url}version = \"3.1\""),
            "expected \"3.1.1\" or \"5\"",
        ),
        (format!("{url}client_id = \"\""), "a text of 1 to 128 bytes"),
        (format!("{url}prefix = \"\""), "a text of 1 to 256 bytes"),
        (
            format!("{url}prefix = \"a/#\""),
            "# is a wildcard of subscriptions",
        ),
        (
            format!("{url}prefix = \"a/+/b\""),
            "+ is a wildcard of subscriptions",
        ),
        (format!("{url}prefix = \"$$SYS/a\""), "the broker's own"),
        (
            format!("{url}prefix = \"a/\""),
            "leave out the / at the end: \"a\"",
        ),
        (
            format!("{url}prefix = \"/a\""),
            "expected levels between the slashes",
        ),
        (
            format!("{url}discovery_prefix = \"a//b\""),
            "expected levels",
        ),
        (
            format!("{url}ca_file = \"ca.pem\""),
            "write mqtts:// in `url`",
        ),
        (
            format!("{url}fingerprint = \"sha256:{}\"", "9f".repeat(32)),
            "write mqtts:// in `url`",
        ),
        (
            format!("{url}key = \"client.key\""),
            "belongs to a `certificate`",
        ),
        (format!("{url}broker = \"b\""), "unknown option \"broker\""),
    ] {
        let found = problems(&document(&lines));
        assert!(found.contains(expected), "{lines}\n{found}");
        assert!(!found.contains("hush"), "{lines}\n{found}");
    }
    let found = problems(&format!("{METER}[[mqtt]]\nurl = \"mqtt://b\"\n"));
    assert!(found.contains("write [mqtt], not [[mqtt]]"), "{found}");
    let text = format!("mqtt = \"mqtt://me:hush@b\"\n{METER}");
    let found = problems(&text);
    assert!(found.contains("write the heading [mqtt]"), "{found}");
    assert!(!found.contains("hush"), "{found}");
}
