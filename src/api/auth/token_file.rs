//! File of tokens, `tokens.json`: what a restart needs to go on without another login.
//!
//! Beside the database, never in it. Read and written by the fetch thread that renews a token, under
//! an advisory lock of its directory, so that `once` and the service do not renew at the same time.

mod leftovers;
mod state;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::token_expiry::StoredExpiry;
use crate::api::auth::AuthClient;
use crate::api::http_response::FetchError;
use crate::domain::failure::{Cause, Failure};
use crate::domain::text::hexadecimal;
use crate::limits;
use crate::sys::os_error::reason;
use crate::sys::private_file::{Replacement, parent_directory, restrict_to_owner};
use crate::sys::privileges::user_id;
use crate::sys::sync::Mutex;

pub const FILE_NAME: &str = "tokens.json";
const VERSION: u32 = 1;
const NOT_A_FILE: &str = "it is not a file";

#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    /// Held while the file is changed.
    change: Mutex<()>,
    lock: Mutex<DirectoryLock>,
    is_mode_checked: AtomicBool,
}

/// The lock of this process: its threads share it.
#[derive(Debug, Default)]
struct DirectoryLock {
    holders: usize,
    directory: Option<File>,
    /// What an earlier process left behind was looked at.
    is_tidy: bool,
}

/// Of whom a token is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenOwner {
    /// `auth:NAME` of a table, `source:NAME` of a source with an `auth` of its own.
    pub name: String,
    /// A hash of what the token was got with: another server or user does not get it.
    pub identity: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    pub access_token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// A hash of what else was asked for, such as the scope: the refresh token is good for another,
    /// the access token is not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// Missing where the server does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<StoredExpiry>,
}

#[derive(Serialize, Deserialize)]
struct TokenEntry {
    owner: TokenOwner,
    token: StoredToken,
}

#[derive(Serialize, Deserialize)]
struct TokenFileContent {
    version: u32,
    /// The oldest first.
    tokens: Vec<TokenEntry>,
}

/// What the file is found to be.
enum FoundFile {
    Absent,
    Damaged,
    Tokens(Vec<TokenEntry>),
}

/// While it exists, no other process renews a token of this file.
pub struct TokenFileLock<'a>(&'a TokenFile);

impl TokenFile {
    pub fn beside(database: &Path) -> TokenFile {
        TokenFile {
            path: database.with_file_name(FILE_NAME),
            change: Mutex::default(),
            lock: Mutex::default(),
            is_mode_checked: AtomicBool::new(false),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for another process, at most until the time of the fetch is over.
    pub fn lock(&self, client: &dyn AuthClient) -> Result<TokenFileLock<'_>, FetchError> {
        loop {
            if self.try_lock() {
                return Ok(TokenFileLock(self));
            }
            if client.is_stopping() {
                return Err(FetchError::Stopped);
            }
            let left = client.deadline().saturating_duration_since(Instant::now());
            if left.is_zero() {
                let detail = "another main-node process renews a token and does not end";
                return Err(FetchError::Failed(Failure::new(Cause::Timeout, detail)));
            }
            std::thread::sleep(left.min(limits::AUTH_WAIT_STEP));
        }
    }

    /// `false` while another process has it. Where a file system has no locks, none is needed
    /// enough to do without tokens.
    fn try_lock(&self) -> bool {
        let mut lock = self.lock.lock();
        if lock.holders == 0
            && let Ok(directory) = File::open(parent_directory(&self.path))
        {
            let locked = rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive);
            if locked == Err(rustix::io::Errno::WOULDBLOCK) {
                return false;
            }
            lock.directory = Some(directory);
            // Without a lock another process may be writing.
            if locked.is_ok() && !std::mem::replace(&mut lock.is_tidy, true) {
                self.take_leftovers();
            }
        }
        lock.holders += 1;
        true
    }

    /// The token of an owner, if the file has one. `Err` completes "FILE cannot be used: …".
    pub fn load(&self, owner: &TokenOwner) -> Result<Option<StoredToken>, String> {
        let entries = match self.read()? {
            FoundFile::Absent => return Ok(None),
            FoundFile::Damaged => {
                log::warn!(
                    "{} is damaged: the tokens in it are lost, and the next one replaces it",
                    self.path.display()
                );
                return Ok(None);
            }
            FoundFile::Tokens(entries) => entries,
        };
        let mut entries = entries.into_iter();
        Ok(entries.find(|it| it.owner == *owner).map(|it| it.token))
    }

    /// Reserves the space of a token before it is asked for: a server that has given a new refresh
    /// token takes the old one no more. `Err` completes "FILE cannot be written: …".
    pub fn prepare(&self, owner: &TokenOwner) -> Result<Replacement, String> {
        let size = self.path.metadata().map_or(0, |it| it.len());
        let bytes = size.min(limits::TOKEN_FILE_BYTES) + limits::TOKEN_ENTRY_BYTES;
        if self.path.is_dir() {
            return Err("it is a directory".to_owned());
        }
        Replacement::prepare(&self.path, &suffix(owner), bytes).map_err(|error| reason(&error))
    }

    /// Writes a token, and returns when a power cut does not lose it. `Err` as above.
    pub fn store(
        &self,
        prepared: Replacement,
        owner: &TokenOwner,
        token: &StoredToken,
    ) -> Result<(), String> {
        let _change = self.change.lock();
        let mut tokens = match self.read()? {
            FoundFile::Tokens(entries) => entries,
            FoundFile::Absent => Vec::new(),
            FoundFile::Damaged => {
                self.keep_damaged();
                Vec::new()
            }
        };
        tokens.retain(|it| it.owner != *owner);
        // Tokens of earlier settings: a setting that is taken back finds its own.
        let of_name = |it: &TokenEntry| it.owner.name == owner.name;
        while tokens.iter().filter(|it| of_name(it)).count() >= limits::TOKENS_PER_AUTH
            && let Some(oldest) = tokens.iter().position(of_name)
        {
            tokens.remove(oldest);
        }
        tokens.push(TokenEntry {
            owner: owner.clone(),
            token: token.clone(),
        });
        while tokens.len() > limits::TOKENS {
            tokens.remove(0);
        }
        let content = TokenFileContent {
            version: VERSION,
            tokens,
        };
        let mut text = serde_json::to_vec_pretty(&content).map_err(|error| error.to_string())?;
        text.push(b'\n');
        prepared.commit(&text).map_err(|error| reason(&error))
    }

    fn keep_damaged(&self) {
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let aside = path.with_file_name(format!("{FILE_NAME}.damaged"));
        match fs::rename(&path, &aside) {
            Ok(()) => log::warn!("the damaged file is kept as {}", aside.display()),
            Err(error) => log::warn!("the damaged file is replaced: {}", reason(&error)),
        }
    }

    fn read(&self) -> Result<FoundFile, String> {
        // Opening a pipe would wait for whoever writes to it.
        if self.path.metadata().is_ok_and(|it| !it.is_file()) {
            return Err(NOT_A_FILE.to_owned());
        }
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FoundFile::Absent),
            Err(error) => return Err(self.cannot_open(&error)),
        };
        let metadata = file.metadata().map_err(|error| reason(&error))?;
        if metadata.is_file() && !self.is_mode_checked.swap(true, Ordering::Relaxed) {
            restrict_to_owner(&file, &self.path);
        }
        self.read_file(&mut file)
    }

    fn read_file(&self, file: &mut File) -> Result<FoundFile, String> {
        if !file.metadata().is_ok_and(|it| it.is_file()) {
            return Err(NOT_A_FILE.to_owned());
        }
        let mut bytes = Vec::new();
        let most = limits::TOKEN_FILE_BYTES;
        file.take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| reason(&error))?;
        if bytes.len() as u64 > most {
            return Ok(FoundFile::Damaged);
        }
        parse(&bytes)
    }

    fn cannot_open(&self, error: &io::Error) -> String {
        let owner = self.path.metadata().map(|it| it.uid());
        match owner {
            Ok(uid) if error.kind() == ErrorKind::PermissionDenied => of_other_user(uid),
            _ => reason(error),
        }
    }
}

impl Drop for TokenFileLock<'_> {
    fn drop(&mut self) {
        let mut lock = self.0.lock.lock();
        lock.holders = lock.holders.saturating_sub(1);
        if lock.holders == 0 {
            lock.directory = None;
        }
    }
}

fn parse(bytes: &[u8]) -> Result<FoundFile, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_slice::<Versioned>(bytes) {
        Ok(it) if it.version > VERSION => {
            Err("it was written by a newer version of main-node".to_owned())
        }
        Ok(_) => Ok(serde_json::from_slice::<TokenFileContent>(bytes)
            .map_or(FoundFile::Damaged, |it| FoundFile::Tokens(it.tokens))),
        Err(_) => Ok(FoundFile::Damaged),
    }
}

/// In the name of the temporary file with the token of an owner.
fn suffix(owner: &TokenOwner) -> String {
    let hash = hash([owner.name.as_str(), &owner.identity]);
    hash.get(..8).unwrap_or_default().to_owned()
}

fn of_other_user(owner: u32) -> String {
    format!(
        "it belongs to the user with the ID {owner}, and this is {}: give it to the user of the service \
         with `chown`",
        user_id()
    )
}

/// SHA-256 of several texts, in hexadecimal.
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    hexadecimal(context.finish().as_ref())
}

#[cfg(test)]
#[path = "tests/token_file.rs"]
mod tests;
