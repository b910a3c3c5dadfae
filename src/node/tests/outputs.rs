use super::*;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::sys::clock::ManualClock;
use crate::sys::shutdown::StopToken;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const NOW: Moment = Moment {
    mono: Mono(0),
    wall: Wall(1_762_027_200_000),
    trust: ClockTrust::Trusted,
};

/// Reports each snapshot that it sees, or each commit.
struct Recorder {
    follows: Follows,
    seen: Sender<Option<i64>>,
    panics: usize,
}

impl Output for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn destination(&self) -> String {
        "nowhere?token=hush-hush".to_owned()
    }

    fn follows(&self) -> Follows {
        self.follows
    }

    fn run(&mut self, context: &OutputContext) {
        let mut wakes = 0;
        while !context.stop.is_stopping() {
            let wall = context.snapshots.get().map(|it| it.at.wall.0);
            self.seen.send(wall).expect("the test reads");
            assert!(self.panics == 0, "asked for");
            context
                .stop
                .wait_or_wake(Duration::from_secs(60), &mut wakes);
        }
    }

    fn check(&self) -> Result<String, String> {
        Ok("fine".to_owned())
    }
}

struct Running {
    outputs: Outputs,
    /// Woken by commits.
    rows: StopToken,
    seen: std::sync::mpsc::Receiver<Option<i64>>,
}

fn start(follows: Follows, panics: usize) -> Running {
    let (sender, seen) = channel();
    let output = Recorder {
        follows,
        seen: sender,
        panics,
    };
    let stored_rows = StopSource::new();
    let rows = stored_rows.token();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
    let secrets = Arc::new(Secrets::new(["hush-hush".to_owned()]));
    let start = OutputStart {
        secrets: &secrets,
        snapshot: &Arc::new(Snapshot::empty(NOW)),
        stored_rows,
        clock: &clock,
    };
    let outputs = Outputs::start(vec![Box::new(output)], start).expect("it starts");
    Running {
        outputs,
        rows,
        seen,
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[test]
fn an_output_sees_the_first_and_each_later_snapshot() {
    let mut running = start(Follows::Snapshots, 0);
    assert_eq!(running.seen.recv(), Ok(Some(NOW.wall.0)));
    let mut subscriber = running.outputs.take_subscriber().expect("it follows");
    let later = Moment {
        wall: Wall(NOW.wall.0 + 1_000),
        ..NOW
    };
    subscriber(&Arc::new(Snapshot::empty(later)));
    assert_eq!(running.seen.recv(), Ok(Some(later.wall.0)));
    let left = running.outputs.stop(deadline());
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn commits_wake_an_output_that_follows_rows_and_snapshots_do_not() {
    let mut running = start(Follows::StoredRows, 0);
    assert!(running.outputs.take_subscriber().is_none());
    assert_eq!(running.seen.recv(), Ok(None));
    running.rows.wake();
    assert_eq!(running.seen.recv(), Ok(None));
    let left = running.outputs.stop(deadline());
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_panic_is_shown_and_secrets_are_not() {
    let running = start(Follows::Snapshots, 1);
    assert!(running.seen.recv().is_ok());
    let states = running.outputs.states();
    let failed = || states().iter().all(|it| it.failure.is_some());
    let until = deadline();
    while !failed() && Instant::now() < until {
        std::thread::yield_now();
    }
    let state = states().remove(0);
    assert_eq!(state.name_of_state(), "down");
    assert!(!state.destination.contains("hush-hush"), "{state:?}");
    assert!(running.outputs.stop(deadline()).is_empty());
}
