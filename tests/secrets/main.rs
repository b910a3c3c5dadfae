//! Secrets: one of every kind in a configuration, a server that echoes all of them in every place
//! of a response, and a search of everything that the program prints, serves, sends and stores.
//!
//! Runs the program; loopback only.

mod auth_server;
mod authentication;
mod echo_server;
mod places;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use echo_server::EchoServer;
use places::{CONFIGURED, PLACES, named, percent, secret, spellings};

/// The secrets that show in an output. Each begins with letters and digits, which no escape
/// changes but Base64.
fn found_in(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let lower = text.to_lowercase();
    let decoded = decoded_base64(&text);
    let mut found = Vec::new();
    for (at, place) in PLACES.iter().enumerate() {
        let marker = format!("hunter{at:02}");
        let around = |text: &str, at: usize| {
            let before = text.get(..at).unwrap_or_default().chars().rev().take(100);
            let before: String = before.collect::<Vec<_>>().into_iter().rev().collect();
            let behind = text.get(at..).unwrap_or_default().chars().take(60);
            before + &behind.collect::<String>()
        };
        if let Some(at) = lower.find(&marker) {
            found.push(format!("{}: {}", place.name, around(&lower, at)));
        } else if let Some(at) = decoded.find(&marker) {
            found.push(format!(
                "{} in Base64: {}",
                place.name,
                around(&decoded, at)
            ));
        }
    }
    found
}

/// What in a text may be Base64, decoded from each of its first characters.
fn decoded_base64(text: &str) -> String {
    let standard = text.replace('-', "+").replace('_', "/");
    let is_other = |c: char| !c.is_ascii_alphanumeric() && !"+/".contains(c);
    let mut decoded = String::new();
    for run in standard.split(is_other).filter(|run| run.len() >= 12) {
        for from in 0..4 {
            let part = &run[from..];
            let part = &part[..part.len() / 4 * 4];
            let bytes = STANDARD_NO_PAD.decode(part).unwrap_or_default();
            decoded.push_str(&String::from_utf8_lossy(&bytes));
            let _ = write!(decoded, " (decoded from {run}) ");
        }
    }
    decoded
}

/// What was searched, and what was found there.
#[derive(Default)]
struct Search {
    outputs: usize,
    found: Vec<String>,
}

impl Search {
    fn add(&mut self, what: &str, output: impl AsRef<[u8]>) {
        assert!(!output.as_ref().is_empty(), "{what} is empty");
        self.outputs += 1;
        let found = found_in(output.as_ref()).into_iter();
        self.found
            .extend(found.map(|secret| format!("{what}: {secret}")));
    }
}

/// The program in a directory with the configuration.
struct Program {
    directory: PathBuf,
}

impl Program {
    fn new(name: &str, configuration: &str) -> Program {
        let name = format!("main-node-secrets-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        let program = Program { directory };
        program.write("main-node.toml", configuration);
        program.write(".env", &format!("DOT={}\n", named(".env")));
        program.write("file", &named("file of an environment variable"));
        program.write("mail", &named("password of the mail server"));
        program.write("pages", &named("password of the pages"));
        program
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.join(name), text).expect("a file");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_main-node"));
        command
            .args(arguments)
            .current_dir(&self.directory)
            .env_clear()
            .env("RUST_LOG", "trace")
            .env("VARIABLE", named("environment variable"))
            .env("OF_FILE_FILE", self.directory.join("file"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Standard output and standard error.
    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.command(arguments).output().expect("it runs");
        [output.stdout, output.stderr].concat()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

const SOURCES: [&str; 19] = [
    "texts", "denied", "reason", "redirect", "away", "loop", "page", "empty", "proxied", "tunnel",
    "followed", "drift", "words", "table", "form", "json", "xml", "token", "login",
];

fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}/{path}")
}

fn quoted(name: &str) -> String {
    format!("'{}'", named(name))
}

/// Secrets in addresses, headers and parameters.
fn sources_with_credentials(port: u16) -> Vec<String> {
    let url = |path: &str| url(port, path);
    let basic = STANDARD.encode(format!(
        "me:{}",
        named("password in an Authorization header")
    ));
    vec![
        format!(
            "url = \"http://me:{}@127.0.0.1:{port}/texts/{}/x?appid={}\"\nprefix = \"texts.\"",
            percent(&named("password in a URL")),
            named("path segment of a URL"),
            percent(&named("parameter in a URL")),
        ),
        format!(
            "url = \"{}\"\nauth = {{ token = {} }}\nprefix = \"b.\"",
            url("denied"),
            quoted("auth token")
        ),
        format!(
            "url = \"{}\"\nauth = {{ user = \"me\", password = {} }}\nprefix = \"c.\"",
            url("reason"),
            quoted("auth password")
        ),
        format!(
            "url = \"{}\"\nauth = {{ user = {}, password = \"\" }}\nprefix = \"d.\"",
            url("redirect"),
            quoted("auth user without a password")
        ),
        format!(
            "url = \"{}\"\nheaders = {{ Authorization = 'Basic {basic}' }}\nprefix = \"e.\"",
            url("away")
        ),
        format!("url = \"{}\"\nprefix = \"f.\"", url("loop")),
        format!(
            "url = \"{}\"\nheaders = {{ Authorization = 'Bearer {}', X-Api-Key = '{}', Cookie = 'sid={}' }}\nprefix = \"g.\"",
            url("page"),
            named("Authorization header"),
            named("X-Api-Key header"),
            named("Cookie header")
        ),
        format!(
            "url = \"{}\"\nparams = {{ api_key = {}, a = \"${{VARIABLE}}\", b = \"${{OF_FILE}}\", c = \"${{DOT}}\" }}\n\
             [source.records]\nempty = \"/t\"",
            url("empty"),
            quoted("parameter by name")
        ),
    ]
}

/// Servers, proxies and responses of other kinds.
fn sources_of_other_kinds(port: u16) -> Vec<String> {
    let url = |path: &str| url(port, path);
    let proxy = format!(
        "proxy = \"http://me:{}@127.0.0.1:{port}\"",
        percent(&named("password of a proxy"))
    );
    vec![
        format!("url = \"http://api.example.org/proxied\"\n{proxy}\nprefix = \"h.\""),
        format!("url = \"https://api.example.org/x\"\n{proxy}\nprefix = \"i.\""),
        format!("follow = \"http://127.0.0.1:{port}\""),
        format!(
            "operation = \"getForecast\"\nbase_url = \"{}\"\n\
             params = {{ latitude = 52.5, longitude = 13.4, current = [\"temperature_2m\"] }}\nprefix = \"j.\"",
            url("drift")
        ),
        format!("url = \"{}\"\n{}", url("texts"), selected_texts()),
    ]
}

/// Secrets in bodies, and in accounts that sources share.
fn sources_with_bodies(port: u16) -> Vec<String> {
    let url = |path: &str| url(port, path);
    vec![
        format!(
            "url = \"{}\"\nbody = {{ query = \"x\", login = {{ password = {} }} }}\nprefix = \"k.\"",
            url("page"),
            quoted("table body")
        ),
        format!(
            "url = \"{}\"\nbody = 'a=b&token={}'\ncontent_type = \"application/x-www-form-urlencoded\"\nprefix = \"l.\"",
            url("page"),
            percent(&named("form body"))
        ),
        format!(
            "url = \"{}\"\nbody = '{{\"api_key\":{}}}'\nprefix = \"m.\"",
            url("page"),
            serde_json::Value::from(named("JSON text body"))
        ),
        format!(
            "url = \"{}\"\nbody = '<a><Password type=\"x\">{}</Password></a>'\ncontent_type = \"text/xml\"\nprefix = \"n.\"",
            url("page"),
            named("XML text body")
                .replace('&', "&amp;")
                .replace('<', "&lt;")
        ),
        format!(
            "url = \"{}\"\nauth = \"token\"\nprefix = \"o.\"",
            url("denied")
        ),
        format!(
            "url = \"{}\"\nauth = \"login\"\nprefix = \"p.\"",
            url("reason")
        ),
    ]
}

fn configuration(port: u16) -> String {
    let url = |path: &str| url(port, path);
    let sources = [
        sources_with_credentials(port),
        sources_of_other_kinds(port),
        sources_with_bodies(port),
    ]
    .concat();
    let source = |(name, rest): (&&str, String)| format!("[[source]]\nname = \"{name}\"\n{rest}\n");
    let sources: String = SOURCES.iter().zip(sources).map(source).collect();
    let accounts = format!(
        "[auth.token]\ntoken = {}\n[auth.login]\nuser = \"me\"\npassword = {}\n",
        quoted("token of [auth.NAME]"),
        quoted("password of [auth.NAME]")
    );
    format!(
        "name = \"node\"\nlisten = \"127.0.0.1:0\"\ndatabase = \"records.db\"\npassword_file = \"pages\"\ntoken = {}\n\n\
         {sources}{accounts}\n[alert]\nwebhook = \"{}\"\nping = \"{}\"\n\n\
         [mail]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"implicit\"\nuser = \"me\"\npassword_file = \"mail\"\n\
         to = \"you@example.org\"\n",
        quoted("token of the pages"),
        url(&format!("hook/x?token={}", percent(&named("webhook URL")))),
        url(&format!("ping/{}", percent(&named("ping URL")))),
    )
}

/// Every text as a reading.
fn selected_texts() -> String {
    let mut selected = "[source.records]\n".to_owned();
    for at in CONFIGURED {
        for nth in 0..spellings(&secret(at)).len() {
            let name = format!("text{at}_{nth}");
            let _ = writeln!(selected, "{name} = {{ at = \"/{name}\", text = true }}");
        }
    }
    selected
}

/// The running service.
struct Service {
    process: Child,
    address: String,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    /// Returns when every source was fetched, as the log says.
    fn start(program: &Program, sources: &[&str]) -> Service {
        let mut process = program.command(&["serve"]).spawn().expect("it runs");
        let stderr = process.stderr.take().expect("piped");
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = std::sync::mpsc::channel();
        let (kept, kept_log) = (log.clone(), log.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.lock()
                    .expect("no thread panics")
                    .push_str(&format!("{line}\n"));
                let _ = sender.send(line);
            }
        });
        let mut address = String::new();
        let mut missing: BTreeSet<&str> = sources.iter().copied().collect();
        while !missing.is_empty() {
            let line = lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| {
                let log = kept_log.lock().expect("no thread panics");
                panic!("not fetched: {missing:?}\n{log}")
            });
            if let Some((_, rest)) = line.split_once("listening on ") {
                address = rest.split(' ').next().unwrap_or_default().to_owned();
            }
            missing.retain(|name| {
                let traced = format!("TRACE {name}: ");
                let is_end = line.contains("response") && line.contains(&traced);
                !is_end
            });
        }
        Service {
            process,
            address,
            log,
            reader: Some(reader),
        }
    }

    /// Head and body.
    fn get(&self, path: &str) -> Vec<u8> {
        let login = STANDARD.encode(format!("x:{}", named("password of the pages")));
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {login}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut whole = Vec::new();
        if path == "/events" {
            let mut lines = BufReader::new(stream).split(b'\n');
            while !String::from_utf8_lossy(&whole).contains("data:") {
                whole.extend(lines.next().expect("an event").expect("read"));
            }
        } else {
            stream.read_to_end(&mut whole).expect("read");
        }
        assert!(
            whole.starts_with(b"HTTP/1.1 200"),
            "{path}: {}",
            String::from_utf8_lossy(&whole)
        );
        whole
    }

    fn json(&self, path: &str) -> serde_json::Value {
        let whole = String::from_utf8(self.get(path)).expect("text");
        let (_, body) = whole.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    /// Waits until what was fetched is published.
    fn wait_published(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self.json("/status");
            let sources = status["sources"].as_array().expect("sources").clone();
            let waiting = sources.iter().filter(|it| it["state"] == "waiting").count();
            if waiting == 0 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{waiting} sources wait: {status}"
            );
        }
    }

    fn stop(mut self) -> String {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
        self.process.wait().expect("it ends");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no thread panics");
        }
        self.log.lock().expect("no thread panics").clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn search_service(program: &Program, sources: &[&str], search: &mut Search) {
    let service = Service::start(program, sources);
    service.wait_published();
    let keys: Vec<String> = service.json("/snapshot")["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| percent(record["key"].as_str().expect("a key")))
        .collect();
    assert!(keys.len() > 5, "{keys:?}");
    let fixed = [
        "/snapshot",
        "/snapshot?full=1",
        "/status",
        "/metrics",
        "/events",
        "/web",
        "/web/alerts",
        "/web/about",
        "/openapi.json",
    ];
    let mut paths: Vec<String> = fixed.map(str::to_owned).to_vec();
    let token = named("token of the pages");
    paths.insert(0, format!("/snapshot?token={token}"));
    paths.extend(sources.iter().map(|name| format!("/web/source/{name}")));
    // One page for each kind of a key.
    for key in keys.iter().filter(|key| !key.contains("text")).take(4) {
        paths.push(format!("/web/key/{key}"));
        paths.push(format!("/history?key={key}"));
        paths.push(format!("/snapshot/{key}"));
    }
    for path in paths {
        search.add(&path, service.get(&path));
    }
    search.add(
        "backup of the running service",
        program.run(&["backup", "copy.db"]),
    );
    search.add("the log at trace", service.stop());
}

/// Searches what every command prints and every file that the program writes, but for `own` files.
fn search_everything(program: &Program, sources: &[&str], own: &[&str]) -> Search {
    let mut search = Search::default();
    search.add("check", program.run(&["check"]));
    search.add("once", program.run(&["once"]));
    search.add("check --online", program.run(&["check", "--online"]));
    search_service(program, sources, &mut search);
    for arguments in [
        &["export"][..],
        &["export", "--format", "jsonl"],
        &["rehearse"],
        &["test-alert"],
        &["backup", "second.db"],
    ] {
        search.add(&arguments.join(" "), program.run(arguments));
    }
    let stored = ["records.db", "copy.db", "second.db"];
    for name in stored {
        let bytes = std::fs::read(program.directory.join(name)).expect(name);
        search.add(name, bytes);
    }
    for file in files(&program.directory) {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_configured = ["main-node.toml", ".env", "file", "mail", "pages"].contains(&&*name);
        if !is_configured && !own.contains(&&*name) && !stored.contains(&&*name) {
            let bytes = std::fs::read(&file).expect("a file");
            search.found.extend(
                found_in(&bytes)
                    .into_iter()
                    .map(|it| format!("{name}: {it}")),
            );
        }
    }
    search
}

#[test]
fn no_output_shows_a_secret() {
    let server = EchoServer::start();
    let program = Program::new("configured", &configuration(server.port));
    let mut search = search_everything(&program, &SOURCES, &[]);
    // `test-alert` sent one.
    let bodies = server.bodies.lock().expect("no thread panics").join("\n");
    search.add("bodies of the webhook", bodies);
    assert!(search.outputs > 30, "{}", search.outputs);
    assert!(search.found.is_empty(), "{}", search.found.join("\n"));
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let paths = entries.flatten().map(|entry| entry.path());
    paths.filter(|path| path.is_file()).collect()
}
