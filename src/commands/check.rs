//! `main-node check`: prints the effective configuration and every problem on this machine,
//! each with a fix.
//!
//! The service may run meanwhile, and its database is opened read-only. Writes nothing but the lowered
//! forms of OpenAPI files that are too large for the service (`lowered_form`).

mod api_files;
mod backups;
mod displays;
mod local_names;
mod machine;
mod meters;
mod stored_keys;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::machine::{
    client_certificates, clock, database, disk_space, listen_address, root_certificates, routes,
    secret_files, time_zone, volatile_storage,
};
use super::{
    FAILED, installed_service, once, page_addresses, print_out, print_problems, suggest_sudo,
    switch_to_owner,
};
use crate::api::auth::token_file::TokenFile;
use crate::api::client::APIS;
use crate::api::http_exchange::HttpExchange;
use crate::config::environment::Environment;
use crate::config::service::InstalledService;
use crate::config::{self, Config, ConfiguredCredential, Overrides, Remark, Severity};
use crate::domain::placeholder::PlaceholderTime;
use crate::domain::plan::{Plan, Selection, SourcePlan};
use crate::domain::reading::{FetchOutcome, Reason};
use crate::domain::snapshot::DerivedSnapshot;
use crate::domain::text::count_noun;
use crate::limits;
use crate::node::sources::fetchers;
use crate::node::{notifiers, outputs, requests};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::shutdown::StopToken;
use crate::sys::tls::Trust;
use openapi::operation::nearest;

/// Why the database that a configuration names cannot be used. No database that this process has open
/// may be asked about: closing a second descriptor of its file would drop SQLite's locks.
pub fn database_problem(config: &Config) -> Option<String> {
    match database(config, None) {
        Problem(message) => Some(message.replace('\n', ". ")),
        Fine(_) | Note(_) | NotChecked(_) | Page(_) => None,
    }
}

/// Result of one check.
enum Finding {
    Fine(String),
    Problem(String),
    /// Not a problem for the node.
    Note(String),
    /// Not checked, and why.
    NotChecked(String),
    /// Where a browser opens the pages.
    Page(String),
}

use Finding::{Fine, NotChecked, Note, Page, Problem};

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
    findings.extend(storage(&config, &service));
    findings.extend([
        clock(),
        time_zone(&config),
        secret_files(&config),
        root_certificates(),
    ]);
    findings.extend(client_certificates(&config));
    findings.extend(token_file(&config));
    findings.extend(api_files::findings(&config, &service));
    let listen = &config.listen;
    findings.extend(
        listen
            .iter()
            .map(|address| listen_address(*address, listen)),
    );
    findings.push(routes(&config));
    findings.extend(of_keys(&config, overrides));
    findings.extend(records_memory(&config));
    findings.extend(dated_requests(&config));
    findings.extend(dated_paths(&config));
    findings.extend(certificate_files(&config));
    findings.extend(channels(&config, online));
    findings.extend(ping(&config, online));
    findings.extend(outputs(&config, online));
    findings.extend(sources(&config, online));
    findings.extend(local_names::findings(&config, online));
    findings.extend(
        page_addresses::of_configuration(&config)
            .into_iter()
            .map(Page),
    );
    let mut problems = 0;
    for finding in findings {
        let (kind, text) = match finding {
            Fine(text) => ("ok", text),
            Note(text) => ("note", text),
            NotChecked(text) => ("NOT CHECKED", text),
            Page(text) => ("page", text),
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

/// What the configuration says of keys: meters, stored keys, texts of pictures.
fn of_keys(config: &Config, overrides: &Overrides) -> Vec<Finding> {
    let mut findings = meters::findings(config);
    findings.extend(stored_keys::findings(config, overrides));
    findings.extend(displays::findings(config));
    findings
}

/// The database, its disk, and its backups.
fn storage(config: &Config, service: &InstalledService) -> Vec<Finding> {
    let mut findings = vec![
        database(config, service.state_directory.as_deref()),
        disk_space(config),
    ];
    findings.extend(volatile_storage(config));
    findings.extend(backups::database_in_unit(config, service));
    findings.extend(backups::findings(config, service));
    findings
}

/// The state of the file of tokens, if a source needs it.
fn token_file(config: &Config) -> Option<Finding> {
    let accounts = config.accounts.values();
    let accounts = accounts.filter_map(|account| account.auth.credential.as_ref());
    let own = config.sources.iter();
    let own = own.filter_map(|source| source.auth.as_ref()?.credential());
    let mut credentials = accounts.chain(own);
    credentials.any(ConfiguredCredential::has_tokens).then(|| {
        let file = TokenFile::beside(&config.database);
        match file.state(SystemClock::new().now().wall) {
            Ok(state) => Fine(state),
            Err(problem) => Problem(problem),
        }
    })
}

/// What more records than by default cost.
fn records_memory(config: &Config) -> Option<Finding> {
    let most = config.max_records;
    (most > limits::RECORDS_TOTAL).then(|| {
        let megabytes = most as u64 * limits::RECORD_MEMORY_BYTES / 1_000_000;
        Note(format!(
            "max_records = {most}: so many records take about {megabytes} MB of memory"
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
        let mut filled: Vec<String> = Vec::new();
        for path in plan.paths().filter(|path| path.is_dated()) {
            let mut path = path.clone();
            path.fill(&time);
            let path = path.to_string();
            // Several records often share a path.
            if !filled.contains(&path) {
                filled.push(path);
            }
        }
        let finding = |path: String| Fine(format!("{} reads now: {path}", plan.name));
        filled.into_iter().map(finding).collect::<Vec<_>>()
    });
    findings.collect()
}

/// Files with the certificates that channels and outputs trust, if they cannot be read.
fn certificate_files(config: &Config) -> Vec<Finding> {
    let notifications = &config.notifications;
    let mail = notifications.mail.iter().map(|it| ("mail", &it.trust));
    let webhooks = notifications.webhooks.iter();
    let webhooks = webhooks.map(|it| (&*it.name, &it.trust));
    let ping = notifications.ping.iter().map(|it| ("ping", &it.trust));
    let pushes = config.pushes.iter();
    let pushes = pushes.map(|it| (it.name.as_deref().unwrap_or("push"), &it.trust));
    let forwards = config.forwards.iter().map(|it| (&*it.name, &it.trust));
    let mqtt = config.mqtt.iter().map(|it| ("mqtt", &it.trust));
    let all = mail.chain(webhooks).chain(ping);
    let all = all.chain(pushes).chain(forwards).chain(mqtt);
    all.filter_map(|(name, trust)| Some((name, Trust::of(trust).err()?)))
        .map(|(name, why)| Problem(format!("{name}: {why}")))
        .collect()
}

fn channels(config: &Config, online: bool) -> Vec<Finding> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let channels = match notifiers::usable_channels(config, &clock) {
        Ok(channels) => channels,
        Err(problem) => return vec![Problem(problem)],
    };
    if channels.is_empty() {
        let text = "no alert channel is configured: alerts appear on pages and displays only";
        return vec![Fine(text.to_owned())];
    }
    let findings = channels.iter().map(|channel| {
        let (name, destination) = (channel.name(), channel.destination());
        let result = if online { channel.check() } else { None };
        let login = match (online, name) {
            (false, "mail") => ", `check --online` logs in",
            _ => "",
        };
        match result {
            Some(Ok(())) => Fine(format!("login to {destination} succeeded")),
            Some(Err(why)) => Problem(format!("{destination}: {why}")),
            None => NotChecked(format!(
                "whether {destination} accepts alerts ({name}): `test-alert` sends one{login}"
            )),
        }
    });
    findings.collect()
}

/// Whether each output reaches its receiver.
fn outputs(config: &Config, online: bool) -> Vec<Finding> {
    let outputs = outputs::configured(config, None);
    let findings = outputs.iter().map(|output| {
        let destination = output.destination();
        if !online {
            let name = output.name();
            return NotChecked(format!(
                "whether {destination} accepts data ({name}): `check --online` connects"
            ));
        }
        match output.check() {
            Ok(found) => Fine(format!("{}: {found}", output.name())),
            Err(why) => Problem(format!("{}: {destination}: {why}", output.name())),
        }
    });
    findings.collect()
}

/// Whether the monitoring service takes the heartbeat.
fn ping(config: &Config, online: bool) -> Option<Finding> {
    let ping = notifiers::ping(config)?;
    let destination = ping.destination();
    if !online {
        return Some(NotChecked(format!(
            "whether {destination} is accepted: `check --online` and `test-alert` send one"
        )));
    }
    Some(match ping.send(&Ok(()), &StopToken::default())? {
        Ok(said) => Fine(format!("{destination} was accepted ({said})")),
        Err(why) => Problem(format!("{destination}: {why}")),
    })
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
    findings.extend(derived_faults(&config.plan(), &fetched));
    findings
}

/// Derived keys that cannot be computed from these responses, perhaps at this moment only.
fn derived_faults(plan: &Plan, fetched: &[once::Fetched]) -> Vec<Finding> {
    let Some(snapshot) = once::published(plan, fetched) else {
        return Vec::new();
    };
    let fault = |it: &DerivedSnapshot| {
        let issue = it.fault()?;
        if plan.derived.needs_history(&it.key) {
            return None;
        }
        let text = format!("{} has no value now: {issue}", it.key);
        Some(match issue.reason {
            Reason::WrongType => Problem(text),
            _ => Note(text),
        })
    };
    snapshot.derived.iter().filter_map(fault).collect()
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
    let is_derived = |key: &&Arc<str>| plan.derived.iter().any(|it| it.key == **key);
    let shown = plan.pages.keys().filter(|key| !is_derived(key));
    let expected: BTreeSet<&Arc<str>> = plan.expected_keys().into_iter().chain(shown).collect();
    let missing = expected
        .into_iter()
        .filter(|key| !found.contains(key) && !is_named(key));
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
