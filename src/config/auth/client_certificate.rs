//! TLS client certificate of `auth`: `certificate`, `key`.

use std::path::Path;

use super::Reported;
use crate::config::reader::TableReader;
use crate::sys::tls::ClientCertificateFiles;

/// Reads the names of the files, and the files for what is wrong with them.
pub fn read(
    table: &mut TableReader<'_>,
    directory: &Path,
) -> Result<Option<ClientCertificateFiles>, Reported> {
    let (certificate, key) = (table.get("certificate"), table.get("key"));
    let Some(certificate_entry) = certificate else {
        return match key {
            None => Ok(None),
            Some(entry) => {
                entry.problem("`key` belongs to a `certificate`, which is missing: name its file");
                Err(Reported)
            }
        };
    };
    let certificate = certificate_entry.text().ok_or(Reported)?;
    let key_name = match &key {
        Some(entry) => Some(entry.text().ok_or(Reported)?),
        None => None,
    };
    let files = ClientCertificateFiles {
        certificate: directory.join(certificate),
        key: key_name.map(|key| directory.join(key)),
    };
    if let Err(error) = files.load() {
        let entry = match &key {
            Some(key) if error.is_key => key,
            _ => &certificate_entry,
        };
        entry.problem(error.to_string());
        return Err(Reported);
    }
    Ok(Some(files))
}
