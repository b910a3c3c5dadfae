//! Import graph of the crate: which file names items of which other file, and its cycles.
//!
//! Read from the text: `use` declarations and paths that begin with `crate`, `super` or `self`.
//! A path is followed through re-exports to the file that declares the item. A module `x.rs` and
//! the files below `x/` are one node: they share one concern. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};

use super::File;

pub struct ImportGraph {
    /// By module path: `["db", "outbox"]`.
    files: BTreeMap<Vec<String>, Module>,
}

struct Module {
    node: String,
    /// Absolute paths that the file names, whole.
    paths: Vec<Vec<String>>,
    /// What the names that `use` brings into scope stand for.
    aliases: BTreeMap<String, Vec<String>>,
}

impl ImportGraph {
    pub fn new(files: &[File]) -> ImportGraph {
        let mut graph = BTreeMap::new();
        for file in files.iter().filter(|file| !file.is_test()) {
            let module = module_path(&file.path);
            let mut found = Module {
                node: node_of(&file.path, files),
                paths: Vec::new(),
                aliases: BTreeMap::new(),
            };
            for (path, alias) in paths_in(&code_of(file)) {
                let path = absolute(&path, &module);
                if let Some(alias) = alias {
                    found.aliases.insert(alias, path.clone());
                }
                found.paths.push(path);
            }
            graph.insert(module, found);
        }
        ImportGraph { files: graph }
    }

    /// Cycles between nodes, each as the sorted list of its files.
    pub fn cycles(&self) -> Vec<Vec<String>> {
        let edges = self.edges();
        let reach: BTreeMap<&String, BTreeSet<&String>> = edges
            .keys()
            .map(|node| (node, reachable(node, &edges)))
            .collect();
        let mut cycles = BTreeSet::new();
        for node in edges.keys() {
            let members: Vec<String> = edges
                .keys()
                .filter(|other| reach[node].contains(other) && reach[other].contains(node))
                .cloned()
                .collect();
            if members.len() > 1 {
                cycles.insert(members);
            }
        }
        cycles.into_iter().collect()
    }

    /// Node → nodes that it names.
    pub fn edges(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for module in self.files.values() {
            let targets = edges.entry(module.node.clone()).or_default();
            for path in &module.paths {
                if let Some(target) = self.resolve(path, 0)
                    && target != module.node
                {
                    targets.insert(target);
                }
            }
        }
        edges
    }

    /// The node that declares the item at `path`.
    fn resolve(&self, path: &[String], depth: usize) -> Option<String> {
        let known = (0..=path.len())
            .rev()
            .find(|length| self.files.contains_key(&path[..*length]))?;
        let module = &self.files[&path[..known]];
        let rest = &path[known..];
        // Re-exports of re-exports end somewhere.
        if let Some(target) = rest.first().and_then(|name| module.aliases.get(name))
            && depth < 8
            && target.as_slice() != path
        {
            let whole: Vec<String> = target.iter().chain(&rest[1..]).cloned().collect();
            return self.resolve(&whole, depth + 1);
        }
        // A module that is only passed through is not named: `use super::b` names b.
        Some(module.node.clone())
    }
}

fn reachable<'a>(
    from: &String,
    edges: &'a BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&String> = edges[from].iter().collect();
    while let Some(node) = waiting.pop() {
        if found.insert(node) {
            waiting.extend(edges.get(node).into_iter().flatten());
        }
    }
    found
}

/// `src/db/outbox.rs` and `src/db/outbox/mod.rs` → `["db", "outbox"]`, `src/main.rs` → `[]`.
fn module_path(path: &str) -> Vec<String> {
    let below = path.strip_prefix("src/").unwrap_or(path);
    let mut parts: Vec<String> = below
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "main")) {
        parts.pop();
    }
    parts
}

/// The outermost `x.rs` that `path` lies below, else the file itself.
fn node_of(path: &str, files: &[File]) -> String {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    (2..parts.len())
        .map(|length| format!("{}.rs", parts[..length].join("/")))
        .find(|parent| files.iter().any(|file| file.path == *parent))
        .unwrap_or_else(|| path.to_owned())
}

/// Code without comments, on one line per statement as it is written.
fn code_of(file: &File) -> String {
    file.code_lines()
        .map(|(_, line)| line.split("//").next().unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Paths that begin with `crate`, `super` or `self`, as segments; a path of a `use` with the name
/// that it brings into scope.
fn paths_in(code: &str) -> Vec<(Vec<String>, Option<String>)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some((at, root)) = ["crate::", "super::", "self::"]
        .iter()
        .filter_map(|root| rest.find(root).map(|at| (at, root)))
        .min()
    {
        let before = &rest[..at];
        let is_inside_word = before
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_');
        // `super::super::x` is met at its beginning.
        let is_use = before.trim_end().ends_with("use");
        let end = if is_use {
            rest[at..]
                .find(';')
                .map_or(rest.len(), |length| at + length)
        } else {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let length = rest[at..].find(|c| !is_path(c));
            length.map_or(rest.len(), |length| at + length)
        };
        let text = rest[at..end].trim_end_matches(':');
        if is_use {
            expand(text, &[], &mut found);
        } else if !is_inside_word {
            let segments = text.split("::").map(|part| part.trim().to_owned());
            found.push((segments.collect(), None));
        }
        rest = &rest[end.max(at + root.len())..];
    }
    found
}

/// Expands a `use` tree: `a::{b, c::{self, d as e}}`.
fn expand(tree: &str, prefix: &[String], found: &mut Vec<(Vec<String>, Option<String>)>) {
    let tree = tree.trim();
    let Some((head, list)) = tree.split_once('{') else {
        let (path, alias) = match tree.split_once(" as ") {
            Some((path, alias)) => (path, Some(alias.trim().to_owned())),
            None => (tree, None),
        };
        let mut segments = prefix.to_vec();
        segments.extend(path.split("::").map(|part| part.trim().to_owned()));
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        if !tree.is_empty() {
            let alias = alias.or_else(|| segments.last().cloned());
            found.push((segments, alias));
        }
        return;
    };
    let mut inner = prefix.to_vec();
    inner.extend(
        head.split("::")
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty()),
    );
    let list = list.trim_end();
    let list = list.strip_suffix('}').unwrap_or(list);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&list[start..at], &inner, found);
                start = (at + 1).min(list.len());
            }
            _ => {}
        }
    }
}

fn absolute(path: &[String], module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            "self" => {}
            _ => break,
        }
        rest = after;
    }
    base.extend(rest.iter().cloned());
    base
}
