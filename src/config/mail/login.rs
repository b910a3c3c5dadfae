//! Login at the mail server: password, or an access token of an `[auth.NAME]`.

use std::path::Path;

use super::{FoundValue, MailTls};
use crate::config::reader::{ConfigReader, TableEntry};
use crate::config::secret::Secret;
use crate::sys::text_file;

pub fn check_login(reader: &ConfigReader<'_>, user: &FoundValue, has_password: bool, tls: MailTls) {
    if !has_password {
        let message = "the mail server has a user, but no password: set SMTP_PASS, or \
                       `password_file` in [mail]";
        reader.problem_at(&user.location, message);
    }
    if tls == MailTls::None {
        let message = "the password would go to the mail server unencrypted: set tls = \
                       \"starttls\" or \"implicit\", or remove user and password";
        reader.problem_at(&user.location, message);
    }
}

/// Checks what accompanies `auth`.
pub fn check_token_login(
    auth: &TableEntry<'_>,
    user: Option<&FoundValue>,
    has_password: bool,
    tls: MailTls,
) {
    if user.is_none() {
        auth.problem("`auth` needs `user` in [mail]: the mailbox that the access token is for");
    }
    if has_password {
        let message = "`auth` logs in with an access token: remove the password (`password`, \
                       `password_file` or SMTP_PASS), or `auth`";
        auth.problem(message);
    }
    if tls == MailTls::None {
        let message = "the access token would go to the mail server unencrypted: set tls = \
                       \"starttls\" or \"implicit\", or remove user and auth";
        auth.problem(message);
    }
}

/// Precedence of the password: environment, `password_file`, `password`.
pub fn read_password(
    reader: &ConfigReader<'_>,
    file: Option<FoundValue>,
    found: Option<FoundValue>,
) -> Option<Secret> {
    let is_outside = found.as_ref().is_some_and(|found| found.is_external);
    let (Some(file), false) = (file, is_outside) else {
        return found.map(|found| reader.secret(found.text));
    };
    match text_file::read(Path::new(&file.text)) {
        Ok(text) => Some(reader.secret(text.trim_end_matches(['\n', '\r']).to_owned())),
        Err(error) => {
            let message = format!("the password file {} cannot be read: {error}", file.text);
            reader.problem_at(&file.location, message);
            None
        }
    }
}
