//! Checks of this machine: database, disk, clock, files with secrets, root certificates, ports and
//! routes.
//!
//! Changes nothing; the service may run meanwhile.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::Finding::{self, Fine, NotChecked, Note, Problem};
use crate::commands::unreadable_database;
use crate::config::Config;
use crate::db::error::OpenError;
use crate::db::file::{self, FileKind};
use crate::db::{schema, volatile};
use crate::domain::time::ClockTrust;
use crate::limits;
use crate::monitor::DeviceKeys;
use crate::monitor::http::listener::bind;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::container::is_container;
use crate::sys::disk;
use crate::sys::os_error::reason;
use crate::sys::tls::{ClientCertificateFiles, system_roots};

/// `made_at_start` is the directory that systemd creates when the service starts.
pub fn database(config: &Config, made_at_start: Option<&Path>) -> Finding {
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

/// Whether the file system of the database keeps it.
pub fn volatile_storage(config: &Config) -> Option<Finding> {
    volatile::warning(&config.database).map(Note)
}

pub fn disk_space(config: &Config) -> Finding {
    // The one below it is another.
    if let Some(absent) = file::missing_disk(&config.database) {
        return NotChecked(format!("free disk space: {absent}"));
    }
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

pub fn clock() -> Finding {
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

/// The local time that pages and mails have, so that a wrong zone is seen.
pub fn time_zone(config: &Config) -> Finding {
    let zone = &config.timezone;
    let now = jiff::Timestamp::now().to_zoned_datetime(zone.clone());
    let name = zone
        .iana_name()
        .map(|it| format!(" {it},"))
        .unwrap_or_default();
    Fine(format!(
        "pages and mails show local time:{name} now {}",
        now.strftime("%H:%M (UTC%:z)")
    ))
}

/// Reports a file with secrets that every user of the machine can read.
pub fn secret_files(config: &Config) -> Finding {
    let file = config.file.as_deref();
    let dot_env = file.map_or(".env".into(), |it| it.with_file_name(".env"));
    let is_password = |path: &Path| config.password_file.as_deref() == Some(path);
    let has_secrets = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        is_password(path) || text.lines().any(holds_a_secret)
    };
    let keys = config.client_certificates();
    let keys: Vec<&Path> = keys.iter().map(|it| it.key_file()).collect();
    let mut displays = config.pages.displays.iter();
    let device_keys =
        (displays.any(|it| it.device.is_some())).then(|| DeviceKeys::file_beside(&config.database));
    let tokens = config.token_files().chain(device_keys.as_deref());
    let tokens: Vec<&Path> = tokens.collect();
    let has_secrets =
        |path: &Path| keys.contains(&path) || tokens.contains(&path) || has_secrets(path);
    let is_open = |path: &Path| {
        let metadata = std::fs::metadata(path);
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    };
    let files = [file, Some(&*dot_env), config.password_file.as_deref()];
    let open: Vec<String> = files
        .into_iter()
        .flatten()
        .chain(keys.iter().chain(&tokens).copied())
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

/// Client certificates that are not valid today, if this machine knows the day.
pub fn client_certificates(config: &Config) -> Vec<Finding> {
    let now = SystemClock::new().now();
    let today = &now.wall.to_string()[..10];
    let finding = |files: &&ClientCertificateFiles| {
        let dates = files.dates()?;
        let file = files.certificate.display();
        if *dates.not_after < *today {
            return Some(Problem(format!(
                "the client certificate {file} expired on {}: get a new one from whoever issued it",
                dates.not_after
            )));
        }
        (*dates.not_before > *today).then(|| {
            Problem(format!(
                "the client certificate {file} is valid from {} on, and it is {today} here",
                dates.not_before
            ))
        })
    };
    let certificates = config.client_certificates();
    let certificates = certificates
        .iter()
        .filter(|_| now.trust != ClockTrust::Untrusted);
    certificates.filter_map(finding).collect()
}

/// Whether a line of TOML or `.env` has a secret itself, not the name of a variable or file.
fn holds_a_secret(line: &str) -> bool {
    // Options and placeholders that have such a name and hold no secret.
    const HARMLESS: [&str; 8] = [
        "token_url",
        "token_params",
        "token_header",
        "\"refresh_token\"",
        "\"password\"",
        "{token}",
        "token = \"/",
        "token = \"$.",
    ];
    let line = line.trim().to_lowercase();
    if line.starts_with("token_url") {
        return line.contains('@');
    }
    let line = HARMLESS.iter().fold(line, |line, it| line.replace(it, ""));
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

/// Reports which root certificates are used without `ca_file`.
pub fn root_certificates() -> Finding {
    let roots = system_roots();
    let count = roots.len();
    match roots.file() {
        Some(file) => Fine(format!(
            "{count} root certificates are trusted, from {}",
            file.display()
        )),
        None if is_container() => Note(format!(
            "the {count} root certificates that are compiled in are trusted, and become outdated: a \
             newer image has newer ones, or mount the host's, -v /etc/ssl/certs:/etc/ssl/certs:ro"
        )),
        None => Note(format!(
            "this machine has no root certificates: the {count} that are compiled in are \
             trusted, and become outdated; `apt install ca-certificates` installs current ones"
        )),
    }
}

/// Whether the node can listen on `address`, one of `all`.
pub fn listen_address(address: SocketAddr, all: &[SocketAddr]) -> Finding {
    match bind(&[address], &[]) {
        Ok(_) => Fine(format!("{address} is free")),
        Err(error) if error.is_in_use() && is_main_node(address) => {
            Fine(format!("{address} is used by a running main-node"))
        }
        Err(error) if error.is_missing_family() && all.len() > 1 => Note(format!(
            "{address} is left out: this machine has no such network"
        )),
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
pub fn routes(config: &Config) -> Finding {
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
            ("grant = \"refresh_token\"", false),
            ("token_url = \"https://auth.example/token\"", false),
            ("header = \"X-Key: {token}\"", false),
            ("refresh_token = \"hush\"", true),
            ("auth = { grant = \"password\", password = \"hush\" }", true),
            ("token = \"/session/sid\"", false),
            ("token = \"$.sid\"", false),
            ("token = \"hush\"", true),
        ] {
            assert_eq!(holds_a_secret(line), expected, "{line}");
        }
    }
}
