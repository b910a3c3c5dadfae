//! Quota of an account: a simulation of sources that share one, through restarts and failures.

use std::sync::Arc;
use std::time::Duration;

use super::{AccountQuota, QuotaHandle, RequestQuota};
use crate::domain::quota::{Quota, QuotaReservation, SavedQuota};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::sys::sync::Mutex;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// What the database has, with the boot that wrote it.
type Disk = Arc<Mutex<Option<(u64, QuotaReservation)>>>;

/// A boot of the node: monotonic time begins at 0, the clock is set a minute later, or never.
struct Boot {
    number: u64,
    began: u64,
    has_clock: bool,
}

impl Boot {
    fn now(&self, real: u64) -> Moment {
        let is_trusted = self.has_clock && real - self.began > 60_000;
        let wall = if is_trusted { real } else { 77 };
        Moment {
            mono: Mono(real - self.began),
            wall: Wall(1_800_000_000_000 + i64::try_from(wall).expect("years")),
            trust: [ClockTrust::Untrusted, ClockTrust::Trusted][usize::from(is_trusted)],
        }
    }

    fn carried(&self, disk: &Disk) -> SavedQuota {
        match *disk.lock() {
            None => SavedQuota::Nothing,
            Some((of, reserved)) if of == self.number => SavedQuota::SameBoot {
                until: reserved.until,
            },
            Some((_, QuotaReservation { ahead, wall, .. })) => {
                SavedQuota::OtherBoot { ahead, wall }
            }
        }
    }

    fn start(&self, quota: Quota, sources: usize, disk: &Disk) -> Vec<RequestQuota> {
        let (to, number) = (disk.clone(), self.number);
        let reserve = Box::new(move |reserved: &QuotaReservation| {
            *to.lock() = Some((number, *reserved));
        });
        let now = self.now(self.began);
        let account = Arc::new(AccountQuota::new(
            Some(quota.request_interval(1)),
            Some(quota.interval_of_each(sources, 1)),
            self.carried(disk),
            reserve,
            now,
        ));
        let source = |_| {
            let handle = QuotaHandle {
                account: Some(account.clone()),
                ..QuotaHandle::none()
            };
            RequestQuota::resume(None, handle, now)
        };
        (0..sources).map(source).collect()
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("days")
}

/// The most requests of any span of a day.
fn most_in_a_day(requests: &[u64]) -> usize {
    let (mut from, mut most) = (0, 0);
    for (index, at) in requests.iter().enumerate() {
        while requests[from] + DAY <= *at {
            from += 1;
        }
        most = most.max(index + 1 - from);
    }
    most
}

/// Three sources that are always due, one of which takes half a minute to fail and asks twice
/// each time, on a node whose power is cut at any moment.
#[test]
fn no_day_holds_more_than_the_quota_and_each_source_gets_its_share() {
    let mut random = fastrand::Rng::with_seed(7);
    for (text, redirects) in [
        ("300/day", 0),
        ("300/day", 1),
        ("50/day", 0),
        ("60/hour", 0),
    ] {
        let quota: Quota = text.parse().expect("a quota");
        let disk = Disk::default();
        let (mut requests, mut of_each) = (Vec::new(), [0_usize; 3]);
        let mut real = 0;
        for number in 0..40 {
            let boot = Boot {
                number,
                began: real,
                has_clock: random.bool(),
            };
            let longest = *random.choice(&[DAY, DAY, HOUR / 6]).expect("three");
            let end = real + random.u64(1..longest);
            let mut sources = boot.start(quota, 3, &disk);
            // When each is due, and the end of its attempt with when that began.
            let mut due = [real; 3];
            let mut running: [Option<(u64, u64)>; 3] = [None; 3];
            loop {
                let next = |it: usize| running[it].map_or(due[it], |(_, ended)| ended);
                let source = (0..3)
                    .min_by_key(|it| (next(*it), random.u8(..)))
                    .expect("three");
                real = real.max(next(source));
                if real >= end {
                    break;
                }
                let now = boot.now(real);
                let meter = &mut sources[source];
                let count = if source == 2 { 1 + redirects } else { 1 };
                if let Some((begun, _)) = running[source].take() {
                    let begun = boot.now(begun).mono;
                    let none = (Duration::ZERO, Duration::ZERO);
                    meter.complete(begun, u32::try_from(count).expect("few"), none, now);
                    due[source] = real + ms(meter.wait(now));
                    continue;
                }
                let wait = meter.wait(now);
                meter.refresh_reservations(now);
                if !wait.is_zero() {
                    due[source] = real + ms(meter.poll_timeout(wait)).max(1);
                } else if meter.begin(now, 1) {
                    requests.extend(std::iter::repeat_n(real, count));
                    of_each[source] += 1;
                    let takes = if source == 2 { 30_000 } else { 200 };
                    running[source] = Some((real, real + takes));
                } else {
                    due[source] = real + ms(meter.wait(now)).max(1);
                }
            }
            real = end;
            if random.bool() {
                for it in &mut sources {
                    it.settle(boot.now(end));
                }
            }
            let longest = HOUR * random.choice(&[1, 9]).expect("two");
            real += random.u64(1..longest);
        }
        requests.sort_unstable();
        let per_day = usize::try_from(DAY / ms(quota.request_interval(1))).expect("small");
        // The first attempt of each run is counted as one request.
        let allowed = per_day + redirects;
        let most = most_in_a_day(&requests);
        assert!(most <= allowed, "{text} {redirects}: {most}");
        assert!(most * 10 >= per_day * 8, "{text} is used: {most}");
        let [a, b, slow] = of_each;
        assert!(a.abs_diff(b) * 20 <= a, "{of_each:?}");
        // Its redirects count as its own.
        let share = slow * (1 + redirects);
        assert!(a.abs_diff(share) * 5 <= a, "{redirects} {of_each:?}");
    }
}

#[test]
fn a_wait_that_the_server_orders_of_one_source_holds_for_all() {
    let boot = Boot {
        number: 0,
        began: 0,
        has_clock: true,
    };
    let disk = Disk::default();
    let reserve = |disk: &Disk| {
        let to = disk.clone();
        Box::new(move |reserved: &QuotaReservation| *to.lock() = Some((0, *reserved)))
    };
    // Without a quota.
    let start = |carried| {
        let now = boot.now(100_000);
        let account = Arc::new(AccountQuota::new(None, None, carried, reserve(&disk), now));
        [(); 2].map(|()| {
            let handle = QuotaHandle {
                account: Some(account.clone()),
                ..QuotaHandle::none()
            };
            RequestQuota::resume(None, handle, now)
        })
    };
    let [mut first, mut second] = start(SavedQuota::Nothing);
    let now = boot.now(100_000);
    assert!(
        first.begin(now, 1) && second.begin(now, 1),
        "nothing limits them"
    );
    let hour = Duration::from_secs(3_600);
    second.complete(now.mono, 1, (Duration::ZERO, Duration::ZERO), now);
    assert_eq!(second.wait(now), Duration::ZERO);
    first.complete(now.mono, 1, (hour, hour), now);
    assert_eq!((first.wait(now), second.wait(now)), (hour, hour));
    assert!(!second.begin(now, 1));
    // The second, which was not refused itself, is told once.
    assert_eq!(first.new_account_wait(now, Duration::ZERO), None);
    assert_eq!(second.new_account_wait(now, hour), None);
    assert_eq!(second.new_account_wait(now, Duration::ZERO), Some(hour));
    assert_eq!(second.new_account_wait(now, Duration::ZERO), None);
    // The next run of this boot knows.
    let [mut first, _] = start(boot.carried(&disk));
    assert_eq!(first.wait(now), hour);
}
