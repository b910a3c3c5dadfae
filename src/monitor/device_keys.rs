//! Keys of the devices that show pictures (`[[display]] device`), and to whom one may be given.
//!
//! Owns `displays.json` beside the database: a secret that every key is made of, and which devices
//! have theirs. Workers and `main-node pair` read and write it; a key is checked from memory, on the
//! thread that serves all clients, which reads the file again where a key is wrong and the file another.
//! No key is in the file, and none in a log.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

use crate::domain::plan::MacAddress;
use crate::domain::text::hexadecimal;
use crate::domain::time::Wall;
use crate::limits;
use crate::sys::os_error::reason;
use crate::sys::private_file::{Replacement, restrict_to_owner};
use crate::sys::sync::Mutex;
use crate::sys::text_file;

const FILE_NAME: &str = "displays.json";
const SECRET_BYTES: usize = 32;

pub struct DeviceKeys {
    path: PathBuf,
    /// As in the file; `None` until it was read.
    secret: Mutex<Option<hmac::Key>>,
    /// Of the file when it was read last.
    version: Mutex<Option<FileVersion>>,
    /// Held while the file is changed.
    change: Mutex<()>,
}

/// The answer to a device that asks for its key.
#[derive(PartialEq, Eq)]
pub enum KeyRequest {
    Given(String),
    /// It was given before: `main-node pair` allows it again.
    NotAgain,
}

impl DeviceKeys {
    pub fn beside(database: &Path) -> DeviceKeys {
        DeviceKeys {
            path: DeviceKeys::file_beside(database),
            secret: Mutex::default(),
            version: Mutex::default(),
            change: Mutex::default(),
        }
    }

    /// The file of a database.
    pub fn file_beside(database: &Path) -> PathBuf {
        database.with_file_name(FILE_NAME)
    }

    /// Reads the secret, so that keys of an earlier run are good; whether there is one.
    ///
    /// # Errors
    /// Which file cannot be used, why, and what to do.
    pub fn load(&self) -> Result<bool, String> {
        Ok(self.read()?.is_some())
    }

    /// Takes the file from other users who may read it, and says so in the log.
    pub fn restrict_to_owner(&self) {
        let is_file = self.path.metadata().is_ok_and(|it| it.is_file());
        if let Some(file) = is_file.then(|| File::open(&self.path).ok()).flatten() {
            restrict_to_owner(&file, &self.path);
        }
    }

    /// Whether this is the key of the device, in a time that does not depend on either.
    pub fn opens(&self, device: &MacAddress, key: &str) -> bool {
        // Another process made the file, or put back an older one: `main-node pair`, a backup.
        self.is_key(device, key) || (self.reread_if_changed() && self.is_key(device, key))
    }

    /// Reads the file again if it is not the one that was read last; whether it has a secret then.
    fn reread_if_changed(&self) -> bool {
        let found = self.path.metadata().ok();
        let Some(version) = found.map(|it| FileVersion::of(&it)) else {
            return false;
        };
        let is_other = *self.version.lock() != Some(version);
        is_other && self.read().is_ok_and(|it| it.is_some())
    }

    fn is_key(&self, device: &MacAddress, key: &str) -> bool {
        let secret = self.secret.lock().clone();
        match (secret, from_hexadecimal(key)) {
            (Some(secret), Some(key)) => {
                hmac::verify(&secret, device.as_str().as_bytes(), &key).is_ok()
            }
            _ => false,
        }
    }

    /// Gives a device its key. `is_once`: only the first time, and for
    /// [`limits::PAIRING_TIME`] after [`DeviceKeys::pair`].
    ///
    /// # Errors
    /// As [`DeviceKeys::load`].
    pub fn request(
        &self,
        device: &MacAddress,
        is_once: bool,
        now: Wall,
    ) -> Result<KeyRequest, String> {
        let _change = self.change.lock();
        let (mut content, secret) = self.read_or_new()?;
        let entry = &content["devices"][device.as_str()];
        let was_given = entry["given"].as_bool().unwrap_or_default();
        let paired = entry["paired"]
            .as_i64()
            .map(|at| now.second().saturating_sub(at));
        let is_paired = paired.is_some_and(|age| (0..PAIRING_SECONDS).contains(&age));
        if is_once && was_given && !is_paired {
            return Ok(KeyRequest::NotAgain);
        }
        if !was_given {
            content["devices"][device.as_str()]["given"] = json!(true);
            self.write(&content, "serve")?;
        }
        let key = hmac::sign(&secret, device.as_str().as_bytes());
        Ok(KeyRequest::Given(hexadecimal(key.as_ref())))
    }

    /// Allows a device to get its key again; that key.
    ///
    /// # Errors
    /// As [`DeviceKeys::load`].
    pub fn pair(&self, device: &MacAddress, now: Wall) -> Result<String, String> {
        let _change = self.change.lock();
        let (mut content, secret) = self.read_or_new()?;
        content["devices"][device.as_str()]["paired"] = json!(now.second());
        self.write(&content, "pair")?;
        let key = hmac::sign(&secret, device.as_str().as_bytes());
        Ok(hexadecimal(key.as_ref()))
    }

    /// The content of the file, and the secret in it; a new one where there is no file.
    fn read_or_new(&self) -> Result<(Value, hmac::Key), String> {
        if let Some(found) = self.read()? {
            return Ok(found);
        }
        if self.secret.lock().is_some() {
            log::warn!(
                "{} was removed: there is a new one, and each TRMNL device has to be set up again",
                self.path.display()
            );
        }
        let mut secret = [0; SECRET_BYTES];
        let filled = SystemRandom::new().fill(&mut secret);
        filled.map_err(|_| "the system has no random numbers for a key".to_owned())?;
        let content = json!({ "version": 1, "secret": hexadecimal(&secret), "devices": {} });
        self.write(&content, "new")?;
        self.read()?
            .ok_or_else(|| self.error("read", "it is gone again"))
    }

    fn read(&self) -> Result<Option<(Value, hmac::Key)>, String> {
        match self.path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(it) if !it.is_file() && !it.is_symlink() => {
                return Err(self.error("read", "it is no file. Remove it"));
            }
            _ => {}
        }
        // Before it is read: one that is replaced meanwhile is read again.
        let found = self.path.metadata().ok();
        *self.version.lock() = found.map(|it| FileVersion::of(&it));
        let text = text_file::read(&self.path).map_err(|why| self.error("read", &why))?;
        let content: Value = serde_json::from_str(&text).unwrap_or_default();
        let secret = content["secret"].as_str().and_then(from_hexadecimal);
        let devices = content["devices"].as_object();
        let is_sound = devices.is_some_and(|it| it.values().all(Value::is_object));
        if let Some(version) = content["version"].as_u64().filter(|it| *it > 1) {
            let why = format!("it is of a newer main-node (version {version})");
            return Err(self.error("used", &why));
        }
        let Some(secret) = secret.filter(|_| is_sound) else {
            let why = "it is damaged. Remove it and set each TRMNL device up again";
            return Err(self.error("used", why));
        };
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        *self.secret.lock() = Some(secret.clone());
        Ok(Some((content, secret)))
    }

    /// `writer` tells apart temporary files of processes that write at the same time.
    fn write(&self, content: &Value, writer: &str) -> Result<(), String> {
        let text = format!("{content:#}\n");
        Replacement::prepare(&self.path, writer, text.len() as u64)
            .and_then(|file| file.commit(text.as_bytes()))
            .map_err(|error| self.error("written", &reason(&error)))
    }

    fn error(&self, what: &str, why: &str) -> String {
        format!("{} cannot be {what}: {why}", self.path.display())
    }
}

/// What tells a file from the one that replaced it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileVersion {
    device: u64,
    inode: u64,
    bytes: u64,
    changed_s: i64,
    changed_ns: i64,
}

impl FileVersion {
    fn of(metadata: &Metadata) -> FileVersion {
        FileVersion {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
        }
    }
}

const PAIRING_SECONDS: i64 = limits::PAIRING_TIME.as_secs() as i64;

/// 32 bytes in hexadecimal.
fn from_hexadecimal(text: &str) -> Option<[u8; SECRET_BYTES]> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; SECRET_BYTES];
    let pairs = text.as_bytes().chunks(2);
    if text.len() != 2 * SECRET_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair else { return None };
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "tests/device_keys.rs"]
mod tests;
