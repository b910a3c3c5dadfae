#![allow(dead_code)]
mod db;
mod domain;
mod limits;
mod monitor;
mod sys;
fn main() {}
