#![allow(dead_code)]
mod config;
mod domain;
mod ingest;
mod limits;
mod monitor;
mod sys;
fn main() {}
