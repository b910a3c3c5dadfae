//! OpenAPI files: whether the service can read them, and what it needs of large ones.

use std::fs::File;

use super::Finding::{self, Note, Problem};
use crate::commands::is_hidden_from_service;
use crate::config::service::InstalledService;
use crate::config::{ApiFile, Config};
use crate::sys::os_error::reason;
use crate::sys::privileges;

/// Writes the lowered forms that the service needs. This process has become the user that the database
/// belongs to, who is the service's.
pub fn findings(config: &Config, service: &InstalledService) -> Vec<Finding> {
    let is_installed = *service != InstalledService::default();
    let apis = config.apis.iter();
    apis.flat_map(|api| {
        let unreadable = unreadable(api, is_installed);
        let lowered_form = api.lowered_form.as_ref();
        let lowered_form = lowered_form.map(|form| match form.write() {
            Ok(()) => Note(form.written()),
            Err(problem) => Problem(problem),
        });
        unreadable.into_iter().chain(lowered_form)
    })
    .collect()
}

/// The first file of an API that the service cannot read.
fn unreadable(api: &ApiFile, is_installed: bool) -> Option<Finding> {
    let mut files = api.files.iter().filter(|file| file.exists());
    files.find_map(|file| {
        let shown = file.display();
        if is_installed && is_hidden_from_service(file) {
            return Some(Problem(format!(
                "the service does not see {shown}, because its unit hides home directories and /tmp: move the \
                 file to /etc/main-node and name it there"
            )));
        }
        let opened = privileges::without_override(|| File::open(file)).flatten();
        let error = opened.err()?;
        Some(Problem(format!(
            "the service cannot read {shown}: {}. Let everybody read it: chmod a+r {shown}",
            reason(&error)
        )))
    })
}
