//! Parsed body of a response: the tree that selections read, and what could not be read.
//!
//! Values.

use serde_json::Value as Json;

use crate::domain::reading::Issue;

/// A parsed body.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedBody {
    pub tree: Json,
    /// What of the body could not be read.
    pub issues: Vec<Issue>,
    /// What stands in the body where the tree has null for a number that is none.
    pub not_numbers: Vec<NotANumber>,
}

/// A bare `nan` or `inf`, read as null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotANumber {
    /// RFC 6901 JSON Pointer.
    pub pointer: String,
    /// As it is spelled.
    pub text: String,
}

impl From<Json> for ParsedBody {
    fn from(tree: Json) -> ParsedBody {
        ParsedBody {
            tree,
            issues: Vec::new(),
            not_numbers: Vec::new(),
        }
    }
}
