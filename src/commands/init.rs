//! `main-node init`: writes a commented configuration with one source, tries it and shows what came.
//!
//! The configuration is valid before it is written. The requests are made on a thread that has
//! taken the identity of the service.

mod case;
mod configuration_file;
mod coordinates;
mod record_lines;
mod secret_variables;
mod template;
mod typed_address;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

use jiff::tz::TimeZone;

use self::case::{InitCase, InitStage, SourceNaming, usage};
use self::configuration_file::{ConfigurationFile, ExistingFile, replace};
use self::record_lines::ResponseSample;
use self::secret_variables::{SecretVariables, secrets_file, with_secrets};
use super::{
    FAILED, USAGE_ERROR, fetch_results, once, operations, page_addresses, print_out,
    switch_to_owner,
};
use crate::api::client::APIS;
use crate::cli::InitArguments;
use crate::config::environment::{Environment, process_variables};
use crate::config::service::InstalledService;
use crate::config::{self, Config, Overrides, Problem};
use crate::domain::failure::Cause;
use crate::domain::reading::FetchOutcome;
use crate::limits;
use crate::node::sources;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os_error::reason;
use crate::sys::thread::spawn;
use crate::sys::{log as logging, systemd_unit, text_file};

/// Mode of the file of secrets.
const SECRETS_MODE: u32 = 0o600;

pub fn init(file: Option<PathBuf>, arguments: &InitArguments) -> u8 {
    match arguments.case.split_first() {
        None => print_out(&usage()),
        Some((case, [])) if case == "openapi" => print_out(&format_args!(
            "{}# main-node init openapi OPERATION name=value… writes one of them into a configuration.\n",
            operations::list(&APIS, &[])
        )),
        Some((case, words)) => {
            let written = InitCase::read(case, words, &APIS)
                .and_then(|case| NewConfiguration::new(case, file, arguments))
                .and_then(NewConfiguration::write);
            match written {
                Ok(status) => status,
                Err(message) => {
                    eprintln!("{message}");
                    USAGE_ERROR
                }
            }
        }
    }
}

/// A configuration with a new source.
struct NewConfiguration {
    case: InitCase,
    naming: SourceNaming,
    file: ConfigurationFile,
    /// What the file of secrets and the environment have already.
    known: BTreeMap<String, String>,
}

/// A text that is valid.
struct ValidConfiguration {
    text: String,
    /// With the new source alone.
    config: Config,
    secrets: Vec<(String, String)>,
}

impl NewConfiguration {
    fn new(
        case: InitCase,
        file: Option<PathBuf>,
        arguments: &InitArguments,
    ) -> Result<NewConfiguration, String> {
        let existing = match (arguments.add, arguments.replace) {
            (true, true) => return Err("choose one of --add and --replace".to_owned()),
            (true, false) => ExistingFile::Added,
            (false, true) => ExistingFile::Replaced,
            (false, false) => ExistingFile::Refused,
        };
        let file = ConfigurationFile::find(file.as_deref(), existing, Path::new("/"))?;
        let name = match &arguments.name {
            Some(name) if unused_name(name, file.kept_text()) != *name => {
                return Err(format!(
                    "{} has a source {name} already: choose another --name",
                    file.path.display()
                ));
            }
            Some(name) => name.clone(),
            None => unused_name(&case.default_name(), file.kept_text()),
        };
        let naming = SourceNaming {
            name,
            has_prefix: file.is_added(),
        };
        let secrets = secrets_file(&file.path, file.is_service);
        let text = text_file::read(&secrets).unwrap_or_default();
        let mut known: BTreeMap<String, String> = config::env_file(&text).into_iter().collect();
        known.extend(process_variables());
        Ok(NewConfiguration {
            case,
            naming,
            file,
            known,
        })
    }

    /// Tries the source, writes the configuration, and prints what came and what to do next.
    fn write(self) -> Result<u8, String> {
        let sample = if self.case.needs_sample() {
            fetch(self.configuration(InitStage::Sample)?.config, fetch_sample)?
        } else {
            None
        };
        let written = self.configuration(InitStage::File(sample.as_ref()))?;
        let fetched = fetch(written.config.clone(), |config| {
            once::fetch_all(config).ok()
        })?;
        let fetched = fetched.unwrap_or_default();
        let failure = fetched.iter().find_map(|it| match &it.observation.outcome {
            FetchOutcome::Failed { failure, .. } => Some(failure),
            _ => None,
        });
        print_out(&describe(&written.config, &fetched));
        if let Some(failure) = failure.filter(|_| self.case.is_follow())
            && matches!(failure.cause, Cause::Schema | Cause::NotJson)
        {
            eprintln!("\nThis is no main-node. Nothing was written.");
            return Ok(FAILED);
        }
        let said = self.write_secrets(&written.secrets)?;
        let path = self.file.write(&written.text)?;
        print_out(&format_args!("\n{said}{path}.\n{}", self.case.examples()));
        let is_good = failure.is_none() && !fetched.is_empty();
        if !is_good {
            print_out(&self.advice());
        }
        let is_running = self.start(&written);
        Ok(if is_good && is_running { 0 } else { FAILED })
    }

    /// What to do where the source gives nothing.
    fn advice(&self) -> String {
        let file = self.file.path.display();
        let sudo = if self.file.is_service { "sudo " } else { "" };
        let port = if self.case.is_follow() {
            " A main-node listens on port 8000 unless it is configured otherwise."
        } else {
            ""
        };
        let correct = if self.file.is_added() {
            format!("correct its table, the last of {file}")
        } else {
            "run this again with --replace".to_owned()
        };
        format!(
            "The source gives no values yet; main-node will ask it again and again. If the address is \
             wrong, {correct}; a password or a token is a line of {file} \
             ({sudo}nano {file}). `{sudo}main-node once` tries it.{port}\n"
        )
    }

    /// The configuration. `Err` has the problems.
    fn configuration(&self, stage: InitStage<'_>) -> Result<ValidConfiguration, String> {
        let mut secrets = SecretVariables::new(&self.naming.name, self.known.clone());
        let source = self.case.source(&self.naming, &mut secrets, stage)?;
        let secrets = secrets.found;
        let mut valid = self.validate(self.file.with_source(&source, None), secrets)?;
        if let InitStage::File(Some(sample)) = stage
            && let Some(zone) = sample.zone()
            && is_utc(&valid.config.timezone)
        {
            let text = self.file.with_source(&source, Some(zone));
            valid = self.validate(text, valid.secrets)?;
        }
        Ok(valid)
    }

    fn validate(
        &self,
        text: String,
        secrets: Vec<(String, String)>,
    ) -> Result<ValidConfiguration, String> {
        let variables = process_variables().chain(secrets.iter().cloned());
        let root = Path::new("/");
        let service = InstalledService::of(&self.file.path, root).filter(|_| self.file.is_service);
        let environment = Environment::new(variables).with_service(service.unwrap_or_default());
        let file = Some(self.file.path.clone());
        let read = config::read(&text, file, &Overrides::default(), environment, &APIS);
        let mut config = read.map_err(|problems| self.describe_problems(&problems))?;
        logging::mask(&config.secrets);
        // The new source is the last one.
        config
            .sources
            .drain(..config.sources.len().saturating_sub(1));
        Ok(ValidConfiguration {
            text,
            config,
            secrets,
        })
    }

    fn describe_problems(&self, problems: &[Problem]) -> String {
        let mut text = String::new();
        for problem in problems {
            // Lines of a file that is not written say nothing.
            text += &if self.file.is_added() {
                format!("{problem}\n")
            } else {
                format!("{}\n", problem.message)
            };
        }
        text + "Nothing was written."
    }

    /// Adds the secrets to their file and says so.
    fn write_secrets(&self, secrets: &[(String, String)]) -> Result<String, String> {
        if secrets.is_empty() {
            return Ok(String::new());
        }
        let file = secrets_file(&self.file.path, self.file.is_service);
        let shown = file.display();
        let text = with_secrets(&file, secrets)
            .map_err(|error| format!("{shown} cannot be read: {error}"))?;
        replace(&file, &text, SECRETS_MODE)
            .map_err(|error| format!("{shown} cannot be written: {}", reason(&error)))?;
        let names: Vec<&str> = secrets.iter().map(|it| it.0.as_str()).collect();
        let is_open = file.metadata().is_ok_and(|it| it.mode() & 0o007 != 0);
        let advice = if is_open {
            format!(" Others may read it: chmod o= {shown}")
        } else {
            String::new()
        };
        Ok(format!(
            "{shown} has what is secret in the address, as {}, which the configuration names.{advice}\n",
            names.join(" and ")
        ))
    }

    /// Applies the configuration to the installed service, or says how to start. Prints where the
    /// pages are.
    fn start(&self, written: &ValidConfiguration) -> bool {
        let pages = page_addresses::of_configuration(&written.config).join("\n   or: ");
        if !self.file.is_service {
            let start = if self.file.path.as_os_str() == "main-node.toml" {
                "main-node".to_owned()
            } else {
                format!("main-node --config {}", self.file.path.display())
            };
            print_out(&format_args!("Start: {start}\n Open: {pages}\n"));
            return true;
        }
        // systemd reads secrets.env at the start alone.
        let has_variable = |line: &str| !line.starts_with('#') && line.contains("${");
        let applied = if written.text.lines().any(has_variable) {
            systemd_unit::restart()
        } else {
            systemd_unit::reload_or_restart()
        };
        if let Err(reason) = applied {
            eprintln!("main-node cannot be restarted ({reason}): sudo systemctl restart main-node");
            return false;
        }
        print_out(&format_args!("main-node runs with it.\n Open: {pages}\n"));
        true
    }
}

/// The name, with a number where a source has it already.
fn unused_name(wanted: &str, text: &str) -> String {
    let table = text.parse::<toml::Table>().unwrap_or_default();
    let sources = table.get("source").and_then(toml::Value::as_array);
    let is_taken = |name: &str| {
        let mut sources = sources.into_iter().flatten();
        sources.any(|it| it.get("name").and_then(toml::Value::as_str) == Some(name))
    };
    let mut name = wanted.to_owned();
    let mut number = 1;
    while is_taken(&name) {
        number += 1;
        name = format!("{wanted}{number}");
    }
    name
}

/// Whether the machine has no zone of its own.
fn is_utc(zone: &TimeZone) -> bool {
    let name = zone.iana_name();
    name.is_none_or(|name| matches!(name, "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT"))
}

/// Runs requests on a thread that has dropped to the user of the service.
fn fetch<T: Send + 'static>(
    config: Config,
    run: impl FnOnce(&mut Config) -> Option<T> + Send + 'static,
) -> Result<Option<T>, String> {
    let (sender, receiver) = channel();
    let mut config = config;
    spawn("init-fetch", move || {
        switch_to_owner(&config.database);
        // The receiver waits.
        let _ = sender.send(run(&mut config));
    })
    .map_err(|error| format!("a thread cannot be started: {}", reason(&error)))?;
    Ok(match receiver.recv_timeout(limits::PROGRESS_DELAY) {
        Ok(result) => result,
        Err(_) => {
            eprintln!("no response yet; waiting");
            receiver.recv().ok().flatten()
        }
    })
}

/// The first response, if there is a readable one.
fn fetch_sample(config: &mut Config) -> Option<ResponseSample> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let fetcher = sources::fetchers(config, &clock).ok()?.into_iter().next();
    let (format, tree) = fetcher?.fetch_any_format().ok()?;
    Some(ResponseSample::new(format, tree))
}

/// The records, or the request and why there are none.
fn describe(config: &Config, fetched: &[once::Fetched]) -> String {
    let plan = config.plan();
    let named = || {
        let all = fetched.iter();
        all.filter_map(|it| Some((plan.sources.get(it.observation.source)?, it)))
    };
    let results: Vec<_> = named()
        .map(|(source, it)| (source, it.observation.clone()))
        .collect();
    let mut text = fetch_results::render(&results, std::io::stdout().is_terminal());
    for (source, it) in named().filter(|it| !it.1.observation.outcome.is_usable()) {
        text += &fetch_results::exchanges(&source.name, &it.exchanges, true);
    }
    text
}
