#![allow(dead_code)]
mod api;
mod domain;
mod limits;
mod monitor;
mod sys;
fn main() {}
