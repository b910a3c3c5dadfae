//! `main-node backup`: a verified copy of the database, also while the service runs.

use std::path::Path;

use super::{FAILED, local_settings, print_out, switch_to_owner};
use crate::config::Overrides;
use crate::db::backup as database_backup;

pub fn backup(overrides: &Overrides, target: &Path) -> u8 {
    let database = match local_settings(overrides) {
        Ok(essentials) => essentials.database,
        Err(status) => return status,
    };
    switch_to_owner(&database);
    match database_backup::backup(&database, target) {
        Ok(backup) => print_out(&format_args!(
            "{}: {} records, {} bytes, verified\n",
            target.display(),
            backup.records,
            backup.bytes
        )),
        Err(error) => {
            eprintln!("{error}");
            FAILED
        }
    }
}
