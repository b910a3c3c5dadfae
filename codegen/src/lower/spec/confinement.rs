//! Path confinement: which files a `$ref` may name.
//!
//! An OpenAPI file comes from elsewhere, and may be read by root: it must not name any file of the
//! machine. Files beside it and below are its own. Owns nothing but their directories.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lower::files::normalize;

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

pub(super) struct Confinement {
    /// As it was named.
    directory: PathBuf,
    /// Without symbolic links: that of the name, and that of the file behind it.
    real: Vec<PathBuf>,
}

impl Confinement {
    pub(super) fn to_directory_of(main: &Path) -> Confinement {
        let directory = match main.parent() {
            Some(parent) => normalize(parent),
            None => PathBuf::new(),
        };
        let here = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &directory
        };
        let behind = fs::canonicalize(main).ok();
        let behind = behind.and_then(|it| it.parent().map(Path::to_path_buf));
        let real = fs::canonicalize(here).ok().into_iter().chain(behind);
        Confinement {
            real: real.collect(),
            directory,
        }
    }

    /// Why a reference (decoded) is not followed, without a look at the disk. `path` is where it
    /// leads from its file.
    pub(super) fn refuse_name(&self, reference: &str, path: &Path) -> Option<String> {
        if !has_extension(path) {
            return Some(WRONG_NAME.to_owned());
        }
        let is_inside = match path.strip_prefix(&self.directory) {
            Ok(rest) => !rest.starts_with("..") && !rest.has_root(),
            Err(_) => false,
        };
        let is_relative = !Path::new(reference).is_absolute();
        (!is_relative || !is_inside).then(|| OUTSIDE.to_owned())
    }

    /// Why the file that is there is not read: symbolic links lead out, or to another kind.
    pub(super) fn refuse_target(&self, path: &Path) -> Option<String> {
        let target = fs::canonicalize(path).ok()?;
        if !self.real.iter().any(|it| target.starts_with(it)) {
            return Some(OUTSIDE.to_owned());
        }
        (!has_extension(&target)).then(|| WRONG_NAME.to_owned())
    }
}

const WRONG_NAME: &str = "its name does not end in .yaml, .yml or .json";
const OUTSIDE: &str = "it is outside the directory of the OpenAPI file; copy it into that, or \
                       below it, and name it by a relative path";

fn has_extension(path: &Path) -> bool {
    path.extension().is_some_and(|found| {
        let mut known = EXTENSIONS.iter();
        known.any(|it| found.eq_ignore_ascii_case(it))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_directory_of_the_file() {
        for (main, from, reference, is_allowed) in [
            ("a.yaml", "", "b.yaml", true),
            ("a.yaml", "", "./b/c.YML", true),
            ("a.yaml", "b", "../c.json", true),
            ("a.yaml", "", "../c.json", false),
            ("a.yaml", "b", "../../c.json", false),
            ("a.yaml", "", "/etc/c.json", false),
            ("./a.yaml", ".", "b.yaml", true),
            ("../specs/a.yaml", "../specs", "b.yaml", true),
            ("../specs/a.yaml", "../specs", "../b.yaml", false),
            ("../specs/a.yaml", "../specs", "../../b.yaml", false),
            ("../a.yaml", "..", "../b.yaml", false),
            ("/etc/m/a.yaml", "/etc/m", "b.yaml", true),
            ("/etc/m/a.yaml", "/etc/m", "/etc/m/b.yaml", false),
            ("/etc/m/a.yaml", "/etc/m", "../mm/b.yaml", false),
            ("/etc/m/a.yaml", "/etc/m", "secrets.env", false),
            ("/etc/m/a.yaml", "/etc/m", ".yaml", false),
            ("/etc/m/a.yaml", "/etc/m", "Pet", false),
        ] {
            let confined = Confinement::to_directory_of(Path::new(main));
            let path = normalize(&Path::new(from).join(reference));
            let found = confined.refuse_name(reference, &path);
            assert_eq!(
                found.is_none(),
                is_allowed,
                "{main}: {reference}: {found:?}"
            );
        }
    }
}
