//! What is compiled in and what is made of a file at run time are one: `make corpus` asks this
//! of published files, this test of our own. And the comparison sees what differs.

#![allow(dead_code)]

/// What `request` needs of main-node.
#[path = "../../src/domain"]
mod domain {
    pub mod percent;
}
#[path = "../../src/api"]
mod api {
    pub mod basic_auth;
    #[path = "../../codegen/tests/fixtures/everything.rs"]
    pub mod everything;
    pub mod request;
    #[path = "../../codegen/tests/fixtures/search.rs"]
    pub mod search;
}
#[path = "../examples/corpus/both_ways/mod.rs"]
mod both_ways;

use both_ways::{CompiledIn, compare};
