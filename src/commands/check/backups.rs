//! Checks of automatic backups: their directory, and whether the service may write to it.
//!
//! Changes nothing; the service may run meanwhile.

use super::Finding::{self, Fine, Note, Problem};
use crate::config::Config;
use crate::config::service::InstalledService;
use crate::db::backup::directory;
use crate::db::file;
use crate::domain::text::human_duration;
use crate::sys::os_error::reason;
use crate::sys::privileges;
use crate::sys::service_access::drop_in;

pub fn findings(config: &Config, service: &InstalledService) -> Vec<Finding> {
    let Some(every) = config.backup_every else {
        let text = "backup_to has no effect: say how often with backup_every, such as \"1d\"";
        let is_alone = config.backup_to.is_some();
        return is_alone
            .then(|| Note(text.to_owned()))
            .into_iter()
            .collect();
    };
    let path = file::parent_directory(&config.backups_named_after());
    let shown = path.display();
    if config.backup_to.is_none() {
        // The directory of the database, which is checked.
        return Vec::new();
    }
    let problem = |why: String| {
        vec![Problem(format!(
            "the directory of backups {shown} cannot be used: {why}"
        ))]
    };
    if service.hides(&path) {
        return problem(directory::HIDDEN.to_owned());
    }
    // As the service will: root may write everywhere.
    match privileges::without_override(|| directory::problem(&path)) {
        Err(error) => return problem(reason(&error)),
        Ok(Some(why)) => return problem(why),
        Ok(None) => {}
    }
    if !service.may_write(&path) {
        return problem(format!(
            "the unit of the service makes it read-only: {}",
            drop_in(&path)
        ));
    }
    let mut findings = vec![Fine(format!(
        "backups are written to {shown} every {}, and the newest {} are kept",
        human_duration(every),
        config.backup_keep
    ))];
    if directory::is_same_file_system(&path, &config.database) {
        findings.push(Note(format!(
            "backups in {shown} are on the file system of the database, and a disk that dies takes \
             both: is the disk for the backups mounted there?"
        )));
    }
    findings
}

/// Whether the unit lets the service write to the directory of the database.
pub fn database_in_unit(config: &Config, service: &InstalledService) -> Option<Finding> {
    let path = file::parent_directory(&config.database);
    if service.hides(&path) {
        return Some(Note(format!(
            "the service cannot see the database in {}: its unit hides that directory \
             (`ProtectHome=`, `PrivateTmp=`); name another place with `database = …`",
            path.display()
        )));
    }
    (!service.may_write(&path)).then(|| {
        Note(format!(
            "the service cannot write to {}, where the database is: {}",
            path.display(),
            drop_in(&path)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    #[test]
    fn a_directory_that_cannot_be_used_is_a_problem() {
        let directory = crate::golden::scratch("check-backups");
        let strict = InstalledService {
            writable: Some(vec!["/var/lib/main-node".into()]),
            hides_homes: true,
            ..InstalledService::default()
        };
        let free = InstalledService::default();
        let day = Some(Duration::from_secs(86_400));
        let absent = directory.join("none");
        let cases: [(_, Option<&Path>, _, &[&str]); 7] = [
            (None, None, &free, &[]),
            (day, None, &free, &[]),
            (
                None,
                Some(&absent),
                &free,
                &["note: backup_to has no effect: "],
            ),
            (
                day,
                Some(&absent),
                &free,
                &["problem: the directory of backups "],
            ),
            (
                day,
                Some(&directory),
                &free,
                &["fine: backups are written to ", "note: backups in "],
            ),
            (
                day,
                Some(&directory),
                &strict,
                &["problem: the directory of backups "],
            ),
            (
                day,
                Some(Path::new("/home/pi")),
                &strict,
                &["problem: the directory of backups /home/pi cannot be used: its unit hides it"],
            ),
        ];
        for (every, to, service, expected) in cases {
            let mut config = Config::with_defaults(None, "attic".to_owned());
            config.database = directory.join("main-node.db");
            (config.backup_every, config.backup_to) = (every, to.map(PathBuf::from));
            let found = findings(&config, service).into_iter().map(|it| match it {
                Fine(text) => format!("fine: {text}"),
                Note(text) => format!("note: {text}"),
                Problem(text) => format!("problem: {text}"),
                _ => String::new(),
            });
            let found: Vec<String> = found.collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with(expected), "{found}");
            }
        }
    }
}
