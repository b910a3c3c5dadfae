//! Tests of `[auth.NAME]`: the credentials and the intervals of the sources that share it.

use super::auth_types::Auth;
use super::support::{load_text, problems};
use super::{Config, ConfiguredCredential};

fn load(text: &str) -> Config {
    load_text(text, &[]).expect("it is valid")
}

const ACCOUNT: &str = r#"
[[source]]
name = "overview"
url = "http://solar.lan/overview"
auth = "solar"

[[source]]
for = { east = "1", west = "2" }
url = "http://solar.lan/inverter/{device}"
auth = "solar"
every = "1h"
quota = "10/day"

[[source]]
name = "own"
url = "http://solar.lan/own"
auth = { user = "me", password = "other" }

[auth.solar]
token = "hush-hush"
quota = "300/day"
"#;

#[test]
fn sources_of_an_account_have_its_credential_and_their_share_of_its_quota() {
    let config = load(ACCOUNT);
    let found: Vec<(&str, u64, bool)> = config
        .sources
        .iter()
        .map(|source| {
            let credential = source.auth.as_ref().and_then(Auth::credential);
            let is_token = matches!(credential, Some(ConfiguredCredential::Token(it))
                if it.token.reveal() == "hush-hush");
            let name = &*source.plan.name;
            (name, source.plan.every.as_secs(), is_token)
        })
        .collect();
    // A day of 86,400 s: 3 / 300 of it is 864 s; the stricter quota of the devices is 8,640 s.
    let expected = [
        ("overview", 864, true),
        ("east", 8_640, true),
        ("west", 8_640, true),
        ("own", 300, false),
    ];
    assert_eq!(found, expected);
    let stale = config.sources[0]
        .plan
        .default_stale_after(std::time::Duration::ZERO);
    assert_eq!(stale.as_secs(), 3 * 864);
}

#[test]
fn what_check_prints_of_an_account_can_be_pasted() {
    let printed = load(ACCOUNT).to_toml();
    assert!(!printed.contains("hush"), "{printed}");
    for line in [
        "auth = \"solar\"\nevery = \"14m24s\"\n",
        "every = \"2h24m\"\nquota = \"10/day\"\n",
        "\n[auth.solar]\ntoken = \"***\"\nquota = \"300/day\"\n",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    assert_eq!(load(&printed).to_toml(), printed);
}

#[test]
fn a_quota_without_credentials_is_an_account() {
    let source = "[[source]]\nname = \"a\"\nurl = \"http://a.lan/\"\nauth = \"by address\"\n";
    let config = load(&format!(
        "{source}[auth.\"by address\"]\nquota = \"10/hour\"\n"
    ));
    assert_eq!(config.sources[0].auth, None);
    assert_eq!(config.sources[0].plan.every.as_secs(), 360);
}

#[test]
fn an_operation_gets_the_credential_of_the_account() {
    let operation = "[[source]]\nname = \"w\"\noperation = \"getForecast\"\n\
                     params = { latitude = 1, longitude = 2 }\nauth = \"a\"\n";
    assert_eq!(
        problems(&format!("{operation}[auth.a]\ntoken = \"hush\"\n")),
        "no problem"
    );
}
