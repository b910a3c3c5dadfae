//! Parts of a request in the configuration: URL, parameters, headers, body, and the places of values
//! in its response.
//!
//! Read for sources and for what authenticates them.

pub mod arguments;
pub mod body;
pub mod headers;
mod operation_body;
pub mod placeholders;
pub mod url;
pub mod value_path;
