//! Windows of derived keys beside the ledger: they are saved now and then, and rebuilt of stored
//! rows where some are missing.
//!
//! Owned by the `ingest` thread. The disk is the store's.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::derived::WindowStorage;
use crate::domain::ledger::Ledger;
use crate::domain::time::{Moment, Mono};
use crate::limits;

pub struct WindowUpkeep {
    storage: Box<dyn WindowStorage>,
    /// When it was last looked for windows to rebuild.
    checked_at: Option<Mono>,
    saved_at: Option<Mono>,
    started: Option<Mono>,
    /// Derived keys whose window is being rebuilt, and when one was last begun for late rows.
    rebuilding: BTreeSet<Arc<str>>,
    rebuilt_at: Option<Mono>,
}

impl WindowUpkeep {
    pub fn new(storage: Box<dyn WindowStorage>) -> WindowUpkeep {
        WindowUpkeep {
            storage,
            checked_at: None,
            saved_at: None,
            started: None,
            rebuilding: BTreeSet::new(),
            rebuilt_at: None,
        }
    }

    /// Does what is due, at the end of a turn: all rows that the windows have are handed over to
    /// be stored then.
    pub fn step(&mut self, ledger: &Ledger, now: Moment) {
        if ledger.windows().next().is_none() {
            return;
        }
        let started = *self.started.get_or_insert(now.mono);
        let is_past =
            |then: Option<Mono>, interval| then.is_none_or(|it| now.mono.since(it) >= interval);
        // Where the clock is never trusted, its time has to do.
        let has_time =
            now.trust.is_trusted() || is_past(Some(started), limits::CLOCK_TRUST_TIMEOUT);
        if has_time && is_past(self.checked_at, limits::WINDOW_CHECK_INTERVAL) {
            self.checked_at = Some(now.mono);
            let may_repeat = is_past(self.rebuilt_at, limits::WINDOW_REBUILD_INTERVAL);
            self.begin_rebuilds(ledger, now, may_repeat);
        }
        let saved_at = *self.saved_at.get_or_insert(now.mono);
        if is_past(Some(saved_at), limits::WINDOW_SAVE_INTERVAL) {
            self.saved_at = Some(now.mono);
            self.save(ledger, now);
        }
    }

    /// Saves all windows with the next commit. While the clock is not trusted they lack the rows
    /// that wait for it, which may be stored before that.
    pub fn save(&self, ledger: &Ledger, now: Moment) {
        if !now.trust.is_trusted() {
            return;
        }
        let whole = ledger.windows().filter(|(_, window)| !window.is_waiting());
        let windows: Vec<_> = whole.map(|(name, window)| window.saved(name)).collect();
        if !windows.is_empty() {
            self.storage.save(windows);
        }
    }

    /// Takes over what was rebuilt, at the begin of a turn.
    pub fn take_rebuilt(&mut self, ledger: &mut Ledger) {
        let rebuilt = self.storage.take_rebuilt();
        if rebuilt.is_empty() {
            return;
        }
        for (name, rebuilt) in rebuilt {
            self.rebuilding.remove(&name);
            if let Some((_, window)) = ledger.windows_mut().find(|(key, _)| **key == name) {
                window.take_rebuilt(rebuilt);
            }
        }
        ledger.windows_changed();
    }

    fn begin_rebuilds(&mut self, ledger: &Ledger, now: Moment, may_repeat: bool) {
        for (name, window) in ledger.windows() {
            if self.rebuilding.contains(name) {
                continue;
            }
            let wanted = window.wanted_rebuild(name, now.wall);
            let Some(rebuild) = wanted.filter(|it| may_repeat || !it.has_sums) else {
                continue;
            };
            if rebuild.has_sums {
                self.rebuilt_at = Some(now.mono);
            }
            self.rebuilding.insert(name.clone());
            self.storage.rebuild(rebuild);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::domain::derived::{
        CalendarPeriod, NoValue, RebuiltWindow, SavedWindow, Window, WindowFunction, WindowRebuild,
        WindowRule, WindowSample, WindowSpan,
    };
    use crate::domain::derived_key::{DerivedKey, DerivedKeys, DerivedRule};
    use crate::domain::plan::test_plan;
    use crate::domain::time::{ClockTrust, Wall};

    /// Nothing is stored.
    impl WindowStorage for () {
        fn save(&self, _: Vec<SavedWindow>) {}

        fn rebuild(&self, _: WindowRebuild) {}

        fn take_rebuilt(&self) -> Vec<RebuiltWindow> {
            Vec::new()
        }
    }

    /// What was asked, and what is answered.
    #[derive(Default)]
    struct Desk {
        saved: Mutex<Vec<Vec<SavedWindow>>>,
        wanted: Mutex<Vec<WindowRebuild>>,
        rebuilt: Mutex<Vec<RebuiltWindow>>,
    }

    impl WindowStorage for Arc<Desk> {
        fn save(&self, windows: Vec<SavedWindow>) {
            self.saved.lock().unwrap().push(windows);
        }

        fn rebuild(&self, rebuild: WindowRebuild) {
            self.wanted.lock().unwrap().push(rebuild);
        }

        fn take_rebuilt(&self) -> Vec<RebuiltWindow> {
            std::mem::take(&mut self.rebuilt.lock().unwrap())
        }
    }

    const T0: i64 = 1_780_272_000;

    fn at(second: u64) -> Moment {
        Moment {
            mono: Mono(second * 1_000),
            wall: Wall::from_second(T0 + second.cast_signed()),
            trust: ClockTrust::Trusted,
        }
    }

    fn sample(second: i64, value: f64) -> WindowSample {
        WindowSample {
            time: Wall::from_second(T0 + second),
            value,
            is_stated: false,
        }
    }

    /// A ledger with the day's increase of a meter, as a start finds many rows of it.
    fn ledger() -> Ledger {
        let rule = WindowRule {
            function: WindowFunction::Increase,
            input: "meter".into(),
            span: WindowSpan::Since(CalendarPeriod::Day),
            zone: jiff::tz::TimeZone::UTC,
            hold: Duration::from_secs(180),
        };
        let key = DerivedKey {
            key: "today".into(),
            rule: DerivedRule::Window(rule),
            unit: None,
            stale_after: None,
        };
        let mut plan = test_plan(1, Duration::from_secs(60));
        plan.derived = DerivedKeys::new(vec![key]).expect("there is no cycle");
        let mut ledger = Ledger::new(Arc::new(plan));
        for (_, window) in ledger.windows_mut() {
            *window = Window::waiting(window.rule().clone());
        }
        ledger
    }

    fn value(ledger: &Ledger, second: u64) -> Result<f64, NoValue> {
        let (_, window) = ledger.windows().next().expect("there is one");
        window.value(at(second).wall)
    }

    #[test]
    fn a_window_without_its_rows_is_rebuilt_once_the_clock_is_trusted() {
        let desk = Arc::new(Desk::default());
        let mut upkeep = WindowUpkeep::new(Box::new(desk.clone()));
        let mut ledger = ledger();
        let untrusted = Moment {
            trust: ClockTrust::Untrusted,
            ..at(0)
        };
        upkeep.step(&ledger, untrusted);
        assert_eq!(desk.wanted.lock().unwrap().len(), 0);
        for second in [1, 2, 30, 60] {
            upkeep.step(&ledger, at(second));
        }
        let mut wanted = std::mem::take(&mut *desk.wanted.lock().unwrap());
        assert_eq!(wanted.len(), 1, "asked for once");
        let (_, window) = ledger.windows_mut().next().expect("there is one");
        window.insert(sample(61, 9.0));
        assert_eq!(value(&ledger, 61), Err(NoValue::Waiting));
        upkeep.save(&ledger, at(61));
        assert!(
            desk.saved.lock().unwrap().is_empty(),
            "nothing is known yet"
        );
        let mut rebuild = wanted.remove(0);
        rebuild.window.insert(sample(-60, 1.0));
        rebuild.window.insert(sample(50, 3.0));
        desk.rebuilt
            .lock()
            .unwrap()
            .push((rebuild.name, Some(rebuild.window)));
        upkeep.take_rebuilt(&mut ledger);
        assert_eq!(value(&ledger, 61), Ok(8.0));
        upkeep.step(&ledger, at(90));
        assert!(desk.wanted.lock().unwrap().is_empty(), "it is complete");
    }

    #[test]
    fn windows_are_saved_some_times_a_day() {
        let desk = Arc::new(Desk::default());
        let mut upkeep = WindowUpkeep::new(Box::new(desk.clone()));
        let mut ledger = ledger();
        for (_, window) in ledger.windows_mut() {
            window.take_rebuilt(None);
            window.insert(sample(0, 5.0));
        }
        for minute in 0..24 * 60 {
            upkeep.step(&ledger, at(minute * 60));
        }
        let saved = desk.saved.lock().unwrap();
        assert_eq!(saved.len(), 3);
        let (name, window) = ledger.windows().next().expect("there is one");
        assert_eq!(saved[2], [window.saved(name)]);
    }
}
