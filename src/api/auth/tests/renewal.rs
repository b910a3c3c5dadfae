//! Renewals that several threads want at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::api::auth::AuthResponse;
use crate::api::outgoing_request::OutgoingRequest;
use crate::domain::time::{Moment, test_moment};

const GAP: Duration = Duration::from_secs(60);

struct TestClient {
    now: Mono,
    deadline: Instant,
    is_stopping: Arc<AtomicBool>,
}

impl AuthClient for TestClient {
    fn send(&self, _: &OutgoingRequest) -> Result<AuthResponse, FetchError> {
        panic!("nothing is sent here")
    }

    fn now(&self) -> Moment {
        test_moment(self.now)
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }
}

fn client(now_s: u64) -> TestClient {
    TestClient {
        now: Mono(now_s * 1_000),
        deadline: Instant::now() + Duration::from_secs(600),
        is_stopping: Arc::default(),
    }
}

fn value(value: u32) -> Renewed<u32> {
    Renewed {
        result: Ok(value),
        pause: GAP,
    }
}

fn failure(retry_after: Option<Duration>) -> FetchError {
    FetchError::Failed(Failure {
        retry_after,
        ..Failure::new(Cause::HttpStatus, "no")
    })
}

#[test]
fn a_value_is_renewed_when_it_does_not_serve_and_once_a_minute() {
    let renewal = Renewal::default();
    let get = |now_s, least: u32, next: u32| {
        renewal.get(&client(now_s), |it| *it >= least, |_| value(next))
    };
    assert_eq!(get(100, 1, 1), Ok(Some(1)));
    assert_eq!(get(101, 1, 9), Ok(Some(1)), "it serves");
    assert_eq!(get(159, 2, 2), Ok(None), "too soon");
    assert_eq!(get(160, 2, 2), Ok(Some(2)));
    assert_eq!(renewal.current(), Some(2));
}

#[test]
fn a_failure_is_repeated_while_the_pause_lasts_and_the_value_stays() {
    let renewal = Renewal::default();
    let waits = [Some(Duration::from_secs(90)), None];
    assert_eq!(renewal.get(&client(0), |_| true, |_| value(1)), Ok(Some(1)));
    let fails = |now_s, pause_s, retry_after| {
        let renew = |present: Option<u32>| {
            assert_eq!(present, Some(1));
            Renewed {
                result: Err(failure(retry_after)),
                pause: Duration::from_secs(pause_s),
            }
        };
        renewal.get(&client(now_s), |it| *it > 1, renew)
    };
    assert_eq!(fails(100, 90, waits[0]), Err(failure(waits[0])));
    // What is left of the wait that the server ordered.
    let left = Some(Duration::from_secs(30));
    assert_eq!(fails(160, 0, None), Err(failure(left)));
    assert_eq!(fails(190, 300, None), Err(failure(None)));
    assert_eq!(fails(489, 0, waits[0]), Err(failure(None)));
    // Nothing was sent: the next may try at once.
    assert_eq!(fails(490, 0, None), Err(failure(None)));
    let renew = |_| value(2);
    assert_eq!(renewal.get(&client(490), |it| *it > 1, renew), Ok(Some(2)));
}

#[test]
fn a_stop_is_no_attempt() {
    let renewal = Renewal::default();
    let stopped = |_| Renewed {
        result: Err(FetchError::Stopped),
        pause: GAP,
    };
    assert_eq!(
        renewal.get(&client(0), |_| true, stopped),
        Err(FetchError::Stopped)
    );
    assert_eq!(renewal.get(&client(0), |_| true, |_| value(1)), Ok(Some(1)));
}

#[test]
fn of_a_hundred_threads_one_renews_and_all_have_its_value() {
    let renewal = Arc::new(Renewal::default());
    let renewals = Arc::new(AtomicU32::new(0));
    let threads = (0..100).map(|_| {
        let (renewal, renewals) = (renewal.clone(), renewals.clone());
        std::thread::spawn(move || {
            renewal.get(
                &client(5),
                |_| true,
                |_| {
                    std::thread::yield_now();
                    value(renewals.fetch_add(1, Ordering::SeqCst) + 1)
                },
            )
        })
    });
    let threads: Vec<_> = threads.collect();
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), Ok(Some(1)));
    }
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
}

#[test]
fn waiting_ends_with_the_renewal_the_stop_or_the_time_of_the_fetch() {
    let renewal: Renewal<u32> = Renewal::default();
    let renew = |_| {
        let late = TestClient {
            deadline: Instant::now(),
            ..client(0)
        };
        let result = renewal.get(&late, |_| true, |_| panic!("one runs"));
        let Err(FetchError::Failed(failure)) = result else {
            panic!("no failure: {result:?}");
        };
        assert_eq!(failure.cause, Cause::Timeout);
        let stopping = client(0);
        stopping.is_stopping.store(true, Ordering::SeqCst);
        let result = renewal.get(&stopping, |_| true, |_| panic!("one runs"));
        assert_eq!(result, Err(FetchError::Stopped));
        value(7)
    };
    assert_eq!(renewal.get(&client(0), |_| true, renew), Ok(Some(7)));
}

#[test]
fn after_a_panic_the_next_one_renews() {
    let renewal = Arc::new(Renewal::default());
    let other = renewal.clone();
    let panicked = std::thread::spawn(move || {
        other.get(
            &client(0),
            |_| true,
            |_| -> Renewed<u32> { panic!("on purpose") },
        )
    });
    assert!(panicked.join().is_err());
    assert_eq!(renewal.get(&client(0), |_| true, |_| value(1)), Ok(Some(1)));
}
