//! A file as main-node makes operations of it when it runs.

use std::path::{Path, PathBuf};

use openapi::compact::{self, CompactApi};
use openapi::lower::candidates::{Candidates, Wanted};
use openapi::lower::limits::Limits;
use openapi::lower::lower;
use openapi::lower::report::Report;
use openapi::lower::spec::{Failure, Spec};
use openapi::operation::Api;

/// What main-node allows: `serve` first, then commands, which run where there is more memory.
const LIMITS: [(&str, Limits); 2] = [
    (
        "serve",
        Limits {
            file_bytes: 2_000_000,
            memory_bytes: 24_000_000,
            is_confined: true,
        },
    ),
    (
        "commands",
        Limits {
            file_bytes: 16_000_000,
            memory_bytes: 160_000_000,
            is_confined: true,
        },
    ),
];

pub struct File {
    path: PathBuf,
    /// What the configuration calls the API.
    name: String,
    /// Read with each of the limits that were needed so far.
    specs: Vec<Result<Spec, Failure>>,
}

impl File {
    pub fn new(path: &str, name: &str) -> File {
        File {
            path: PathBuf::from(path),
            name: name.to_owned(),
            specs: Vec::new(),
        }
    }

    /// Whose limits were needed.
    pub fn limits(&self) -> &'static str {
        LIMITS[self.specs.len().clamp(1, LIMITS.len()) - 1].0
    }

    /// Every GET and POST of the file, lowered or not.
    pub fn candidates(&mut self) -> Result<Vec<String>, String> {
        self.with_limits(|spec, _| {
            let found = Candidates::find(spec, &mut Report::default());
            let all = found.gets.into_iter().chain(found.posts);
            Ok(all.map(|it| it.id).collect())
        })
    }

    /// Those of the named operations that can be lowered. It stays in memory.
    pub fn lower(&mut self, names: Vec<String>) -> Result<&'static Api, String> {
        let wanted = Wanted::Named(names);
        let text = self.with_limits(|spec, name| {
            let (description, _) = lower(spec, name, &wanted)?;
            Ok(compact::write(&description))
        })?;
        Ok(CompactApi::leak(text).read()?)
    }

    /// With the first limits that it keeps.
    fn with_limits<T>(
        &mut self,
        act: impl Fn(&Spec, &str) -> Result<T, Failure>,
    ) -> Result<T, String> {
        let mut exceeded = String::new();
        for (at, (_, limits)) in LIMITS.into_iter().enumerate() {
            if self.specs.len() <= at {
                self.specs.push(Spec::load(Path::new(&self.path), limits));
            }
            let done = match &self.specs[at] {
                Ok(spec) => act(spec, &self.name),
                Err(failure) if failure.is_over_limit => {
                    exceeded.clone_from(&failure.text);
                    continue;
                }
                Err(failure) => return Err(failure.text.clone()),
            };
            match done {
                Err(failure) if failure.is_over_limit => exceeded = failure.text,
                done => return done.map_err(|it| it.text),
            }
        }
        Err(exceeded)
    }
}
