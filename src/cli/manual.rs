//! Manual page and shell completions, generated from the command line's definitions.
//!
//! Only for tests, which compare them with the files under `systemd/`; `UPDATE_GOLDEN=1 cargo
//! test` rewrites those.

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind};
use argh_complete::Generator;
use roff::{Roff, bold, italic, line_break, roman};

use super::CommandLine;
use crate::config::reference::top_level_variables;
use crate::domain::text::capitalised;
use crate::golden;

const NAME: &str = "main-node";

#[test]
fn the_manual_page_of_the_commands_is_current() {
    golden::check("../../systemd/main-node.1", &page());
}

#[test]
fn completions_have_every_command_and_option() {
    let known = CommandLine::get_args_info();
    let bash = argh_complete::bash::Bash::generate(NAME, &known);
    for command in &known.commands {
        assert!(bash.contains(command.name), "{}", command.name);
    }
    golden::check("../../systemd/completions/main-node.bash", &bash);
    let zsh = argh_complete::zsh::Zsh::generate(NAME, &known);
    golden::check("../../systemd/completions/_main-node", &zsh);
    let fish = argh_complete::fish::Fish::generate(NAME, &known);
    golden::check("../../systemd/completions/main-node.fish", &fish);
}

fn page() -> String {
    let known = CommandLine::get_args_info();
    let mut page = Roff::new();
    page.control("TH", ["MAIN-NODE", "1"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "main-node - polls REST APIs, keeps years of readings, serves displays on the LAN",
    )]);
    page.control("SH", ["SYNOPSIS"]);
    page.text([
        bold(NAME),
        roman(" ["),
        italic("OPTION"),
        roman("...] ["),
        italic("COMMAND"),
        roman(" ...]"),
    ]);
    page.control("SH", ["OPTIONS"]);
    flags(&mut page, &known);
    page.control("SH", ["COMMANDS"]);
    for command in &known.commands {
        page.control("SS", [command.name]);
        page.text([roman(sentence(command.command.description))]);
        for positional in command.command.positionals {
            page.control("TP", []);
            page.text([italic(positional.name)]);
            page.text([roman(sentence(positional.description))]);
        }
        flags(&mut page, &command.command);
    }
    for (title, entries) in SECTIONS {
        page.control("SH", [title]);
        if title == "ENVIRONMENT" {
            page.control("TP", []);
            page.text([bold(top_level_variables().join(" "))]);
            page.text([roman(
                "The option of that name at the top level of the configuration, in upper case; see main-node.toml(5). The others have no variable.",
            )]);
        }
        for (term, words) in entries {
            page.control("TP", []);
            page.text([bold(*term)]);
            page.text([roman(*words)]);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([
        bold("main-node.toml"),
        roman("(5), "),
        bold("systemctl"),
        roman("(1), "),
        bold("journalctl"),
        roman("(1)"),
    ]);
    page.text([
        roman("The dashboard is at /web, the description of the API at /openapi.json."),
        line_break(),
    ]);
    page.render()
}

fn flags(page: &mut Roff, command: &CommandInfoWithArgs) {
    let shown = |flag: &&FlagInfo| !flag.hidden && flag.long != "--help";
    for flag in command.flags.iter().filter(shown) {
        page.control("TP", []);
        match flag.kind {
            FlagInfoKind::Switch => page.text([bold(flag.long)]),
            FlagInfoKind::Option { arg_name } => {
                page.text([bold(flag.long), roman(" "), italic(arg_name)])
            }
        };
        page.text([roman(sentence(flag.description))]);
    }
}

/// A description of the command line as a sentence: capitalised, with a full stop.
fn sentence(words: &str) -> String {
    format!("{}.", capitalised(words.trim_end_matches('.')))
}

type Entries = &'static [(&'static str, &'static str)];

const SECTIONS: [(&str, Entries); 4] = [
    (
        "FILES",
        &[
            (
                "/etc/main-node/main-node.toml",
                "The configuration, unless --config names another, or the current directory has a main-node.toml.",
            ),
            (
                "/etc/main-node/secrets.env",
                "Environment of the service, for secrets; owned by root, mode 0600.",
            ),
            (
                "/var/lib/main-node/main-node.db",
                "The readings: an SQLite database. main-node backup copies it while the service runs.",
            ),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            (
                "SMTP_HOST SMTP_PORT SMTP_USER SMTP_PASS SMTP_FROM SMTP_TLS ALERT_EMAIL",
                "The mail server and the recipients of alerts, instead of [mail].",
            ),
            (
                "RUST_LOG",
                "How much is logged: warn, info, debug; main_node::api=trace logs each request and response.",
            ),
            (
                "SSL_CERT_FILE",
                "Root certificates to trust instead of the system's.",
            ),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "Success."),
            (
                "1",
                "Failure: a source or channel fails, the node is not healthy; for check, any problem.",
            ),
            ("2", "Wrong arguments, or an error in the configuration."),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "SIGTERM SIGINT SIGQUIT",
                "Stop the service within five seconds, with all readings written; a second signal stops it at once.",
            ),
            (
                "SIGHUP",
                "Under systemd load the configuration again, as systemctl reload main-node does: one with problems is \
                 logged, and the old one stays in use. Elsewhere like SIGTERM.",
            ),
        ],
    ),
];
