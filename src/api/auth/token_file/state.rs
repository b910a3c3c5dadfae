//! State of the file of tokens, as `check` tells it: whether it can be used, by whom, and its age.
//!
//! Reads and changes nothing; a service may use the file meanwhile.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::{FoundFile, TokenFile};
use crate::domain::text::{count_noun, human_duration};
use crate::domain::time::Wall;
use crate::sys::disk;
use crate::sys::os_error::reason;
use crate::sys::private_file::parent_directory;
use crate::sys::privileges::user_id;

impl TokenFile {
    /// What there is, without any token. `Err`: what a person must change.
    pub fn state(&self, now: Wall) -> Result<String, String> {
        let path = self.path().display();
        let found = self
            .find(now)
            .map_err(|problem| format!("the tokens in {path} cannot be used: {problem}"))?;
        let directory = parent_directory(self.path());
        if !disk::is_writable(directory) {
            return Err(format!(
                "{path} cannot be written: the directory {} is not writable for this user; give it to \
                 the user of the service",
                directory.display()
            ));
        }
        Ok(format!("{path} {found}"))
    }

    fn find(&self, now: Wall) -> Result<String, String> {
        let metadata = match self.path().metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok("will be created for tokens".to_owned());
            }
            Err(error) => return Err(reason(&error)),
        };
        let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
        if !metadata.is_file() {
            return Err(super::NOT_A_FILE.to_owned());
        }
        if mode & 0o077 != 0 {
            return Err(format!(
                "other users can read it (mode {mode:03o}): chmod 600 {}; get new tokens if somebody may \
                 have read it",
                self.path().display()
            ));
        }
        let user = user_id();
        if owner != user && user != 0 {
            return Err(super::of_other_user(owner));
        }
        let mut file = File::open(self.path()).map_err(|error| self.cannot_open(&error))?;
        match self.read_file(&mut file)? {
            FoundFile::Tokens(tokens) => {
                let age = now.since(Wall::from_second(metadata.mtime()));
                Ok(format!(
                    "has {}, readable for the user with the ID {owner} alone (mode {mode:03o}); the last is \
                     {} old",
                    count_noun(tokens.len(), "token"),
                    human_duration(age)
                ))
            }
            FoundFile::Absent | FoundFile::Damaged => Err(
                "it is damaged; the next token replaces it, and refresh tokens begin again with those of \
                 the configuration"
                    .to_owned(),
            ),
        }
    }
}
