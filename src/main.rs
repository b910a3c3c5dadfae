#![allow(dead_code)]
mod domain;
mod limits;
mod monitor;
mod sys;
fn main() {}
