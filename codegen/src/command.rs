//! `cargo codegen`: arguments, the files in and out, what is printed, the exit code.

use std::fs;
use std::path::{Path, PathBuf};

use argh::FromArgs;

use crate::compact::Description;
use crate::emit::emit;
use crate::lower::candidates::{Candidates, Wanted, listed_by_file};
use crate::lower::limits::Limits;
use crate::lower::names::Scope;
use crate::lower::report::Report;
use crate::lower::spec::{Failure, Spec};
use crate::lower::{lower, module_name};

const DEFAULT_FILE: &str = "openapi.yaml";
const DEFAULT_OUT: &str = "src/api/client.rs";

/// Turns OpenAPI files into src/api/client.rs.
#[derive(FromArgs, Debug, Default)]
pub struct Arguments {
    /// the OpenAPI files (default: openapi.yaml)
    #[argh(positional)]
    pub files: Vec<String>,

    /// where the Rust code goes (default: src/api/client.rs)
    #[argh(option)]
    pub out: Option<String>,

    /// the operations to keep, by operationId or as "GET /path", with commas between; a POST is
    /// only called if it is named here; default: the GETs that the file's
    /// `x-main-node-operations` lists, else all GETs
    #[argh(option)]
    pub operations: Option<String>,

    /// print the report as JSON
    #[argh(switch)]
    pub json: bool,

    /// write nothing; exit 1 if what is there is not what would be written
    #[argh(switch)]
    pub check: bool,
}

/// What a run ends with.
#[derive(Debug, Default)]
pub struct Outcome {
    /// 0 fine, 1 stale (`--check`), 2 an error.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// What files turn into.
pub struct Generated {
    pub text: String,
    pub reports: Vec<Report>,
}

/// Runs with arguments as the shell gives them, without the program's name.
pub fn run(arguments: &[&str]) -> Outcome {
    match Arguments::from_args(&["cargo codegen"], arguments) {
        Ok(arguments) => run_with(&arguments),
        Err(early) => {
            let wanted = early.status.is_ok();
            let hint = if wanted {
                ""
            } else {
                "\nRun `cargo codegen --help` to see what there is."
            };
            let text = format!("{}{hint}\n", early.output.trim_end());
            if wanted {
                Outcome {
                    code: 0,
                    stdout: text,
                    stderr: String::new(),
                }
            } else {
                Outcome {
                    code: 2,
                    stdout: String::new(),
                    stderr: text,
                }
            }
        }
    }
}

fn run_with(arguments: &Arguments) -> Outcome {
    match generate(arguments).and_then(|generated| finish(arguments, &generated)) {
        Ok(outcome) => outcome,
        Err(failure) => Outcome {
            code: 2,
            stdout: String::new(),
            stderr: format!("error: {failure}\n"),
        },
    }
}

/// Reads the files and makes the code, writing nothing.
pub fn generate(arguments: &Arguments) -> Result<Generated, Failure> {
    let default = [DEFAULT_FILE.to_owned()];
    let files = if arguments.files.is_empty() {
        &default[..]
    } else {
        &arguments.files[..]
    };
    let asked: Vec<String> = arguments
        .operations
        .iter()
        .flat_map(|it| it.split(','))
        .map(|it| it.trim().to_owned())
        .filter(|it| !it.is_empty())
        .collect();
    let mut modules = Scope::without(&["api", "crate", "self", "super"]);
    let mut descriptions: Vec<Description> = Vec::new();
    let mut reports = Vec::new();
    let specs = files
        .iter()
        .map(|file| Spec::load(Path::new(file), Limits::CODEGEN))
        .collect::<Result<Vec<_>, _>>()?;
    for spec in &specs {
        let wanted = if asked.is_empty() {
            listed_by_file(spec)
        } else {
            let names = requested_in(spec, &specs, &asked);
            if names.is_empty() {
                continue;
            }
            Wanted::Named(names)
        };
        let module = modules.unique(module_name(spec));
        let (description, report) = lower(spec, &module, &wanted)?;
        if let Some(refused) = report.skipped.first().filter(|_| wanted.is_list()) {
            return Err(Failure::new(format!(
                "{}: the operation {:?} is requested but cannot be included: {}; \
                 remove it from the list",
                refused.place, refused.id, refused.reason
            )));
        }
        descriptions.push(description);
        reports.push(report);
    }
    Ok(Generated {
        text: emit(&descriptions, &command_line(arguments)),
        reports,
    })
}

/// Of several files, each gets the names that it knows; a name that none knows goes to the
/// first, which says so.
fn requested_in(spec: &Spec, specs: &[Spec], asked: &[String]) -> Vec<String> {
    if specs.len() == 1 {
        return asked.to_vec();
    }
    let mut none = Report::default();
    let known: Vec<Candidates> = specs
        .iter()
        .map(|it| Candidates::find(it, &mut none))
        .collect();
    let own = specs.iter().zip(&known);
    let own = own.filter(|(it, _)| std::ptr::eq(*it, spec));
    let own: Vec<&Candidates> = own.map(|(_, found)| found).collect();
    let first = specs.first().is_some_and(|it| std::ptr::eq(it, spec));
    asked
        .iter()
        .filter(|name| {
            own.iter().any(|it| it.knows(name)) || (first && !known.iter().any(|it| it.knows(name)))
        })
        .cloned()
        .collect()
}

fn command_line(arguments: &Arguments) -> String {
    let mut words = vec!["cargo codegen".to_owned()];
    words.extend(arguments.files.iter().cloned());
    if let Some(out) = arguments.out.as_ref().filter(|it| *it != DEFAULT_OUT) {
        words.push(format!("--out {out}"));
    }
    words.extend(
        arguments
            .operations
            .iter()
            .map(|it| format!("--operations {it}")),
    );
    // A line break or a backtick would end the comment that this stands in.
    words
        .join(" ")
        .chars()
        .map(|it| {
            if it.is_control() || it == '`' {
                '_'
            } else {
                it
            }
        })
        .collect()
}

fn finish(arguments: &Arguments, generated: &Generated) -> Result<Outcome, Failure> {
    let out = PathBuf::from(arguments.out.as_deref().unwrap_or(DEFAULT_OUT));
    let found = fs::read(&out).unwrap_or_default();
    let fresh = found == generated.text.as_bytes();
    let mut outcome = Outcome::default();
    let included: usize = generated.reports.iter().map(|it| it.included.len()).sum();
    let result = if arguments.check && !fresh {
        outcome.code = 1;
        let command = command_line(arguments);
        outcome.stderr = format!(
            "{}: expected what `{command}` makes, found something else; run `{command}`\n",
            out.display()
        );
        "stale"
    } else if fresh {
        "fresh"
    } else {
        write(&out, &generated.text)?;
        "written"
    };
    if arguments.json {
        let files: Vec<_> = generated.reports.iter().map(Report::json).collect();
        let whole = serde_json::json!({
            "out": out.display().to_string(), "result": result, "taken": included, "files": files,
        });
        outcome.stdout = format!("{whole:#}\n");
    } else {
        for report in &generated.reports {
            outcome.stdout.push_str(&report.text());
        }
        let words = match result {
            "written" => "is written",
            "fresh" => "is up to date",
            _ => "is stale",
        };
        let count = |count: usize, word: &str| {
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        outcome.stdout.push_str(&format!(
            "{} {words}: {} of {}\n",
            out.display(),
            count(included, "operation"),
            count(generated.reports.len(), "API")
        ));
    }
    Ok(outcome)
}

/// Never leaves half a file.
fn write(out: &Path, text: &str) -> Result<(), Failure> {
    let beside = out.with_extension("rs.new");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, out));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        Failure::new(format!(
            "{}: expected to write the generated code there, but: {error}; \
             make the directory, or name another file with --out",
            out.display()
        ))
    })
}
