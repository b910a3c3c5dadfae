#![allow(dead_code)]
mod domain;
mod limits;
mod sys;
fn main() {}
