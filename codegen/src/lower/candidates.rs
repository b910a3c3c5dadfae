//! Operations of a file that could be called, and which of them are wanted.
//!
//! Every GET, and every POST that a person names: a POST is never called because a file says
//! so. Owns the names of operations. Of PUT, DELETE and the like it keeps what a message needs.

use std::collections::HashSet;

use crate::lower::limits::heap;
use crate::lower::names::{self, Scope};
use crate::lower::report::{LeftOut, Report};
use crate::lower::spec::{Failure, Spec};
use crate::lower::summary;
use crate::lower::tree::{Node, Position};
use crate::operation::Method;

/// Which operations of a file to lower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every GET.
    Gets,
    /// The GETs that the file itself lists (`x-main-node-operations`).
    ListedByFile(Vec<String>),
    /// What a person names (`--operations`): GET or POST.
    Named(Vec<String>),
    /// For a list to choose from: every GET and POST that has all of these words, in lower case, in its
    /// id, path or summary.
    Matching(Vec<String>),
}

impl Wanted {
    /// Whether single operations are asked for, so that each has to be there.
    pub fn is_list(&self) -> bool {
        !self.names().is_empty()
    }

    fn names(&self) -> &[String] {
        match self {
            Wanted::Gets | Wanted::Matching(_) => &[],
            Wanted::ListedByFile(names) | Wanted::Named(names) => names,
        }
    }
}

/// What the file itself asks for.
pub fn listed_by_file(spec: &Spec) -> Wanted {
    let list = spec
        .root()
        .get("x-main-node-operations")
        .map(Node::items)
        .unwrap_or(&[]);
    let names: Vec<String> = list
        .iter()
        .filter_map(Node::text)
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        Wanted::Gets
    } else {
        Wanted::ListedByFile(names)
    }
}

/// An operation as the file has it, before anything of it is judged.
pub struct Candidate<'a> {
    pub method: Method,
    pub path: String,
    /// `None` where its file is missing.
    pub operation: Option<&'a Node>,
    pub item: &'a Node,
    pub place: Position,
    pub id: String,
}

impl Candidate<'_> {
    fn has_words(&self, spec: &Spec, words: &[String]) -> bool {
        let node = self.operation.and_then(|it| spec.resolve(it).ok());
        let summary = node.map(summary).unwrap_or_default();
        let text = format!("{} {} {summary}", self.id, self.path).to_lowercase();
        words.iter().all(|word| text.contains(word))
    }
}

/// An operation with a method that is never sent.
struct Uncallable {
    method: String,
    path: String,
    id: String,
    place: Position,
}

#[derive(Default)]
pub struct Candidates<'a> {
    pub gets: Vec<Candidate<'a>>,
    pub posts: Vec<Candidate<'a>>,
    others: Vec<Uncallable>,
    get_paths: HashSet<String>,
}

impl<'a> Candidates<'a> {
    /// Those of a file, named.
    pub fn find(spec: &'a Spec, report: &mut Report) -> Candidates<'a> {
        let mut found = Candidates::default();
        for entry in spec.root().get("paths").map(Node::entries).unwrap_or(&[]) {
            let (path, place) = (entry.key.as_str(), entry.place);
            if path.starts_with("x-") {
                continue;
            }
            let trimmed = path.trim().split('#').next().unwrap_or("");
            let slash = if trimmed.starts_with('/') { "" } else { "/" };
            found.add_path(
                spec,
                &format!("{slash}{trimmed}"),
                place,
                &entry.value,
                report,
            );
        }
        report.other_methods = found.others.len();
        found.name(spec, report);
        found
    }

    fn add_path(
        &mut self,
        spec: &'a Spec,
        path: &str,
        place: Position,
        value: &'a Node,
        report: &mut Report,
    ) {
        let candidate = |method, operation, item, place| Candidate {
            method,
            path: path.to_owned(),
            operation,
            item,
            place,
            id: String::new(),
        };
        let item = match spec.resolve(value) {
            Ok(item) => item,
            Err(reason) => {
                let why = "put it there to have the parameters and the response of";
                report.note(spec.place(place), format!("{reason}; {why} {path}"));
                self.gets.push(candidate(Method::Get, None, value, place));
                return;
            }
        };
        if !item.is_map() {
            let found = spec.describe(item);
            let message = format!("expected the operations of {path}, found {found}");
            report.note(spec.place(value.place), message);
            return;
        }
        let earlier_posts = self.posts.len();
        // What stands beside the `$ref` counts too.
        for part in [item, value] {
            for entry in part.entries() {
                let method = entry.key.to_ascii_lowercase();
                let operation = Some(&entry.value);
                match method.as_str() {
                    "get" if self.get_paths.insert(path.to_owned()) => {
                        let get = candidate(Method::Get, operation, item, entry.place);
                        self.gets.push(get);
                    }
                    // Paths that differ in their fragment alone differ in a header.
                    "post" if self.posts.len() == earlier_posts => {
                        let post = candidate(Method::Post, operation, item, entry.place);
                        self.posts.push(post);
                    }
                    "put" | "patch" | "delete" | "head" | "options" | "trace" | "query"
                        if std::ptr::eq(part, item) =>
                    {
                        self.others.push(Uncallable {
                            method: method.to_ascii_uppercase(),
                            path: path.to_owned(),
                            id: usable_id(&entry.value).unwrap_or("").to_owned(),
                            place: entry.place,
                        });
                    }
                    _ => {}
                }
            }
            if std::ptr::eq(item, value) {
                break;
            }
        }
    }

    /// operationIds, where they are usable and unique; else a name made of the path. GETs come
    /// first: what a POST is called changes none of their names.
    fn name(&mut self, spec: &Spec, report: &mut Report) {
        let mut scope = Scope::default();
        let mut first: HashSet<String> = HashSet::new();
        for list in [&mut self.gets, &mut self.posts] {
            // Ids of the file come first: a made-up name must not take one away.
            for candidate in list.iter_mut() {
                if let Some(id) = operation_id(candidate)
                    && first.insert(id.clone())
                {
                    candidate.id = scope.unique(id);
                }
            }
            for candidate in list.iter_mut().filter(|it| it.id.is_empty()) {
                candidate.id = scope.unique(name_of_path(candidate.method, &candidate.path));
                if candidate.method == Method::Get {
                    note_clash(spec, candidate, report);
                }
            }
        }
    }

    /// The ids of those that could be called.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.gets.iter().chain(&self.posts).map(|it| it.id.as_str())
    }

    /// Whether a name means one of these operations, callable or not.
    pub fn knows(&self, name: &str) -> bool {
        let mut callable = self.gets.iter().chain(&self.posts);
        callable.any(|it| is_named(it, name)) || self.uncallable(name).is_some()
    }

    fn uncallable(&self, name: &str) -> Option<&Uncallable> {
        let method_and_path = name.split_once(' ');
        self.others.iter().find(|it| {
            (!it.id.is_empty() && it.id == name)
                || method_and_path.is_some_and(|(method, path)| {
                    it.method.eq_ignore_ascii_case(method) && it.path == path.trim()
                })
        })
    }

    /// The wanted ones, in the order of the file, GETs first. An operation that is asked for and
    /// not there is a failure.
    pub fn select(
        self,
        spec: &Spec,
        wanted: &Wanted,
        report: &mut Report,
    ) -> Result<Vec<Candidate<'a>>, Failure> {
        for name in wanted.names() {
            self.check_wanted(spec, name, wanted)?;
        }
        let is_wanted = |it: &Candidate<'_>| match wanted {
            Wanted::Matching(words) => it.has_words(spec, words),
            _ => wanted.names().iter().any(|name| is_named(it, name)),
        };
        let is_choice = wanted.is_list() || matches!(wanted, Wanted::Matching(_));
        let all = self.gets.len();
        let mut chosen: Vec<Candidate<'a>> = self
            .gets
            .into_iter()
            .filter(|it| !is_choice || is_wanted(it))
            .collect();
        report.not_requested = all - chosen.len();
        let may_post = matches!(wanted, Wanted::Named(_) | Wanted::Matching(_));
        for post in self.posts {
            if may_post && is_wanted(&post) {
                note_clash(spec, &post, report);
                chosen.push(post);
            } else {
                report.posts_left_out.push(LeftOut {
                    place: spec.place(post.place),
                    id: post.id,
                    path: post.path,
                });
            }
        }
        Ok(chosen)
    }

    /// Whether a person may name this operation.
    pub fn check_name(&self, spec: &Spec, name: &str) -> Result<(), Failure> {
        self.check_wanted(spec, name, &Wanted::Named(Vec::new()))
    }

    fn check_wanted(&self, spec: &Spec, name: &str, wanted: &Wanted) -> Result<(), Failure> {
        if self.gets.iter().any(|it| is_named(it, name)) {
            return Ok(());
        }
        if let Some(post) = self.posts.iter().find(|it| is_named(it, name)) {
            return match wanted {
                Wanted::Named(_) => Ok(()),
                _ => Err(Failure::new(format!(
                    "{}: expected GET operations in `x-main-node-operations`, found {name:?}, \
                     which is POST {}; name it yourself if it only reads: --operations {}",
                    spec.place(post.place),
                    post.path,
                    post.id
                ))),
            };
        }
        if let Some(other) = self.uncallable(name) {
            return Err(Failure::new(format!(
                "{}: expected a GET or POST operation, found {name:?}, which is {} {}: main-node \
                 only reads and never sends {}; remove it from the list",
                spec.place(other.place),
                other.method,
                other.path,
                other.method
            )));
        }
        let named = || self.gets.iter().chain(&self.posts);
        if let Some(post) = self.posts.iter().find(|it| it.path == name) {
            return Err(Failure::new(format!(
                "{}: expected a GET operation of the path {name:?}, found only its POST; \
                 if that only reads, name it: {:?} or \"POST {}\"",
                spec.main_file(),
                post.id,
                post.path
            )));
        }
        let near = named()
            .map(|it| (strsim::jaro_winkler(name, &it.id), &it.id))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.7)
            .map(|(_, id)| format!("did you mean {id:?}?"))
            .unwrap_or_else(|| "ask for no operation by name to see all".to_owned());
        Err(Failure::new(format!(
            "{}: expected a GET or POST operation named {name:?}, found none of its {}; {near}",
            spec.main_file(),
            named().count()
        )))
    }
}

fn note_clash(spec: &Spec, candidate: &Candidate<'_>, report: &mut Report) {
    if let Some(clash) = operation_id(candidate).filter(|it| *it != candidate.id) {
        let message = format!(
            "the operationId {clash:?} is used twice; this one is named {:?}",
            candidate.id
        );
        report.note(spec.place(candidate.place), message);
    }
}

fn is_named(candidate: &Candidate<'_>, name: &str) -> bool {
    candidate
        .method
        .is_named(&candidate.id, &candidate.path, name)
}

/// The operationId, where it can be used.
fn operation_id(candidate: &Candidate<'_>) -> Option<String> {
    usable_id(candidate.operation?).map(str::to_owned)
}

fn usable_id(operation: &Node) -> Option<&str> {
    let text = operation.text_of("operationId")?.trim();
    let usable = !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
    usable.then_some(text)
}

/// Counts what operations take from when they are found to when they are told, of all callable
/// and uncallable ones; each is looked at as often as some path refers to it.
pub fn count_memory(spec: &Spec) {
    let place_bytes = spec.main_file().len() + 40;
    for path in spec.root().get("paths").map(Node::entries).unwrap_or(&[]) {
        let item = spec.resolve(&path.value).unwrap_or(&path.value);
        // One at least: an operation is assumed where the file of a path is missing.
        let path_bytes = heap(path.key.len() + 1);
        let one = 3 * size_of::<Candidate<'_>>() + 700 + 4 * path_bytes + 4 * heap(place_bytes);
        let mut bytes = one + 200;
        for entry in item.entries().iter().chain(path.value.entries()) {
            bytes += 16;
            // No method has a longer name.
            if entry.key.len() <= 7 {
                let id = usable_id(&entry.value).map_or(4 * path.key.len() + 20, str::len);
                bytes += one + 4 * heap(id);
            }
        }
        if !spec.memory.take(bytes, path.place) {
            return;
        }
    }
}

/// `GET /stations/{id}/latest.json` → `getStationsByIdLatestJson`.
fn name_of_path(method: Method, path: &str) -> String {
    let verb = method.name().to_ascii_lowercase();
    let mut name = verb.clone();
    for part in path.split(['/', '?', '&']) {
        let mut rest = part;
        while let Some((before, after)) = rest.split_once('{') {
            let (variable, after) = after.split_once('}').unwrap_or((after, ""));
            if !before.is_empty() {
                name.push_str(&names::pascal(before));
            }
            name.push_str("By");
            name.push_str(&names::pascal(variable));
            rest = after;
        }
        if !rest.is_empty() {
            name.push_str(&names::pascal(rest));
        }
    }
    if name == verb {
        name.push_str("Root");
    }
    name
}
