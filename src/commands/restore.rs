//! `main-node restore`: replaces the database by a copy at the next start.

use std::path::Path;

use super::{FAILED, installed_service, local_settings, print_out};
use crate::config::Overrides;
use crate::config::service::InstalledService;
use crate::db::open::DatabaseLocation;
use crate::db::restore;
use crate::sys::{privileges, systemd_unit};

pub fn restore(overrides: &Overrides, file: &Path) -> u8 {
    let essentials = match local_settings(overrides) {
        Ok(essentials) => essentials,
        Err(status) => return status,
    };
    let location = DatabaseLocation {
        path: essentials.database,
        is_default: essentials.database_is_default,
    };
    // Keeps root privileges to restart the service; the staged file gets the database's owner.
    let backup = match restore::stage(file, &location) {
        Ok(backup) => backup,
        Err(message) => {
            eprintln!("{message}");
            return FAILED;
        }
    };
    let database = location.path.display();
    print_out(&format_args!(
        "{}: {} records, verified. It replaces {database} when main-node starts; the previous \
         database is kept as {database}.replaced-DATE\n",
        file.display(),
        backup.records
    ));
    let is_of_service =
        overrides.database.is_none() && installed_service(overrides) != InstalledService::default();
    if !is_of_service {
        return print_out(&"If main-node is running, restart it.\n");
    }
    if !privileges::is_root() {
        return print_out(&"If the service is running: sudo systemctl restart main-node\n");
    }
    if !systemd_unit::is_active() {
        return print_out(&"main-node is not running: systemctl start main-node\n");
    }
    match systemd_unit::restart() {
        Ok(()) => print_out(&"main-node was restarted.\n"),
        Err(reason) => {
            eprintln!("main-node could not be restarted ({reason}): systemctl restart main-node");
            FAILED
        }
    }
}
