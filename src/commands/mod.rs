//! Commands of the command line. They run on the main thread and return an exit status: 0
//! success, 1 failure, 2 usage or configuration error.

mod backup;
mod check;
mod demo;
mod explanation;
mod export;
mod fetch_results;
mod forget;
mod healthcheck;
mod import;
mod init;
mod licenses;
mod list_proposal;
mod maintainer;
mod once;
mod operations;
mod page_addresses;
mod pair;
mod pick;
mod printed_command;
mod progress_line;
mod rehearse;
mod reload;
mod rename;
mod restore;
mod serve;
mod test_alert;
mod text_table;
mod time_option;

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::api::client::APIS;
use crate::cli::{Command, CommandLine, ServeArguments};
use crate::config::environment::Environment;
use crate::config::service::InstalledService;
use crate::config::{self, ApiFileUse, Config, LocalSettings, Overrides, Problem};
use crate::sys::os_error::reason;
use crate::sys::{build_id, privileges, service_access};

/// Exit status: the command failed or found a problem.
const FAILED: u8 = 1;
/// Exit status: usage or configuration error.
const USAGE_ERROR: u8 = 2;

pub fn run(arguments: CommandLine) -> u8 {
    if arguments.version {
        let (version, build) = (env!("CARGO_PKG_VERSION"), build_id::build());
        return print_out(&format_args!("main-node {version} (build {build})\n"));
    }
    let CommandLine {
        config,
        listen,
        database,
        ..
    } = arguments;
    // An option before the command counts as one after it.
    let overrides = |own_config: Option<String>,
                     own_listen: Option<String>,
                     own_database: Option<String>| Overrides {
        file: own_config.or(config).map(PathBuf::from),
        listen: own_listen.or(listen),
        database: own_database.or(database).map(PathBuf::from),
    };
    match arguments
        .command
        .unwrap_or(Command::Serve(ServeArguments::default()))
    {
        Command::Serve(it) => serve::serve(&overrides(it.config, it.listen, it.database)),
        Command::Demo(it) => demo::demo(&overrides(None, it.listen, it.database)),
        Command::Once(it) => once::once(&overrides(it.config, None, None)),
        Command::Pick(it) => pick::pick(&overrides(it.config, None, None), &it.path, &it.source),
        Command::Check(it) => {
            check::check(&overrides(it.config, it.listen, it.database), it.online)
        }
        Command::Operations(it) => {
            operations::operations(&overrides(it.config, None, None), &it.words)
        }
        Command::TestAlert(it) => load_config(&overrides(it.config, None, None))
            .map_or_else(|status| status, |config| test_alert::run(&config)),
        Command::Rehearse(it) => load_config(&overrides(it.config, None, None))
            .map_or_else(|status| status, |config| print_out(&rehearse::run(&config))),
        Command::Init(it) => {
            let file = overrides(it.config.clone(), None, None).file;
            init::init(file, &it)
        }
        Command::Licenses(_) => print_out(&licenses::Notices),
        Command::Backup(it) => backup::backup(
            &overrides(it.config, None, it.database),
            Path::new(&it.file),
        ),
        Command::Export(it) => {
            let overrides = overrides(it.config.clone(), None, it.database.clone());
            export::export(&overrides, it)
        }
        Command::Import(it) => {
            let overrides = overrides(it.config.clone(), None, it.database.clone());
            import::import(&overrides, &it)
        }
        Command::Rename(it) => {
            let overrides = overrides(it.config.clone(), None, it.database.clone());
            rename::rename(&overrides, &it)
        }
        Command::Forget(it) => {
            let overrides = overrides(it.config.clone(), None, it.database.clone());
            forget::forget(&overrides, &it)
        }
        Command::Restore(it) => restore::restore(
            &overrides(it.config, None, it.database),
            Path::new(&it.file),
        ),
        Command::Pair(it) => {
            let overrides = overrides(it.config, None, it.database);
            pair::pair(&overrides, &it.name)
        }
        Command::Healthcheck(it) => healthcheck::run(&overrides(it.config, it.listen, None)),
    }
}

/// Loads the configuration and drops to the database's owner; on errors prints the problems and
/// returns the exit status.
fn load_config(overrides: &Overrides) -> Result<Config, u8> {
    load_config_for(overrides, ApiFileUse::Command)
}

/// The same, with OpenAPI files read for this use.
fn load_config_for(overrides: &Overrides, api_files: ApiFileUse) -> Result<Config, u8> {
    let service = installed_service(overrides);
    let environment = Environment::of_process()
        .with_service(service.clone())
        .with_api_files(api_files);
    let config = config::load(overrides, environment, &APIS).map_err(|problems| {
        print_problems(&problems);
        suggest_sudo(&service);
        USAGE_ERROR
    })?;
    crate::sys::log::mask(&config.secrets);
    switch_to_owner(&config.database);
    Ok(config)
}

/// The same for [`LocalSettings`] alone. If this user cannot open the database, prints how to.
fn local_settings(overrides: &Overrides) -> Result<LocalSettings, u8> {
    let service = installed_service(overrides);
    let environment = Environment::of_process().with_service(service.clone());
    let settings = config::local_settings(overrides, environment).map_err(|problems| {
        print_problems(&problems);
        suggest_sudo(&service);
        USAGE_ERROR
    })?;
    if let Some(message) = unreadable_database(&settings.database) {
        eprintln!("{message}");
        return Err(FAILED);
    }
    Ok(settings)
}

/// The installed service, for a command run by hand with its configuration. A process started
/// by systemd already has the service's environment.
fn installed_service(overrides: &Overrides) -> InstalledService {
    let is_unit = ["NOTIFY_SOCKET", "STATE_DIRECTORY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    let file = config::file(overrides).filter(|_| !is_unit);
    file.and_then(|file| InstalledService::of(&file, Path::new("/")))
        .unwrap_or_default()
}

/// Whether the installed service does not see a file.
fn is_hidden_from_service(file: &Path) -> bool {
    service_access::is_hidden(&file.canonicalize().unwrap_or_else(|_| file.to_owned()))
}

/// Prints a hint if this user may not read the service's secrets.
fn suggest_sudo(service: &InstalledService) {
    let files: Vec<String> = service
        .unreadable
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    if !files.is_empty() && !privileges::is_root() {
        eprintln!(
            "This is the configuration of the installed service, which takes more values from {}. \
             This user may not read that. Run: {}",
            files.join(" and "),
            build_id::with_sudo()
        );
    }
}

/// The message if this user cannot open the database and `sudo` would help.
fn unreadable_database(database: &Path) -> Option<String> {
    let opened = std::fs::File::open(database);
    let is_closed = opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    (is_closed && !privileges::is_root()).then(|| {
        format!(
            "this user may not open the database {}. Run: {}",
            database.display(),
            build_id::with_sudo()
        )
    })
}

/// See [`privileges::drop_to_owner`]. If that is refused (a container without the capability),
/// continues as root.
fn switch_to_owner(database: &Path) {
    if let Err(error) = privileges::drop_to_owner(database) {
        let file = database.display();
        eprintln!(
            "cannot switch to the user that owns {file} ({}): new files will belong to root",
            reason(&error)
        );
    }
}

fn print_problems(problems: &[Problem]) {
    for problem in problems {
        eprintln!("{problem}");
    }
}

/// Prints to standard output; a closed pipe (`| head`) is not an error.
pub fn print_out(text: &dyn Display) -> u8 {
    use std::io::{BufWriter, Write};
    let mut out = BufWriter::new(std::io::stdout().lock());
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => 0,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            eprintln!("the output cannot be written: {}", reason(&error));
            FAILED
        }
    }
}
