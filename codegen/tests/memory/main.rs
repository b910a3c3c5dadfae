//! Reading a description never takes more memory than its limit: what is counted is never
//! below what is allocated. One test alone, for the allocator counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use openapi::compact;
use openapi::lower::candidates::{Candidates, Wanted};
use openapi::lower::limits::Limits;
use openapi::lower::lower;
use openapi::lower::report::Report;
use openapi::lower::spec::{Failure, Spec};

mod fixtures;
use fixtures::{End, fixtures};

/// Counts as an allocator needs it that rounds up to 16 bytes and adds a header of 8, and
/// moves what grows.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let live = LIVE.fetch_add(rounded(bytes), Relaxed) + rounded(bytes);
    PEAK.fetch_max(live, Relaxed);
}

fn rounded(bytes: usize) -> usize {
    ((bytes + 8).div_ceil(16) * 16).max(32)
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(rounded(layout.size()), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        LIVE.fetch_sub(rounded(layout.size()), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FILE_BYTES: u64 = 2_000_000;

struct Outcome {
    peak: usize,
    counted: usize,
    failure: Option<Failure>,
}

/// The whole way to the compact text.
fn read(bytes: &[u8], memory_bytes: usize, wanted: Option<&[&str]>) -> Outcome {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let limits = Limits {
        file_bytes: FILE_BYTES,
        memory_bytes,
        is_confined: true,
    };
    let mut counted = 0;
    let mut whole = || -> Result<(), Failure> {
        let spec = Spec::from_bytes(Path::new("api.yaml"), bytes.to_vec(), limits)?;
        counted = spec.memory.most();
        let wanted = match wanted {
            Some(names) => Wanted::Named(names.iter().map(|it| (*it).to_owned()).collect()),
            None => Wanted::Gets,
        };
        Candidates::find(&spec, &mut Report::default());
        let lowered = lower(&spec, "api", &wanted);
        counted = spec.memory.most();
        compact::write(&lowered?.0);
        Ok(())
    };
    let failure = whole().err();
    Outcome {
        peak: PEAK.load(Relaxed) - before,
        counted,
        failure,
    }
}

#[test]
fn reading_never_takes_more_memory_than_its_limit() {
    let mut wrong = Vec::new();
    for (name, text, end) in fixtures() {
        assert!(
            text.len() as u64 <= FILE_BYTES,
            "{name}: {} bytes",
            text.len()
        );
        for limit in [24_000_000, 6_000_000, usize::MAX] {
            if limit == usize::MAX && end == End::OverLimit {
                continue;
            }
            let started = std::time::Instant::now();
            let outcome = read(text.as_bytes(), limit, None);
            let found = match &outcome.failure {
                None => End::Fits,
                Some(failure) if failure.is_over_limit => End::OverLimit,
                Some(_) => End::Broken,
            };
            println!(
                "{name:<30} {limit:>10}: peak {:>5.2} counted {:>5.2} MB, {found:?} {:.1} s {}",
                outcome.peak as f64 / 1e6,
                outcome.counted as f64 / 1e6,
                started.elapsed().as_secs_f64(),
                outcome
                    .failure
                    .map_or(String::new(), |it| it.text)
                    .chars()
                    .take(140)
                    .collect::<String>(),
            );
            if outcome.peak > limit {
                wrong.push(format!("{name}: {} > {limit}", outcome.peak));
            }
            if found == End::Fits && outcome.peak > outcome.counted {
                wrong.push(format!(
                    "{name}: peak {} > counted {}",
                    outcome.peak, outcome.counted
                ));
            }
            if limit == 24_000_000 && found != end {
                wrong.push(format!("{name}: {found:?} instead of {end:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
