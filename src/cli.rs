//! Command line: arguments, usage errors, help and version.
//!
//! Usage errors exit with status 2; argh alone would exit with 1.

use argh::{EarlyExit, FromArgs, SubCommands};

use openapi::operation::nearest;

use crate::domain::plan::Decimal;

#[cfg(test)]
mod manual;

/// main-node: polls REST APIs, keeps years of readings, serves displays on the LAN.
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
pub struct CommandLine {
    #[argh(switch)]
    /// print the version
    pub version: bool,
    #[argh(option, arg_name = "FILE")]
    /// configuration file (default: ./main-node.toml, then /etc/main-node/main-node.toml)
    pub config: Option<String>,
    #[argh(option, arg_name = "[ADDR:]PORT")]
    /// address or port to listen on, instead of those in the configuration; commas separate several
    pub listen: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file, instead of that in the configuration
    pub database: Option<String>,
    #[argh(subcommand)]
    pub command: Option<Command>,
}

#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand)]
pub enum Command {
    Serve(ServeArguments),
    Init(InitArguments),
    Demo(DemoArguments),
    Once(OnceArguments),
    Pick(PickArguments),
    Check(CheckArguments),
    Operations(OperationsArguments),
    TestAlert(TestAlertArguments),
    Rehearse(RehearseArguments),
    Licenses(LicensesArguments),
    Backup(BackupArguments),
    Export(ExportArguments),
    Import(ImportArguments),
    Rename(RenameArguments),
    Forget(ForgetArguments),
    Healthcheck(HealthcheckArguments),
    Restore(RestoreArguments),
    Pair(PairArguments),
}

/// run the service: fetch, store, serve (the default without a command)
#[derive(FromArgs, Debug, Default)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "serve")]
pub struct ServeArguments {
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "[ADDR:]PORT")]
    /// address or port to listen on
    pub listen: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file
    pub database: Option<String>,
}

/// write a configuration for a source and try it: weather, meter, openapi, follow
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "init")]
pub struct InitArguments {
    #[argh(positional, arg_name = "CASE")]
    /// one of weather LATITUDE LONGITUDE, meter URL, openapi OPERATION NAME=VALUE, follow HOST;
    /// without one, prints what each is for
    pub case: Vec<String>,
    #[argh(option, arg_name = "NAME")]
    /// name of the source, instead of that of the case
    pub name: Option<String>,
    #[argh(switch)]
    /// add the source to a configuration that is there
    pub add: bool,
    #[argh(switch)]
    /// replace a configuration that is there; the old one is kept beside it, with the date
    pub replace: bool,
    #[argh(option, arg_name = "FILE")]
    /// configuration file to write (default: that of the installed service, else ./main-node.toml)
    pub config: Option<String>,
}

/// try it without a network: run the service with a simulated API
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "demo")]
pub struct DemoArguments {
    #[argh(option, arg_name = "[ADDR:]PORT")]
    /// address or port to listen on (default: 127.0.0.1:8000)
    pub listen: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file to keep (default: a temporary one)
    pub database: Option<String>,
}

/// fetch every source once, print and explain records and issues, store nothing
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "once")]
pub struct OnceArguments {
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
}

// TOML in the help text, no link.
#[allow(rustdoc::broken_intra_doc_links)]
/// try a JSONPath on a response: print what it finds and the line for [source.records]
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "pick")]
pub struct PickArguments {
    #[argh(positional, arg_name = "JSONPATH")]
    /// JSONPath (in single quotes for the shell: '$.list[-1].value') or JSON Pointer
    pub path: String,
    #[argh(positional, arg_name = "SOURCE")]
    /// name of a source of the configuration
    pub source: String,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
}

/// print the effective configuration and every problem found
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "check")]
pub struct CheckArguments {
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "[ADDR:]PORT")]
    /// address or port to listen on
    pub listen: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file
    pub database: Option<String>,
    #[argh(switch)]
    /// fetch each source too
    pub online: bool,
}

// TOML in the help text, no link.
#[allow(rustdoc::broken_intra_doc_links)]
/// list the operations of an OpenAPI file, or the compiled-in ones, ready to paste as [[source]]
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "operations")]
pub struct OperationsArguments {
    #[argh(positional, arg_name = "FILE|WORD")]
    /// an OpenAPI file (.yaml, .yml, .json, or a path with a slash); words: only those operations
    /// whose id, path or summary has all of them
    pub words: Vec<String>,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
}

/// send a test alert over every channel and print each step
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "test-alert")]
pub struct TestAlertArguments {
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
}

/// simulate a failure for each alert rule and print the alerts
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "rehearse")]
pub struct RehearseArguments {
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
}

/// print the licences of all compiled-in code
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "licenses")]
pub struct LicensesArguments {}

/// copy the database while the service runs, and verify the copy
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "backup")]
pub struct BackupArguments {
    #[argh(positional, arg_name = "FILE")]
    /// file for the copy; must not exist yet
    pub file: String,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file
    pub database: Option<String>,
}

/// print stored records as CSV or JSON lines
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "export")]
pub struct ExportArguments {
    #[argh(option, arg_name = "KEY")]
    /// only this key; may be given several times
    pub key: Vec<String>,
    #[argh(option, arg_name = "TIME")]
    /// start, included: RFC 3339, a local date such as 2025-10-30, relative such as -24h, or seconds or
    /// milliseconds since 1970
    pub from: Option<String>,
    #[argh(option, arg_name = "TIME")]
    /// end, excluded, in the same forms; of a date the whole day is included
    pub to: Option<String>,
    #[argh(switch)]
    /// a line for each key and local day
    pub days: bool,
    #[argh(option, arg_name = "ID", from_str_fn(row_id))]
    /// only rows with a higher id, in the order of their arrival, with the id as the last column
    pub after: Option<i64>,
    #[argh(switch)]
    /// CSV with all texts as they are, also those that a spreadsheet would run as a formula
    pub plain: bool,
    #[argh(option, default = "String::from(\"csv\")", arg_name = "csv|jsonl")]
    /// output format: csv (default) or jsonl
    pub format: String,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file
    pub database: Option<String>,
}

/// An id of a row. The end of a line of CSV, CR, may be left by what took it from there.
fn row_id(text: &str) -> Result<i64, String> {
    let id = text.trim().parse();
    id.map_err(|_| format!("expected the id of a row such as 81234, found {text:?}"))
}

/// The decimal mark of numbers.
fn decimal_mark(text: &str) -> Result<Decimal, String> {
    let marks = [Decimal::Point, Decimal::Comma];
    let found = marks.into_iter().find(|mark| mark.name() == text.trim());
    found.ok_or_else(|| format!("expected the decimal mark, a point or a comma, found {text:?}"))
}

/// import readings of another program: an SQLite file, CSV, or the output of export
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "import")]
pub struct ImportArguments {
    #[argh(positional, arg_name = "FILE")]
    /// file to read, which is not changed: an SQLite file, CSV or JSON lines; - is standard input
    pub file: String,
    #[argh(option, arg_name = "ZONE")]
    /// time zone of times without an offset, such as Europe/Berlin (default: UTC)
    pub zone: Option<String>,
    #[argh(option, default = "String::from(\"records\")", arg_name = "NAME")]
    /// table of an SQLite file (default: records)
    pub table: String,
    #[argh(option, arg_name = "MARK", from_str_fn(decimal_mark))]
    /// decimal mark of numbers in texts: . or , (the other one groups thousands)
    pub decimal: Option<Decimal>,
    #[argh(switch)]
    /// replace readings that are stored with another value; without it the stored ones stay
    pub replace: bool,
    #[argh(switch)]
    /// also values of keys whose unit has another name in the file; nothing is converted
    pub any_unit: bool,
    #[argh(switch)]
    /// read and check the file, print what would be imported, store nothing
    pub dry_run: bool,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file
    pub database: Option<String>,
}

/// rename a key in everything that is stored; prints the command that undoes it
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "rename")]
pub struct RenameArguments {
    #[argh(positional, arg_name = "OLD")]
    /// key that has the readings
    pub old: String,
    #[argh(positional, arg_name = "NEW")]
    /// key that gets them
    pub new: String,
    #[argh(option, arg_name = "TIME")]
    /// only readings from then on: 2025-10-30T20:00:00Z, 2025-10-30 or -24h
    pub from: Option<String>,
    #[argh(option, arg_name = "TIME")]
    /// only readings before then; a date is included
    pub to: Option<String>,
    #[argh(switch)]
    /// also where NEW has readings of its own at the same times
    pub merge: bool,
    #[argh(switch)]
    /// also where NEW has a unit of another name; nothing is converted
    pub any_unit: bool,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file
    pub database: Option<String>,
}

/// delete readings, after they are saved as CSV that import takes back
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "forget")]
pub struct ForgetArguments {
    #[argh(positional, arg_name = "KEY")]
    /// keys whose readings are deleted
    pub key: Vec<String>,
    #[argh(option, arg_name = "TIME")]
    /// only readings from then on: 2025-10-30T20:00:00Z, 2025-10-30 or -24h
    pub from: Option<String>,
    #[argh(option, arg_name = "TIME")]
    /// only readings before then; a date is included
    pub to: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// file for what is deleted (default: the database's name and .forgotten-DATE.csv)
    pub save: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file
    pub database: Option<String>,
}

/// let the TRMNL device of a display get its key again, for 10 minutes
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "pair")]
pub struct PairArguments {
    #[argh(positional, arg_name = "NAME")]
    /// name of the display, as in the configuration
    pub name: String,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file; the keys are beside it
    pub database: Option<String>,
}

/// check that the running node is healthy; exit status 0 if so, else 1
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "healthcheck")]
pub struct HealthcheckArguments {
    #[argh(option, arg_name = "FILE")]
    /// configuration file of the running node
    pub config: Option<String>,
    #[argh(option, arg_name = "[ADDR:]PORT")]
    /// address or port that it listens on
    pub listen: Option<String>,
}

/// replace the database by a copy of one; restarts the service
#[derive(FromArgs, Debug)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "restore")]
pub struct RestoreArguments {
    #[argh(positional, arg_name = "FILE")]
    /// copy made by backup, or the database of another main-node
    pub file: String,
    #[argh(option, arg_name = "FILE")]
    /// configuration file
    pub config: Option<String>,
    #[argh(option, arg_name = "FILE")]
    /// database file
    pub database: Option<String>,
}

/// Parses the arguments; on help, version and errors, the text to print and the exit status.
pub fn parse(arguments: &[String]) -> Result<CommandLine, (String, u8)> {
    let arguments = match arguments {
        [one] if one == "-V" || one == "version" => vec!["--version".to_owned()],
        _ => as_argh_reads(arguments),
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    from_args(&arguments).map_err(|exit| match exit.status {
        Ok(()) => (exit.output, 0),
        Err(()) => (usage_error(&arguments, &exit.output), 2),
    })
}

fn from_args(arguments: &[&str]) -> Result<CommandLine, EarlyExit> {
    CommandLine::from_args(&["main-node"], arguments)
}

/// Replaces `-h` by `--help`, `--option=value` by two arguments, `-` by the file that it stands for,
/// and the minus of a number, which is no option, by a typographic one.
fn as_argh_reads(arguments: &[String]) -> Vec<String> {
    let end = arguments.iter().position(|it| it == "--");
    let (options, others) = arguments.split_at(end.unwrap_or(arguments.len()));
    let is_init = options.iter().any(|it| it == "init");
    let mut read: Vec<String> = Vec::with_capacity(arguments.len());
    for argument in options {
        let number = argument
            .strip_prefix('-')
            .filter(|it| is_init && it.starts_with(|c: char| c.is_ascii_digit() || c == '.'));
        match (argument.split_once('='), number) {
            (_, Some(number)) => read.push(format!("\u{2212}{number}")),
            (Some((option, value)), _) if option.starts_with("--") => {
                read.extend([option.to_owned(), value.to_owned()]);
            }
            _ if argument == "-h" => read.push("--help".to_owned()),
            _ if argument == "-" => read.push("/dev/stdin".to_owned()),
            _ => read.push(argument.clone()),
        }
    }
    read.extend_from_slice(others);
    read
}

/// A usage error, with a hint at `--help`.
fn usage_error(arguments: &[&str], message: &str) -> String {
    let names = || <Command as SubCommands>::COMMANDS.iter().map(|it| it.name);
    // `main-node help chek`.
    let arguments = match arguments {
        ["help", rest @ ..] => rest,
        _ => arguments,
    };
    let command = command_of(arguments);
    let known = command.filter(|argument| names().any(|name| name == *argument));
    let message = message.trim_end();
    let refused = message.strip_prefix("Unrecognized argument: ");
    if let Some(unknown) = command.filter(|it| known.is_none() && refused == Some(it)) {
        let near = hint(unknown, names());
        let all: Vec<String> = <Command as SubCommands>::COMMANDS
            .iter()
            .map(|it| format!("  {:<12} {}", it.name, it.description))
            .collect();
        return format!(
            "there is no command {unknown:?}{near}\n\nCommands:\n{}\n\nmain-node COMMAND --help \
             says more of each.",
            all.join("\n")
        );
    }
    let near = refused
        .filter(|unknown| unknown.starts_with("--"))
        .map(|unknown| {
            let help = from_args(&known.into_iter().chain(["--help"]).collect::<Vec<&str>>());
            let help = help.err().map(|exit| exit.output).unwrap_or_default();
            let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
            let options: Vec<String> = help.lines().filter_map(first).collect();
            let options = options.iter().map(String::as_str);
            hint(unknown, options.filter(|it| it.starts_with("--")))
        });
    let command = known.map(|name| format!(" {name}")).unwrap_or_default();
    format!(
        "{message}{}\nRun main-node{command} --help for usage.",
        near.unwrap_or_default()
    )
}

/// The first argument that is neither an option nor an option's value.
fn command_of<'a>(arguments: &[&'a str]) -> Option<&'a str> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--config" | "--listen" | "--database" => {
                arguments.next();
            }
            option if option.starts_with('-') => {}
            command => return Some(command),
        }
    }
    None
}

fn hint<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(unknown, known);
    near.map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<CommandLine, (String, u8)> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&arguments)
    }

    #[test]
    fn every_command_is_known_and_serve_is_the_default() {
        for line in [
            "",
            "--version",
            "serve --config a.toml --listen 0.0.0.0:1 --database x.db",
            "--config a.toml serve",
            "demo --listen=127.0.0.1:0",
            "init",
            "init meter http://192.168.1.20/?a=b --add",
            "init --replace weather -33.87 -.5",
            "once",
            "pick $.list[-1].value meter",
            "check --online",
            "operations weather",
            "test-alert --config a.toml",
            "rehearse",
            "licenses",
            "backup copy.db",
            "export --key t --from -24h",
            "import old.db --zone Europe/Berlin --table readings --dry-run",
            "import - --replace --database x.db",
            "import a.csv --decimal ,",
            "import a.csv --decimal .",
            "healthcheck --listen 127.0.0.1:8000",
            "restore copy.db --database x.db",
        ] {
            assert!(parsed(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_arguments_exit_2_and_help_exits_0() {
        for (line, status) in [
            ("--help", 0),
            ("-h", 0),
            ("serve --help", 0),
            ("help", 0),
            ("help init", 0),
            ("-h init", 0),
            ("--config x -h", 0),
            ("init weather -h", 0),
            ("init --add meter http://192.168.1.20 --help", 0),
            ("help chek", 2),
            ("--prot 1", 2),
            ("sreve", 2),
            ("backup", 2),
        ] {
            let (text, exit) = parsed(line).expect_err(line);
            assert_eq!(exit, status, "{line}: {text}");
        }
    }

    #[test]
    fn a_wrong_argument_is_reported_with_the_nearest_one() {
        for (line, expected) in [
            ("chek", "there is no command \"chek\"; did you mean check?"),
            ("chek --online", "did you mean check?"),
            ("help chek", "did you mean check?"),
            ("init --relpace", "did you mean --replace?"),
            ("check --onlin=1", "did you mean --online?"),
            ("--config x.toml exprot", "did you mean export?"),
            ("frobnicate", "  test-alert   send a test alert"),
            (
                "check --onlin",
                "--onlin; did you mean --online?\nRun main-node check --help for usage.",
            ),
            (
                "--confg x",
                "--confg; did you mean --config?\nRun main-node --help for usage.",
            ),
            ("backup", "Run main-node backup --help for usage."),
        ] {
            let (text, _) = parsed(line).expect_err(line);
            assert!(text.contains(expected), "{line}: {text}");
        }
        let (text, _) = parsed("frobnicate").expect_err("unknown");
        assert!(!text.contains("did you mean"), "{text}");
    }

    #[test]
    fn the_short_help_option_works_for_every_command() {
        for command in <Command as SubCommands>::COMMANDS {
            let (short, status) = parsed(&format!("{} -h", command.name)).expect_err("help");
            assert_eq!(status, 0, "{short}");
            for other in ["--help", "help"] {
                let (long, _) = parsed(&format!("{} {other}", command.name)).expect_err("help");
                assert_eq!(short, long);
                let (before, _) = parsed(&format!("{other} {}", command.name)).expect_err("help");
                assert_eq!(short, before);
            }
            assert!(short.contains(command.description), "{short}");
        }
        assert!(parsed("operations -- -h").is_ok_and(|it| it.command.is_some()));
    }
}
