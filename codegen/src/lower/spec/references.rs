//! Where a `$ref` leads, and which files references name.

use std::cell::Cell;
use std::collections::HashSet;

use super::Spec;
use crate::lower::files::normalize;
use crate::lower::limits::{Memory, hashed, heap};
use crate::lower::tree::{Kind, Node};

/// Bytes of a `$ref`.
const MAX_REFERENCE: usize = 4_000;
/// A `$ref` that leads to a `$ref` … is followed this far.
const MAX_HOPS: usize = 64;
/// Nodes that all searches for `$anchor`s may look at: each looks at all of a file.
const MAX_ANCHOR_STEPS: usize = 20_000_000;

impl Spec {
    /// Follows `$ref`, and `$ref` behind it, to what is meant. A node without is meant itself.
    pub fn resolve<'a>(&'a self, node: &'a Node) -> Result<&'a Node, String> {
        let mut node = node;
        for _ in 0..MAX_HOPS {
            let Some(reference) = reference_of(node) else {
                return Ok(node);
            };
            node = self.follow(node.place.file, reference)?;
        }
        Err("its `$ref` is circular".to_owned())
    }

    /// One `$ref`, from a file.
    pub fn follow<'a>(&'a self, from: u32, reference: &str) -> Result<&'a Node, String> {
        if reference.len() > MAX_REFERENCE {
            return Err(format!("its `$ref` is longer than {MAX_REFERENCE} bytes"));
        }
        let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let file = if file.is_empty() {
            Ok(from)
        } else {
            self.referenced_file(from, file)
        };
        let file = match file {
            Ok(file) => file,
            // `$ref: Pet`, as Swagger 1.2 wrote it.
            Err(reason) => {
                let bare = reference
                    .bytes()
                    .all(|it| it.is_ascii_alphanumeric() || it == b'_');
                let named = if bare {
                    self.schema_named(from, reference)
                } else {
                    None
                };
                return named.ok_or(reason);
            }
        };
        let root = &self
            .files
            .get(file as usize)
            .ok_or("its file is not known")?
            .root;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return self
                .schema_named(file, pointer)
                .or_else(|| find_anchor(root, pointer, &self.anchor_steps))
                .ok_or_else(|| format!("nothing is named {pointer:?}"));
        }
        let mut node = root;
        for segment in pointer.split('/').skip(1) {
            let name = percent_decoded(segment)
                .replace("~1", "/")
                .replace("~0", "~");
            node = match &node.kind {
                Kind::List(items) => name.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => node.get(&name).or_else(|| node.get(segment)),
            }
            .ok_or_else(|| format!("`{reference}` cannot be followed: there is no {name:?}"))?;
        }
        Ok(node)
    }

    fn schema_named(&self, file: u32, name: &str) -> Option<&Node> {
        let root = &self.files.get(file as usize)?.root;
        let schemas = root.get("components").and_then(|it| it.get("schemas"));
        [schemas, root.get("definitions")]
            .into_iter()
            .flatten()
            .find_map(|it| it.get(name))
    }

    fn referenced_file(&self, from: u32, reference: &str) -> Result<u32, String> {
        if reference.contains("://") {
            return Err(format!(
                "`{reference}` is on the network, which is not read; \
                 save it beside this file and refer to it there"
            ));
        }
        let directory = &self
            .files
            .get(from as usize)
            .ok_or("its file is not known")?
            .directory;
        let path = normalize(&directory.join(percent_decoded(reference)));
        match self.by_path.get(&path) {
            Some(Ok(file)) => Ok(*file),
            Some(Err(reason)) => Err(format!("`{reference}` cannot be read: {reason}")),
            None => Err(format!("`{reference}` was not read")),
        }
    }
}

/// The text of `$ref`, where the node is a reference.
pub fn reference_of(node: &Node) -> Option<&str> {
    match &node.get("$ref")?.kind {
        Kind::Text(reference) => Some(reference.trim()),
        _ => None,
    }
}

/// The files that references name, each once, in the order of the references.
pub(super) fn collect_files<'a>(
    node: &'a Node,
    wanted: &mut Vec<&'a str>,
    known: &mut HashSet<&'a str>,
    memory: &Memory,
) {
    match &node.kind {
        Kind::Map(entries) => {
            if let Some(reference) = reference_of(node) {
                let file = reference.split('#').next().unwrap_or("");
                let is_file = !file.is_empty() && !file.contains("://") && !file.contains('\0');
                if is_file
                    && !known.contains(file)
                    && memory.take(reference_memory(file), node.place)
                {
                    known.insert(file);
                    wanted.push(file);
                }
            }
            for entry in entries.iter() {
                collect_files(&entry.value, wanted, known, memory);
            }
        }
        Kind::List(items) => {
            for item in items {
                collect_files(item, wanted, known, memory);
            }
        }
        _ => {}
    }
}

/// What `collect_files` and its caller hold of a reference.
pub(super) fn reference_memory(file: &str) -> usize {
    hashed(size_of::<&str>()) + 3 * size_of::<&str>() + size_of::<String>() + heap(file.len()) + 32
}

fn find_anchor<'a>(node: &'a Node, name: &str, steps: &Cell<usize>) -> Option<&'a Node> {
    if steps.get() >= MAX_ANCHOR_STEPS {
        return None;
    }
    steps.set(steps.get() + 1 + node.entries().len());
    if node.text_of("$anchor") == Some(name) {
        return Some(node);
    }
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .find_map(|it| find_anchor(&it.value, name, steps)),
        Kind::List(items) => items.iter().find_map(|it| find_anchor(it, name, steps)),
        _ => None,
    }
}

pub(super) fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}
