//! How many rows are still to be sent, counted when somebody asks: what is stored during a pause
//! waits too.

use crate::domain::stored_rows::FeedPlace;
use crate::sys::sync::Mutex;

/// The last row that was sent, for those who count from other threads.
#[derive(Default)]
pub struct WaitingRows(Mutex<Option<SentRow>>);

#[derive(Clone, Copy)]
struct SentRow {
    epoch: u64,
    id: i64,
}

impl WaitingRows {
    /// Rows up to `id` of the database of this epoch are sent.
    pub fn begin(&self, epoch: u64, id: i64) {
        *self.0.lock() = Some(SentRow { epoch, id });
    }

    /// Rows up to `id` of the same database are sent, and no others.
    pub fn pass(&self, id: i64) {
        if let Some(sent) = &mut *self.0.lock() {
            sent.id = id;
        }
    }

    /// Rows behind the last that was sent. In a database that the output has not looked at yet it
    /// begins where that says.
    pub fn count(&self, place: FeedPlace) -> u64 {
        let sent = self.0.lock().filter(|sent| sent.epoch == place.epoch);
        let id = sent.map_or(place.through, |sent| sent.id);
        u64::try_from(place.newest.saturating_sub(id)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_behind_the_last_that_was_sent_of_the_same_database() {
        let place = |epoch, through, newest| FeedPlace {
            epoch,
            through,
            newest,
            forecast_changes: 0,
        };
        let waiting = WaitingRows::default();
        waiting.pass(50);
        assert_eq!(waiting.count(place(1, 20, 100)), 80);
        waiting.begin(1, 20);
        waiting.pass(90);
        assert_eq!(waiting.count(place(1, 20, 100)), 10);
        assert_eq!(waiting.count(place(1, 20, 130)), 40);
        // Another database, which the output has not seen.
        assert_eq!(waiting.count(place(2, 3, 7)), 4);
        // Retention may have deleted the newest row.
        assert_eq!(waiting.count(place(1, 20, 80)), 0);
    }
}
