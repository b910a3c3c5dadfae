//! Use that OpenAPI files of the configuration are read for: a service or a command.

/// What reading the files is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiFileUse {
    /// `serve`: an API whose file cannot be used costs its sources alone.
    Service,
    /// A reload of the service: a file that cannot be used is a problem.
    Reload,
    /// A command, which may take more memory; a file that cannot be used is a problem.
    #[default]
    Command,
}
