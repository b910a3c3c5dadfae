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

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments = match cli::parse(&arguments) {
        Ok(arguments) => arguments,
        Err((text, status)) => {
            eprintln!("{text}");
            std::process::exit(status.into());
        }
    };
    sys::log::init();
    let load = |file: &Option<String>| {
        let overrides = config::Overrides {
            file: file.clone().or(arguments.config.clone()).map(Into::into),
            ..Default::default()
        };
        let environment = config::environment::Environment::of_process();
        config::load(&overrides, environment, &[]).unwrap_or_else(|problems| {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            std::process::exit(2);
        })
    };
    let status = match &arguments.command {
        Some(cli::Command::TestAlert(it)) => commands::test_alert::run(&load(&it.config)),
        Some(cli::Command::Rehearse(it)) => {
            print!("{}", commands::rehearse::run(&load(&it.config)));
            0
        }
        _ => 2,
    };
    std::process::exit(status.into());
}
