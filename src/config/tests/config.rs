//! Tests of reading and printing a configuration.

use super::support::{METER, load_text, problems, reads_back};
use super::*;
use crate::domain::plan::Selection;
use crate::domain::toml_text::{quoted_path, quoted_value};

#[test]
fn a_typical_configuration_is_read() {
    let text = r#"
listen = ["0.0.0.0:8000", "[::]:8000"]
database = "/var/lib/main-node/main-node.db"

[[source]]
name = "weather"
operation = "getForecast"
params = { latitude = 52.52, longitude = 13.41, current = ["temperature_2m", "rain"] }
every = "15m"
observed_at = "/current/time"
attribution = "Weather data by Open-Meteo.com, CC BY 4.0"
[source.records]
temperature = { at = "/current/temperature_2m", unit = "°C", min = -60, max = 60 }
humidity = "/current/relative_humidity_2m"

[[source]]
name = "meter"
url = "http://meter.local/api/v1/data"
headers = { Authorization = "Bearer ${METER_TOKEN}" }
every = "10s"

[key.temperature]
merge = "priority"

[alert]
no_success_for = "15m"
failures_in_a_row = 5
"#;
    let config = load_text(text, &[("METER_TOKEN", "hush")]).expect("it is valid");
    assert_eq!(config.listen.len(), 2);
    assert_eq!(
        config.database,
        PathBuf::from("/var/lib/main-node/main-node.db")
    );
    let weather = &config.sources[0];
    assert_eq!(weather.plan.every, Duration::from_secs(900));
    assert_eq!(
        weather.plan.default_stale_after(Duration::ZERO),
        Duration::from_secs(2700)
    );
    let Selection::Selectors(selectors) = &weather.plan.selection else {
        panic!("records are named");
    };
    let keys: Vec<&str> = selectors.iter().map(|selector| &*selector.key).collect();
    assert_eq!(keys, ["temperature", "humidity"], "in the file's order");
    let meter = &config.sources[1];
    assert_eq!(meter.headers[0].value.reveal(), "Bearer hush");
    assert!(!config.to_toml().contains("hush"), "{}", config.to_toml());
    assert_eq!(config.alert.no_success_for, Some(Duration::from_secs(900)));
}

#[test]
fn check_prints_a_configuration_that_means_the_same() {
    let config = load_text(example::EXAMPLE, &[]).expect_err("other parameters than this table's");
    assert!(!config.is_empty());
    let text = format!(
        "{METER}[source.records]\nzeta = \"/z\"\n\"a b\" = {{ at = \"/a\", scale = 0.1, text = true }}\n"
    );
    let first = load_text(&text, &[]).expect("it is valid");
    let second = load_text(&first.to_toml(), &[]).expect("what is printed is valid");
    assert_eq!(first.to_toml(), second.to_toml());
}

/// Texts of all kinds, in every place that takes one.
#[test]
fn every_text_that_check_prints_reads_back() {
    for text in [
        "$", "$$", "a$b", "${A}$", "$.a", "{today}", "'\"\\", "ü °", "#=]", "***",
    ] {
        let value = quoted_value(text);
        let key = quoted(&format!("k{text}"));
        let derived = quoted(&format!("d{text}"));
        let path = quoted_path(&format!("$['{}']", text.replace(['\'', '\\'], "")));
        let pointer = quoted_value(&format!("/{text}"));
        let document = format!(
            "name = {value}\n\
             [[source]]\nname = \"a\"\nurl = \"http://h/\"\nattribution = {value}\n\
             params = {{ p = {value} }}\nbody = {{ {key} = [{value}] }}\nobserved_at = {pointer}\n\
             units_at = {path}\n\
             [source.records]\n\
             {key} = {{ at = {pointer}, unit = {value}, map = {{ {key} = 1 }} }}\n\
             plain = {path}\n\
             pattern = {{ at = {path}, pattern = '([0-9]+)$' }}\n\
             now = {{ each = {pointer}, at = {path}, now = {path}, end_at = {path} }}\n\
             rows = {{ at = {path}, times_at = {path}, element_time = true }}\n\
             [[source]]\nname = \"b\"\nurl = \"http://h/$$x\"\nbody = {value}\ncontent_type = \"text/plain\"\n\
             prefix = {value}\n\
             [key.{key}]\nunit = {value}\nwords = {{ 1 = {value} }}\n\
             [derived.{derived}]\nincrease = {value}\nsince = \"day\"\nunit = {value}\n\
             [[alert.value]]\nkey = {value}\nabove = 1\n",
        );
        let read = |text: &str| load_text(text, &[]);
        let config = read(&document).unwrap_or_else(|problems| panic!("{document}\n{problems:?}"));
        assert_eq!(config.name, text);
        reads_back(&config, &read);
    }
}

#[test]
fn mail_is_read_from_smtp_variables() {
    let variables = [
        ("SMTP_HOST", "smtp.example.org"),
        ("SMTP_PORT", "465"),
        ("SMTP_USER", "me@example.org"),
        ("SMTP_PASS", "hush"),
        ("ALERT_EMAIL", "you@example.org, me@example.org"),
    ];
    let config = load_text(METER, &variables).expect("it is valid");
    let mail = config
        .notifications
        .mail
        .as_ref()
        .expect("a server is named");
    assert_eq!(mail.tls, MailTls::Implicit);
    assert_eq!(mail.from.to_string(), "me@example.org");
    assert_eq!(mail.to.len(), 2);
    assert!(!format!("{:?} {}", config, config.to_toml()).contains("hush"));
}

#[test]
fn every_alert_rule_is_read_and_printed() {
    let text = format!(
        "{METER}[alert]\nmute = [\"Sat 22:00-23:00\"]\nwebhook = \"https://ntfy.example/hush\"\n\
         webhook_format = \"text\"\nping = \"https://hc.example/hush\"\nremind_after = \"2h\"\n\
         [alert.source.meter]\nno_success_for = \"1h\"\n\
         [[alert.value]]\nkey = \"t\"\nabove = 30\nhysteresis = 0.5\nfor = \"10m\"\n\
         [[alert.stale]]\nkey = \"t\"\n[[alert.display]]\nname = \"hall\"\nsilent_for = \"1h\"\n"
    );
    let first = load_text(&text, &[]).expect("it is valid");
    let meter = first
        .alert
        .no_success_limit("meter", Duration::from_secs(10));
    assert_eq!(meter, Duration::from_secs(3600));
    assert_eq!(first.alert.values[0].name(), "value:t>30");
    assert_eq!(first.alert.values[0].hold, Duration::from_secs(600));
    let described = first.to_toml();
    assert!(
        !format!("{first:?}{described}").contains("hush"),
        "{described}"
    );
    let second = load_text(&described, &[]).expect("what is printed is valid");
    assert_eq!(first.alert, second.alert);
    assert_eq!(described, second.to_toml());
}

#[test]
fn local_settings_need_no_secrets() {
    let directory = crate::golden::scratch("settings");
    let file = directory.join("main-node.toml");
    let text = "listen = \"127.0.0.1:1\"\ndatabase = \"a.db\"\n[[source]]\nname = \"meter\"\n\
                url = \"${BASE}\"\nauth = { token = \"${TOKEN}\" }\n[mail]\nhost = \"${HOST}\"\n";
    std::fs::write(&file, text).expect("a file can be written");
    let overrides = Overrides {
        file: Some(file.clone()),
        ..Overrides::default()
    };
    let found = local_settings(&overrides, Environment::default()).expect("no secret is needed");
    assert_eq!(found.database, directory.join("a.db"));
    assert_eq!(found.listen, ["127.0.0.1:1".parse().expect("an address")]);
    // The options that are read are still checked.
    for (wrong, expected) in [
        ("listen = true", "listen: expected"),
        ("database = \"", "invalid TOML"),
    ] {
        std::fs::write(&file, wrong).expect("a file can be written");
        let problems = local_settings(&overrides, Environment::default()).expect_err("it is wrong");
        assert!(
            problems[0].to_string().contains(expected),
            "{}",
            problems[0]
        );
    }
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn all_top_level_options_are_known() {
    for option in top_level::OPTIONS.iter().map(|it| it.name) {
        let text = format!("{option} = 5\n{METER}");
        let problems = load_text(&text, &[]).map_or_else(|it| it, |_| Vec::new());
        let is_unknown = |it: &Problem| it.message.contains("unknown option");
        assert!(!problems.iter().any(is_unknown), "{option}: {problems:?}");
    }
}

#[test]
fn forget_after_is_read_and_printed() {
    let text = r#"
[[source]]
name = "sun"
url = "http://sun.local/estimate"
forget_after = "3d"

[[source]]
name = "house"
follow = "http://house.local:8000"

[[alert.value]]
key = "power"
above = 5000

[[alert.stale]]
key = "tank"
"#;
    let config = load_text(text, &[]).expect("it is valid");
    let described = config.to_toml();
    assert!(described.contains("forget_after = \"3d\"\n"), "{described}");
    assert!(described.contains("forget_after = \"1d\"\n"), "{described}");
    let plan = config.plan();
    assert!(!plan.sources[0].is_upstream_node && plan.sources[1].is_upstream_node);
    assert!(plan.names_key(0, "power") && plan.names_key(1, "tank") && !plan.names_key(0, "other"));
}

#[test]
fn limits_on_records_are_read_and_printed() {
    let config = load_text(METER, &[]).expect("it is valid");
    let plan = config.plan();
    assert_eq!(
        (plan.max_records, plan.sources[0].max_records),
        (2_000, 256)
    );
    let text =
        format!("max_records = 5000\n{METER}max_records = 3000\n[key.power]\nlabel = \"P\"\n");
    let config = load_text(&text, &[]).expect("it is valid");
    let plan = config.plan();
    assert_eq!(
        (plan.max_records, plan.sources[0].max_records),
        (5_000, 3_000)
    );
    assert!(plan.sources[0].named_keys.contains("power"));
    let described = config.to_toml();
    assert!(described.contains("\nmax_records = 5000\n"), "{described}");
    assert!(described.contains("\nmax_records = 3000\n"), "{described}");
}

#[test]
fn a_local_source_has_one_connection_unless_connections_is_set() {
    for (rest, expected) in [
        ("url = \"http://192.168.1.20/x\"\n", "1"),
        ("url = \"http://meter.local/x\"\n", "1"),
        ("url = \"https://api.example.org/x\"\n", "4"),
        ("url = \"http://meter.local/x\"\nconnections = 2\n", "2"),
        ("follow = \"http://other:8000\"\n", "1"),
    ] {
        let text = format!("[[source]]\nname = \"a\"\n{rest}");
        let config = load_text(&text, &[]).expect("it is valid");
        let line = format!("\nconnections = {expected}\n");
        assert!(config.to_toml().contains(&line), "{rest}");
    }
    for wrong in ["0", "17", "\"many\""] {
        let messages = problems(&format!("{METER}connections = {wrong}\n"));
        assert!(messages.contains("connections: expected"), "{messages}");
    }
}

#[test]
fn a_dollar_of_a_json_path_is_a_plain_one() {
    for (written, read) in [
        ("$.a[?@.b>$.limit]", "$.a[?@.b>$.limit]"),
        ("$$.a[?@.b>$.limit]", "$.a[?@.b>$.limit]"),
        ("$['a$$b']", "$['a$b']"),
        ("$", "$"),
    ] {
        let text = format!("{METER}[source.records]\nkey = \"{written}\"\n");
        let config = load_text(&text, &[]).expect(written);
        let Selection::Selectors(selectors) = &config.sources[0].plan.selection else {
            panic!("{written}");
        };
        assert_eq!(selectors[0].at.as_str(), read);
    }
}

#[test]
fn links_in_messages_begin_with_the_path_prefix() {
    for (options, expected) in [
        ("base_path = \"/node\"\n", "http://attic.local:8000/node"),
        (
            "base_path = \"/node\"\n[alert]\npage = \"https://home.example.org/\"\n",
            "https://home.example.org/node",
        ),
        // It names the path itself.
        (
            "base_path = \"/node\"\n[alert]\npage = \"https://home.example.org/node\"\n",
            "https://home.example.org/node",
        ),
        (
            "[alert]\npage = \"https://home.example.org\"\n",
            "https://home.example.org",
        ),
    ] {
        let text = format!("name = \"attic\"\n{options}{METER}");
        let config = load_text(&text, &[]).expect("it is valid");
        assert_eq!(config.page(), expected, "{options}");
    }
}

#[test]
fn a_directory_in_the_place_of_the_file_is_reported_with_what_to_do() {
    let directory = crate::golden::scratch("config-directory");
    let inside = directory.join("with");
    std::fs::create_dir_all(directory.join("mounted")).expect("it can be made");
    std::fs::create_dir_all(&inside).expect("it can be made");
    std::fs::write(inside.join("main-node.toml"), METER).expect("a file can be written");
    let within = format!("write --config {}/main-node.toml", inside.display());
    for (name, expected) in [
        (
            "mounted",
            "found a directory: Docker creates one where the file of `-v`",
        ),
        ("with", &within),
        ("absent", "the configuration cannot be read: no such file"),
    ] {
        let overrides = Overrides {
            file: Some(directory.join(name)),
            ..Overrides::default()
        };
        let problems = load(&overrides, Environment::default(), &[]).expect_err(name);
        assert_eq!(problems.len(), 1, "{problems:?}");
        let problem = problems[0].to_string();
        assert!(problem.contains(expected), "{name}: {problem}");
    }
    let _ = std::fs::remove_dir_all(directory);
}
