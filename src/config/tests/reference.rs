//! Documentation of every option: `docs/configuration.md` and `main-node.toml(5)`, made of the
//! sections' own lists.
//!
//! For tests alone. `UPDATE_GOLDEN=1 cargo test config::reference` writes both anew.

use roff::{Roff, bold, italic, roman};

use super::section::{ConfigOption, OptionDoc};
use super::tests::problems_of_example;
use super::{alert, key, mail, source, top_level};
use crate::golden;

/// A table of the configuration as it is documented.
struct DocumentedSection {
    heading: &'static str,
    about: &'static str,
    options: Vec<OptionDoc>,
    /// Tables below it, which have sections of their own.
    tables: &'static [&'static str],
}

fn docs<D, P>(options: &[ConfigOption<D, P>]) -> Vec<OptionDoc> {
    options.iter().map(|option| option.doc).collect()
}

fn sections() -> Vec<DocumentedSection> {
    let section = |heading, about, tables, options| DocumentedSection {
        heading,
        about,
        options,
        tables,
    };
    let mut of_source = docs(&source::OPTIONS);
    of_source.extend(docs(&source::PREFIX));
    vec![
        section(
            "Top level",
            "The node itself: network, pages, database. These stand above the first table.",
            &["source", "key", "alert", "mail"],
            docs(&top_level::OPTIONS),
        ),
        section(
            "[[source]]",
            "One table for each address that is polled. Each needs a name and one of `operation`, `url` and `follow`.",
            &["records"],
            of_source,
        ),
        section(
            "[source.records]",
            "Below a `[[source]]`: the records that are read from its responses, `KEY = { … }`. Without this table every number and boolean of the response is read, under its dotted path.",
            &[],
            docs(&source::RECORD_OPTIONS),
        ),
        section(
            "[key.NAME]",
            "What holds for one key, whichever sources give it. A key with a dot is written in quotes: `[key.\"house.power\"]`.",
            &[],
            docs(&key::OPTIONS),
        ),
        section(
            "[alert]",
            "When alerts are sent, and the channels beside mail.",
            &["source", "value", "stale", "display"],
            docs(&alert::OPTIONS),
        ),
        section(
            "[alert.source.NAME]",
            "Exceptions from `[alert]` for one source.",
            &[],
            docs(&alert::SOURCE_OPTIONS),
        ),
        section(
            "[[alert.value]]",
            "A limit for the value of a key.",
            &[],
            docs(&alert::VALUE_OPTIONS),
        ),
        section(
            "[[alert.stale]]",
            "A key that must not be stale for long.",
            &[],
            docs(&alert::STALE_OPTIONS),
        ),
        section(
            "[[alert.display]]",
            "A display that must not be silent for long.",
            &[],
            docs(&alert::DISPLAY_OPTIONS),
        ),
        section(
            "[mail]",
            "The mail server for alerts and who gets them. Variables alone are enough: `SMTP_HOST` and `ALERT_EMAIL`.",
            &[],
            docs(&mail::OPTIONS),
        ),
    ]
}

const SOURCE: &str = "[[source]]\nname = \"weather\"\nurl = \"http://weather.local/\"\n";
const OPERATION: &str = "operation = \"getForecast\"\n";
const PARAMS: &str = "params = { latitude = 52.52, longitude = 13.41 }\n";

/// A whole configuration in which `line` is the option `name` of a section.
fn around(heading: &str, name: &str, line: &str) -> String {
    let below = |needed: &[(&str, &str)]| {
        let others = needed.iter().filter(|(option, _)| *option != name);
        let others: String = others
            .map(|(option, value)| format!("{option} = {value}\n"))
            .collect();
        format!("{SOURCE}{heading}\n{others}{line}\n")
    };
    match (heading, name) {
        ("Top level", _) => format!("{line}\n{SOURCE}"),
        ("[[source]]", "name") => format!("[[source]]\nurl = \"http://a.local/\"\n{line}\n"),
        ("[[source]]", "url" | "follow") => format!("[[source]]\nname = \"a\"\n{line}\n"),
        ("[[source]]", "operation") => format!("[[source]]\nname = \"a\"\n{PARAMS}{line}\n"),
        ("[[source]]", "api" | "base_url") => {
            format!("[[source]]\nname = \"a\"\n{OPERATION}{PARAMS}{line}\n")
        }
        ("[[source]]", _) => format!("{SOURCE}{line}\n"),
        ("[source.records]", "at") => format!("{SOURCE}[source.records]\nt = {{ {line} }}\n"),
        ("[source.records]", _) => {
            format!(
                "{SOURCE}[source.records]\n\"t.{{id}}\" = {{ at = \"/t\", {line}{} }}\n",
                if name == "each" {
                    ""
                } else {
                    ", each = \"/l\""
                }
            )
        }
        ("[key.NAME]", _) => format!("{SOURCE}[key.temperature]\n{line}\n"),
        ("[alert.source.NAME]", _) => format!("{SOURCE}[alert.source.weather]\n{line}\n"),
        ("[[alert.value]]", _) => below(&[("key", "\"t\""), ("above", "30")]),
        ("[[alert.stale]]", _) => below(&[("key", "\"t\"")]),
        ("[[alert.display]]", _) => below(&[("name", "\"d\""), ("silent_for", "\"1h\"")]),
        ("[mail]", "user") => below(&[("host", "\"h\""), ("to", "\"a@b\""), ("password", "\"p\"")]),
        ("[mail]", _) => below(&[("host", "\"h\""), ("to", "\"a@b\"")]),
        _ => below(&[]),
    }
}

#[test]
fn every_option_that_is_read_is_documented_and_every_documented_one_is_read() {
    for section in sections() {
        let known = problems_of_example(&around(section.heading, "", "qqqqqqqqqqqqqqqq = 1"));
        let known = known
            .iter()
            .find_map(|problem| problem.split_once("known are: "))
            .map(|(_, names)| {
                names
                    .split(", ")
                    .filter(|name| !section.tables.contains(name))
            });
        let mut known: Vec<&str> = known.expect(section.heading).collect();
        let mut documented: Vec<&str> = section.options.iter().map(|option| option.name).collect();
        known.sort_unstable();
        documented.sort_unstable();
        assert_eq!(known, documented, "{}", section.heading);
    }
}

#[test]
fn the_example_of_every_option_is_understood() {
    for section in sections() {
        for option in &section.options {
            let line = format!("{} = {}", option.name, option.example);
            let text = around(section.heading, option.name, &line);
            let problems = problems_of_example(&text);
            assert!(problems.is_empty(), "{text}\n{problems:?}");
            assert!(
                !option.kind.is_empty() && option.help.ends_with('.'),
                "{line}"
            );
        }
    }
}

#[test]
fn the_page_of_all_options_is_current_and_its_blocks_are_understood() {
    let page = include_str!("../../../docs/configuration.md");
    let (begin, rest) = page.split_once("<!-- options").expect("it has a beginning");
    let (line, _) = rest.split_once('\n').expect("it is a line");
    let (_, end) = rest
        .split_once("<!-- end of options -->")
        .expect("it has an end");
    let made = format!(
        "{begin}<!-- options{line}\n{}<!-- end of options -->{end}",
        markdown()
    );
    golden::check("../../docs/configuration.md", &made);
    let blocks = made.split("```toml\n").skip(1);
    for block in blocks.filter_map(|block| block.split("```").next()) {
        let problems = problems_of_example(block);
        assert!(problems.is_empty(), "{block}\n{problems:?}");
    }
}

fn markdown() -> String {
    let mut page = String::new();
    for section in sections() {
        let heading = match section.heading {
            "Top level" => "Top level".to_owned(),
            table => format!("`{table}`"),
        };
        page += &format!("\n## {heading}\n\n{}\n\n", section.about);
        for option in &section.options {
            page += &format!("- **`{}`**: {}\n", option.name, facts(option));
            page += &format!(
                "  {}\n  Example: `{} = {}`\n",
                option.help, option.name, option.example
            );
        }
    }
    page + "\n"
}

/// Type, default and variable.
fn facts(option: &OptionDoc) -> String {
    let default = match option.default {
        "" => String::new(),
        "required" => "; required".to_owned(),
        default => format!("; default: {default}"),
    };
    let variable = option
        .variable
        .map(|variable| format!("; variable: {variable}"));
    format!("{}{default}{}.", option.kind, variable.unwrap_or_default())
}

#[test]
fn the_manual_page_of_the_file_is_current() {
    golden::check("../../systemd/main-node.toml.5", &manual_page());
}

fn manual_page() -> String {
    let mut page = Roff::new();
    page.control("TH", ["MAIN-NODE.TOML", "5"]);
    page.control("SH", ["NAME"]);
    page.text([roman("main-node.toml - configuration of main-node")]);
    page.control("SH", ["DESCRIPTION"]);
    for paragraph in DESCRIPTION {
        page.text([roman(paragraph)]);
        page.control("PP", []);
    }
    for section in sections() {
        page.control("SH", [section.heading.to_uppercase().as_str()]);
        page.text([roman(section.about.replace('`', ""))]);
        for option in &section.options {
            page.control("TP", []);
            page.text([
                bold(option.name),
                roman(" ("),
                roman(facts(option).trim_end_matches('.')),
                roman(")"),
            ]);
            page.text([roman(option.help.replace('`', ""))]);
            page.control("br", []);
            page.text([italic(format!("{} = {}", option.name, option.example))]);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("main-node"), roman("(1)")]);
    page.render()
}

const DESCRIPTION: [&str; 5] = [
    "main-node reads one TOML file: the one that --config names, else main-node.toml in the current directory, else /etc/main-node/main-node.toml. `main-node check` prints the effective configuration and every problem. The file is read once, at start.",
    "Durations: \"30s\", \"5m\", \"1h30m\", \"30d\". Sizes: \"512kB\", \"4MB\", or a number of bytes. JSON Pointers (RFC 6901): \"/list/0/value\". Relative paths begin at the directory of the configuration.",
    "Every text may contain ${NAME}; $$ is a plain $. NAME is looked up in the process environment, in what the installed service has (secrets.env), in .env beside the configuration, in the file that NAME_FILE names, and in the systemd credential of that name in lower case.",
    "A flag stands before an environment variable, that before .env, NAME_FILE and credentials, those before the file, and the file before the default.",
    "In environment variables, commas separate the entries of a list. TZ sets the time zone, STATE_DIRECTORY the directory of the database, where the file sets neither. RUST_LOG says how much is logged; SSL_CERT_FILE names root certificates to trust instead of the system's.",
];
