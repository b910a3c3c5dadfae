//! Quota tests: restarts, power cuts, waits that the server ordered, shared attempts.

use super::*;
use crate::domain::time::ClockTrust;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

fn at(mono: u64, wall: u64, trust: ClockTrust) -> Moment {
    Moment {
        mono: Mono(mono),
        wall: Wall(1_800_000_000_000 + i64::try_from(wall).expect("years at most")),
        trust,
    }
}

#[test]
fn what_a_restart_may_ask_and_when() {
    let hours = |hours: u64| Duration::from_millis(hours * HOUR);
    let wall = Some(at(0, 5 * HOUR, ClockTrust::Trusted).wall);
    let other = |wall| SavedQuota::OtherBoot {
        ahead: hours(4),
        wall,
    };
    let until = Mono(3 * HOUR);
    for (case, carried, trust, wall_now, expected) in [
        (
            "first ever",
            SavedQuota::Nothing,
            ClockTrust::Trusted,
            0,
            hours(0),
        ),
        (
            "unreadable",
            SavedQuota::Unknown,
            ClockTrust::Trusted,
            0,
            hours(6),
        ),
        (
            "same boot",
            SavedQuota::SameBoot { until },
            ClockTrust::Untrusted,
            9,
            hours(2),
        ),
        (
            "boot, good clock",
            other(wall),
            ClockTrust::Trusted,
            4 * HOUR,
            hours(1),
        ),
        (
            "boot, a day later",
            other(wall),
            ClockTrust::Trusted,
            DAY,
            hours(0),
        ),
        (
            "boot, clock in 1970",
            other(wall),
            ClockTrust::Untrusted,
            0,
            hours(4),
        ),
        (
            "boot, clock unknown",
            other(wall),
            ClockTrust::Unknown,
            DAY,
            hours(4),
        ),
        (
            "boot, never had a clock",
            other(None),
            ClockTrust::Trusted,
            DAY,
            hours(4),
        ),
        (
            "trusted, yet years back",
            other(wall),
            ClockTrust::Trusted,
            0,
            hours(4),
        ),
    ] {
        let now = at(HOUR, wall_now, trust);
        let mut meter = QuotaMeter::resume(Some(hours(6)), carried, now);
        assert_eq!(meter.wait(now), expected, "{case}");
    }
    // The clock becomes trusted while the source waits.
    let mut meter =
        QuotaMeter::resume(Some(hours(6)), other(wall), at(0, 0, ClockTrust::Untrusted));
    assert_eq!(
        meter.wait(at(1, 0, ClockTrust::Untrusted)).as_secs(),
        4 * 3600 - 1
    );
    assert_eq!(
        meter.wait(at(1_000, 5 * HOUR, ClockTrust::Trusted)),
        hours(0)
    );
    // What a server ordered is remembered without a quota too, a clock's error is not.
    let far = SavedQuota::SameBoot {
        until: Mono(400 * DAY),
    };
    let mut meter = QuotaMeter::resume(None, far, at(0, 0, ClockTrust::Trusted));
    assert_eq!(
        meter.wait(at(0, 0, ClockTrust::Trusted)),
        limits::MAX_RETRY_AFTER
    );
}

#[test]
fn an_order_is_written_down_and_a_short_one_is_not() {
    let now = at(HOUR, HOUR, ClockTrust::Trusted);
    let mut meter = QuotaMeter::resume(None, SavedQuota::Nothing, now);
    assert_eq!(meter.reserve(now, 1), None);
    assert_eq!(
        meter.record_attempt(now.mono, 1, Duration::from_secs(5), now),
        None
    );
    let ordered = Duration::from_secs(7_200);
    let written = meter
        .record_attempt(now.mono, 1, ordered, now)
        .expect("two hours");
    assert_eq!((written.until, written.ahead), (Mono(3 * HOUR), ordered));
    assert_eq!(meter.wait(now), ordered);
}

#[test]
fn a_shared_attempt_is_counted_before_it_begins_and_corrected_behind_it() {
    let interval = Duration::from_millis(HOUR);
    let start = || {
        let now = at(0, 0, ClockTrust::Trusted);
        (
            QuotaMeter::resume(Some(interval), SavedQuota::Nothing, now),
            now,
        )
    };
    let later = at(1_000, 1_000, ClockTrust::Trusted);
    let next = |meter: &mut QuotaMeter| meter.wait(at(0, 0, ClockTrust::Trusted)).as_secs();
    for (case, counted, took, ordered_s, expected_s) in [
        ("as counted", 1, 1, 0, 3_600),
        ("a redirect", 1, 2, 0, 7_200),
        ("a redirect that was expected", 2, 2, 0, 7_200),
        // From the end of the attempt on.
        ("nothing was sent", 1, 0, 0, 1),
        ("the server orders a wait", 1, 1, 7_200, 7_201),
    ] {
        let (mut meter, now) = start();
        let (slot, reserved) = meter.take(counted, now);
        let reserved = reserved.expect("it is written first");
        assert_eq!(reserved.ahead, interval * counted, "{case}");
        meter.complete(slot, took, Duration::from_secs(ordered_s), later);
        assert_eq!(next(&mut meter), expected_s, "{case}");
    }
    // Another source has begun meanwhile: nothing is given back.
    let (mut meter, now) = start();
    let (first, _) = meter.take(1, now);
    let hour = at(HOUR, HOUR, ClockTrust::Trusted);
    let (second, _) = meter.take(1, hour);
    meter.complete(first, 0, Duration::ZERO, hour);
    meter.complete(second, 1, Duration::ZERO, hour);
    assert_eq!(next(&mut meter), 7_200);
}

/// A node with a source that is always due, whose power is cut again and again, at any
/// moment, with and without a clock; what a rolling day holds is what the quota allows.
#[test]
fn no_day_holds_more_than_the_quota_however_often_the_power_is_cut() {
    let mut random = fastrand::Rng::with_seed(5);
    for (per_day, redirects, pages) in [
        (50, 0, 1),
        (50, 1, 1),
        (1, 0, 1),
        (2_000, 0, 1),
        (240, 2, 1),
        (50, 0, 7),
        (240, 0, 100),
        (10, 0, 10),
    ] {
        let quota: Quota = format!("{per_day}/day").parse().expect("a quota");
        let share = quota.request_interval(pages);
        let pages_at = |random: &mut fastrand::Rng| random.u32(1..=pages);
        let mut disk: Option<(u64, QuotaReservation)> = None;
        let mut asked: Vec<u64> = Vec::new();
        let (mut real, mut writes) = (0_u64, 0_u64);
        for boot in 0..60 {
            // A day or minutes of running, then a moment or hours without power.
            let began = real;
            let longest = *random.choice(&[DAY, HOUR / 6]).expect("two");
            let until = real + random.u64(1..longest);
            let has_clock = random.bool();
            let now = |real: u64| {
                let trust = [ClockTrust::Untrusted, ClockTrust::Trusted]
                    [usize::from(has_clock && real - began > 60_000)];
                // No battery: until it is set the clock shows any time.
                let wall = if trust == ClockTrust::Trusted {
                    real
                } else {
                    77
                };
                at(real - began, wall, trust)
            };
            let carried = match disk {
                None => SavedQuota::Nothing,
                Some((of, reserved)) if of == boot => SavedQuota::SameBoot {
                    until: reserved.until,
                },
                Some((_, QuotaReservation { ahead, wall, .. })) => {
                    SavedQuota::OtherBoot { ahead, wall }
                }
            };
            let mut meter = QuotaMeter::resume(Some(share), carried, now(real));
            loop {
                let wait = meter.wait(now(real));
                let wait = if meter.is_uncertain() {
                    wait.min(Duration::from_secs(10))
                } else {
                    wait
                };
                real += u64::try_from(wait.as_millis()).expect("days");
                if real >= until {
                    break;
                }
                if let Some(dated) = meter.refresh_reservation(now(real)) {
                    (disk, writes) = (Some((boot, dated)), writes + 1);
                }
                if !meter.wait(now(real)).is_zero() {
                    continue;
                }
                if let Some(reserved) = meter.reserve(now(real), pages) {
                    (disk, writes) = (Some((boot, reserved)), writes + 1);
                }
                let requests = pages_at(&mut random) + redirects;
                asked.extend(std::iter::repeat_n(real, requests as usize));
                let begun = now(real).mono;
                let spent = meter.record_attempt(begun, requests, Duration::ZERO, now(real));
                if let Some(reserved) = spent {
                    (disk, writes) = (Some((boot, reserved)), writes + 1);
                }
            }
            // The stop comes when it comes, not when a wait is over.
            if random.bool()
                && let Some(settled) = meter.settle(now(until))
            {
                (disk, writes) = (Some((boot, settled)), writes + 1);
            }
            let longest = HOUR * random.choice(&[1, 9]).expect("two");
            real = until + random.u64(1..longest);
        }
        let (mut from, mut most) = (0, 0);
        for (index, at) in asked.iter().enumerate() {
            while asked[from] + DAY <= *at {
                from += 1;
            }
            most = most.max(index + 1 - from);
        }
        // An attempt that was begun within the quota may end a redirect past it.
        let allowed = (per_day + redirects) as usize;
        assert!(most <= allowed, "{per_day}: {most}");
        assert!(
            asked.len() > 5,
            "{per_day} is asked at all: {}",
            asked.len()
        );
        // A write or two in ten minutes, and a few at each start and end.
        let bound = real / 600_000 * 2 + 200;
        assert!(writes <= bound, "{per_day}: {writes} writes in {real} ms");
    }
}
