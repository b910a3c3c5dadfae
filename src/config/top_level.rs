//! Top-level options: name, network, time zone, database, backups.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::listen::{DEFAULT_PORT, all_interfaces, ipv6_alone, parse_listen, without_covered};
use super::option::{OptionText, parse_networks, parse_zone};
use super::problem::Severity;
use super::reader::ConfigReader;
use super::reverse_proxy::{
    read_base_path, read_cors, read_frame_ancestors, read_token, read_trusted_proxies,
};
use super::secret::Secret;
use super::section::{ConfigOption, OptionReader, duration, list, path, plain, set, text};
use super::types::{Config, Overrides};
use crate::domain::locale::Locale;
use crate::limits;
use crate::sys::{text_file, time_zone};

/// The configuration while it is read, and the flags that override it.
pub struct TopLevelDraft {
    pub config: Config,
    pub overrides: Overrides,
}

type TopLevelOption = ConfigOption<TopLevelDraft, Config>;

pub static OPTIONS: [TopLevelOption; 22] = [
    TopLevelOption::new(
        "name",
        "text",
        "the machine's name",
        "\"attic\"",
        "Name of this node: in mails, on pages, and in other nodes that follow it.",
        |draft, option| set(&mut draft.config.name, option.one_text().map(|it| it.text)),
        |config| text(&config.name),
    )
    .with_variable("MAIN_NODE_NAME"),
    TopLevelOption::new(
        "title",
        "text",
        "none (the `name`)",
        "\"House at the lake\"",
        "Title of the pages.",
        |draft, option| draft.config.pages.title = option.one_text().map(|it| it.text.into()),
        |config| text(config.pages.title.as_deref()?),
    )
    .with_variable("MAIN_NODE_TITLE"),
    TopLevelOption::new(
        "locale",
        "language tag",
        "\"en\"",
        "\"de\"",
        "How numbers and dates are written on pages and in mails; their text is English. JSON and CSV stay as they are.",
        |draft, option| set(&mut draft.config.pages.locale, read_locale(option)),
        |config| text(config.pages.locale.tag()),
    )
    .with_variable("MAIN_NODE_LOCALE"),
    TopLevelOption::new(
        "listen",
        "port, address with port, or list of them",
        "8000",
        "[\"192.168.1.10:8000\"]",
        "Ports and addresses to listen on. A port alone (`8000`, `\":8000\"`, `\"*:8000\"`) is every interface, over IPv4 and IPv6; `\"localhost:8000\"` serves this machine only; `\"0.0.0.0:8000\"` is IPv4 alone, `\"[::]:8000\"` IPv6 alone. The flag `--listen` replaces it.",
        read_listen,
        |config| list(&config.listen),
    )
    .with_variable("MAIN_NODE_LISTEN"),
    TopLevelOption::new(
        "hosts",
        "list of names",
        "none",
        "[\"dashboard.example.org\"]",
        "Further host names under which browsers may open this node, for example behind a reverse proxy; `*.example.org` stands for every name below that one. Always allowed: IP addresses, names without a dot, names that end in `.local`, `.lan` and the like. A request for any other name is refused, as protection against DNS rebinding.",
        |draft, option| draft.config.hosts = option.texts().into_iter().map(|it| it.text).collect(),
        |config| list(&config.hosts),
    )
    .with_variable("MAIN_NODE_HOSTS"),
    TopLevelOption::new(
        "allow",
        "list of networks or addresses",
        "none (everybody may)",
        "[\"192.168.0.0/16\", \"fd00::/8\"]",
        "Networks or single addresses that may connect; all others are refused. This machine itself always may.",
        |draft, option| draft.config.allow = parse_networks(option.texts(), option.reader()),
        |config| list(&config.allow),
    )
    .with_variable("MAIN_NODE_ALLOW"),
    TopLevelOption::new(
        "password_file",
        "file",
        "none (no password)",
        "\"password\"",
        "File with one line: the password that browsers and displays must send for everything but `/healthz`. Any user name goes with it. Create the file with `chmod 600`.",
        |draft, option| {
            let (file, password) = read_password(option).unzip();
            draft.config.password_file = file;
            draft.config.password = password.flatten();
        },
        |config| path(config.password_file.as_deref()?),
    )
    .with_variable("MAIN_NODE_PASSWORD_FILE"),
    TopLevelOption::new(
        "token",
        "text, at least 16 characters",
        "none",
        "\"3f9c2a7e1b8d60354c5e\"",
        "Opens `/snapshot`, `/snapshot/KEY`, `/events` and `/display/…` beside the password, for displays that cannot send one: as `?token=…` or as `Authorization: Bearer …`. It never opens the other pages, `/status`, `/metrics` or `/history`. Make one with `openssl rand -hex 16`.",
        |draft, option| draft.config.token = read_token(option, draft.config.password_file.is_some()),
        |config| config.token.as_ref().map(|_| "\"***\"".to_owned()),
    )
    .with_variable("MAIN_NODE_TOKEN"),
    TopLevelOption::new(
        "trusted_proxies",
        "list of networks or addresses",
        "none",
        "[\"127.0.0.1\", \"::1\"]",
        "Reverse proxies in front of this node. Of their requests `X-Forwarded-For` names the client, for `allow`, for limits and wrong passwords per address, and for the list of displays; `X-Forwarded-Prefix` names the path below which they serve this node, and `X-Forwarded-Proto` says whether TRMNL devices get addresses with `https`. From anybody else these headers are ignored.",
        |draft, option| draft.config.trusted_proxies = read_trusted_proxies(option),
        |config| list(&config.trusted_proxies),
    )
    .with_variable("MAIN_NODE_TRUSTED_PROXIES"),
    TopLevelOption::new(
        "base_path",
        "path",
        "none",
        "\"/node\"",
        "Path below which a reverse proxy serves this node: links and redirects of the pages, and links in messages, begin with it. Every path answers with and without it, so the proxy may strip it or not. Not needed where a trusted proxy sends `X-Forwarded-Prefix`.",
        |draft, option| set(&mut draft.config.base_path, read_base_path(option)),
        |config| (!config.base_path.is_empty()).then(|| text(&config.base_path))?,
    )
    .with_variable("MAIN_NODE_BASE_PATH"),
    TopLevelOption::new(
        "frame_ancestors",
        "list of sites",
        "none (no frames)",
        "[\"http://homeassistant.local:8123\"]",
        "Sites whose pages may show the pages of this node in a frame (`<iframe>`), for example a card of Home Assistant: `scheme://name:port`, `https://*.example.org`, `'self'`, or `*` for all.",
        |draft, option| draft.config.frame_ancestors = read_frame_ancestors(option),
        |config| list(&config.frame_ancestors),
    )
    .with_variable("MAIN_NODE_FRAME_ANCESTORS"),
    TopLevelOption::new(
        "timezone",
        "time zone",
        "the system's",
        "\"Europe/Berlin\"",
        "Time zone of the pages, of mails and of `mute`, of `since` in `[derived.NAME]`, and of date placeholders. The API and the database always use UTC. Local times in responses are read by `observed_zone` of the source.",
        read_timezone,
        |config| text(config.timezone.iana_name()?),
    )
    .with_variable("MAIN_NODE_TIMEZONE"),
    TopLevelOption::new(
        "database",
        "file",
        "main-node.db in the service's state directory, else beside the configuration",
        "\"/mnt/usb/main-node.db\"",
        "The SQLite database file. Choose a USB disk here to spare the SD card. The flag `--database` replaces it.",
        read_database,
        |config| path(&config.database),
    )
    .with_variable("MAIN_NODE_DATABASE"),
    TopLevelOption::new(
        "commit_every",
        "duration",
        "\"1m\"",
        "\"5m\"",
        "How often readings are written to disk. A power cut loses the readings since the last write; a longer interval spares the SD card.",
        |draft, option| set(&mut draft.config.commit_every, option.duration()),
        |config| duration(config.commit_every),
    )
    .with_variable("MAIN_NODE_COMMIT_EVERY"),
    TopLevelOption::new(
        "keep_raw",
        "duration",
        "\"30d\"",
        "\"90d\"",
        "How long every single reading is kept. Older ones are deleted; their hourly and daily minimum, maximum and mean remain.",
        |draft, option| set(&mut draft.config.keep_raw, option.duration()),
        |config| duration(config.keep_raw),
    )
    .with_variable("MAIN_NODE_KEEP_RAW"),
    TopLevelOption::new(
        "keep_hourly",
        "duration",
        "\"731d\"",
        "\"3650d\"",
        "How long the hourly minimum, maximum and mean are kept. Daily ones are kept for ever.",
        |draft, option| set(&mut draft.config.keep_hourly, option.duration()),
        |config| duration(config.keep_hourly),
    )
    .with_variable("MAIN_NODE_KEEP_HOURLY"),
    TopLevelOption::new(
        "database_max",
        "size",
        "\"2000MB\"",
        "\"500MB\"",
        "Largest size of the database file. Above it the oldest single readings are deleted, even before `keep_raw` is over.",
        |draft, option| set(&mut draft.config.database_max, option.bytes()),
        |config| plain(config.database_max),
    ),
    TopLevelOption::new(
        "backup_every",
        "duration",
        "none (no backups)",
        "\"1d\"",
        "How often a verified copy of the database is written, beside it or to `backup_to`. For one copy now, run `main-node backup FILE`.",
        |draft, option| draft.config.backup_every = option.duration(),
        |config| duration(config.backup_every?),
    )
    .with_variable("MAIN_NODE_BACKUP_EVERY"),
    TopLevelOption::new(
        "backup_keep",
        "number, 1 to 1000",
        "7",
        "14",
        "How many of the copies of `backup_every` are kept; the oldest is deleted first.",
        |draft, option| {
            let count = option.integer(1..=1000).map(|count| count as usize);
            set(&mut draft.config.backup_keep, count);
        },
        |config| plain(config.backup_every.map(|_| config.backup_keep)?),
    ),
    TopLevelOption::new(
        "backup_to",
        "directory",
        "none (that of the database)",
        "\"/mnt/usb\"",
        "Where the copies of `backup_every` are written, for example to a USB stick or a file server. The directory must exist; while it does not, `/status` and the pages say so. The copies are named after the `name` of the node, so that nodes of different names can share it. See “Backup and restore” in `docs/operation.md`.",
        |draft, option| {
            let named = option.one_text();
            draft.config.backup_to = named.map(|it| option.directory.join(it.text));
        },
        |config| path(config.backup_to.as_deref()?),
    )
    .with_variable("MAIN_NODE_BACKUP_TO"),
    TopLevelOption::new(
        "max_records",
        "number, 1 to 5000",
        "2000",
        "5000",
        "How many records (keys with a current value) all sources together may have; more are left out, and an issue says so. Each thousand takes about 5 MB of memory. One source has at most its own `max_records`.",
        |draft, option| {
            let count = option.integer(1..=limits::MAX_CONFIGURED_RECORDS as u64);
            set(&mut draft.config.max_records, count.map(|it| it as usize));
        },
        |config| plain(config.max_records),
    ),
    TopLevelOption::new(
        "cors",
        "\"*\", \"off\", or list of origins",
        "\"off\"",
        "\"*\"",
        "`\"*\"` lets web pages of other sites read this node from a browser (header `Access-Control-Allow-Origin`); a list of origins such as `\"http://homeassistant.local:8123\"` lets those alone. Needed when your own dashboard is served by another machine.",
        |draft, option| draft.config.cors = read_cors(option),
        |config| match config.cors.as_slice() {
            [only] if only == "*" => text(only),
            origins => list(origins),
        },
    )
    .with_variable("MAIN_NODE_CORS"),
];

/// The options with these names.
pub fn options_named(names: &[&str]) -> impl Iterator<Item = &'static TopLevelOption> {
    let is_named = move |option: &&TopLevelOption| names.contains(&option.name);
    OPTIONS.iter().filter(is_named)
}

/// Reads the database path, and whether it is the default.
fn read_database(draft: &mut TopLevelDraft, option: &mut OptionReader<'_, '_>) {
    let named = option.one_text();
    let config = &mut draft.config;
    config.database_is_default = draft.overrides.database.is_none() && named.is_none();
    config.database = match (&draft.overrides.database, named) {
        (Some(path), _) => path.clone(),
        (None, Some(named)) => option.directory.join(named.text),
        (None, None) => match option.reader().option_variable("STATE_DIRECTORY") {
            Some((state, _)) => Path::new(&state).join("main-node.db"),
            None => option.directory.join("main-node.db"),
        },
    };
}

fn read_listen(draft: &mut TopLevelDraft, option: &mut OptionReader<'_, '_>) {
    let reader = option.reader();
    let configured = option.texts_or_integers("a port or a text such as \"localhost:8000\"");
    let texts = match &draft.overrides.listen {
        Some(flag) => OptionText::split_list(flag, "--listen"),
        None => configured,
    };
    if texts.is_empty() {
        draft.config.listen = all_interfaces(DEFAULT_PORT);
        return;
    }
    let parse = |text: &OptionText| {
        let problem = |advice: String| {
            let expected = "expected a port, or an address with a port";
            text.problem_without_text(
                reader,
                &format!("{expected}, found {:?}: {advice}", text.text),
            );
        };
        parse_listen(&text.text)
            .map_err(problem)
            .unwrap_or_default()
    };
    let addresses: Vec<SocketAddr> = texts.iter().flat_map(parse).collect();
    if let (Some(port), Some(text)) = (ipv6_alone(&addresses), texts.first()) {
        let message = format!(
            "[::]:{port} is IPv6 alone: devices without it cannot connect; listen = {port} is both"
        );
        text.remark(reader, &message);
    }
    draft.config.listen = without_covered(&addresses);
}

/// A password file that cannot be read is an error; the node never starts without the password.
fn read_password(option: &mut OptionReader<'_, '_>) -> Option<(PathBuf, Option<Secret>)> {
    let named = option.one_text()?;
    let reader = option.reader();
    let path = option.directory.join(&named.text);
    let password = match text_file::read(&path) {
        Ok(text) => {
            let password = text_file::one_line(&text);
            if password.is_none() {
                named.problem(reader, "expected a file with one line, the password");
            }
            password.map(|password| reader.secret(password.to_owned()))
        }
        Err(error) => {
            let message =
                format!("expected a file with the password, but it cannot be read ({error})");
            named.problem(reader, &message);
            None
        }
    };
    Some((path, password))
}

fn read_locale(option: &mut OptionReader<'_, '_>) -> Option<Locale> {
    let named = option.one_text()?;
    let locale = Locale::parse(&named.text);
    if locale.is_none() {
        let tags: Vec<&str> = Locale::tags().collect();
        let expected = format!("expected one of {}", tags.join(", "));
        named.problem(option.reader(), &expected);
    }
    locale
}

fn read_timezone(draft: &mut TopLevelDraft, option: &mut OptionReader<'_, '_>) {
    let Some(named) = option.one_text() else {
        draft.config.timezone = zone_of_environment(option.reader());
        return;
    };
    draft.config.timezone = parse_zone(&named.text).unwrap_or_else(|message| {
        named.problem(option.reader(), &message);
        TimeZone::UTC
    });
}

/// The time zone of the variable `TZ`, else the system's. An unknown one becomes UTC, with a note.
fn zone_of_environment(reader: &ConfigReader<'_>) -> TimeZone {
    let Some((written, location)) = reader.option_variable("TZ") else {
        return time_zone::of_machine();
    };
    let note = |message: String| reader.remark_at(Severity::Note, &location, message);
    let name = written.strip_prefix(':').unwrap_or(&written);
    // The path of a file of time zones, which need not be there.
    let known = name
        .rsplit_once("/zoneinfo/")
        .map_or(name, |(_, known)| known);
    if let Some(zone) = time_zone::named(known) {
        return zone;
    }
    let of_file = || TimeZone::tzif(name, &text_file::read_bytes(Path::new(name)).ok()?).ok();
    if name.starts_with('/')
        && let Some(zone) = of_file()
    {
        return zone;
    }
    if let Ok(zone) = TimeZone::posix(name) {
        // Its sign is the other way round than most people expect.
        let side = match name.as_bytes() {
            [b'U' | b'G', b'T' | b'M', b'C' | b'T', b'+', ..] => Some("behind"),
            [b'U' | b'G', b'T' | b'M', b'C' | b'T', b'-', ..] => Some("ahead of"),
            _ => None,
        };
        if let Some(side) = side {
            note(format!(
                "by POSIX {name} is {side} UTC: write the name of a zone, such as TZ=Europe/Berlin"
            ));
        }
        return zone;
    }
    note(format!(
        "expected the IANA name of a time zone, found {name:?}: times are shown in UTC; write TZ=Europe/Berlin, \
         or timezone = \"Europe/Berlin\" in the file"
    ));
    TimeZone::UTC
}

pub fn is_top_level(name: &str) -> bool {
    OPTIONS.iter().any(|option| option.name == name)
}
