//! Tests of masking: no message shows a secret, and every secret is registered.

use crate::config::support::load_text;

/// A marker for every place that can hold a secret.
struct Markers(Vec<String>);

impl Markers {
    fn fill(text: &str) -> (String, Markers) {
        let mut filled = String::new();
        let mut markers = Vec::new();
        let mut parts = text.split("MARK");
        filled.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let marker = format!("hunter{}zz", markers.len());
            filled.push_str(&marker);
            filled.push_str(part);
            markers.push(marker);
        }
        (filled, Markers(markers))
    }

    fn assert_in_none(&self, text: &str) {
        assert!(!text.contains("hunter"), "{:?} shows in: {text}", self.0);
    }
}

#[test]
fn check_shows_no_secret_of_any_option_and_all_of_them_are_known() {
    let (text, markers) = Markers::fill(
        r#"
[[source]]
name = "every kind"
url = "http://me:MARK@meter.local/api/bot123456789012:MARK/x?appid=MARK&token=MARK#MARK"
headers = { Authorization = "Bearer MARK", X-Key = "MARK", Cookie = "sid=MARK; x=MARK", Accept = "text/x" }
params = { api_key = "MARK", list_of_tokens = ["MARK", "MARK"], q = "${VARIABLE}", short = "${SHORT}" }
proxy = "http://me:MARK@proxy.local:3128"
attribution = "by ${VARIABLE}"
[[source]]
name = "basic"
url = "http://MARK@meter.local/api"
auth = { user = "MARK", password = "MARK" }
prefix = "b."
[[source]]
name = "key as user"
url = "http://${HOST}/${VARIABLE}/api"
auth = { user = "MARK", password = "" }
prefix = "k."
[[source]]
name = "token"
url = "http://meter.local/api"
auth = { token = "MARK" }
prefix = "t."
[[source]]
name = "token in a header"
url = "http://meter.local/api"
auth = { token = "MARK", header = "X-Key: id=MARK {token}" }
prefix = "th."
[[source]]
name = "token in a parameter"
url = "http://meter.local/api"
auth = { token = "MARK", param = "key" }
prefix = "tp."
[[source]]
name = "OAuth"
url = "http://meter.local/api"
auth = { grant = "refresh_token", token_url = "http://MARK@meter.local/token?key=MARK", client_id = "a", client_secret = "MARK", refresh_token = "MARK", token_params = { api_key = "MARK" } }
prefix = "oa."
[[source]]
name = "OAuth by password"
url = "http://meter.local/api"
auth = { grant = "password", token_url = "http://meter.local/token", client_id = "a", user = "me", password = "MARK" }
prefix = "op."
[[source]]
name = "digest"
url = "http://meter.local/api"
auth = { user = "me", password = "MARK", scheme = "digest" }
prefix = "d."
[[source]]
name = "table as body"
url = "http://meter.local/api?day={today}&token=MARK-{now:unix}"
headers = { X-Sign = "MARK-{now:unix}" }
body = { query = "{ day }", password = "MARK", deep = [{ api_key = "MARK at {now}" }], tokens = ["MARK"] }
prefix = "p."
[[source]]
name = "JSON as body"
url = "http://meter.local/api"
body = '{"from": {now:unix}, "auth": {"user": "MARK", "list": ["MARK"]}}'
prefix = "j."
[[source]]
name = "form as body"
url = "http://meter.local/api"
body = "day={today}&password=MARK&token=MARK"
content_type = "application/x-www-form-urlencoded"
prefix = "f."
[[source]]
name = "follower"
follow = "http://me:MARK@other.local"
[alert]
webhook = "https://hooks.example/services/T123/MARK?x=MARK"
ping = "https://me:MARK@hc.example/MARK"
page = "https://me:MARK@node.example/?token=MARK"
[mail]
host = "smtp.example.org"
user = "me@example.org"
password = "MARK"
to = "you@example.org"
"#,
    );
    let variables = [
        ("VARIABLE", "hunter-of-variables"),
        ("SHORT", "hun"),
        ("HOST", "hunter.example"),
    ];
    let config = load_text(&text, &variables).expect("it is valid");
    let described = config.to_toml();
    markers.assert_in_none(&described);
    markers.assert_in_none(&format!("{:?}", config.secrets));
    assert!(described.contains("short = \"***\""), "{described}");
    assert!(
        described.contains("host = \"smtp.example.org\""),
        "{described}"
    );
    // All are masked, except the fragment (never sent), the page, and a short user name (may be
    // any word).
    let is_kept_back = |marker: &String| {
        let places = [
            "#MARK",
            "MARK@node",
            "/?token=MARK",
            "user = \"MARK\", password = \"h",
        ];
        places
            .iter()
            .any(|place| text.contains(&place.replace("MARK", marker)))
    };
    for marker in markers.0.iter().filter(|marker| !is_kept_back(marker)) {
        let messages = config
            .secrets
            .mask(&format!("the server says: {marker} is wrong"))
            .into_owned();
        markers.assert_in_none(&messages);
    }
}

#[test]
fn a_token_file_is_read_for_masking_and_may_come_later() {
    let place = crate::golden::scratch("token-file");
    let file = place.join("token");
    let text = format!(
        "[[source]]\nname = \"m\"\nurl = \"http://meter.local/x\"\n\
         auth = {{ token_file = \"{}\", header = \"X-Key: {{token}}\" }}\n",
        file.display()
    );
    for (content, expected) in [
        (None, Some("cannot be read")),
        (Some("hunter2hunter2\n"), None),
        (Some("hunter2\nhunter2\n"), Some("no token")),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).expect("a file can be written");
        }
        let config = load_text(&text, &[]).expect("it is valid");
        let remark = config.remarks.first().map(|it| it.problem.message.as_str());
        assert_eq!(remark.is_some(), expected.is_some(), "{remark:?}");
        let remark = remark.unwrap_or_default();
        assert!(remark.contains(expected.unwrap_or_default()), "{remark}");
        assert!(!remark.contains("hunter2"), "{remark}");
        if expected.is_none() {
            assert_eq!(config.secrets.mask("it is hunter2hunter2"), "it is ***");
        }
        assert!(config.to_toml().contains("token_file = "), "it is printed");
    }
}

#[test]
fn no_problem_of_the_configuration_shows_a_secret() {
    let source = "[[source]]\nname = \"m\"\n";
    let url = "url = \"http://meter.local/x\"\n";
    let bad = [
        // Invalid TOML: the message has the location, not the line.
        "token = hunter2".to_owned(),
        format!("{source}{url}headers = {{ Authorization = \"Bearer hunter2 }}\n"),
        format!("{source}{url}headers = {{ Authorization = hunter2 }}\n"),
        format!("{source}{url}auth = {{ token = \"a\", token = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ token = 'hunter2 }}\n"),
        format!("{source}{url}auth = {{ token = \"hunter2\\q\" }}\n"),
        format!("{source}{url}auth.token = \"hunter2\"\nauth = \"hunter2\"\n"),
        // Wrong types.
        format!("{source}{url}headers = \"Authorization: Bearer hunter2\"\n"),
        format!("{source}{url}headers = [\"X: hunter2\"]\n"),
        format!("{source}{url}headers = {{ \"Authorization: Bearer hunter2\" = 5 }}\n"),
        format!("{source}{url}headers = {{ \"Authorization: Bearer hunter2\" = \"x\" }}\n"),
        format!("{source}{url}headers = {{ X = \"hunter2\\n\" }}\n"),
        format!("{source}{url}params = \"api_key=hunter2\"\n"),
        format!("{source}{url}params = {{ api_key = {{ x = \"hunter2\" }} }}\n"),
        format!("{source}{url}auth = \"hunter2\"\n"),
        format!("{source}{url}auth = {{ user = 5, password = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ password = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ token = \"a${{hunter2 b}}\" }}\n"),
        format!("{source}{url}auth = {{ token = \"a\", header = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ token = \"hunter2\", token_file = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ token_file = [\"hunter2\"] }}\n"),
        format!("{source}{url}auth = {{ client_secret = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ grant = \"hunter2\", token_url = \"http://a/?x=hunter2\" }}\n"),
        format!("{source}{url}auth = {{ grant = \"password\", token_url = \"http://a/\", client_id = \"hunter2\", password = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ grant = \"refresh_token\", token_url = \"ftp://hunter2@a/\", refresh_token = 5, scope = [\"hunter2\"] }}\n"),
        format!("{source}{url}auth = {{ grant = \"client_credentials\", token_url = \"http://a/\", client_id = \"a\", token_params = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ user = \"me\", password = \"hunter2\", certificate = \"hunter2\" }}\n"),
        format!("{source}url = \"hunter2@meter.local/x\"\n"),
        format!("{source}{url}auth = {{ token = \"a\", header = \"X-Key: hunter2\" }}\n"),
        format!("{source}{url}auth = {{ token = \"a\", header = 2, param = \"hunter2=\" }}\n"),
        format!("{source}{url}auth = {{ token = \"a\", password = \"hunter2\", scheme = \"hunter2\" }}\n"),
        format!("{source}{url}auth = \"m\"\n[auth.m]\ntoken = \"a\"\ntocken = \"hunter2\"\n"),
        // URLs.
        format!("{source}url = \"me:hunter2@meter.local/x\"\n"),
        format!("{source}url = \"meter.local/bothunter2/x\"\n"),
        format!("{source}url = \"ftp://me:hunter2@meter.local/x\"\n"),
        format!("{source}url = \"http://me:hunter2/ss@meter.local/x\"\n"),
        format!("{source}url = \"http://me:hun/ter2#hunter2@meter.local/x\"\n"),
        format!("{source}url = \"http://me:hunter2@bücher.example/x\"\n"),
        format!("{source}url = \"http://me:hunter2@meter.local:99999/x\"\n"),
        format!("{source}url = \"http://me:hunter2@meter.local/a b?key=hunter2\"\n"),
        format!("{source}{url}proxy = \"socks5://me:hunter2@proxy.local\"\n"),
        format!("{source}{url}[alert]\nwebhook = \"hooks.example/hunter2\"\n"),
        format!("{source}{url}[alert]\nwebhook = 5\nping = \"hc:/hunter2\"\n"),
        // Bodies.
        format!("{source}{url}body = \"hunter2\"\n"),
        format!("{source}{url}body = [\"hunter2\"]\n"),
        format!("{source}{url}body = {{ a = \"{{today hunter2}}\" }}\n"),
        format!("{source}{url}body = \"{{\\\"hunter2\\\": \"\nmethod = \"GET\"\n"),
        format!("{source}{url}body = {{ hunter = \"hunter2\" }}\ncontent_type = \"x/y\"\n"),
        format!("{source}{url}params = {{ token = \"hunter2{{now+}}\" }}\n"),
        // A parameter of an operation, by its name.
        format!("{source}operation = \"getForecast\"\nparams = {{ latitude = 1, longitude = 2, api_key = \"hunter2\" }}\n"),
        // Any value of a variable, in any option.
        format!("{source}{url}every = \"${{V}}\"\n"),
        format!("{source}{url}observed_zone = \"${{V}}\"\n"),
        "name = \"x\"\nlisten = \"${V}\"\ntimezone = \"${V}\"\nallow = [\"${V}\"]\npassword_file = \"${V}\"\n".to_owned(),
        "[[source]]\nname = \"${V}!\"\noperation = \"${V}\"\n".to_owned(),
        "[[source]]\nname = \"${V}\"\nurl = \"${V}://x\"\n".to_owned(),
        format!("{source}operation = \"getForecast\"\nparams = {{ latitude = \"${{V}}\", longitude = 2, current = [\"${{V}}\"] }}\n"),
        format!("{source}{url}[alert]\nmute = \"${{V}}\"\n"),
        format!("{source}{url}[mail]\nhost = \"a b ${{V}}\"\nport = \"${{V}}\"\ntls = \"${{V}}\"\nto = \"${{V}}\"\n"),
        format!("{source}{url}[source.records]\nt = \"${{V}}\"\n"),
        format!("{source}url = \"http://a/\"\n[source.records]\nt = {{ at = \"/t\", min = \"${{V}}\" }}\n"),
    ];
    for text in bad {
        let found = load_text(&text, &[("V", "hunter2")]);
        let Err(found) = found else {
            panic!("it is valid: {text}");
        };
        assert!(!found.is_empty());
        for problem in found {
            assert!(
                !problem.to_string().contains("hunter2"),
                "{text}\n{problem}"
            );
        }
    }
}
