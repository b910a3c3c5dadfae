//! A description as it lies on the disk: its files, read, and references between them.
//!
//! Owns which files are read (the named one and what it refers to beside it, never the
//! network) and where a `$ref` leads. It knows nothing of operations or schemas.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::lower::files::{self, ReadError, normalize};
use crate::lower::limits::{Limits, megabytes};
use crate::lower::tree::{Kind, Node, Position, Warning};
use crate::lower::{json, yaml};

/// Files that one description may be spread over.
const MAX_FILES: usize = 2_000;
/// A `$ref` that leads to a `$ref` … is followed this far.
const MAX_HOPS: usize = 64;

/// Why nothing can be made of a file.
#[derive(Debug)]
pub struct Failure {
    /// Whole: expected, found, what to do.
    pub text: String,
    /// The file may be right: it takes more than `Limits` allow here.
    pub is_over_limit: bool,
}

impl Failure {
    pub fn new(text: String) -> Failure {
        Failure {
            text,
            is_over_limit: false,
        }
    }

    fn over_limit(text: String) -> Failure {
        Failure {
            text,
            is_over_limit: true,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text)
    }
}

pub struct Spec {
    limits: Limits,
    bytes_read: u64,
    files: Vec<File>,
    /// All that were wanted, in the order in which they were.
    paths: Vec<PathBuf>,
    by_path: HashMap<PathBuf, Result<u32, String>>,
    pub warnings: Vec<Warning>,
}

struct File {
    shown: String,
    directory: PathBuf,
    root: Node,
}

impl Spec {
    /// Reads a description: the file and all that its references name.
    pub fn load(path: &Path, limits: Limits) -> Result<Spec, Failure> {
        match files::read(path, limits.file_bytes) {
            Ok(bytes) => Spec::from_bytes(path, bytes, limits),
            Err(ReadError::TooLarge) => Err(too_large(path, path, limits)),
            Err(ReadError::Other(reason)) => Err(Failure::new(format!(
                "{}: expected an OpenAPI file (YAML or JSON), but {reason}; \
                 check the path, or put your vendor's file there",
                path.display()
            ))),
        }
    }

    /// What `load` makes of a file with these bytes.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>, limits: Limits) -> Result<Spec, Failure> {
        let mut spec = Spec {
            limits,
            bytes_read: 0,
            files: Vec::new(),
            paths: vec![path.to_path_buf()],
            by_path: HashMap::new(),
            warnings: Vec::new(),
        };
        spec.add(path, bytes).map_err(Failure::new)?;
        spec.by_path.insert(normalize(path), Ok(0));
        spec.check()?;
        spec.load_referenced_files()?;
        Ok(spec)
    }

    /// The files that it was made of, the named one first, as they were asked of the disk; also
    /// those that a reference names and that could not be read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path)
    }

    pub fn root(&self) -> &Node {
        &self.files[0].root
    }

    pub fn main_file(&self) -> &str {
        &self.files[0].shown
    }

    /// `file:line:column`.
    pub fn place(&self, place: Position) -> String {
        let file = self
            .files
            .get(place.file as usize)
            .map_or("?", |file| file.shown.as_str());
        format!("{file}:{}:{}", place.line, place.column)
    }

    fn add(&mut self, path: &Path, bytes: Vec<u8>) -> Result<u32, String> {
        self.bytes_read = self.bytes_read.saturating_add(bytes.len() as u64);
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let shown = path.display().to_string();
        let text = files::decode(bytes, number, &mut self.warnings);
        let looks_like_json = text.trim_start().starts_with(['{', '[']);
        let mut warnings = Vec::new();
        let read = if looks_like_json {
            json::read(&text, number, &mut warnings).or_else(|broken| {
                // YAML's flow style looks like JSON too.
                yaml::read(&text, number, &mut warnings).map_err(|_| broken)
            })
        } else {
            yaml::read(&text, number, &mut warnings)
        };
        self.warnings.append(&mut warnings);
        let root = read.map_err(|broken| {
            format!("{shown}:{broken}; fix this place, or download the file again")
        })?;
        let directory = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        self.files.push(File {
            shown,
            directory,
            root,
        });
        Ok(number)
    }

    fn check(&self) -> Result<(), Failure> {
        let root = self.root();
        let at = self.place(root.place);
        if !root.is_map() {
            return Err(Failure::new(format!(
                "{at}: expected an OpenAPI description (an object with `openapi:` or \
                 `swagger:`, and `paths:`), found {}; is this the right file?",
                root.describe()
            )));
        }
        let version = root
            .text_of("openapi")
            .or_else(|| root.text_of("swagger"))
            .unwrap_or("");
        if version.starts_with('1') {
            return Err(Failure::new(format!(
                "{at}: expected OpenAPI 3 or Swagger 2.0, found version {version}; \
                 convert the file to OpenAPI 3 first"
            )));
        }
        match root.entry("paths") {
            Some(paths) if !paths.value.entries().is_empty() => Ok(()),
            Some(paths) => Err(Failure::new(format!(
                "{}: expected `paths` to hold at least one path, found {}; \
                 add the paths to fetch from",
                self.place(paths.place),
                paths.value.describe()
            ))),
            None => Err(Failure::new(format!(
                "{at}: expected `paths`, found only {}; is this an OpenAPI file?",
                describe_keys(root)
            ))),
        }
    }

    /// Reads every file that some `$ref` names, and what those name.
    fn load_referenced_files(&mut self) -> Result<(), Failure> {
        let mut next = 0;
        while next < self.files.len() {
            let mut wanted = Vec::new();
            collect_files(&self.files[next].root, &mut wanted);
            for reference in wanted {
                let path = normalize(&self.files[next].directory.join(percent_decoded(&reference)));
                if self.by_path.contains_key(&path) {
                    continue;
                }
                let left = self.limits.file_bytes.saturating_sub(self.bytes_read);
                let read = if self.files.len() >= MAX_FILES {
                    Err(format!("it would be file number {MAX_FILES}"))
                } else {
                    match files::read_referenced(&path, left) {
                        Ok(bytes) => self.add(&path, bytes),
                        Err(ReadError::Other(reason)) => Err(reason),
                        Err(ReadError::TooLarge) => {
                            return Err(too_large(&self.paths[0], &path, self.limits));
                        }
                    }
                };
                self.paths.push(path.clone());
                self.by_path.insert(path, read);
            }
            next += 1;
        }
        Ok(())
    }

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
                .or_else(|| find_anchor(root, pointer))
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

fn too_large(main: &Path, reached: &Path, limits: Limits) -> Failure {
    Failure::over_limit(format!(
        "{}: expected an OpenAPI description of at most {} in all of its files, found more in {}; \
         leave out paths that nothing calls, and what only they refer to",
        main.display(),
        megabytes(limits.file_bytes),
        reached.display()
    ))
}

/// The text of `$ref`, where the node is a reference.
pub fn reference_of(node: &Node) -> Option<&str> {
    match &node.get("$ref")?.kind {
        Kind::Text(reference) => Some(reference.trim()),
        _ => None,
    }
}

fn collect_files(node: &Node, wanted: &mut Vec<String>) {
    match &node.kind {
        Kind::Map(entries) => {
            if let Some(reference) = reference_of(node) {
                let file = reference.split('#').next().unwrap_or("");
                if !file.is_empty() && !file.contains("://") && !file.contains('\0') {
                    wanted.push(file.to_owned());
                }
            }
            for entry in entries {
                collect_files(&entry.value, wanted);
            }
        }
        Kind::List(items) => {
            for item in items {
                collect_files(item, wanted);
            }
        }
        _ => {}
    }
}

fn find_anchor<'a>(node: &'a Node, name: &str) -> Option<&'a Node> {
    if node.text_of("$anchor") == Some(name) {
        return Some(node);
    }
    match &node.kind {
        Kind::Map(entries) => entries.iter().find_map(|it| find_anchor(&it.value, name)),
        Kind::List(items) => items.iter().find_map(|it| find_anchor(it, name)),
        _ => None,
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

fn describe_keys(node: &Node) -> String {
    let keys: Vec<String> = node
        .entries()
        .iter()
        .take(5)
        .map(|entry| format!("`{}`", entry.key))
        .collect();
    if keys.is_empty() {
        "an empty object".to_owned()
    } else {
        keys.join(", ")
    }
}
