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
        Some(cli::Command::Serve(it)) => trial::serve(load(&it.config)),
        _ => 2,
    };
    std::process::exit(status.into());
}

/// A stand-in for the node, to try alerts as a process before they are wired: a fetch is a
/// TCP connection. Replaced with this file.
mod trial {
    use std::sync::mpsc::sync_channel;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use crate::alerts::delivery::{Bell, Delivery};
    use crate::db::outbox::{self, Unwritten};
    use crate::domain::alert::{NodeFacts, State};
    use crate::domain::health::{Cause, Failure};
    use crate::domain::outbox::{Outbox, Outcome, Pending};
    use crate::domain::reading::{Observation, Outcome as Fetched, Reading, Value};
    use crate::sys::clock::{Clock, SystemClock};
    use crate::{commands::alerting, config, domain, ingest, limits, sys};

    #[derive(Clone)]
    struct Store(Arc<Mutex<(rusqlite::Connection, Unwritten)>>);

    impl Outbox for Store {
        fn pending(&self, channel: &str) -> Pending {
            let store = self.0.lock().unwrap();
            store.1.pending(Some(&store.0), channel)
        }

        fn record(&self, channel: &str, outcome: Outcome) {
            let mut store = self.0.lock().unwrap();
            let (connection, unwritten) = &mut *store;
            let _ = unwritten.record(Some(connection), channel, outcome);
        }
    }

    pub fn serve(config: config::Config) -> u8 {
        let boot = sys::clock::boot_id();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::trusting());
        let connection = rusqlite::Connection::open(&config.database).unwrap();
        let _ = connection.execute_batch(outbox::DDL);
        let state = match outbox::restore(&connection, &boot).unwrap() {
            Some(state) => state.resumed(&boot, clock.now().mono),
            None => State::new(&boot),
        };
        let store = Store(Arc::new(Mutex::new((connection, Unwritten::default()))));
        let bell = Bell::default();
        let channel = alerting::mail_channel(&config).unwrap();
        let mail = Delivery::new(
            channel,
            Box::new(store.clone()),
            clock.clone(),
            bell.clone(),
            limits::GATHER,
        );
        let status = mail.status();
        let mail = sys::thread::spawn("mail", move || mail.run()).unwrap();
        let (send, observations) = sync_channel(16);
        let plan = Arc::new(config.plan());
        let (rings, from) = (bell.clone(), clock.clone());
        let ingest = ingest::Ingest {
            ledger: domain::ledger::Ledger::new(plan.clone()),
            plan: plan.clone(),
            rules: config.alert.clone(),
            alerts: state,
            clock: from,
            beat: Default::default(),
            store: Box::new(|_| ()),
            commit_alerts: Box::new(move |commit| {
                let mut store = store.0.lock().unwrap();
                let (connection, unwritten) = &mut *store;
                unwritten.add(commit, &["mail"]);
                unwritten.flush(connection).unwrap();
                rings.ring();
            }),
            node: Box::new(move || NodeFacts {
                delivery: status.get().trouble.into_iter().collect(),
                ..NodeFacts::default()
            }),
            publish: Box::new(|_| ()),
        };
        let ingest = sys::thread::spawn("ingest", move || ingest.run(&observations)).unwrap();
        let term = Arc::new(std::sync::atomic::AtomicBool::new(false));
        signal_hook::flag::register(15, term.clone()).unwrap();
        let config::Target::Url { url, .. } = &config.sources[0].target else {
            return 2;
        };
        let address = url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        while !term.load(std::sync::atomic::Ordering::Relaxed) {
            let outcome = match std::net::TcpStream::connect(&address) {
                Ok(_) => Fetched::Readings {
                    observed: None,
                    readings: vec![Reading {
                        key: "t".into(),
                        value: Value::Number(1.0),
                        unit: None,
                    }],
                    issues: Vec::new(),
                },
                Err(error) => Fetched::Failed {
                    failure: Failure::new(Cause::Connect, error.to_string()),
                    issues: Vec::new(),
                },
            };
            let at = clock.now();
            let every = plan.sources[0].every;
            let _ = send.send(Observation {
                source: 0,
                at,
                duration: Duration::ZERO,
                bytes: 0,
                outcome,
                next_in: every,
            });
            std::thread::sleep(every.min(Duration::from_millis(500)));
        }
        drop(send);
        let began = std::time::Instant::now();
        ingest.join_by(began + Duration::from_secs(5));
        bell.close();
        let ended = mail.join_by(began + Duration::from_secs(5));
        eprintln!("mail ended: {ended} after {:?}", began.elapsed());
        0
    }
}
