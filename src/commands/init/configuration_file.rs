//! Configuration file that `main-node init` writes: which one it is, what becomes of what is there,
//! and its atomic replacement.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use super::template::{BEGIN, END, TemplateLines};
use crate::config::service::InstalledService;
use crate::domain::text::hexadecimal;
use crate::domain::toml_text::quoted;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::os_error::reason;
use crate::sys::private_file::{FileAccess, Replacement, parent_directory};
use crate::sys::{privileges, text_file};

/// The example that packages and `install.sh` put in place.
const EXAMPLE: &str = include_str!("../../../systemd/main-node.toml");
/// SHA-256 of that of released versions: 0.1.
const EARLIER_EXAMPLES: [&str; 1] =
    ["9d95bddc118c448c5660aef9361a4a3decc2c291018b18fdbfd7ad41b4954f77"];

/// Mode of a new file: it has no secrets.
const MODE: u32 = 0o644;

/// What becomes of a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingFile {
    Refused,
    Added,
    Replaced,
}

/// The file, and what is in it.
#[derive(Debug)]
pub struct ConfigurationFile {
    pub path: PathBuf,
    /// Whether it is that of the installed service.
    pub is_service: bool,
    content: FileContent,
}

#[derive(Debug)]
enum FileContent {
    /// No file, or an empty one.
    Nothing,
    /// An example that nobody has changed.
    Example,
    /// A source is added to this text.
    Kept(String),
    /// Kept under another name.
    Moved,
}

impl ConfigurationFile {
    /// Looks below `root` for the installed service. `Err` says why nothing is written.
    pub fn find(
        named: Option<&Path>,
        existing: ExistingFile,
        root: &Path,
    ) -> Result<ConfigurationFile, String> {
        let of_service = InstalledService::configuration(root);
        let is_service = match (named, &of_service) {
            (Some(named), Some(_)) => InstalledService::of(named, root).is_some(),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if is_service && !privileges::is_root() {
            return Err(
                "the service main-node is installed here, whose configuration only root may write: \
                 put sudo in front of this command, or name a file of your own with \
                 --config main-node.toml"
                    .to_owned(),
            );
        }
        let path = match (named, of_service) {
            (Some(named), _) => named.to_owned(),
            (None, Some(of_service)) => of_service,
            (None, None) => PathBuf::from("main-node.toml"),
        };
        let content = FileContent::of(&path, existing)?;
        Ok(ConfigurationFile {
            path,
            is_service,
            content,
        })
    }

    /// Whether the source is beside others.
    pub fn is_added(&self) -> bool {
        matches!(self.content, FileContent::Kept(_))
    }

    /// The text that sources may not have the name of twice.
    pub fn kept_text(&self) -> &str {
        match &self.content {
            FileContent::Kept(text) => text,
            FileContent::Nothing | FileContent::Example | FileContent::Moved => "",
        }
    }

    /// The whole file with this source; `zone` is the time zone of a new file.
    pub fn with_source(&self, source: &str, zone: Option<&str>) -> String {
        match &self.content {
            FileContent::Kept(text) if text.contains("\r\n") => {
                let source = source.replace('\n', "\r\n");
                format!("{}\r\n{source}", text.trim_end_matches(['\r', '\n']))
            }
            FileContent::Kept(text) => format!("{}\n{source}", text.trim_end_matches('\n')),
            FileContent::Nothing | FileContent::Example | FileContent::Moved => {
                let mut begin = TemplateLines::new(BEGIN);
                if let Some(zone) = zone {
                    begin.set("timezone", &quoted(zone));
                }
                format!("{}{source}{END}", begin.into_text())
            }
        }
    }

    /// Writes the file and says what was done. After a crash at any moment it is the old or the new
    /// one.
    pub fn write(&self, text: &str) -> Result<String, String> {
        let path = self.path.display();
        let failed = |error: io::Error| format!("{path} cannot be written: {}", reason(&error));
        let moved = match self.content {
            FileContent::Moved => Some(self.keep_old().map_err(failed)?),
            FileContent::Nothing | FileContent::Example | FileContent::Kept(_) => None,
        };
        replace(&self.path, text, MODE).map_err(|error| {
            if let Some(kept) = &moved {
                // The same file as the one that stays.
                let _ = fs::remove_file(kept);
            }
            failed(error)
        })?;
        Ok(match (&self.content, moved) {
            (_, Some(moved)) => format!("{path} is new; the old one is {}", moved.display()),
            (FileContent::Example, _) => {
                format!("{path} is new, in the place of the unchanged example")
            }
            (FileContent::Kept(_), _) => format!("{path} has one source more"),
            _ => format!("{path} is new"),
        })
    }

    /// The old file under a name with the date.
    fn keep_old(&self) -> io::Result<PathBuf> {
        let date = SystemClock::new().now().wall.to_string();
        let date = date.replace(['-', ':'], "");
        // Of a link the file that it leads to.
        let path = fs::canonicalize(&self.path)?;
        let mut number = 1;
        loop {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".replaced-{date}"));
            if number > 1 {
                name.push(format!("-{number}"));
            }
            let kept = path.with_file_name(name);
            match fs::hard_link(&path, &kept) {
                Ok(()) => return Ok(kept),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                // Not every file system has links.
                Err(_) => return fs::copy(&path, &kept).map(|_| kept),
            }
        }
    }
}

impl FileContent {
    fn of(path: &Path, existing: ExistingFile) -> Result<FileContent, String> {
        let shown = path.display();
        if !path.exists() {
            return match fs::read_link(path) {
                Ok(target) => Err(format!(
                    "{shown} is a link to {}, which does not exist: is its disk mounted? Create it, \
                     or remove the link",
                    target.display()
                )),
                Err(_) => Ok(FileContent::Nothing),
            };
        }
        let text =
            text_file::read(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
        Ok(match existing {
            _ if text.trim().is_empty() => FileContent::Nothing,
            ExistingFile::Added => match reason_against_source(&text) {
                Some(reason) => return Err(format!("{shown} {reason}")),
                None => FileContent::Kept(text),
            },
            _ if is_example(&text) => FileContent::Example,
            ExistingFile::Replaced => FileContent::Moved,
            ExistingFile::Refused => {
                return Err(format!(
                    "{shown} is there already and stays as it is. Run the same with --add to add \
                     this source to it, or with --replace to begin anew: the old file is kept as \
                     {shown}.replaced-DATE"
                ));
            }
        })
    }
}

/// Why no `[[source]]` can follow a text; completes "FILE …".
fn reason_against_source(text: &str) -> Option<&'static str> {
    let is_valid = |text: &str| text.parse::<toml::Table>().is_ok();
    if !is_valid(text) {
        Some("has mistakes, which `main-node check` names: correct them first")
    } else if !is_valid(&format!("{text}\n[[source]]\n")) {
        Some(
            "has its sources in the form source = … or [source], which cannot be added to: write each \
             of them under a heading [[source]]",
        )
    } else {
        None
    }
}

/// Replaces a file, with its owner and mode where it is there; else makes it and its directory.
pub fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    fs::create_dir_all(parent_directory(path))?;
    let access = match fs::metadata(path) {
        Ok(old) => FileAccess {
            mode: old.mode() & 0o7777,
            owner: Some((old.uid(), old.gid())),
        },
        Err(_) => FileAccess { mode, owner: None },
    };
    let replacement = Replacement::prepare(path, "init", text.len() as u64)?;
    replacement.set_access(&access)?;
    replacement.commit(text.as_bytes())
}

fn is_example(text: &str) -> bool {
    let digest = hexadecimal(digest(&SHA256, text.as_bytes()).as_ref());
    text == EXAMPLE || EARLIER_EXAMPLES.contains(&&*digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_kept_unless_it_is_the_example() {
        let directory = crate::golden::scratch("init-file");
        let path = directory.join("etc/main-node.toml");
        let find = |existing| ConfigurationFile::find(Some(&path), existing, &directory);
        let write = |existing, text: &str| find(existing)?.write(text);
        let read = || fs::read_to_string(&path).expect("it is there");
        let names = || {
            fs::read_dir(directory.join("etc"))
                .expect("a directory")
                .count()
        };

        write(ExistingFile::Refused, "a = 1").expect("it is new");
        assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o777, 0o644);
        assert!(write(ExistingFile::Refused, "b").is_err_and(|it| it.contains("--replace")));
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640))
            .expect("ours");
        write(ExistingFile::Added, "a\nb").expect("it is added");
        assert_eq!((read().as_str(), names()), ("a\nb", 1));
        for count in 2..4 {
            write(ExistingFile::Replaced, "c").expect("the old one is kept");
            assert_eq!((read().as_str(), names()), ("c", count));
        }
        assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o777, 0o640);
        for untouched in [EXAMPLE, " \n"] {
            fs::write(&path, untouched).expect("it can be written");
            write(ExistingFile::Refused, "d").expect("nobody has written it");
            assert_eq!((read().as_str(), names()), ("d", 3));
        }
        // A link stays one, and so does what it led to.
        let link = directory.join("link.toml");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        let file = ConfigurationFile::find(Some(&link), ExistingFile::Replaced, &directory);
        let said = file.and_then(|it| it.write("e")).expect("it is replaced");
        let old = said.rsplit(' ').next().map(fs::read_to_string);
        assert_eq!(old.expect("a name").expect("a file"), "d");
        assert!(link.is_symlink() && read() == "e");
        fs::remove_file(&path).expect("ours");
        let file = ConfigurationFile::find(Some(&link), ExistingFile::Refused, &directory);
        assert!(file.is_err_and(|it| it.contains("does not exist")) && link.is_symlink());
        fs::remove_dir_all(directory).expect("its own directory");
    }

    #[test]
    fn a_source_is_added_behind_the_others() {
        let file = |content| ConfigurationFile {
            path: PathBuf::new(),
            is_service: false,
            content,
        };
        let added = file(FileContent::Kept("a = 1".to_owned()));
        assert_eq!(
            added.with_source("\n[[source]]\n", Some("UTC")),
            "a = 1\n\n[[source]]\n"
        );
        let windows = file(FileContent::Kept("a = 1\r\nb = 2\r\n".to_owned()));
        assert_eq!(
            windows.with_source("\n[[source]]\n", None),
            "a = 1\r\nb = 2\r\n\r\n[[source]]\r\n"
        );
        let new = file(FileContent::Example).with_source("\n[[source]]\n", Some("Europe/Berlin"));
        assert!(new.contains("\ntimezone = \"Europe/Berlin\"\n"), "{new}");
    }

    #[test]
    fn a_source_is_added_only_where_a_heading_can_follow() {
        for (text, expected) in [
            ("a = 1", None),
            ("[[source]]\nname = \"a\"\n[mail]\n", None),
            ("a = [\n", Some("has mistakes")),
            ("source = [{ name = \"a\" }]\n", Some("source = …")),
            ("[source]\nname = \"a\"\n", Some("[source]")),
        ] {
            let reason = reason_against_source(text);
            match (reason, expected) {
                (Some(reason), Some(expected)) => assert!(reason.contains(expected), "{text}"),
                (reason, expected) => assert_eq!(reason, expected, "{text}"),
            }
        }
    }
}
