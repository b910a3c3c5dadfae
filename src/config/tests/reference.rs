//! Configuration reference: generates `docs/configuration.md` and `main-node.toml(5)` from the
//! sections' lists.
//!
//! Only for tests. `UPDATE_GOLDEN=1 cargo test config::reference` rewrites both.

use std::time::Duration;

use jiff::tz::TimeZone;
use roff::{Roff, bold, italic, roman};

use super::section::{ConfigOption, OptionDoc};
use super::support::{load_example, problems_of_example};
use super::{
    alert, api_files, auth, derived, display, forward, host_name, key, mail, mqtt, pages, push,
    source, top_level,
};
use crate::domain::alert::AlertRules;
use crate::domain::derived::WindowFunction;
use crate::domain::formula::SIGNATURES;
use crate::golden;

/// A documented table of the configuration.
struct DocumentedSection {
    heading: &'static str,
    about: &'static str,
    options: Vec<OptionDoc>,
    /// Tables inside it, which have sections of their own.
    tables: &'static [&'static str],
}

fn docs<D, P>(options: &[ConfigOption<D, P>]) -> Vec<OptionDoc> {
    options.iter().map(|option| option.doc).collect()
}

fn sections() -> Vec<DocumentedSection> {
    let section = |heading, about, tables, options| DocumentedSection {
        heading,
        about,
        options,
        tables,
    };
    let mut of_source = docs(&source::OPTIONS);
    of_source.extend(docs(&source::PREFIX));
    vec![
        section(
            "Top level",
            "The node itself: network, pages, database. These options stand above the first table.",
            &[
                "api", "source", "auth", "key", "derived", "group", "wall", "display", "alert",
                "mail", "mqtt", "push", "forward",
            ],
            docs(&top_level::OPTIONS),
        ),
        section(
            "[[api]]",
            "An OpenAPI file, such as a vendor publishes: sources name its operations. One table for each file; see “OpenAPI files”.",
            &[],
            docs(&api_files::OPTIONS),
        ),
        section(
            "[[source]]",
            "What is fetched: one table for each address. A source needs a `name` (or `for`) and one of `operation`, `url` and `follow`. At most 128 sources.",
            &["records"],
            of_source,
        ),
        section(
            "[source.records]",
            "Below a `[[source]]`: the records to read from its responses, one line each, `KEY = { … }`. What is not named is not read. Without this table every number and boolean is read.",
            &[],
            docs(&source::RECORD_OPTIONS),
        ),
        section(
            "[auth.NAME]",
            "Credentials and a quota that several sources share: each names the table with `auth = \"NAME\"`. Without credentials it is a quota alone, for a service that counts by address. After a `429` or `Retry-After` all sources of the account wait.",
            &[],
            [docs(&auth::OPTIONS), docs(&auth::QUOTA)].concat(),
        ),
        section(
            "[auth.NAME.login]",
            "The login of an `[auth.NAME]`; in a source it is written `auth = { login = { … } }`. See “Logins”.",
            &[],
            docs(&auth::LOGIN_OPTIONS),
        ),
        section(
            "[key.NAME]",
            "Settings for one key, whichever sources give it. A key with a dot needs quotes: `[key.\"house.power\"]`. A name with `*` is a pattern for many keys, `[key.\"room.*.co2\"]`: each setting is that of the key's own table, else that of the longest pattern which has it. `merge` and `stale_after` are of one key.",
            &[],
            docs(&key::OPTIONS),
        ),
        section(
            "[derived.NAME]",
            "A key that is computed from others; see \"Derived keys\". NAME is the key: one with a dot needs quotes, `[derived.\"house.power\"]`. At most 200.",
            &[],
            docs(&derived::OPTIONS),
        ),
        section(
            "[[group]]",
            "Keys under a heading on the overview, in the order of the file. Without any, each source is a group.",
            &[],
            docs(&pages::GROUP_OPTIONS),
        ),
        section(
            "[[wall]]",
            "A page of large figures for a tablet on the wall: `/wall`.",
            &[],
            docs(&pages::WALL_OPTIONS),
        ),
        section(
            "[[display]]",
            "A picture for a device with electronic paper, at `/display/NAME.png`, `.bmp`, `.raw` and `.json`; `/display/NAME` is a preview. See docs/displays.md. At most 16.",
            &[],
            docs(&display::OPTIONS),
        ),
        section(
            "[[forward]]",
            "A server that stored rows are sent to as InfluxDB line protocol: InfluxDB, VictoriaMetrics, Telegraf. See docs/forward.md. At most 8.",
            &[],
            docs(&forward::OPTIONS),
        ),
        section(
            "[alert]",
            "When alerts are sent, and the channels besides mail (`webhook`, `ping`). `main-node test-alert` sends a test message; `main-node rehearse` shows what each rule would send.",
            &["source", "value", "stale", "display"],
            docs(&alert::OPTIONS),
        ),
        section(
            "[[alert.webhook]]",
            "A URL that alerts are sent to. Each table is a channel of its own, with a queue of its own: what one server refuses delays no other. A single one may be written `[alert.webhook]`.",
            &[],
            docs(&alert::webhook::WEBHOOK_OPTIONS),
        ),
        section(
            "[alert.ping]",
            "The heartbeat of a monitoring service (dead man's switch) that needs more than `ping = \"URL\"`: healthchecks.io, Uptime Kuma, Gatus and others. `main-node test-alert` and `check --online` send one.",
            &[],
            docs(&alert::ping::PING_OPTIONS),
        ),
        section(
            "[alert.source.NAME]",
            "Limits for one source instead of those of `[alert]`; NAME is the `name` of the source.",
            &[],
            docs(&alert::rules::SOURCE_OPTIONS),
        ),
        section(
            "[[alert.value]]",
            "Alert when a value is out of range. One table for each limit.",
            &[],
            docs(&alert::rules::VALUE_OPTIONS),
        ),
        section(
            "[[alert.stale]]",
            "Alert when a value has not been updated for long. One table for each key.",
            &[],
            docs(&alert::rules::STALE_OPTIONS),
        ),
        section(
            "[[alert.display]]",
            "Alert when a display stops requesting data. One table for each display.",
            &[],
            docs(&alert::rules::DISPLAY_OPTIONS),
        ),
        section(
            "[mail]",
            "The mail server for alerts, and the recipients. The variables SMTP_HOST and ALERT_EMAIL are enough, without this table. Port and encryption follow from each other: set one of `port` and `tls`.",
            &[],
            docs(&mail::OPTIONS),
        ),
        section(
            "[mqtt]",
            "The MQTT broker that every value is published to.",
            &[],
            docs(&mqtt::OPTIONS),
        ),
        section(
            "[[push]]",
            "A display, or another receiver, that is sent values over HTTP as they change. See “Push displays” in `docs/outputs.md`.",
            &[],
            docs(&push::OPTIONS),
        ),
    ]
}

const SOURCE: &str = "[[source]]\nname = \"meter\"\nurl = \"http://meter.local/\"\n";

const FOR: &str = "{ plug = \"10.0.0.1\" }";

type Pairs = Vec<(&'static str, &'static str)>;

/// Other options that the option `name` needs. Their values differ from all examples.
fn companions(heading: &str, name: &str) -> Pairs {
    let url = ("url", "\"http://a.local/{device}\"");
    let source = ("name", "\"a\"");
    let params = ("params", "{ latitude = 1, longitude = 2 }");
    let mail = [("host", "\"h\""), ("to", "\"a@b\"")];
    let client = [
        ("grant", "\"client_credentials\""),
        ("token_url", "\"http://a.local/\""),
        ("client_id", "\"i\""),
    ];
    match (heading, name) {
        ("Top level", "backup_keep") => vec![("backup_every", "\"1d\"")],
        ("[[api]]", _) => vec![("name", "\"a\""), ("file", "\"openapi.yaml\"")],
        ("[[source]]", "operation") => vec![source, url, params],
        ("[[source]]", "api" | "base_url") => {
            vec![source, ("operation", "\"getForecast\""), params]
        }
        ("[[source]]", "pages") => vec![source, url, ("next", "\"/meta/next\"")],
        ("[[source]]", "observed_zone") => vec![source, url, ("observed_at", "\"/time\"")],
        ("[[source]]", "content_type") => vec![source, url, ("body", "\"{}\"")],
        ("[[source]]", "fingerprint") => vec![source, ("url", "\"https://a.local/\"")],
        ("[[source]]", _) => vec![source, url],
        ("[source.records]", _) => vec![("at", "\"/t\"")],
        ("[derived.NAME]", "over") => vec![("increase", "\"t\""), ("since", "\"week\"")],
        ("[derived.NAME]", "since") => vec![("increase", "\"t\""), ("over", "\"5m\"")],
        ("[derived.NAME]", name) if is_rule(name) && name != "formula" => {
            vec![("increase", "\"t\""), ("since", "\"week\"")]
        }
        ("[derived.NAME]", _) => vec![("formula", "\"a + b\"")],
        ("[auth.NAME.login]", "content_type") => {
            vec![("url", "\"http://a.local/\""), ("body", "\"{}\"")]
        }
        ("[auth.NAME.login]", _) => vec![("url", "\"http://a.local/\"")],
        ("[auth.NAME]", "quota" | "header" | "param") => vec![("token", "\"t\"")],
        ("[auth.NAME]", name) if is_of_client(name) => client.to_vec(),
        ("[auth.NAME]", "ca_file" | "fingerprint") => client.to_vec(),
        ("[auth.NAME]", "scheme") => vec![("user", "\"u\""), ("password", "\"p\"")],
        ("[auth.NAME]", "key") => vec![("certificate", "\"client.pem\"")],
        ("[auth.NAME]", _) => vec![("quota", "\"1/day\"")],
        ("[alert]", "webhook_format" | "webhook_ca_file" | "webhook_fingerprint") => {
            vec![("webhook", "\"https://a.example/x\"")]
        }
        ("[[alert.webhook]]", "chat_id") => vec![
            ("url", "\"https://a.example/bot1:a?chat_id=1\""),
            ("format", "\"telegram\""),
        ],
        ("[[alert.webhook]]", "priority" | "tags") => {
            vec![("url", "\"https://a.example/x\""), ("format", "\"ntfy\"")]
        }
        ("[alert.ping]", _) => vec![("url", "\"https://a.example/x\"")],
        ("[[alert.webhook]]", _) => vec![("url", "\"https://a.example/x\"")],
        ("[[group]]", "rows" | "columns") => {
            vec![("name", "\"g\""), ("matrix", "\"a.{row}.{column}\"")]
        }
        ("[[group]]", "keys") => {
            vec![("name", "\"g\""), ("matrix", "\"a.{row}.{column}\"")]
        }
        ("[[group]]", _) => vec![("name", "\"g\""), ("keys", "[\"t\"]")],
        ("[[wall]]", _) => vec![("keys", "[\"t\"]")],
        ("[[display]]", _) => vec![("name", "\"d\""), ("size", "[400, 300]")],
        ("[[forward]]", "ca_file" | "fingerprint") => vec![("url", "\"https://a.local/write\"")],
        ("[[forward]]", _) => vec![("url", "\"http://a.local/write\"")],
        ("[[alert.value]]", _) => vec![("key", "\"t\""), ("above", "40")],
        ("[[alert.stale]]", _) => vec![("key", "\"t\"")],
        ("[[alert.display]]", _) => vec![("name", "\"d\""), ("silent_for", "\"2h\"")],
        ("[mail]", "user") => [&mail[..], &[("from", "\"a@b\""), ("password", "\"p\"")]].concat(),
        ("[mail]", _) => mail.to_vec(),
        ("[[push]]", "icons" | "label" | "lifetime" | "lifetime_mode") => vec![
            ("url", "\"http://a.local\""),
            ("format", "\"awtrix\""),
            ("keys", "[\"t\"]"),
        ],
        ("[[push]]", "url") => vec![("url", "\"http://a.local\""), ("format", "\"json\"")],
        ("[[push]]", "ca_file" | "fingerprint") => vec![("url", "\"https://a.local/{key}\"")],
        ("[[push]]", _) => vec![("url", "\"http://a.local/{key}\"")],
        ("[mqtt]", "password") => vec![("url", "\"mqtt://b\""), ("user", "\"u\"")],
        ("[mqtt]", "ca_file" | "fingerprint" | "certificate") => vec![("url", "\"mqtts://b\"")],
        ("[mqtt]", "key") => vec![("url", "\"mqtts://b\""), ("certificate", "\"client.pem\"")],
        ("[mqtt]", _) => vec![("url", "\"mqtt://b\"")],
        _ => Vec::new(),
    }
}

/// Options that accompany every `grant`.
fn is_of_client(name: &str) -> bool {
    matches!(
        name,
        "client_secret" | "client_auth" | "scope" | "token_params"
    )
}

/// Options of a derived key of which each replaces the others.
fn is_rule(name: &str) -> bool {
    let functions = WindowFunction::ALL.map(WindowFunction::name);
    name == "formula" || functions.contains(&name)
}

/// Options that replace `url`.
fn is_target(name: &str) -> bool {
    matches!(name, "operation" | "follow")
}

/// The same without `name` itself.
fn without(heading: &str, name: &str) -> Pairs {
    let mut pairs = companions(heading, name);
    pairs.retain(|(other, _)| *other != name && !(is_target(name) && *other == "url"));
    pairs.retain(|(other, _)| !(is_rule(name) && is_rule(other)));
    pairs
}

/// `pairs` with one option set; `operation` or `follow` replaces `url`, `for` replaces `name`.
fn set(mut pairs: Pairs, name: &'static str, value: &'static str) -> Pairs {
    pairs.retain(|(other, _)| *other != name && !(is_target(name) && *other == "url"));
    let replaced = [("for", "name"), ("over", "since"), ("since", "over")];
    pairs.retain(|(other, _)| !replaced.contains(&(name, other)));
    pairs.retain(|(other, _)| !(is_rule(name) && is_rule(other)));
    pairs.push((name, value));
    pairs
}

/// A complete configuration with these options in a section.
fn document(heading: &str, pairs: &Pairs) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let lines: String = pairs.iter().map(|pair| format!("{pair}\n")).collect();
    match heading {
        "Top level" => format!("{lines}{SOURCE}"),
        "[[source]]" => format!("[[source]]\n{lines}"),
        "[source.records]" => {
            let options = pairs.join(", ");
            format!("{SOURCE}[source.records]\n\"t.{{id}}\" = {{ {options} }}\n")
        }
        "[auth.NAME]" => {
            let source = SOURCE.replace("http:", "https:");
            format!("{source}auth = \"a\"\n[auth.a]\n{lines}")
        }
        "[auth.NAME.login]" => {
            // Cookies go to the server of the login alone.
            let host = if lines.contains("pi.hole") {
                "pi.hole"
            } else {
                "a.local"
            };
            let source = SOURCE.replace("meter.local", host);
            format!("{source}auth = \"a\"\n[auth.a.login]\n{lines}")
        }
        "[mail]" => {
            let client = "grant = \"client_credentials\"\ntoken_url = \"http://a.local/\"\n\
                          client_id = \"i\"\n";
            format!("{SOURCE}[auth.google]\n{client}[mail]\n{lines}")
        }
        "[key.NAME]" => format!("{SOURCE}[key.temperature]\n{lines}"),
        "[derived.NAME]" => format!("{SOURCE}[derived.house]\n{lines}"),
        "[alert.source.NAME]" => format!("{SOURCE}[alert.source.meter]\n{lines}"),
        _ => format!("{SOURCE}{heading}\n{lines}"),
    }
}

/// The effective configuration that `check` prints.
fn printed(heading: &str, pairs: &Pairs) -> String {
    let text = document(heading, pairs);
    load_example(&text, &[]).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"))
}

/// An option in what `check` prints.
fn printed_value(printed: &str, heading: &str, name: &str) -> Option<toml::Value> {
    let mut value = toml::Value::Table(printed.parse().expect("what is printed is TOML"));
    let path: &[&str] = match heading {
        "Top level" => &[],
        "[source.records]" => &["source", "records", "t.{id}"],
        "[auth.NAME]" => &["auth", "a"],
        "[auth.NAME.login]" => &["auth", "a", "login"],
        "[key.NAME]" => &["key", "temperature"],
        "[derived.NAME]" => &["derived", "house"],
        "[alert.source.NAME]" => &["alert", "source", "meter"],
        table => &table
            .trim_matches(['[', ']'])
            .split('.')
            .collect::<Vec<_>>(),
    };
    for part in path.iter().chain([&name]) {
        value = value.get(part)?.clone();
        if let toml::Value::Array(tables) = &value
            && tables.iter().all(toml::Value::is_table)
        {
            value = tables.first()?.clone();
        }
    }
    Some(value)
}

fn parsed(value: &str) -> Option<toml::Value> {
    let table: toml::Table = format!("x = {value}").parse().ok()?;
    table.get("x").cloned()
}

#[test]
fn every_option_that_is_read_is_documented_and_every_documented_one_is_read() {
    for section in sections() {
        let unknown = set(companions(section.heading, ""), "qqqqqqqqqqqqqqqq", "1");
        let known = problems_of_example(&document(section.heading, &unknown));
        let known = known
            .iter()
            .find_map(|problem| problem.split_once("known are: "))
            .map(|(_, names)| {
                names
                    .split(", ")
                    .filter(|name| !section.tables.contains(name))
            });
        let mut known: Vec<&str> = known.expect(section.heading).collect();
        let mut documented: Vec<&str> = section.options.iter().map(|option| option.name).collect();
        known.sort_unstable();
        documented.sort_unstable();
        assert_eq!(known, documented, "{}", section.heading);
    }
}

#[test]
fn the_example_of_every_option_changes_the_effective_configuration() {
    for section in sections() {
        for option in &section.options {
            let (heading, name) = (section.heading, option.name);
            assert!(!option.kind.is_empty(), "{heading} {name}");
            assert!(option.help.ends_with('.'), "{heading} {name}");
            let before = companions(heading, name);
            let mut with = set(before.clone(), name, option.example);
            // A login is complete or none.
            match (heading, name) {
                ("[auth.NAME]" | "[[push]]" | "[[forward]]" | "[[alert.webhook]]", "user") => {
                    with.push(("password", "\"p\""));
                }
                ("[auth.NAME]" | "[[push]]" | "[[forward]]" | "[[alert.webhook]]", "password") => {
                    with.push(("user", "\"u\""));
                }
                ("[mail]", "auth") => with.push(("user", "\"a@b\"")),
                ("[auth.NAME]", "grant") => with.extend([
                    ("token_url", "\"http://a.local/\""),
                    ("refresh_token", "\"r\""),
                ]),
                ("[auth.NAME]", "token_url" | "client_id") => with.extend([
                    ("grant", "\"client_credentials\""),
                    match name {
                        "client_id" => ("token_url", "\"http://a.local/\""),
                        _ => ("client_id", "\"i\""),
                    },
                ]),
                ("[auth.NAME]", "refresh_token") => with.extend([
                    ("grant", "\"refresh_token\""),
                    ("token_url", "\"http://a.local/\""),
                ]),
                ("[source.records]", "now" | "element_time" | "newest_by") => {
                    with.push(("each", "\"/list\""));
                }
                ("[source.records]", "ahead" | "end_at") => {
                    with.extend([("each", "\"/list\""), ("now", "\"/start\"")]);
                }
                ("[source.records]", "times_at") => with.push(("newest_by", "true")),
                _ => {}
            }
            let with = printed(heading, &with);
            if (heading, name) == ("[[source]]", "api") {
                // Only one API is compiled in.
                let other = document(heading, &set(before, name, "\"other\""));
                assert!(load_example(&other, &[]).is_err(), "{other}");
                continue;
            }
            let example = option.example;
            assert_ne!(
                with,
                printed(heading, &before),
                "{heading} {name} = {example}"
            );
        }
    }
}

#[test]
fn every_variable_means_the_same_as_its_option() {
    for section in sections() {
        for option in &section.options {
            let Some(variable) = option.variable else {
                continue;
            };
            let (heading, name) = (section.heading, option.name);
            let pairs = without(heading, name);
            let text = match parsed(option.example) {
                Some(toml::Value::String(text)) => text,
                Some(toml::Value::Array(items)) => {
                    let items = items.iter().filter_map(toml::Value::as_str);
                    items.collect::<Vec<_>>().join(", ")
                }
                Some(_) => option.example.to_owned(),
                None => panic!("{heading} {name}: the example is not TOML"),
            };
            let found = load_example(&document(heading, &pairs), &[(variable, &text)]);
            let expected = printed(heading, &set(pairs, name, option.example));
            assert_eq!(found, Ok(expected), "{variable}={text}");
        }
    }
}

/// Computed defaults: what is printed for a section with these options.
fn computed_defaults() -> Vec<(&'static str, &'static str, Pairs, Option<String>)> {
    let row = |heading, name, pairs: &[_], value: &str| {
        (heading, name, pairs.to_vec(), Some(value.to_owned()))
    };
    let zone = TimeZone::system();
    let zone = zone.iana_name().map(|name| format!("{name:?}"));
    vec![
        ("Top level", "timezone", Vec::new(), zone),
        row("Top level", "name", &[], &format!("{:?}", host_name())),
        row("Top level", "database", &[], "\"DIR/main-node.db\""),
        row("[[source]]", "api", &[], "\"open_meteo\""),
        row(
            "[[source]]",
            "base_url",
            &[],
            "\"https://api.open-meteo.com\"",
        ),
        row("[[source]]", "every", &[], "\"5m\""),
        row(
            "[[display]]",
            "size",
            &[("model", "\"trmnl-og\"")],
            "[800, 480]",
        ),
        row("[[display]]", "depth", &[("model", "\"trmnl-x\"")], "4"),
        row("[[display]]", "depth", &[], "1"),
        row(
            "[[source]]",
            "every",
            &[("follow", "\"http://a\"")],
            "\"10s\"",
        ),
        row(
            "[[source]]",
            "stale_after",
            &[("every", "\"10m\"")],
            "\"30m\"",
        ),
        row(
            "[[source]]",
            "connections",
            &[("url", "\"http://10.0.0.1/\"")],
            "1",
        ),
        row(
            "[[source]]",
            "connections",
            &[("url", "\"https://a.example.org/\"")],
            "4",
        ),
        row("[[source]]", "prefix", &[], "\"\""),
        row("[[source]]", "prefix", &[("for", FOR)], "\"plug.\""),
        row("[[source]]", "content_type", &[], "\"application/json\""),
        row(
            "[auth.NAME.login]",
            "content_type",
            &[],
            "\"application/json\"",
        ),
        row("[alert.ping]", "method", &[], "\"GET\""),
        row("[alert.ping]", "method", &[("body", "\"x\"")], "\"POST\""),
        row("[mail]", "port", &[], "587"),
        row("[mail]", "port", &[("tls", "\"implicit\"")], "465"),
        row("[mail]", "port", &[("tls", "\"none\"")], "25"),
        row("[mail]", "tls", &[], "\"starttls\""),
        row("[mail]", "tls", &[("port", "465")], "\"implicit\""),
        row("[mail]", "tls", &[("port", "25")], "\"none\""),
        row("[mail]", "from", &[], "\"a@b\""),
        row(
            "[mail]",
            "from",
            &[("user", "\"u@b\""), ("password", "\"p\"")],
            "\"u@b\"",
        ),
        row("[[push]]", "method", &[], "\"GET\""),
        row("[[push]]", "method", &[("body", "\"{key}\"")], "\"POST\""),
        row("[[push]]", "lifetime", &[], "\"5m\""),
        row(
            "[mqtt]",
            "client_id",
            &[],
            &format!("{:?}", format!("main-node-{}", host_name())),
        ),
        row(
            "[mqtt]",
            "prefix",
            &[],
            &format!("{:?}", format!("main-node/{}", host_name())),
        ),
    ]
}

/// A default is a TOML value, begins with "none", "required" or "one of", or is listed in
/// [`computed_defaults`].
#[test]
fn the_default_of_every_option_is_the_one_in_force() {
    let computed = computed_defaults();
    for section in sections() {
        for option in &section.options {
            let (heading, name, default) = (section.heading, option.name, option.default);
            let absent = without(heading, name);
            let is_required = default.starts_with("required") || default.starts_with("one of");
            if is_required {
                let found = load_example(&document(heading, &absent), &[]);
                assert!(found.is_err(), "{heading} {name} can be absent");
            } else if default.starts_with("none") {
                let found = printed_value(&printed(heading, &absent), heading, name);
                assert_eq!(found, None, "{heading} {name}");
            } else if parsed(default).is_some() {
                let found = printed(heading, &absent);
                assert_eq!(
                    printed(heading, &set(absent, name, default)),
                    found,
                    "{heading} {name}"
                );
            } else {
                let is_own = |row: &&(&str, &str, Pairs, _)| (row.0, row.1) == (heading, name);
                assert!(
                    computed.iter().any(|row| is_own(&row)),
                    "{heading} {name}: {default}"
                );
                for (_, _, others, expected) in computed.iter().filter(is_own) {
                    let all = others
                        .iter()
                        .fold(absent.clone(), |all, (other, value)| set(all, other, value));
                    let found = printed_value(&printed(heading, &all), heading, name);
                    assert_eq!(
                        found,
                        expected.as_deref().and_then(parsed),
                        "{heading} {name} {others:?}"
                    );
                }
            }
        }
    }
    let limit = |minutes: u64| {
        AlertRules::default().no_success_limit("a", Duration::from_secs(60 * minutes))
    };
    assert_eq!(
        limit(1),
        Duration::from_secs(15 * 60),
        "[alert] no_success_for"
    );
    assert_eq!(
        limit(10),
        Duration::from_secs(30 * 60),
        "[alert] no_success_for"
    );
}

#[test]
fn the_documentation_is_current_and_its_blocks_are_valid() {
    let page = include_str!("../../../docs/configuration.md");
    let (begin, rest) = page.split_once("<!-- options").expect("it has a beginning");
    let (line, _) = rest.split_once('\n').expect("it is a line");
    let (_, end) = rest
        .split_once("<!-- end of options -->")
        .expect("it has an end");
    let made = format!(
        "{begin}<!-- options{line}\n{}<!-- end of options -->{end}",
        markdown()
    );
    golden::check("../../docs/configuration.md", &made);
    let blocks = made.split("```toml\n").skip(1);
    for block in blocks.filter_map(|block| block.split("```").next()) {
        let source = if block.contains("[[source]]") {
            ""
        } else {
            SOURCE
        };
        let problems = problems_of_example(&format!("{block}{source}"));
        assert!(problems.is_empty(), "{block}\n{problems:?}");
    }
}

#[test]
fn every_function_of_formulas_is_documented() {
    let page = include_str!("../../../docs/configuration.md");
    for signature in SIGNATURES {
        let call = format!("`{}({})`", signature.name, signature.arguments);
        assert!(page.contains(&call), "{call}");
    }
}

fn markdown() -> String {
    let mut page = String::new();
    for section in sections() {
        let heading = match section.heading {
            "Top level" => "Top level".to_owned(),
            table => format!("`{table}`"),
        };
        page += &format!("\n## {heading}\n\n{}\n\n", section.about);
        for option in &section.options {
            page += &format!("- **`{}`**: {}\n", option.name, facts(option));
            page += &format!(
                "  {}\n  Example: `{} = {}`\n",
                option.help, option.name, option.example
            );
        }
    }
    page + "\n"
}

/// Type, default and variable.
fn facts(option: &OptionDoc) -> String {
    let default = match option.default {
        "" => String::new(),
        default if default.starts_with("one of") => format!("; {default}"),
        "required" => "; required".to_owned(),
        default => format!("; default: {default}"),
    };
    let variable = option
        .variable
        .map(|variable| format!("; variable: {variable}"));
    format!("{}{default}{}.", option.kind, variable.unwrap_or_default())
}

#[test]
fn the_manual_page_of_the_file_is_current() {
    golden::check("../../systemd/main-node.toml.5", &manual_page());
}

fn manual_page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["MAIN-NODE.TOML", "5"]);
    page.control("SH", ["NAME"]);
    page.text([roman("main-node.toml - configuration of main-node")]);
    page.control("SH", ["DESCRIPTION"]);
    for paragraph in DESCRIPTION {
        page.text([roman(paragraph)]);
        page.control("PP", []);
    }
    for section in sections() {
        page.control("SH", [section.heading.to_uppercase().as_str()]);
        page.text([roman(section.about.replace('`', ""))]);
        for option in &section.options {
            page.control("TP", []);
            page.text([
                bold(option.name),
                roman(" ("),
                roman(facts(option).trim_end_matches('.').replace('`', "")),
                roman(")"),
            ]);
            page.text([roman(option.help.replace('`', ""))]);
            page.control("br", []);
            page.text([italic(format!("{} = {}", option.name, option.example))]);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("main-node"), roman("(1)")]);
    page.render()
}

const DESCRIPTION: [&str; 9] = [
    "main-node reads one TOML file: the one that --config names, else main-node.toml in the current directory, else /etc/main-node/main-node.toml. The file is read at start and at `systemctl reload main-node`. `main-node check` prints the effective configuration and every problem.",
    "Durations: \"500ms\", \"30s\", \"5m\", \"1h30m\", \"30d\". Sizes: \"512kB\", \"4MB\", or a number of bytes. A relative path begins at the directory of the configuration. A JSON Pointer (RFC 6901) names the fields and list positions on the way to a value: \"/list/0/value\"; a JSONPath (RFC 9535) can choose: \"$.list[-1].value\", \"$.list[?@.name=='door'].value\".",
    "Keys: [source.records] names them. Without it every number and boolean of the response becomes a record, under its path with dots. With each, the key is a template: {id} is the element's field, {/a/b} the value at that JSON Pointer, {#} its position or name.",
    "Lists and forecasts: with each, or with a list at at, one record is the element of now (now), the newest (newest_by), all elements at their own times (element_time), or a number made of all (aggregate). Times in a list of their own are named by times_at: { at = \"/hourly/temperature\", times_at = \"/hourly/time\", now = true, ahead = 3 }.",
    "Derived keys: a formula has keys (in backticks where they have other characters than letters, digits, _ and .), numbers, the operators ^ ! * / % + - < <= > >= == != && || and the functions if(condition, then, otherwise), min, max, mean, clamp(x, least, most), abs, sign, round(x, decimals), floor, ceil, sqrt, exp, ln, log10, sin, cos, tan, atan2, radians, degrees. A window function (increase, rate, integral, min_over_time, max_over_time, avg_over_time) has one key and over = \"24h\" or since = \"day\". docs/configuration.md has examples of everything.",
    "Authentication: auth in a source has one kind of credentials. User and password (HTTP Basic, or HTTP Digest where the server asks for it): { user = \"me\", password = \"...\" }. Token or API key: { token = \"...\" }, with header = \"X-Api-Key: {token}\" or param = \"api_key\" where it is no Bearer token. OAuth 2.0: grant with token_url and client_id. A login that gives a token or cookies: login. A client certificate: certificate and key. A device with a self-signed certificate needs fingerprint in its source, a server behind a private CA ca_file. docs/configuration.md, in the sources of main-node, has the sections that are named here in quotes, and recipes.",
    "Every text may contain ${NAME}; $$ is a plain $. NAME is looked up in the process environment, in what the installed service has (secrets.env), in .env beside the configuration, in the file that NAME_FILE names, and in the systemd credential of that name: in lower case, as it is, or in lower case with dashes. An empty value counts as not set.",
    "A flag goes before the option's environment variable, that before the file, the file before the default. A variable is looked up like ${NAME}; in it, commas separate the entries of a list.",
    "Variables without an option: TZ is the time zone where timezone is not set, STATE_DIRECTORY the directory of the database where database is not set, RUST_LOG says how much is logged, SSL_CERT_FILE names root certificates to trust instead of the system's.",
];

/// The environment variables of the top-level options.
pub fn top_level_variables() -> Vec<&'static str> {
    let variables = top_level::OPTIONS.iter().map(|option| option.variable);
    variables.flatten().collect()
}
