//! `main-node check`: prints the effective configuration and every problem on this machine,
//! each with a fix.
//!
//! Changes nothing: the service may run meanwhile, and its database is opened read-only.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{
    FAILED, installed_service, once, print_out, print_problems, suggest_sudo, switch_to_owner,
    unreadable_database,
};
use crate::api::client::APIS;
use crate::api::http_exchange::HttpExchange;
use crate::api::private_address::is_mdns_name;
use crate::config::environment::Environment;
use crate::config::{self, Config, Overrides, Remark, Severity};
use crate::db::error::OpenError;
use crate::db::file::{self, FileKind};
use crate::db::schema;
use crate::domain::placeholder::PlaceholderTime;
use crate::domain::plan::{Plan, Selection, SourcePlan};
use crate::domain::reading::FetchOutcome;
use crate::domain::text::count_noun;
use crate::domain::time::ClockTrust;
use crate::limits;
use crate::monitor::http::listener::bind;
use crate::node::sources::fetchers;
use crate::node::{notifiers, requests};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::disk;
use crate::sys::os_error::reason;
use crate::sys::tls::system_roots;
use openapi::operation::nearest;

/// Result of one check.
enum Finding {
    Fine(String),
    Problem(String),
    /// Not a problem for the node.
    Note(String),
    /// Not checked, and why.
    NotChecked(String),
}

use Finding::{Fine, NotChecked, Note, Problem};

pub fn check(overrides: &Overrides, online: bool) -> u8 {
    let service = installed_service(overrides);
    let environment = Environment::of_process().with_service(service.clone());
    let config = match config::load(overrides, environment, &APIS) {
        Ok(config) => config,
        Err(problems) => {
            print_problems(&problems);
            eprintln!("{} problem(s) found", problems.len());
            suggest_sudo(&service);
            return FAILED;
        }
    };
    crate::sys::log::mask(&config.secrets);
    switch_to_owner(&config.database);
    print_out(&format_args!(
        "# The effective configuration, secrets masked.\n{}\n",
        config.to_toml()
    ));
    let mut findings = remarks(&config, online);
    findings.extend([
        database(&config, service.state_directory.as_deref()),
        disk_space(&config),
        clock(),
        secret_files(&config),
        root_certificates(),
    ]);
    findings.extend(config.listen.iter().map(|address| listen_address(*address)));
    findings.push(routes(&config));
    findings.extend(local_names(&config));
    findings.extend(dated_requests(&config));
    findings.extend(dated_paths(&config));
    findings.extend(channels(&config, online));
    findings.extend(sources(&config, online));
    let mut problems = 0;
    for finding in findings {
        let (kind, text) = match finding {
            Fine(text) => ("ok", text),
            Note(text) => ("note", text),
            NotChecked(text) => ("NOT CHECKED", text),
            Problem(text) => {
                problems += 1;
                ("PROBLEM", text)
            }
        };
        print_out(&format_args!("{kind}: {}\n", config.secrets.mask(&text)));
    }
    print_out(&format_args!("{problems} problem(s) found\n"));
    match problems {
        0 => 0,
        _ => FAILED,
    }
}

/// Sources whose name a static binary cannot look up: it has no multicast DNS.
fn local_names(config: &Config) -> Option<Finding> {
    let is_static = cfg!(any(target_env = "musl", target_feature = "crt-static"));
    // A proxy resolves names itself.
    let sources = config.sources.iter().filter(|it| it.proxy.is_none());
    let hosts = sources.filter_map(|source| source.host());
    if is_static {
        local_names_note(hosts.collect())
    } else {
        None
    }
}

fn local_names_note(mut hosts: Vec<String>) -> Option<Finding> {
    hosts.retain(|host| is_mdns_name(host));
    hosts.sort();
    hosts.dedup();
    (!hosts.is_empty()).then(|| {
        Note(format!(
            "{}: .local names need multicast DNS, which main-node does not support: unless your \
             router resolves the name, use the IP address of the device, such as http://192.168.1.20/",
            hosts.join(", ")
        ))
    })
}

/// What reading the configuration found.
fn remarks(config: &Config, online: bool) -> Vec<Finding> {
    let finding = |remark: &Remark| {
        let text = remark.problem.to_string();
        match remark.severity {
            Severity::Problem => Problem(text),
            Severity::Note => Note(text),
            Severity::NotChecked => NotChecked(text),
        }
    };
    // With `--online` the responses show it.
    let is_open = |remark: &&Remark| !(online && remark.severity == Severity::NotChecked);
    config.remarks.iter().filter(is_open).map(finding).collect()
}

/// `made_at_start` is the directory that systemd creates when the service starts.
fn database(config: &Config, made_at_start: Option<&Path>) -> Finding {
    let path = &config.database;
    if let Some(message) = unreadable_database(path) {
        return Problem(message);
    }
    match file::probe(path) {
        Err(OpenError::NoDirectory { directory, .. })
            if made_at_start == Some(directory.as_path()) =>
        {
            Fine(format!(
                "the database {} will be created; systemd creates its directory when the service starts",
                path.display()
            ))
        }
        Err(error) => Problem(error.to_string()),
        Ok(FileKind::Absent) => {
            if directory_is_writable(path) {
                Fine(format!("the database {} will be created", path.display()))
            } else {
                Problem(format!(
                    "the database {} cannot be created: its directory is not writable for this user; \
                 give it to the service's user, or name another file with `database = …`",
                    path.display()
                ))
            }
        }
        Ok(FileKind::MainNode { version }) if version > schema::VERSION => {
            let path = path.clone();
            Problem(
                OpenError::Newer {
                    path,
                    found: version,
                }
                .to_string(),
            )
        }
        Ok(found @ (FileKind::MainNode { .. } | FileKind::EmptySqlite)) => {
            if disk::is_writable(path) {
                Fine(match found {
                    FileKind::MainNode { version } if version < schema::VERSION => format!(
                        "{} is a main-node database of version {version}; it will be backed up and \
                         migrated to version {} when the service starts",
                        path.display(),
                        schema::VERSION
                    ),
                    _ => format!("{} is a main-node database", path.display()),
                })
            } else {
                Problem(format!(
                    "the database {} is not writable for this user: give it to the service's user",
                    path.display()
                ))
            }
        }
        Ok(FileKind::NotSqlite { begins }) => Problem(format!(
            "expected main-node's database at {}, found a file that begins with {begins}; name \
             another file with `database = …`",
            path.display()
        )),
        Ok(FileKind::Damaged { begins }) => Problem(format!(
            "the database {} is damaged: its header is {begins}; `serve` moves it aside and \
             recovers what can be read",
            path.display()
        )),
        Ok(FileKind::Foreign { application_id }) => Problem(format!(
            "expected main-node's database at {}, found another program's SQLite database \
             (application_id {application_id}); name another file with `database = …`",
            path.display()
        )),
    }
}

fn directory_is_writable(file: &Path) -> bool {
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty());
    disk::is_writable(directory.unwrap_or(Path::new(".")))
}

fn disk_space(config: &Config) -> Finding {
    let directory = config
        .database
        .parent()
        .filter(|it| !it.as_os_str().is_empty());
    // A missing directory will be created on the disk of its parent.
    let directory = directory.unwrap_or(Path::new("."));
    let directory = directory
        .ancestors()
        .find(|it| it.exists())
        .unwrap_or(directory);
    match disk::free_bytes(directory) {
        Err(error) => NotChecked(format!("free disk space: {}", reason(&error))),
        Ok(free) if free < limits::LOW_DISK_BYTES => Problem(format!(
            "only {} MB are free on the disk of the database ({}): free some space, or use another disk",
            free / 1_000_000,
            directory.display()
        )),
        Ok(free) => Fine(format!("{} MB are free for the database", free / 1_000_000)),
    }
}

fn clock() -> Finding {
    let now = SystemClock::new().now();
    match now.trust {
        ClockTrust::Trusted => Fine("the clock is synchronised".to_owned()),
        ClockTrust::Untrusted => Note(format!(
            "the clock ({}) is not synchronised yet: readings wait up to {} min for it; if it \
             stays so, `timedatectl` shows the cause",
            now.wall,
            limits::CLOCK_TRUST_TIMEOUT.as_secs() / 60
        )),
        ClockTrust::Unknown => NotChecked(
            "whether the clock is synchronised: the kernel does not provide it here".to_owned(),
        ),
    }
}

/// Reports a file with secrets that every user of the machine can read.
fn secret_files(config: &Config) -> Finding {
    let file = config.file.as_deref();
    let dot_env = file.map_or(".env".into(), |it| it.with_file_name(".env"));
    let is_password = |path: &Path| config.password_file.as_deref() == Some(path);
    let has_secrets = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        is_password(path) || text.lines().any(holds_a_secret)
    };
    let is_open = |path: &Path| {
        let metadata = std::fs::metadata(path);
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    };
    let files = [file, Some(&*dot_env), config.password_file.as_deref()];
    let open: Vec<String> = files
        .into_iter()
        .flatten()
        .filter(|path| is_open(path) && has_secrets(path))
        .map(|path| path.display().to_string())
        .collect();
    match open.as_slice() {
        [] => Fine("no file with secrets is readable for everybody".to_owned()),
        _ => Problem(format!(
            "{} may hold secrets and everybody on this machine can read it: chmod o-r {}",
            open.join(", "),
            open.join(" ")
        )),
    }
}

/// Whether a line of TOML or `.env` has a secret itself, not the name of a variable or file.
fn holds_a_secret(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    let names_one = [
        "password",
        "smtp_pass",
        "token",
        "secret",
        "authorization",
        "api_key",
    ]
    .iter()
    .any(|name| line.contains(name));
    let is_elsewhere = line.starts_with('#') || line.contains("${") || line.contains("_file");
    names_one && line.contains('=') && !is_elsewhere
}

/// What requests with date placeholders are now.
fn dated_requests(config: &Config) -> Vec<Finding> {
    let requests = requests::dated_requests(config, SystemClock::new().now().wall);
    let finding = |(name, exchange): (&str, Result<HttpExchange, String>)| match exchange {
        Ok(mut exchange) => {
            exchange.mask(&config.secrets);
            let mut text = format!("{name} requests now: {}", exchange.request);
            if !exchange.request_body.is_empty() {
                text += &format!(" with the body {}", exchange.request_body);
            }
            Fine(text)
        }
        Err(problem) => Problem(format!("{name}: {problem}")),
    };
    requests.into_iter().map(finding).collect()
}

/// What paths with date placeholders are now.
fn dated_paths(config: &Config) -> Vec<Finding> {
    let wall = SystemClock::new().now().wall;
    let plans = config.sources.iter().map(|source| &source.plan);
    let findings = plans.flat_map(|plan| {
        let time = PlaceholderTime {
            wall,
            zone: plan.placeholder_zone.clone(),
        };
        let dated = plan.paths().filter(|path| path.is_dated());
        dated.map(move |path| {
            let mut filled = path.clone();
            filled.fill(&time);
            Fine(format!("{} reads now: {filled}", plan.name))
        })
    });
    findings.collect()
}

/// Reports which root certificates are used without `ca_file`.
fn root_certificates() -> Finding {
    let roots = system_roots();
    let count = roots.len();
    match roots.file() {
        Some(file) => Fine(format!(
            "{count} root certificates are trusted, from {}",
            file.display()
        )),
        None => Note(format!(
            "this machine has no root certificates: the {count} that are compiled in are \
             trusted, and become outdated; `apt install ca-certificates` installs current ones"
        )),
    }
}

fn listen_address(address: SocketAddr) -> Finding {
    match bind(&[address]) {
        Ok(_) => Fine(format!("{address} is free")),
        Err(error) if error.is_in_use() && is_main_node(address) => {
            Fine(format!("{address} is used by a running main-node"))
        }
        Err(error) => Problem(error.to_string()),
    }
}

/// Whether a main-node responds at this address.
fn is_main_node(address: SocketAddr) -> bool {
    const TIMEOUT: Duration = Duration::from_secs(2);
    let mut target = address;
    if address.ip().is_unspecified() {
        target.set_ip(match address {
            SocketAddr::V4(_) => [127, 0, 0, 1].into(),
            SocketAddr::V6(_) => [0, 0, 0, 0, 0, 0, 0, 1].into(),
        });
    }
    let request = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&target, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let host = target.ip();
        write!(
            stream,
            "GET /openapi.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut begin = vec![0; 1024];
        let mut length = 0;
        while length < begin.len() {
            match stream.read(&mut begin[length..])? {
                0 => break,
                count => length += count,
            }
        }
        Ok(String::from_utf8_lossy(&begin[..length]).into_owned())
    };
    request().is_ok_and(|response| response.contains("main-node"))
}

/// Whether a route exists to each source.
fn routes(config: &Config) -> Finding {
    let unreachable: Vec<String> = config
        .sources
        .iter()
        .filter(|source| source.proxy.is_none())
        .filter_map(|source| Some((&source.plan.name, source.host()?)))
        .filter(|(_, host)| !has_route(host))
        .map(|(name, host)| format!("{name} ({host})"))
        .collect();
    match unreachable.as_slice() {
        [] => Fine("a route exists to every source".to_owned()),
        _ => Problem(format!(
            "no route to {}: is the Wi-Fi or the cable up (`ip address`), and a \
             gateway set (`ip route`)?",
            unreachable.join(", ")
        )),
    }
}

/// Connecting a datagram socket consults the routing table and sends nothing.
fn has_route(host: &str) -> bool {
    // Documentation addresses (RFC 5737, RFC 3849), which only the default route reaches.
    const ANYWHERE: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ];
    let reaches = |address: IpAddr| {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect((address, 9)).is_ok())
    };
    match host.parse::<IpAddr>() {
        Ok(address) => reaches(address),
        // Local names need no default route.
        Err(_) if !host.contains('.') || host.ends_with(".local") || host.ends_with(".lan") => true,
        Err(_) => ANYWHERE.into_iter().any(reaches),
    }
}

fn channels(config: &Config, online: bool) -> Vec<Finding> {
    let channels = notifiers::channels(config);
    if channels.is_empty() {
        let text = "no alert channel is configured: alerts appear on pages and displays only";
        return vec![Fine(text.to_owned())];
    }
    let login = if online {
        ""
    } else {
        ", `check --online` logs in (mail only)"
    };
    let findings = channels.iter().map(|channel| {
        let destination = channel.destination();
        let result = if online { channel.check() } else { None };
        match result {
            Some(Ok(())) => Fine(format!("login to {destination} succeeded")),
            Some(Err(why)) => Problem(format!("{destination}: {why}")),
            None => NotChecked(format!(
                "whether {destination} accepts alerts: `test-alert` sends one{login}"
            )),
        }
    });
    findings.collect()
}

fn sources(config: &Config, online: bool) -> Vec<Finding> {
    if !online {
        // The service would not start.
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        if let Err(problem) = fetchers(config, &clock) {
            return vec![Problem(problem)];
        }
        return vec![NotChecked(
            "whether the sources respond: `check --online` fetches each".to_owned(),
        )];
    }
    let fetched = match once::fetch_all(config) {
        Ok(fetched) => fetched,
        Err(message) => return vec![Problem(message)],
    };
    print_out(&format_args!("{}\n", once::table(&config.plan(), &fetched)));
    let findings = fetched.iter().map(|of_source| {
        let observation = &of_source.observation;
        let name = &config.sources[observation.source].plan.name;
        if let Some(conflict) = &of_source.conflict {
            return Problem(format!("{name}: {conflict}"));
        }
        match &observation.outcome {
            FetchOutcome::Failed { failure, .. } => Problem(format!("{name}: {failure}")),
            FetchOutcome::Readings { readings, .. } => {
                let count = count_noun(readings.len(), "reading");
                Fine(format!("{name} gives {count}"))
            }
            FetchOutcome::Unchanged => Fine(format!("{name} responds")),
            FetchOutcome::Empty => Fine(format!("{name} responds, but has no values")),
        }
    });
    let mut findings: Vec<Finding> = findings.collect();
    findings.extend(missing_keys(&config.plan(), &fetched));
    findings
}

/// Keys of the configuration that no response has, if all sources responded.
fn missing_keys(plan: &Plan, fetched: &[once::Fetched]) -> Vec<Finding> {
    let mut found = BTreeSet::new();
    for of_source in fetched {
        match &of_source.observation.outcome {
            FetchOutcome::Readings { readings, .. } => {
                found.extend(readings.iter().map(|it| &it.key));
            }
            FetchOutcome::Unchanged | FetchOutcome::Empty | FetchOutcome::Failed { .. } => {
                return Vec::new();
            }
        }
    }
    // If all records are declared, reading the configuration reported it already.
    let is_leaves = |it: &SourcePlan| matches!(it.selection, Selection::AllLeaves { .. });
    if !plan.sources.iter().any(is_leaves) {
        return Vec::new();
    }
    let is_named = |key: &str| (0..plan.sources.len()).any(|source| plan.selects_key(source, key));
    let expected = plan.expected_keys().into_iter();
    let missing = expected.filter(|key| !found.contains(key) && !is_named(key));
    let finding = |key: &Arc<str>| {
        let near = nearest(key, found.iter().map(|key| &***key));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        Problem(format!(
            "the configuration names the key {key:?}, which no source gives{hint}"
        ))
    };
    missing.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_distinguished_from_references_to_them() {
        for (line, expected) in [
            ("password = \"hush\"", true),
            ("SMTP_PASS=hush", true),
            ("headers = { Authorization = \"Bearer abc\" }", true),
            (
                "headers = { Authorization = \"Bearer ${METER_TOKEN}\" }",
                false,
            ),
            ("#password = \"hush\"", false),
            ("password_file = \"smtp\"", false),
            ("# where the token goes", false),
            ("every = \"5m\"", false),
        ] {
            assert_eq!(holds_a_secret(line), expected, "{line}");
        }
    }

    #[test]
    fn local_names_are_noted_once_each_and_others_not() {
        let hosts = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        let noted = local_names_note(hosts(&[
            "plug.local",
            "a.example",
            "meter.local",
            "plug.local",
        ]));
        let Some(Note(text)) = noted else {
            panic!("expected a note");
        };
        assert!(text.starts_with("meter.local, plug.local: .local names need multicast DNS"));
        assert!(local_names_note(hosts(&["192.168.1.20", "nas"])).is_none());
    }

    #[test]
    fn what_stops_the_start_is_a_problem_without_online_too() {
        let directory = crate::golden::scratch("check-ca-file");
        let file = directory.join("main-node.toml");
        for (option, is_problem) in [("ca_file = \"none.pem\"", true), ("", false)] {
            let text = format!("[[source]]\nname = \"a\"\nurl = \"https://a/\"\n{option}\n");
            std::fs::write(&file, text).expect("it can be written");
            let overrides = Overrides {
                file: Some(file.clone()),
                ..Overrides::default()
            };
            let config = config::load(&overrides, Environment::default(), &[]);
            let findings = sources(&config.expect("it is valid"), false);
            let problem = findings.iter().find_map(|it| match it {
                Problem(text) => Some(text),
                _ => None,
            });
            assert_eq!(problem.is_some(), is_problem, "{option}");
            assert!(problem.is_none_or(|it| it.contains("none.pem cannot be read")));
        }
    }
}
