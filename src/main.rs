//! A stand-in until main-node's own `main.rs` is here.
#![allow(dead_code)]

mod api {
    pub mod client;
    pub mod request;
}
mod domain {
    pub mod operation;
    pub mod schema;
}

fn main() {
    println!("{}", api::client::CALLS.len());
}
