#![allow(dead_code)]
mod alerts;
mod cli;
mod commands;
mod config;
mod db;
mod domain;
#[cfg(test)]
mod golden;
mod ingest;
mod limits;
mod monitor;
mod sys;
fn main() {}
