//! Configurations good and bad, and the words for what is wrong.

use super::*;
use crate::domain::plan::Selection;
use openapi::compact::CompactApi;

static API: CompactApi = CompactApi::plain(
    r#"
{"name":"open_meteo","title":"Open-Meteo","version":"1","source_file":"openapi.yaml","servers":[{"url":"https://api.open-meteo.com"}]}
{"id":"getForecast","summary":"A forecast","path":"/v1/forecast","parameters":[{"argument":"latitude","name":"latitude","required":true,"schema":1},{"argument":"longitude","name":"longitude","required":true,"schema":2},{"argument":"current","name":"current","schema":4}],"accept":"application/json","responses":[{"status":"default","media_type":"application/json","schema":5}]}

{"types":"number","rules":[{"minimum":-90.0},{"maximum":90.0}]}
{"types":"number"}
{"types":"string","rules":[{"enum":["temperature_2m","rain"]}]}
{"types":"array","rules":[{"items":3}]}
{"types":"object","rules":[{"properties":[{"name":"current","required":true,"schema":6}]}]}
{"types":"object"}"#,
);

fn api() -> &'static Api {
    API.read().expect("it is an API")
}

fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let file = Some(PathBuf::from("main-node.toml"));
    let environment = Environment::new(variables);
    read(text, file, &Overrides::default(), environment, &[api()])
}

fn problems(text: &str) -> String {
    match load_text(text, &[]) {
        Ok(_) => "no problem".to_owned(),
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
            lines.join("\n")
        }
    }
}

const METER: &str = "[[source]]\nname = \"meter\"\nurl = \"http://meter.local/api\"\n";

#[test]
fn the_configuration_of_the_design_is_read_as_it_says() {
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
    let Selection::Selectors(picks) = &weather.plan.selection else {
        panic!("records are named");
    };
    let keys: Vec<&str> = picks.iter().map(|pick| &*pick.key).collect();
    assert_eq!(keys, ["temperature", "humidity"], "in the file's order");
    let meter = &config.sources[1];
    assert_eq!(meter.headers[0].value.reveal(), "Bearer hush");
    assert!(!config.to_toml().contains("hush"), "{}", config.to_toml());
    assert_eq!(config.alert.no_success_for, Some(Duration::from_secs(900)));
}

#[test]
fn what_describe_prints_is_a_configuration_that_means_the_same() {
    let config = load_text(example::EXAMPLE, &[]).expect_err("other parameters than this table's");
    assert!(!config.is_empty());
    let text = format!(
        "{METER}[source.records]\nzeta = \"/z\"\n\"a b\" = {{ at = \"/a\", scale = 0.1, text = true }}\n"
    );
    let first = load_text(&text, &[]).expect("it is valid");
    let second = load_text(&first.to_toml(), &[]).expect("what is printed is valid");
    assert_eq!(first.to_toml(), second.to_toml());
}

/// One golden for the words of every problem: the configuration, then what is said of it.
#[test]
fn every_problem_says_where_and_what_to_change() {
    let cases = [
        ("not TOML", "listen = \n"),
        ("unknown option", &format!("{METER}evry = \"5m\"\n")),
        ("unknown table", &format!("{METER}\n[alrt]\n")),
        ("nothing to fetch", "listen = \"127.0.0.1:8000\"\n"),
        (
            "unknown operation",
            "[[source]]\nname = \"w\"\noperation = \"getForcast\"\n",
        ),
        (
            "required parameter missing",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitude = 1 }\n",
        ),
        (
            "unknown parameter",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitud = 1, latitude = 1, longitude = 2 }\n",
        ),
        (
            "outside its range",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitude = 99, longitude = 2 }\n",
        ),
        (
            "outside its enum",
            "[[source]]\nname = \"w\"\noperation = \"getForecast\"\nparams = { latitude = 9, longitude = 2, current = [\"temprature_2m\"] }\n",
        ),
        (
            "unknown API",
            "[[source]]\nname = \"w\"\napi = \"weather\"\noperation = \"getForecast\"\n",
        ),
        (
            "operation and url",
            &format!("{METER}operation = \"getForecast\"\n"),
        ),
        ("neither", "[[source]]\nname = \"w\"\n"),
        ("no name", "[[source]]\nurl = \"http://meter.local\"\n"),
        ("two of one name", &format!("{METER}{METER}")),
        (
            "an address that is none",
            "[[source]]\nname = \"w\"\nurl = \"meter.local\"\n",
        ),
        (
            "an address with letters of its own and a secret",
            "[[source]]\nname = \"w\"\nurl = \"http://me:secret@bücher.example/?key=secret\"\n",
        ),
        (
            "a port that is none",
            "[[source]]\nname = \"w\"\nurl = \"https://me:secret@[::1]:99999/?key=secret\"\n",
        ),
        (
            "an address with a space",
            "[[source]]\nname = \"w\"\nurl = \"http://meter.local/a b?key=secret\"\n",
        ),
        (
            "another protocol",
            "[[source]]\nname = \"w\"\nurl = \"ftp://me:secret@meter.local/x?key=secret\"\n",
        ),
        (
            "a network that is none",
            &format!("allow = [\"192.168.0.0/33\", \"lan\", \"10.0.0.7\"]\n{METER}"),
        ),
        (
            "a password file that is not there",
            &format!("password_file = \"no/such/file\"\n{METER}"),
        ),
        (
            "a duration that is none",
            &format!("{METER}every = \"5 minutes\"\n"),
        ),
        (
            "an interval too short",
            &format!("{METER}every = \"10ms\"\n"),
        ),
        (
            "a missing variable",
            &format!("{METER}headers = {{ Authorization = \"Bearer ${{NO_SUCH}}\" }}\n"),
        ),
        (
            "a lone dollar",
            &format!("{METER}attribution = \"5 $ a day\"\n"),
        ),
        (
            "a header that would inject one",
            &format!("{METER}headers = {{ X = \"a\\r\\nY: b\" }}\n"),
        ),
        (
            "a pointer that is none",
            &format!("{METER}[source.records]\nt = \"current.t\"\n"),
        ),
        (
            "a record without a place",
            &format!("{METER}[source.records]\nt = {{ unit = \"V\" }}\n"),
        ),
        (
            "a record without a place, with options that there are not",
            &format!(
                "{METER}[source.records]\np = {{ path = \"/power\", multiplier = 0.1, unit = \"W\" }}\n"
            ),
        ),
        (
            "min above max",
            &format!("{METER}[source.records]\nt = {{ at = \"/t\", min = 9, max = 1 }}\n"),
        ),
        (
            "one key from two sources",
            &format!(
                "{METER}[source.records]\nt = \"/t\"\n[[source]]\nname = \"other\"\nurl = \"http://b.local/\"\n[source.records]\nt = \"/t\"\n"
            ),
        ),
        (
            "a listening address that is none",
            &format!("listen = \"8000\"\n{METER}"),
        ),
        (
            "a time zone that is none",
            &format!("timezone = \"Berlin\"\n{METER}"),
        ),
        (
            "a merge that is none",
            &format!("{METER}[key.t]\nmerge = \"average\"\n"),
        ),
        (
            "mail without a recipient",
            &format!("{METER}[mail]\nhost = \"smtp.example.org\"\n"),
        ),
        (
            "a mail address that would inject",
            &format!("{METER}[mail]\nhost = \"smtp.example.org\"\nto = \"a@b> RCPT TO:<c@d\"\n"),
        ),
        (
            "a user without a password, over an open connection",
            &format!(
                "{METER}[mail]\nhost = \"mail.lan\"\nport = 25\nuser = \"me\"\nto = \"me@example.org\"\n"
            ),
        ),
        (
            "a window that is none",
            &format!("{METER}[alert]\nmute = [\"Saturday night\"]\n"),
        ),
        (
            "an alert for a source that is none",
            &format!("{METER}[alert.source.metre]\nfailures_in_a_row = 3\n"),
        ),
        (
            "a value without a bound",
            &format!("{METER}[[alert.value]]\nkey = \"t\"\n"),
        ),
        (
            "bounds that leave nothing",
            &format!("{METER}[[alert.value]]\nkey = \"t\"\nabove = 1\nbelow = 2\n"),
        ),
        (
            "a rule twice",
            &format!("{METER}[[alert.stale]]\nkey = \"t\"\n[[alert.stale]]\nkey = \"t\"\n"),
        ),
        (
            "a webhook that is none",
            &format!("{METER}[alert]\nwebhook = \"ntfy.example/secret\"\n"),
        ),
        (
            "one key with a dot from two sources",
            &format!(
                "{METER}[source.records]\n\"house.power\" = \"/p\"\n[[source]]\nname = \"other\"\n\
                 url = \"http://b/\"\n[source.records]\n\"house.power\" = \"/p\"\n"
            ),
        ),
        (
            "one template from two sources",
            &format!(
                "{METER}[source.records]\n\"{{id}}\" = {{ each = \"/l\", at = \"/p\" }}\n[[source]]\n\
                 name = \"other\"\nurl = \"http://b/\"\n[source.records]\n\
                 \"{{id}}\" = {{ each = \"/l\", at = \"/p\" }}\n"
            ),
        ),
        (
            "a key with a dot without quotes",
            &format!("{METER}[key.house.power]\nmerge = \"mean\"\n"),
        ),
        (
            "an option of the top below a table",
            &format!("{METER}[alert]\ntimezone = \"Europe/Berlin\"\n"),
        ),
        (
            "JSONPath",
            &format!(
                "{METER}observed_at = \"$.time\"\n[source.records]\na = \"$.list[0]['a b'].v\"\n\
                 b = {{ at = \"$..v\" }}\nc = \"$.checks[?@.name=='door'].status\"\n"
            ),
        ),
        (
            "an alert and a login with a missing variable",
            &format!(
                "{METER}auth = {{ token = \"${{NO_SUCH}}\" }}\n[[alert.stale]]\nkey = \"${{NO_SUCH}}\"\n\
                 [[alert.display]]\nname = \"hall\"\nsilent_for = \"1 hour\"\n"
            ),
        ),
        (
            "several at once",
            "lisen = \"x\"\n[[source]]\nname = 5\nurl = 7\nevery = 3\n",
        ),
    ];
    let mut said = String::new();
    for (name, text) in cases {
        said += &format!("== {name}\n{}\n", problems(text));
    }
    crate::golden::check("config-problems.txt", &said);
}

#[test]
fn the_environment_goes_before_the_file_and_empty_means_unset() {
    let text = format!("listen = \"127.0.0.1:1\"\n{METER}");
    let port = |variables| load_text(&text, variables).expect("it is valid").listen[0].port();
    assert_eq!(port(&[]), 1);
    assert_eq!(port(&[("MAIN_NODE_LISTEN", "127.0.0.1:2, 127.0.0.1:3")]), 2);
    assert_eq!(port(&[("MAIN_NODE_LISTEN", "")]), 1);
}

#[test]
fn mail_comes_from_the_variables_by_their_exact_names() {
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
    assert_eq!(mail.from, "me@example.org");
    assert_eq!(mail.to.len(), 2);
    assert!(!format!("{:?} {}", config, config.to_toml()).contains("hush"));
}

/// A heading such as `[key."a.b"]` in a message: from its bracket to the one that ends it
/// outside of quotes.
fn headings(text: &str) -> Vec<&str> {
    let mut headings = Vec::new();
    for (at, _) in text.match_indices('[') {
        let rest = &text[at..];
        let begins = ["[key.", "[alert.", "[source.", "[[source", "[[alert"];
        if !begins.iter().any(|it| rest.starts_with(it)) {
            continue;
        }
        let mut is_quoted = false;
        let mut depth = 0;
        let end = rest.find(|c: char| {
            is_quoted ^= c == '"';
            depth += i32::from(c == '[' && !is_quoted) - i32::from(c == ']' && !is_quoted);
            depth == 0
        });
        headings.extend(end.map(|end| &rest[..=end]));
    }
    headings
}

#[test]
fn every_heading_that_a_message_advises_is_toml() {
    let mut count = 0;
    for file in std::fs::read_dir("tests/golden").expect("there are golden files") {
        let path = file.expect("it is listed").path();
        let is_text = path.extension().is_some_and(|it| it == "txt");
        let text = match is_text {
            true => std::fs::read_to_string(&path).expect("it is text"),
            false => continue,
        };
        for heading in headings(&text) {
            count += 1;
            let table = format!("{heading}\nx = 1\n").parse::<toml::Table>();
            assert!(table.is_ok(), "{}: {heading}", path.display());
            // `[key.NAME]` has one part for the name: a dot in it is quoted.
            let of_key = table.ok().and_then(|it| it.get("key")?.as_table().cloned());
            let inner = of_key.and_then(|it| it.values().next()?.as_table().cloned());
            assert!(inner.is_none_or(|it| it.contains_key("x")), "{heading}");
        }
    }
    assert!(count > 5, "{count} headings");
}

#[test]
fn every_alert_rule_is_read_and_described_as_it_was_read() {
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
fn dot_env_stands_beside_the_file_and_below_the_process() {
    let directory = crate::golden::scratch("dot-env");
    std::fs::write(
        directory.join(".env"),
        "TOKEN=from-file\nOTHER='two words'\n",
    )
    .unwrap();
    let mut environment = Environment::new([("TOKEN".to_owned(), "from-process".to_owned())]);
    environment
        .read_dot_env(&directory)
        .expect("it is readable");
    assert_eq!(
        environment.variable("TOKEN").as_deref(),
        Some("from-process")
    );
    assert_eq!(environment.variable("OTHER").as_deref(), Some("two words"));
    std::fs::write(directory.join(".env"), "SECRET some thing = 'x\n").unwrap();
    let problem = Environment::default()
        .read_dot_env(&directory)
        .expect_err("not a pair");
    assert!(!problem.message.contains("some thing"), "{problem}");
}

#[test]
fn any_variable_comes_from_a_file_of_its_own_or_a_credential_too() {
    let directory = crate::golden::scratch("credentials");
    std::fs::write(directory.join("meter_token"), "credential\n").expect("a file can be written");
    std::fs::write(directory.join("mounted"), "mounted\n").expect("a file can be written");
    let place = |name: &str| directory.join(name).display().to_string();
    let (credentials, mounted) = (directory.display().to_string(), place("mounted"));
    let text = format!("{METER}headers = {{ Authorization = \"Bearer ${{METER_TOKEN}}\" }}\n");
    let token = |variables: &[(&str, &str)]| match load_text(&text, variables) {
        Ok(config) => config.sources[0].headers[0].value.reveal().to_owned(),
        Err(problems) => problems[0].to_string(),
    };
    let passed = ("CREDENTIALS_DIRECTORY", &*credentials);
    let file = ("METER_TOKEN_FILE", &*mounted);
    assert_eq!(token(&[passed]), "Bearer credential");
    assert_eq!(token(&[passed, file]), "Bearer mounted");
    assert_eq!(token(&[passed, file, ("METER_TOKEN", "own")]), "Bearer own");
    let absent = place("absent");
    let said = token(&[("METER_TOKEN_FILE", &absent)]);
    assert!(
        said.contains(&format!("METER_TOKEN_FILE names {absent}")),
        "{said}"
    );
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_command_by_hand_has_what_the_service_has() {
    let directory = crate::golden::scratch("by-hand");
    std::fs::write(directory.join("key"), "credential\n").expect("a file can be written");
    let text = format!("{METER}headers = {{ a = \"${{TOKEN}}\", b = \"${{KEY}}\" }}\n");
    let variable = |name: &str, value: &str| {
        let file = PathBuf::from("secrets.env");
        (name.to_owned(), (value.to_owned(), file))
    };
    let service = service::InstalledService {
        variables: [
            variable("TOKEN", "of-service"),
            variable("STATE_DIRECTORY", "/var/lib/x"),
        ]
        .into(),
        credentials: vec![
            ("key".to_owned(), directory.join("absent")),
            ("key".to_owned(), directory.join("key")),
        ],
        ..service::InstalledService::default()
    };
    let load = |own: &[(&str, &str)]| {
        let own = own
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let environment = Environment::new(own).with_service(service.clone());
        let file = Some(directory.join("main-node.toml"));
        read(&text, file, &Overrides::default(), environment, &[api()]).expect("nothing is missing")
    };
    let config = load(&[]);
    let values = config.sources[0]
        .headers
        .iter()
        .map(|header| header.value.reveal());
    assert_eq!(values.collect::<Vec<_>>(), ["of-service", "credential"]);
    assert_eq!(config.database, Path::new("/var/lib/x/main-node.db"));
    assert!(config.database_is_default);
    let config = load(&[("TOKEN", "own")]);
    assert_eq!(config.sources[0].headers[0].value.reveal(), "own");
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn copying_and_asking_need_no_secret() {
    let directory = crate::golden::scratch("essentials");
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
    // What is asked of the file is still checked.
    for (wrong, expected) in [
        ("listen = 7", "listen: expected"),
        ("database = \"", "not TOML"),
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
fn a_dollar_in_dot_env_that_names_nothing_stays() {
    let directory = crate::golden::scratch("dot-env-dollars");
    let text = "A=one\nexport B=two\nP1=pa$word1\nP2=\"pa$word2 $\"\nP3='pa$A'\nP4=x${A}y\nP5=$A$nothing\n\
                P6=\"$B\"\nP7=a\\$b\nP8=${NO}\n# $c\nP9=ok # $d\nP10=$OUTSIDE\nP11='two\n$lines'\nP12=end$\n";
    std::fs::write(directory.join(".env"), text).expect("it is written");
    let mut environment = Environment::new([("NO".to_owned(), String::new())]);
    let remarks = environment.read_dot_env(&directory).expect("it is read");
    for (name, expected) in [
        ("P1", "pa$word1"),
        ("P2", "pa$word2 $"),
        ("P3", "pa$A"),
        ("P4", "xoney"),
        ("P5", "one$nothing"),
        ("P6", "two"),
        ("P7", "a$b"),
        ("P9", "ok"),
        ("P10", "$OUTSIDE"),
        ("P11", "two\n$lines"),
        ("P12", "end$"),
    ] {
        assert_eq!(
            environment.variable(name).as_deref(),
            Some(expected),
            "{name}"
        );
    }
    assert_eq!(environment.variable("P8"), None, "it is set, and empty");
    let places = remarks.iter().map(|it| it.problem.place.split(' ').next());
    let places: Vec<&str> = places.flatten().collect();
    assert_eq!(places, ["P1", "P2", "P5", "P10", "P12"]);
    let said: Vec<String> = remarks.iter().map(|it| it.problem.to_string()).collect();
    assert!(!said.join("").contains("word"), "{said:?}");
}

#[test]
fn the_options_of_the_top_are_all_known_there() {
    for option in top_level::OPTIONS.iter().map(|it| it.name) {
        let text = format!("{option} = 5\n{METER}");
        let problems = load_text(&text, &[]).map_or_else(|it| it, |_| Vec::new());
        let is_unknown = |it: &Problem| it.message.contains("unknown option");
        assert!(!problems.iter().any(is_unknown), "{option}: {problems:?}");
    }
}

#[test]
fn a_time_zone_of_the_environment_that_is_none_is_told() {
    for (zone, is_told) in [
        ("Europe/Berlin", false),
        (":Europe/Berlin", false),
        ("CET-1CEST,M3.5.0,M10.5.0/3", false),
        ("Berlin", true),
    ] {
        let config = load_text(METER, &[("TZ", zone)]).expect("it is valid");
        let remarks: Vec<String> = config
            .remarks
            .iter()
            .map(|it| it.problem.to_string())
            .collect();
        assert_eq!(remarks.len(), usize::from(is_told), "{remarks:?}");
        let text = format!("timezone = \"Europe/Berlin\"\n{METER}");
        let config = load_text(&text, &[("TZ", zone)]).expect("it is valid");
        assert_eq!(config.remarks, [], "the option rules");
    }
}

/// What is said of a configuration that can be used.
fn remarks(text: &str) -> String {
    let config = load_text(text, &[]).expect("it is valid");
    let line = |it: &Remark| format!("{:?}: {}\n", it.weight, it.problem);
    config.remarks.iter().map(line).collect()
}

#[test]
fn what_check_says_of_a_configuration_that_can_be_used() {
    let records =
        "[source.records]\ntemperature = \"/t\"\n\"{id}.power\" = { each = \"/l\", at = \"/p\" }\n";
    let about = "[[alert.value]]\nkey = \"temprature\"\nabove = 30\n[[alert.stale]]\nkey = \"a.power\"\n\
                 [[alert.stale]]\nkey = \"humidity\"\n[key.temperatur]\nunit = \"K\"\n";
    let mut said = String::new();
    for (name, text) in [
        ("keys that nobody gives", format!("{METER}{records}{about}")),
        (
            "keys that a source may give",
            format!("{METER}{records}[[source]]\nname = \"all\"\nurl = \"http://b/\"\n{about}"),
        ),
        (
            "braces without each",
            format!(
                "{METER}[source.records]\n\"{{id}}\" = \"/t\"\n\"{{#}}\" = {{ at = \"/u\" }}\n"
            ),
        ),
        (
            "records of another node",
            "[[source]]\nname = \"f\"\nfollow = \"http://b:8000\"\nprefix = \"f.\"\n".to_owned(),
        ),
        ("nothing", format!("{METER}{records}")),
    ] {
        said += &format!("== {name}\n{}", remarks(&text));
    }
    crate::golden::check("config-remarks.txt", &said);
}

/// An example with the options that stand in it as comments switched on.
fn with_all_options(example: &str) -> String {
    let is_option = |line: &str| {
        line.strip_prefix('#').is_some_and(|rest| {
            rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '[')
        })
    };
    let lines = example.lines().map(|line| match is_option(line) {
        true => &line[1..],
        false => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Against the operations that are compiled in, with the files and variables that it names.
pub fn problems_of_example(example: &str) -> Vec<String> {
    let directory = crate::golden::scratch("example");
    for name in ["password", "smtp-password", "home-ca.pem"] {
        std::fs::write(directory.join(name), "hush\n").expect("a file can be written");
    }
    let variables = ["SMTP_PASS", "METER_TOKEN", "METER_PASSWORD"]
        .map(|name| (name.to_owned(), "hush".to_owned()));
    let file = Some(directory.join("main-node.toml"));
    let environment = Environment::new(variables);
    let apis = &crate::api::client::APIS;
    let found = read(example, file, &Overrides::default(), environment, apis);
    let _ = std::fs::remove_dir_all(directory);
    match found {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}

#[test]
fn the_examples_that_people_are_given_are_understood() {
    let installed = include_str!("../../../systemd/main-node.toml");
    let readme = include_str!("../../../README.md");
    let mut examples = vec![installed.to_owned(), with_all_options(installed)];
    let blocks = readme.split("```toml\n").skip(1);
    for block in blocks.filter_map(|block| block.split("```").next()) {
        // A part of the file, shown alone.
        let source = "[[source]]\nname = \"a\"\nurl = \"http://a.local/\"\n";
        let block = match block {
            part if part.starts_with("[source.") => format!("{source}{part}"),
            whole if whole.contains("[[source]]") => whole.to_owned(),
            part => format!("{part}{source}"),
        };
        examples.push(with_all_options(&block));
        examples.push(block);
    }
    assert!(examples.len() >= 10, "README has examples");
    for example in examples {
        let problems = problems_of_example(&example);
        assert!(problems.is_empty(), "{}\n{example}", problems.join("\n"));
    }
}

#[test]
fn when_keys_are_forgotten_is_read_and_said() {
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
    // Whatever repeats them, they are masked, but for the fragment, which is never sent, the
    // page, and a short user name, which may be any word.
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
        let said = config
            .secrets
            .mask(&format!("the server says: {marker} is wrong"))
            .into_owned();
        markers.assert_in_none(&said);
    }
}

#[test]
fn no_problem_of_the_configuration_shows_a_secret() {
    let source = "[[source]]\nname = \"m\"\n";
    let url = "url = \"http://meter.local/x\"\n";
    let bad = [
        // No TOML at all: the place is told, the line is not.
        "token = hunter2".to_owned(),
        format!("{source}{url}headers = {{ Authorization = \"Bearer hunter2 }}\n"),
        format!("{source}{url}headers = {{ Authorization = hunter2 }}\n"),
        format!("{source}{url}auth = {{ token = \"a\", token = \"hunter2\" }}\n"),
        format!("{source}{url}auth = {{ token = 'hunter2 }}\n"),
        format!("{source}{url}auth = {{ token = \"hunter2\\q\" }}\n"),
        format!("{source}{url}auth.token = \"hunter2\"\nauth = \"hunter2\"\n"),
        // Of the wrong type.
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
        // Addresses.
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
        // A parameter of an operation, by its name.
        format!("{source}operation = \"getForecast\"\nparams = {{ latitude = 1, longitude = 2, api_key = \"hunter2\" }}\n"),
        // Whatever came from a variable, wherever it stands.
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

#[test]
fn what_an_editor_leaves_in_a_file_is_no_part_of_a_secret() {
    let directory = crate::golden::scratch("editors");
    let file = directory.join("main-node.toml");
    let password = directory.join("password");
    let load = |text: &[u8], secret: &[u8]| {
        std::fs::write(&file, text).expect("it is written");
        std::fs::write(&password, secret).expect("it is written");
        std::fs::write(directory.join(".env"), secret_line(secret)).expect("it is written");
        let overrides = Overrides {
            file: Some(file.clone()),
            ..Overrides::default()
        };
        load(&overrides, Environment::default(), &[api()])
    };
    fn secret_line(secret: &[u8]) -> Vec<u8> {
        match secret.strip_prefix(b"\xef\xbb\xbf") {
            Some(secret) => [b"\xef\xbb\xbfTOKEN=", secret].concat(),
            None => [b"TOKEN=", secret].concat(),
        }
    }
    let text = "password_file = \"password\"\r\n[[source]]\r\nname = \"m\"\r\n\
                url = \"http://meter.local\"\r\nauth = { token = \"${TOKEN}\" }\r\n\
                [mail]\r\nhost = \"h\"\r\nto = \"a@b\"\r\nuser = \"u\"\r\n\
                password_file = \"password\"\r\n";
    let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for secret in ["sesame", "sesame\n", "sesame\r\n", "sesame\r\n\r\n"] {
        let config = load(&marked(text), &marked(secret)).expect("it is read");
        let found = config.password.expect("it is given");
        assert_eq!(found.reveal(), "sesame", "{secret:?}");
        let mail = config
            .notifications
            .mail
            .and_then(|mail| mail.password)
            .expect("it is given");
        assert_eq!(mail.reveal(), "sesame", "{secret:?}");
        let token = Some(Auth::Any(ConfiguredCredential::Token(Secret::new(
            "sesame",
        ))));
        assert_eq!(config.sources[0].auth, token, "{secret:?}");
    }
    let wide: Vec<u8> = "\u{feff}sesame\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let said = |found: Result<Config, Vec<Problem>>| {
        let problems = found.expect_err("it is refused");
        problems
            .iter()
            .map(|it| format!("{it}\n"))
            .collect::<String>()
    };
    let problems = said(load(text.as_bytes(), &wide));
    assert_eq!(problems.matches("UTF-16").count(), 2, "{problems}");
    let problems = said(load(&wide, b"sesame"));
    assert!(problems.contains("UTF-16: save it as UTF-8"), "{problems}");
    let problems = said(load(b"name = \"x\"\n# \xe4\n", b"sesame"));
    assert!(problems.contains("line 2 is not UTF-8"), "{problems}");
}

#[test]
fn a_source_at_home_gets_one_connection_unless_it_says_how_many() {
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
        let said = problems(&format!("{METER}connections = {wrong}\n"));
        assert!(said.contains("connections: expected"), "{said}");
    }
}
