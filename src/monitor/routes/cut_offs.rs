//! Counter of requests that reached the work limit, by route.
//!
//! The workers count, `/metrics` reads.

use std::collections::BTreeMap;

use super::table::{Serve, TABLE};
use crate::sys::sync::Mutex;

/// How often each route was cut off since the start.
#[derive(Default)]
pub struct CutOffs(Mutex<BTreeMap<&'static str, u64>>);

impl CutOffs {
    /// Counts a request of the route of this name.
    pub fn count(&self, name: &'static str) {
        *self.0.lock().entry(name).or_default() += 1;
    }

    /// Of each route that has such limits, those never cut off included.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.lock();
        let limited = TABLE
            .iter()
            .filter(|row| matches!(row.serve, Serve::Database(_)));
        let count = |name| counts.get(name).copied().unwrap_or_default();
        limited.map(|row| (row.name, count(row.name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_that_reads_the_database_is_there_from_the_start() {
        let cut_offs = CutOffs::default();
        cut_offs.count("web_key");
        cut_offs.count("web_key");
        let expected = [
            ("history", 0),
            ("web", 0),
            ("web_key", 2),
            ("web_chart", 0),
            ("web_source", 0),
            ("web_alerts", 0),
            ("web_group", 0),
            ("display", 0),
            ("device_display", 0),
        ];
        assert_eq!(cut_offs.counts(), expected);
    }
}
