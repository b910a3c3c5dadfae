//! All files compared, two at a time, as a table.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::{CompiledIn, Tally, compare};

/// Compares every file and prints what was compared. Exit code 1 where something differs.
pub fn run(files: &[CompiledIn]) -> ExitCode {
    println!(
        "{:<22} {:>8} {:>10} {:>5} {:>8} {:>7} {:>6} {:>9} {:>7} {:>9} {:>7}",
        "both ways",
        "limits",
        "operations",
        "alone",
        "requests",
        "refused",
        "unsent",
        "documents",
        "fit",
        "judgements",
        "seconds"
    );
    let next = AtomicUsize::new(0);
    let sum = Mutex::new(Tally::default());
    // The longest first, so that the others go on beside it.
    let mut order: Vec<&CompiledIn> = files.iter().collect();
    order.sort_by_key(|it| std::cmp::Reverse(it.calls.len()));
    let work = || {
        while let Some(file) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let started = Instant::now();
            let tally = catch_unwind(|| compare(file)).unwrap_or_else(|_| Tally {
                differences: vec![format!("{}: it panics", file.name)],
                ..Tally::default()
            });
            let seconds = started.elapsed().as_secs_f64();
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            print_row(file.name, &tally, seconds);
            sum.add(tally);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    for problem in &sum.unsent {
        println!("not sent: {problem}");
    }
    for difference in &sum.differences {
        println!("DIFFERENT {difference}");
    }
    println!(
        "{} operations of {} files, {} of them lowered alone too: {} requests, {} refusals, \
         {} judgements: {} differences between compiled in and at run time",
        sum.operations,
        files.len(),
        sum.alone,
        sum.requests,
        sum.refusals,
        sum.judgements,
        sum.differences.len()
    );
    ExitCode::from(u8::from(!sum.differences.is_empty()))
}

fn print_row(name: &str, tally: &Tally, seconds: f64) {
    println!(
        "{name:<22.22} {:>8} {:>10} {:>5} {:>8} {:>7} {:>6} {:>9} {:>7} {:>9} {seconds:>7.2}",
        tally.limits,
        tally.operations,
        tally.alone,
        tally.requests,
        tally.refusals,
        tally.unsent.len(),
        tally.documents,
        tally.fitting,
        tally.judgements,
    );
}
