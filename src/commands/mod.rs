//! What each command does. They run on the main thread; each returns its exit status: 0
//! fine, 1 the thing asked about is bad, 2 wrong arguments or a configuration error.

mod check;
mod licenses;
mod once;
mod operations;
mod past;
mod rehearse;
mod report;
mod serve;
mod test_alert;

use std::fmt::Display;
use std::path::PathBuf;

use crate::api::client::APIS;
use crate::cli::{Arguments, Command, Serve};
use crate::config::environment::Environment;
use crate::config::{self, Config, Overrides, Problem};
use crate::sys::{identity, program};

/// Something is wrong with what was asked about.
const BAD: u8 = 1;
/// Something is wrong with how it was asked, or with the configuration.
const WRONG: u8 = 2;

pub fn run(arguments: Arguments) -> u8 {
    if arguments.version {
        let (version, build) = (env!("CARGO_PKG_VERSION"), program::build());
        return print_out(&format_args!("main-node {version} (build {build})\n"));
    }
    let Arguments {
        config,
        listen,
        database,
        ..
    } = arguments;
    // An option before the command means what it means behind it.
    let overrides = |own_config: Option<String>,
                     own_listen: Option<String>,
                     own_database: Option<String>| Overrides {
        file: own_config.or(config).map(PathBuf::from),
        listen: own_listen.or(listen),
        database: own_database.or(database).map(PathBuf::from),
    };
    match arguments
        .command
        .unwrap_or(Command::Serve(Serve::default()))
    {
        Command::Serve(it) => serve::serve(&overrides(it.config, it.listen, it.database)),
        Command::Demo(it) => serve::demo(&overrides(None, it.listen, it.database)),
        Command::Once(it) => once::once(&overrides(it.config, None, None)),
        Command::Check(it) => {
            check::check(&overrides(it.config, it.listen, it.database), it.online)
        }
        Command::Operations(it) => print_out(&operations::list(APIS, &it.words)),
        Command::TestAlert(it) => match configured(&overrides(it.config, None, None)) {
            Ok(config) => test_alert::run(&config),
            Err(status) => status,
        },
        Command::Rehearse(it) => match configured(&overrides(it.config, None, None)) {
            Ok(config) => print_out(&rehearse::run(&config)),
            Err(status) => status,
        },
        Command::Licenses(_) => print_out(&licenses::Notices),
        Command::Backup(it) => {
            let file = PathBuf::from(it.file);
            past::backup(&overrides(it.config, None, it.database), &file)
        }
        Command::Export(it) => {
            let overrides = overrides(it.config, None, it.database);
            past::export(&overrides, it.key, it.from, it.to, &it.format)
        }
    }
}

/// The configuration, or its problems printed and the status that goes with them. From then
/// on the process is who owns the database.
fn configured(overrides: &Overrides) -> Result<Config, u8> {
    let config = config::load(overrides, Environment::of_process(), APIS).map_err(|problems| {
        complain(&problems);
        WRONG
    })?;
    crate::sys::log::mask(&config.secrets);
    become_owner(&config);
    Ok(config)
}

/// See [`identity::take_owners`]. Where that is refused (a container without the right to),
/// what root does is better than nothing.
fn become_owner(config: &Config) {
    let file = &config.database;
    if let Err(error) = identity::take_owners(file) {
        let file = file.display();
        eprintln!("root cannot become the owner of {file} ({error}); files made now are root's");
    }
}

fn complain(problems: &[Problem]) {
    for problem in problems {
        eprintln!("{problem}");
    }
}

/// Prints to standard output; a reader that went away (`| head`) is not an error.
pub fn print_out(text: &dyn Display) -> u8 {
    use std::io::Write;
    match write!(std::io::stdout(), "{text}") {
        Ok(()) => 0,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            eprintln!("the output cannot be written: {error}");
            BAD
        }
    }
}
