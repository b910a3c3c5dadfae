//! Secrets of every kind of authentication, those of the configuration and those that servers give.

use super::places::{named, percent};
use super::{EchoServer, Program, search_everything};

fn quoted(name: &str) -> String {
    serde_json::Value::from(named(name)).to_string()
}

/// `auth` of each kind, with the servers of tokens and logins in `error` instead of those that work.
fn kinds(port: u16, mode: &str, error: Option<&str>) -> Vec<(&'static str, String)> {
    let server = |what: &str, kind: &str| {
        format!(
            "http://127.0.0.1:{port}/auth/{}/{kind}",
            error.map_or_else(|| format!("{what}.{mode}"), str::to_owned)
        )
    };
    let grant = |kind: &str, options: &str| {
        let url = server("token", kind);
        format!("token_url = \"{url}\", client_id = \"id:1\", {options}")
    };
    let login = |kind: &str, options: &str| {
        let query = percent(&named("query of a login"));
        let url = format!("{}?key={query}", server("login", kind));
        format!("login = {{ url = \"{url}\", {options} }}")
    };
    let basic = format!(
        "grant = \"client_credentials\", client_auth = \"basic\", client_secret = {}, \
         token_params = {{ audience = \"https://api.example.org/\", client_assertion = {} }}",
        quoted("client secret as Basic"),
        quoted("token parameter")
    );
    let refresh = format!(
        "grant = \"refresh_token\", client_secret = {}, refresh_token = {}",
        quoted("client secret in a body"),
        quoted("configured refresh token")
    );
    let password = format!(
        "grant = \"password\", user = {}, password = {}",
        quoted("user of a grant"),
        quoted("password of a grant")
    );
    let json = format!(
        "body = {{ user = \"me\", password = {} }}, headers = {{ X-Api-Key = {} }}, token = \"/session/sid\"",
        quoted("password in the body of a login"),
        quoted("header of a login")
    );
    let text = format!(
        "body = '<login><pw>{}</pw></login>', content_type = \"text/xml\", token_header = \"X-Token\"",
        named("text body of a login")
    );
    let form = format!(
        "form = {{ username = \"me\", password = {} }}",
        quoted("form of a login")
    );
    vec![
        ("client", grant("client", &basic)),
        ("refresh", grant("refresh", &refresh)),
        ("password", grant("password", &password)),
        (
            "json",
            format!(
                "{}, header = \"X-FTL-SID: {{token}}\"",
                login("json", &json)
            ),
        ),
        (
            "text",
            format!("{}, param = \"_sid\"", login("text", &text)),
        ),
        ("form", login("form", &form)),
    ]
}

/// Kinds that need no other server.
fn static_kinds() -> Vec<(&'static str, String)> {
    vec![
        (
            "header",
            format!(
                "token = {}, header = \"X-Key: {{token}}\"",
                quoted("token in a header of its own")
            ),
        ),
        (
            "param",
            format!(
                "token = {}, param = \"_sid\"",
                quoted("token in a parameter")
            ),
        ),
        ("file", "token_file = \"rotated\"".to_owned()),
        (
            "digest",
            format!(
                "user = \"me\", password = {}, scheme = \"digest\"",
                quoted("password of Digest")
            ),
        ),
        ("cookies", "cookies = true".to_owned()),
        (
            "mixed",
            format!(
                "cookies = true, token = {}, header = \"X-Key: {{token}}\"",
                quoted("token in a header of its own")
            ),
        ),
    ]
}

/// Name, MODE of the source's own server, and `auth`.
fn sources(port: u16) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    let mut add = |name: String, path: String, auth: &str| {
        let source = format!(
            "[[source]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/auth/{path}\"\nprefix = \"{name}.\"\n\
             auth = {{ {auth} }}\n"
        );
        sources.push((name, source));
    };
    for mode in ["texts", "denied", "reason"] {
        for (kind, auth) in [static_kinds(), kinds(port, mode, None)].concat() {
            add(format!("{kind}-{mode}"), format!("{mode}/{kind}"), &auth);
        }
    }
    let errors = ["json", "code", "html", "redirect", "none", "type", "status"];
    for (turn, error) in errors.iter().enumerate() {
        let kinds = kinds(port, "", Some(&format!("error-{error}.{turn}")));
        // Two of them for each error.
        for (kind, auth) in kinds.into_iter().skip(turn % 3).step_by(3) {
            add(format!("{kind}-{error}"), format!("texts/{kind}"), &auth);
        }
    }
    sources
}

#[test]
fn no_output_shows_a_secret_of_authentication() {
    let server = EchoServer::start();
    let port = server.port;
    let sources = sources(port);
    let tables: String = sources.iter().map(|(_, source)| source.as_str()).collect();
    let configuration = format!(
        "name = \"node\"\nlisten = \"127.0.0.1:0\"\ndatabase = \"records.db\"\npassword_file = \"pages\"\n\n\
         {tables}\n[alert]\nwebhook = \"http://127.0.0.1:{port}/auth/error-status/hook\"\n"
    );
    let program = Program::new("authentication", &configuration);
    program.write("rotated", &named("token of a file"));
    let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    let mut search = search_everything(&program, &names, &["rotated", "tokens.json"]);
    for source in ["header-texts", "json-texts", "form-denied", "client-json"] {
        search.add("pick", program.run(&["pick", "$.*", source]));
    }
    assert!(search.found.is_empty(), "{}", search.found.join("\n"));
}
