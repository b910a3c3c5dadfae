//! Architecture and style tests: allowed imports, import cycles, unique names, unreachable files,
//! leftover marks, documentation.
//!
//! They read the source as text, so they see what the compiler lets pass.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which folder may import which. One that is not listed may import every other: `main` and
/// `node` build the whole, the commands are its user interface.
const ARROWS: [(&str, &[&str]); 10] = [
    // Bounds are constants; the core reads them, and nothing else of the crate.
    ("domain", &["limits"]),
    ("limits", &[]),
    ("sys", &["domain", "limits"]),
    ("api", &["domain", "limits", "sys"]),
    ("db", &["domain", "limits", "sys"]),
    // Not even db: node hands the pages a closure that reads history.
    ("monitor", &["domain", "limits", "sys"]),
    // The settings of each channel; the whole configuration stays out of sight (see below).
    ("alerts", &["config", "domain", "limits", "sys"]),
    ("outputs", &["config", "domain", "limits", "sys"]),
    ("ingest", &["db", "domain", "limits", "sys"]),
    // Parsed once, against the table of operations that was compiled in.
    ("config", &["api", "domain", "limits", "sys"]),
];

/// Where `async` is allowed: the thread of the HTTP server, and SMTP.
const ASYNC: [&str; 2] = ["src/monitor/http", "src/alerts/channels/smtp"];

/// Files that may see the whole `Config`; every other part gets its own settings.
const WHOLE_CONFIG: [&str; 4] = ["src/main.rs", "src/node", "src/config", "src/commands"];

#[test]
fn folders_import_only_what_the_architecture_allows() {
    let mut found = Vec::new();
    for file in rust_files("src") {
        let folder = folder_of(&file.path);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else {
            continue;
        };
        for (line, other) in file.folders_named() {
            let is_known = other == folder;
            if !is_known && !allowed.contains(&other.as_str()) {
                found.push(format!(
                    "{}:{line}: {folder} must not import {other}; it may import: {}",
                    file.path,
                    allowed.join(", ")
                ));
            }
        }
    }
    assert_none(found);
}

#[test]
fn async_code_is_in_the_http_server_and_smtp_alone() {
    let mut found = Vec::new();
    for file in rust_files("src") {
        if ASYNC.iter().any(|place| file.path.starts_with(place)) {
            continue;
        }
        for (line, text) in file.code_lines() {
            let words = [
                "async fn",
                "async move",
                "async {",
                "async |",
                ".await",
                "block_on",
            ];
            if words.iter().any(|word| has_word(text, word)) {
                found.push(format!("{}:{line}: {}", file.path, text.trim()));
            }
        }
    }
    assert_none(found);
}

#[test]
fn only_main_and_node_see_the_whole_configuration() {
    let mut found = Vec::new();
    for file in rust_files("src") {
        if WHOLE_CONFIG
            .iter()
            .any(|place| file.path.starts_with(place))
        {
            continue;
        }
        for (line, text) in file.code_lines() {
            if has_word(text, "crate::config::Config") {
                found.push(format!("{}:{line}: {}", file.path, text.trim()));
            }
        }
    }
    assert_none(found);
}

#[test]
fn every_source_file_is_reached_from_its_crate_root() {
    let mut found = Vec::new();
    for (root, directory) in [
        ("src/main.rs", "src"),
        ("codegen/src/main.rs", "codegen/src"),
    ] {
        let files = rust_files(directory);
        let texts: BTreeMap<&str, &File> = files.iter().map(|file| (&*file.path, file)).collect();
        // A crate may have a library that its binary uses, and a build script.
        let others = ["lib.rs", "build.rs"].map(|name| format!("{directory}/{name}"));
        let mut waiting = vec![root.to_owned()];
        waiting.extend(others);
        let mut reached = BTreeSet::new();
        while let Some(path) = waiting.pop() {
            let Some(file) = texts.get(path.as_str()) else {
                continue;
            };
            if reached.insert(path) {
                waiting.extend(file.modules_declared());
            }
        }
        found.extend(
            files
                .iter()
                .filter(|file| !reached.contains(&file.path))
                .map(|file| format!("{}: no `mod` leads here: declare or delete it", file.path)),
        );
    }
    assert_none(found);
}

#[test]
fn every_golden_file_is_used() {
    let sources: Vec<File> = ["src", "codegen", "tests"]
        .into_iter()
        .flat_map(rust_files)
        .collect();
    let mut found = Vec::new();
    for path in files_below("tests/golden") {
        let name = path.rsplit('/').next().unwrap_or(&path);
        let stem = name.split('.').next().unwrap_or(name);
        // A test may name the file, or the stem and add the ending.
        if !sources
            .iter()
            .any(|file| file.text.contains(name) || file.text.contains(&format!("\"{stem}\"")))
        {
            found.push(format!("{path}: no test names it"));
        }
    }
    assert_none(found);
}

#[test]
fn imports_have_no_cycles() {
    let graph = imports::ImportGraph::new(&rust_files("src"));
    let edges = graph.edges();
    let mut found = Vec::new();
    for cycle in graph.cycles() {
        found.push(format!("a cycle of {} files:", cycle.len()));
        for file in &cycle {
            let inside = edges[file].iter().filter(|other| cycle.contains(other));
            let inside: Vec<&str> = inside.map(String::as_str).collect();
            found.push(format!("    {file} imports {}", inside.join(", ")));
        }
    }
    assert_none(found);
}

#[test]
fn a_type_name_has_one_meaning() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in rust_files("src") {
        if file.is_test() || file.is_generated() {
            continue;
        }
        for (line, text) in file.code_lines() {
            let mut words = text.split_whitespace().filter(|word| *word != "pub");
            let is_type = words
                .next()
                .is_some_and(|word| ["struct", "enum", "trait", "type", "union"].contains(&word));
            let name = words.next().map(first_word).unwrap_or_default();
            // Associated types of traits of other crates are named there.
            let is_associated = text.starts_with(' ') && text.trim_start().starts_with("type ");
            if is_type && !is_associated && !name.is_empty() {
                let place = format!("{}:{line}", file.path);
                places.entry(name).or_default().push(place);
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert_none(
        places
            .iter()
            .map(|(name, places)| format!("{name}: {}", places.join(", ")))
            .collect(),
    );
}

/// Sections of docs/architecture.md with the path of something through the files, and how many
/// files that may be.
const PATHS: [(&str, usize); 3] = [
    ("## Path of a reading", 14),
    ("## Path of an alert", 14),
    ("## Path of a `/web` request", 13),
];

#[test]
fn paths_of_data_are_short() {
    let mut found = Vec::new();
    for (heading, most) in PATHS {
        let steps = table_below("docs/architecture.md", heading);
        if steps.is_empty() || steps.len() > most {
            found.push(format!(
                "{heading}: {} files, 1 to {most} expected",
                steps.len()
            ));
        }
        for (file, function) in steps {
            let file = file.trim_matches('`').to_owned();
            let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
            let declaration = format!("fn {}", function.trim_matches('`'));
            if !text.lines().any(|line| has_word(line, &declaration)) {
                found.push(format!("{heading}: {file} has no {declaration}"));
            }
        }
    }
    assert_none(found);
}

/// Sections of docs/contributing.md that say which files an addition touches, and how many of them
/// may be written by hand.
const ADDITIONS: [(&str, usize); 5] = [
    ("## Add a metric", 3),
    ("## Add an alert channel", 4),
    ("## Add an output", 8),
    ("## Add a source option", 5),
    ("## Add an OpenAPI keyword", 7),
];

#[test]
fn additions_touch_few_files() {
    let mut found = Vec::new();
    for (heading, most) in ADDITIONS {
        let rows = table_below("docs/contributing.md", heading).into_iter();
        let written = rows.filter(|(_, change)| !change.starts_with("generated:"));
        let files: Vec<String> = written.flat_map(|(cell, _)| paths_in_cell(&cell)).collect();
        if files.is_empty() || files.len() > most {
            found.push(format!(
                "{heading}: {} files, 1 to {most} expected",
                files.len()
            ));
        }
        for file in files {
            // A new file has a placeholder for its name.
            if file.contains('/') && !file.contains("NAME") && !root().join(&file).exists() {
                found.push(format!("{heading}: there is no {file}"));
            }
        }
    }
    assert_none(found);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut found = Vec::new();
    let documents = files_below("docs").into_iter();
    for path in documents.chain(["README.md".to_owned(), "CHANGELOG.md".to_owned()]) {
        let text = fs::read_to_string(root().join(&path)).unwrap_or_default();
        let directory = Path::new(&path).parent().unwrap_or(Path::new(""));
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or(target);
            let is_local = !file.is_empty() && !file.contains("://");
            if is_local && !root().join(directory).join(file).exists() {
                found.push(format!("{path}: the link {target} leads nowhere"));
            }
        }
    }
    assert_none(found);
}

#[test]
fn the_version_is_the_newest_of_the_changelog() {
    let version = |path: &str| {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("version = "));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let (ours, codegen) = (version("Cargo.toml"), version("codegen/Cargo.toml"));
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap_or_default();
    let mut headings = text.lines().filter_map(|line| line.strip_prefix("## "));
    let newest = headings.find(|it| *it != "Unreleased").unwrap_or_default();
    let mut found = Vec::new();
    if newest.split(' ').next() != Some(ours.as_str()) {
        found.push(format!(
            "Cargo.toml has version {ours}, the newest heading of CHANGELOG.md is {newest:?}: write \
             `## {ours} (DATE)`"
        ));
    }
    if codegen != ours {
        found.push(format!(
            "Cargo.toml has version {ours}, codegen/Cargo.toml {codegen}"
        ));
    }
    assert_none(found);
}

#[test]
fn nothing_is_left_for_later() {
    // Spelled apart, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
    ];
    assert_none(lines_with(&marks));
}

#[test]
fn no_package_registry_is_named() {
    let hosts = [
        concat!("crates", ".io/api"),
        concat!("static.", "crates.io"),
        concat!("pypi", ".org"),
        concat!("files.", "pythonhosted"),
        concat!("registry.", "npmjs"),
        concat!("deb.", "debian.org"),
    ];
    assert_none(lines_with(&hosts));
}

#[test]
fn every_module_has_a_comment() {
    let found = ["src", "codegen/src"]
        .into_iter()
        .flat_map(rust_files)
        .filter(|file| !file.text.starts_with("//!") && !file.is_generated())
        // A module of tests is named by what it tests.
        .filter(|file| !file.path.ends_with("tests.rs") && !file.path.contains("/tests/"))
        .map(|file| {
            format!(
                "{}: begin with `//!`: owner, thread, what it must not do",
                file.path
            )
        })
        .collect();
    assert_none(found);
}

/// The first two columns of the table below a heading, without its head.
fn table_below(path: &str, heading: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let section = lines.take_while(|line| !line.starts_with("## "));
    section
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let first = cells.next()?.to_owned();
            Some((first, cells.next().unwrap_or_default().to_owned()))
        })
        .collect()
}

/// The paths of a cell: `a`, `b`; a cell without any names one file in words.
fn paths_in_cell(cell: &str) -> Vec<String> {
    cell.split(", ")
        .map(|path| path.trim_matches('`').to_owned())
        .collect()
}

// ---- The tree ------------------------------------------------------------------------

struct File {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

impl File {
    /// Whether the whole file is compiled for tests only.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }

    fn is_generated(&self) -> bool {
        self.text
            .lines()
            .take(5)
            .any(|line| line.contains("do not edit"))
    }

    /// Numbered lines that are code: no comment, and nothing below the file's own tests.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let own_tests = self.text.find("#[cfg(test)]\nmod tests {");
        let code = &self.text[..own_tests.unwrap_or(self.text.len())];
        code.lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The folders that code of this file names: `crate::folder…`, `use crate::{a, b}`.
    fn folders_named(&self) -> Vec<(usize, String)> {
        let mut folders = Vec::new();
        for (line, text) in self.code_lines() {
            for after in text.split("crate::").skip(1) {
                if let Some(list) = after.strip_prefix('{') {
                    // rustfmt keeps a short list on one line; a long one names a folder at
                    // the beginning of each of its lines, which `use` forms here do not.
                    let firsts = list
                        .trim_end_matches(['}', ';'])
                        .split(',')
                        .map(|part| first_word(part.trim()));
                    folders.extend(
                        firsts
                            .filter(|word| !word.is_empty())
                            .map(|word| (line, word)),
                    );
                } else {
                    folders.push((line, first_word(after)));
                }
            }
        }
        folders.retain(|(_, folder)| is_folder(folder));
        folders
    }

    /// Paths that the `mod` lines of this file lead to; those that exist among both forms.
    fn modules_declared(&self) -> Vec<String> {
        let (directory, name) = self.path.rsplit_once('/').unwrap_or((".", &self.path));
        let stem = name.trim_end_matches(".rs");
        let home = match stem {
            "main" | "lib" | "mod" => directory.to_owned(),
            _ => format!("{directory}/{stem}"),
        };
        let mut paths = Vec::new();
        let mut written = None;
        for line in self.text.lines() {
            let line = line.trim();
            if let Some(path) = line
                .strip_prefix("#[path = \"")
                .and_then(|rest| rest.strip_suffix("\"]"))
            {
                written = Some(format!("{directory}/{path}"));
                continue;
            }
            let Some(declared) = line.strip_suffix(';') else {
                continue;
            };
            let words: Vec<&str> = declared.split_whitespace().collect();
            if let [.., "mod", module] = words.as_slice() {
                match written.take() {
                    Some(path) => paths.push(path),
                    None => {
                        paths.push(format!("{home}/{module}.rs"));
                        paths.push(format!("{home}/{module}/mod.rs"));
                        // A file that `#[path]` names has its modules beside it.
                        if self.is_test() {
                            paths.push(format!("{directory}/{module}.rs"));
                        }
                    }
                }
            }
        }
        paths
    }
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        .collect()
}

/// Modules of the crate root; macros and items of the root are nobody's folder.
fn is_folder(name: &str) -> bool {
    let source = root().join("src");
    source.join(format!("{name}.rs")).exists() || source.join(name).is_dir()
}

/// `src/monitor/web/chart.rs` → `monitor`, `src/ingest.rs` → `ingest`.
fn folder_of(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap_or(path);
    below
        .split('/')
        .next()
        .unwrap_or(below)
        .trim_end_matches(".rs")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &str) -> Vec<File> {
    files_below(directory)
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).expect("a source file is readable");
            File { path, text }
        })
        .collect()
}

/// Paths of all files, from the root of the repository; without what is built or hidden.
fn files_below(directory: &str) -> Vec<String> {
    let mut waiting = vec![root().join(directory)];
    let mut files = Vec::new();
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if ["target", "dist", ".git", "__pycache__"]
                .iter()
                .any(|skipped| name == *skipped)
            {
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else {
                files.push(relative(&path));
            }
        }
    }
    files.sort();
    files
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// Every line of a text that we wrote and that has one of `words`.
fn lines_with(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in files_below(".") {
        if path == "Cargo.lock" {
            continue;
        }
        // What is not text has no lines.
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (index, line) in text.lines().enumerate() {
            if words.iter().any(|word| has_word(line, word)) {
                found.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    found
}

/// Whether `line` has `word` with no letter or digit around it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let is_edge =
            |letter: Option<char>| !letter.is_some_and(|it| it.is_alphanumeric() || it == '_');
        (word.starts_with('.') || is_edge(before))
            && (word.ends_with(['(', '{', '|']) || is_edge(after))
    })
}

fn assert_none(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
