//! Tests of `for`: the sources that one `[[source]]` makes.

use std::fmt::Write as _;

use super::support::{load_text, problems};

/// The effective configuration of the sources alone.
fn effective(text: &str) -> String {
    let config = load_text(text, &[("KEY", "hush{device}")]).expect("it is valid");
    let toml = config.to_toml();
    let begin = toml.find("[[source]]").expect("it has sources");
    let end = toml.find("[alert]").expect("alerts come last");
    toml[begin..end].to_owned()
}

#[test]
fn each_device_is_a_source_that_check_prints_ready_to_paste() {
    let text = r#"
[[source]]
for = { plug2 = "192.168.1.21", plug1 = "192.168.1.20:8080" }
url = "http://{device}/rpc?id={id}&d={device}"
params = { station = "{device}", key = "${KEY}" }
attribution = "{device}"
[source.records]
power = "/apower"
"{id}.state" = { each = "/list", at = "/on" }

[[source]]
url = "http://meter.local/{device}"
every = "1m"
headers = { X-Device = "no. {device}" }
[source.for]
"first floor" = "a"
cellar = "b"

[[source]]
name = "plain"
url = "http://meter.local/{device}"

[key."plug1.power"]
unit = "W"

[[alert.value]]
key = "plug2.power"
above = 40
"#;
    let printed = effective(text);
    let is_own = |line: &&str| {
        let about = ["[", "\"", "name", "url", "params", "every", "prefix"];
        line.is_empty() || about.iter().any(|it| line.starts_with(it))
    };
    let own: Vec<&str> = printed.lines().filter(is_own).collect();
    crate::golden::check("config-devices.txt", &(own.join("\n") + "\n"));
    let again = effective(&printed);
    // The key is masked.
    let masked = |text: &str| text.replace("hush{device}", "***");
    assert_eq!(masked(&again), masked(&printed));
    let config = load_text(text, &[("KEY", "hush{device}")]).expect("it is valid");
    let remarks: Vec<String> = config.remarks.iter().map(|it| format!("{it:?}")).collect();
    assert!(remarks.is_empty(), "both keys exist: {remarks:?}");
    let header = config.sources[3].headers[0].value.reveal();
    assert_eq!(header, "no. b");
}

#[test]
fn devices_count_as_sources() {
    let devices = |count: usize, name: &str| {
        let mut list = String::new();
        for index in 0..count {
            let _ = write!(list, "{name}{index} = \"10.0.0.{index}\", ");
        }
        format!("[[source]]\nfor = {{ {list} }}\nurl = \"http://{{device}}/\"\n")
    };
    let fits = devices(64, "a") + &devices(64, "b");
    assert_eq!(problems(&fits), "no problem");
    let too_many = problems(&(fits + &devices(1, "c")));
    assert!(
        too_many.ends_with("expected at most 128 sources, found 129"),
        "{too_many}"
    );
    let too_long = problems(&devices(65, "a"));
    assert!(
        too_long.contains("main-node.toml:2:7: expected at most 64 devices, found 65"),
        "{too_long}"
    );
}

#[test]
fn a_prefix_stands_before_named_keys_too() {
    let text = "[[source]]\nname = \"a\"\nurl = \"http://a/\"\nprefix = \"a.\"\n\
                [source.records]\npower = \"/p\"\n";
    let printed = effective(text);
    assert!(
        printed.ends_with("[source.records]\n\"a.power\" = { at = \"/p\" }\n\n"),
        "{printed}"
    );
}
