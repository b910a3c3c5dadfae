use super::*;
use std::time::Duration;

use crate::domain::time::ClockTrust;
use crate::monitor::context::PING;
use crate::monitor::support::{self as testing, NodeFixture};

/// Name of the case, the fixture, the verdict, the sentence.
#[test]
fn the_headline_is_the_worst_problem() {
    use DataStatus::*;
    let mut restarted = testing::healthy().failing("weather", Cause::Tls, 60);
    restarted.source("weather").health.last_success = None;
    let rows: [(&str, NodeFixture, DataStatus, &str); 19] = [
        ("fresh", testing::healthy(), Pass, "Both sources are fresh."),
        (
            "a reload that was refused",
            testing::healthy().refusing_configuration(7_200),
            Warn,
            "The new configuration is not in use since the reload at 19:00: main-node.toml:3:1: unknown option \"titel\" (1 further problem). The one from before it is.",
        ),
        (
            "nothing configured",
            NodeFixture::default(),
            Fail,
            "There are no sources: nothing is configured.",
        ),
        (
            "just started",
            testing::just_started(),
            Fail,
            "Waiting for the first responses from 2 sources.",
        ),
        (
            "a dead source",
            testing::healthy().failing("weather", Cause::Dns, 1_380),
            Warn,
            "weather has not answered for 23 min: its name cannot be resolved.",
        ),
        (
            "never a response",
            testing::just_started().failing("weather", Cause::Tls, 60),
            Fail,
            "weather has never answered: the TLS connection failed.",
        ),
        (
            "a response in an earlier run",
            restarted,
            Warn,
            "weather has not answered since the start: the TLS connection failed.",
        ),
        (
            "the network is down",
            testing::healthy()
                .failing("weather", Cause::Dns, 600)
                .failing("meter", Cause::Timeout, 300),
            Warn,
            "None of the 2 sources has been reachable for 5 min: the network of this machine seems to be down.",
        ),
        (
            "both fail, each in its way",
            testing::healthy()
                .failing("weather", Cause::HttpStatus, 600)
                .failing("meter", Cause::Dns, 300),
            Warn,
            "weather has returned no data for 10 min: HTTP error status.",
        ),
        (
            "one value is stale",
            testing::healthy().stale(&["humidity"]),
            Warn,
            "Humidity is stale, 8 s old.",
        ),
        (
            "several are",
            testing::healthy().stale(&["humidity", "power"]),
            Warn,
            "2 of 4 values are stale, the oldest 8 s old.",
        ),
        (
            "all are",
            testing::healthy().stale(&["temperature", "humidity", "sky", "power"]),
            Fail,
            "All 4 values are stale, the oldest 5 min old.",
        ),
        (
            "the disk is full",
            testing::healthy().storage_trouble("the disk is full"),
            Warn,
            "Readings cannot be stored: the disk is full. 12 readings wait in memory.",
        ),
        (
            "the stick for backups is absent",
            testing::healthy().backup_failing("the directory /mnt/usb does not exist"),
            Warn,
            "Backups are not made: the directory /mnt/usb does not exist.",
        ),
        (
            "a problem with dots in it, and a full stop",
            testing::healthy().storage_trouble("../data/.. cannot be used now: it is full."),
            Warn,
            "Readings cannot be stored: ../data/.. cannot be used now: it is full. 12 readings \
             wait in memory.",
        ),
        (
            "alerts are refused",
            testing::healthy()
                .stale(&["humidity"])
                .refused_mails(2, "DATA: the server answers 554 spam"),
            Warn,
            "2 alerts are not delivered by mail: DATA: the server answers 554 spam. They are kept and retried daily.",
        ),
        (
            "the heartbeat ping fails",
            {
                let mut fixture = testing::healthy().pending_mails(0, "it answers HTTP 405");
                fixture.channel.name = PING.into();
                fixture
            },
            Warn,
            "The heartbeat ping has failed for 10 min: it answers HTTP 405.",
        ),
        (
            "alerts cannot be delivered now",
            testing::healthy().pending_mails(1, "mail.example takes no connection"),
            Warn,
            "1 message by mail waits, not deliverable for 10 min: mail.example takes no connection.",
        ),
        (
            "the clock is not set",
            testing::healthy().trust(ClockTrust::Untrusted),
            Warn,
            "The clock is not set: times may be wrong, and readings wait to be stored.",
        ),
    ];
    for (story, fixture, verdict, headline) in rows {
        let state = fixture.status();
        assert_eq!(state.headline, headline, "{story}");
        assert_eq!(state.verdict, verdict, "{story}");
    }
}

#[test]
fn the_other_problems_are_the_details() {
    let fixture = testing::healthy()
        .failing("weather", Cause::Dns, 1_380)
        .stale(&["temperature", "humidity", "power"])
        .storage_trouble("the disk is full");
    // What a failing source explains is in the totals alone.
    let expected = [
        "Power is stale, 8 s old.",
        "Readings cannot be stored: the disk is full. 12 readings wait in memory.",
    ];
    assert_eq!(fixture.status().details(), expected);
}

#[test]
fn the_start_names_the_sources_that_are_waited_for() {
    let values = ["temperature", "humidity", "sky", "power"];
    let mut meter_waits = testing::healthy().stale(&values[3..]);
    meter_waits.source("meter").health = testing::just_started().source("meter").health.clone();
    let both_wait = testing::just_started();
    let mut nothing_selected = testing::healthy();
    nothing_selected.snapshot.records.clear();
    for (story, fixture, headline, totals) in [
        (
            "both wait",
            both_wait,
            "Waiting for the first responses from 2 sources.",
            "0 of 2 sources answer, no value is fresh.",
        ),
        (
            "one waits",
            meter_waits,
            "Waiting for the first response from meter.",
            "1 of 2 sources answer, 3 of 4 values are fresh.",
        ),
        (
            "nothing came",
            nothing_selected,
            "The sources answer, with no fresh value yet.",
            "All 2 sources answer, no value is fresh.",
        ),
    ] {
        let state = fixture.status();
        assert_eq!(state.headline, headline, "{story}");
        assert_eq!(state.totals, totals, "{story}");
    }
}

#[test]
fn an_unknown_clock_is_a_problem_only_when_no_source_sets_it_in_time() {
    let unknown = testing::healthy().trust(ClockTrust::Unknown);
    assert_eq!(unknown.status().verdict, DataStatus::Warn);
    let young = unknown.started_ago(Duration::from_secs(60));
    assert_eq!(young.status().verdict, DataStatus::Pass);
}
