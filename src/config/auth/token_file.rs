//! Token in a file that another program rotates: `token_file`.

use std::path::Path;

use super::token::read_placement;
use crate::config::auth_types::{ConfiguredCredential, TokenFileCredential};
use crate::config::problem::Severity;
use crate::config::reader::TableReader;
use crate::domain::secret_detection::is_likely_key;
use crate::sys::text_file;

pub const FORM: &str = "{ token_file = … }";

/// Reads the name of the file; its present token is masked from now on. The file may come later.
pub fn read(table: &mut TableReader<'_>, directory: &Path) -> Option<ConfiguredCredential> {
    let entry = table.get("token_file")?;
    let name = entry.text();
    let placement = read_placement(table);
    let name = name?;
    let path = directory.join(&name);
    // The name is not shown: it may be the token itself.
    match text_file::read(&path) {
        Ok(text) => match text_file::one_line(&text) {
            Some(token) => entry.add_secret(token),
            None => entry.remark(
                Severity::Problem,
                "token_file: the file holds no token: expected one line with the token alone",
            ),
        },
        Err(problem) => {
            if is_likely_key(&name) {
                entry.add_secret(name);
            }
            let message = format!(
                "token_file: the file cannot be read: {problem}; the source fails until it is there"
            );
            entry.remark(Severity::Problem, message);
        }
    }
    Some(ConfiguredCredential::TokenFile(TokenFileCredential {
        path,
        placement: placement?,
    }))
}
