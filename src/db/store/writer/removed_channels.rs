//! Alerts of channels that are no longer configured, on the store thread.

use super::Writer;
use crate::db::outbox::age_removed_channels;
use crate::domain::text::count_noun;
use crate::domain::time::Moment;
use crate::limits;

impl Writer {
    /// Once an hour, for days must pass without a restart too.
    pub(super) fn age_removed_channels(&mut self, now: Moment) {
        if now.mono < self.removed_channels_at {
            return;
        }
        // A clock that cannot be trusted still counts days of this run.
        let started = *self.removed_channels_from.get_or_insert(now.mono);
        let is_usable =
            now.trust.is_trusted() || now.mono.since(started) >= limits::REFUSED_RETRY_INTERVAL;
        let wall = is_usable.then_some(now.wall);
        let mut open = self.shared.database.lock();
        let Some(database) = &mut *open else {
            return;
        };
        let channels = &self.shared.settings.channels;
        let removed = match age_removed_channels(database.connection_mut(), channels, wall) {
            Ok(removed) => removed,
            Err(error) => {
                drop(open);
                self.handle_write_error(now, &error);
                return;
            }
        };
        drop(open);
        self.removed_channels_at = now.mono.after(limits::REMOVED_CHANNELS_CHECK);
        for (channel, count) in removed.given_up {
            let alerts = count_noun(count as usize, "alert");
            log::error!("{channel}: gave up {alerts}: the channel is not configured any more");
        }
        let is_first = !std::mem::replace(&mut self.has_told_removed_channels, true);
        for (channel, count) in removed.kept.into_iter().filter(|_| is_first) {
            let alerts = count_noun(count as usize, "alert");
            let days = limits::REFUSED_RETRIES;
            log::warn!(
                "{channel}: {alerts} not delivered: this channel is not configured any more; kept \
                 for {days} days, and sent if a channel of this name comes back"
            );
        }
    }
}
