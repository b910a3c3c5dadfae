//! Write buffer of the outbox: alerts that are not on the disk yet. Storage that fails must not
//! keep its own alert from being delivered.
//!
//! The store thread owns it. Events wait here under negative ids and are delivered from
//! here; when the disk works again, what is left of them is written.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::{Connection, Transaction};

use super::{
    add_dropped, append, delivery, dropped_refusal, dropped_text, has_event, pending, record,
    record_delivery, record_incident, write_state,
};
use crate::domain::alert::{AlertCommit, AlertState};
use crate::domain::alert_event::AlertEvent;
use crate::domain::outbox::{
    DeliveryOutcome, DeliveryRecord, OutboxChannel, OutboxItem, PendingItems,
};
use crate::limits;

#[derive(Default)]
pub struct OutboxBuffer {
    state: Option<AlertState>,
    /// Every event, for the history.
    events: VecDeque<AlertEvent>,
    rows: Vec<(String, OutboxItem)>,
    /// Outcomes of rows that are on the disk.
    outcomes: VecDeque<(String, DeliveryOutcome)>,
    /// How the delivery of rows that never were on the disk has ended.
    deliveries: VecDeque<DeliveryRecord>,
    threads: BTreeMap<u64, String>,
    last_id: i64,
    /// Ids that rows had here, and have on the disk now: those who deliver may still speak of
    /// the former.
    stored_ids: VecDeque<(i64, i64)>,
    /// Whether the disk has refused what waits here.
    has_disk_failed: bool,
    dropped: BTreeMap<String, u64>,
    /// Events given up, by channel, beside those that were dropped.
    undelivered: BTreeMap<String, u64>,
    is_urgent: bool,
}

impl OutboxBuffer {
    /// Takes a commit that is to be written next.
    pub fn add(
        &mut self,
        commit: AlertCommit,
        channels: &[OutboxChannel],
        connection: Option<&Connection>,
    ) {
        self.state = Some(commit.state);
        for event in commit.events {
            self.is_urgent = true;
            for channel in channels {
                if !self.is_for(&event, channel, connection) {
                    continue;
                }
                let channel = &*channel.name;
                self.last_id -= 1;
                let item = OutboxItem {
                    id: self.last_id,
                    event: event.clone(),
                    message_id: None,
                    done_recipients: Vec::new(),
                    refusal: None,
                    thread_root: None,
                };
                self.rows.push((channel.to_owned(), item));
                self.trim(channel);
            }
            self.events.push_back(event);
            let excess = self.events.len().saturating_sub(limits::OUTBOX_ROWS);
            self.events.drain(..excess);
        }
    }

    /// Whether a channel delivers an event: some do not carry their own failure, and the end of an
    /// incident goes to those that got its beginning.
    fn is_for(
        &self,
        event: &AlertEvent,
        channel: &OutboxChannel,
        connection: Option<&Connection>,
    ) -> bool {
        if !event.is_for_own_channel && *event.alert == *channel.name {
            return false;
        }
        channel.filter.accepts(event)
            || (event.kind.closes()
                && self.has_beginning(event.incident, &channel.name, connection))
    }

    /// Whether an event of an incident waits on a channel, or was delivered there.
    fn has_beginning(&self, incident: u64, channel: &str, connection: Option<&Connection>) -> bool {
        let is_here =
            |(of, item): &(String, OutboxItem)| of == channel && item.event.incident == incident;
        let is_record = |it: &DeliveryRecord| it.channel == channel && it.incident == incident;
        if self.rows.iter().any(is_here) || self.deliveries.iter().any(is_record) {
            return true;
        }
        connection.is_some_and(|connection| {
            has_event(connection, incident, channel).unwrap_or_else(|error| {
                log::debug!("the outbox cannot be read: {error}");
                false
            })
        })
    }

    fn trim(&mut self, channel: &str) {
        let waits = |(of, item): &(String, OutboxItem)| of == channel && item.message_id.is_none();
        if self.rows.iter().filter(|row| waits(row)).count() <= limits::OUTBOX_ROWS {
            return;
        }
        let is_refused = |row: &(String, OutboxItem)| waits(row) && row.1.refusal.is_some();
        let refused = self.rows.iter().position(is_refused);
        let Some(oldest) = refused.or_else(|| self.rows.iter().position(waits)) else {
            return;
        };
        let (_, item) = self.rows.remove(oldest);
        if let Some(refusal) = &item.refusal {
            let record = delivery(&item.event, channel, &dropped_refusal(refusal));
            self.deliveries.push_back(record);
        }
        *self.dropped.entry(channel.to_owned()).or_default() += 1;
        let refused = usize::from(item.refusal.is_some());
        log::error!("{channel}: {}", dropped_text(1, refused));
    }

    /// Whether anything waits for the disk.
    pub fn is_empty(&self) -> bool {
        self.state.is_none()
            && self.rows.is_empty()
            && self.outcomes.is_empty()
            && self.deliveries.is_empty()
    }

    /// Whether the buffer should be written at once, because an event is to be delivered.
    pub fn is_urgent(&self) -> bool {
        self.is_urgent || !self.outcomes.is_empty()
    }

    /// Writes all of it in one transaction. What the disk refuses is from then on delivered
    /// from here.
    pub fn flush(&mut self, connection: &mut Connection) -> rusqlite::Result<()> {
        let written = (|| {
            let behavior = rusqlite::TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(behavior)?;
            let renamed = self.write(&transaction)?;
            transaction.commit()?;
            Ok(renamed)
        })();
        match written {
            Ok(renamed) => {
                self.stored_ids.extend(renamed);
                let excess = self.stored_ids.len().saturating_sub(limits::OUTBOX_ROWS);
                self.stored_ids.drain(..excess);
                *self = OutboxBuffer {
                    last_id: self.last_id,
                    stored_ids: std::mem::take(&mut self.stored_ids),
                    ..OutboxBuffer::default()
                };
                Ok(())
            }
            Err(error) => {
                self.mark_disk_failed();
                Err(error)
            }
        }
    }

    /// Says that there is no disk to write to now.
    pub fn mark_disk_failed(&mut self) {
        self.has_disk_failed = true;
    }

    /// The ids that the rows have on the disk.
    fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut renamed = Vec::new();
        if let Some(state) = &self.state {
            write_state(transaction, state)?;
        }
        for event in &self.events {
            record_incident(transaction, event)?;
        }
        for (channel, item) in &self.rows {
            let id = append(transaction, channel, &item.event)?;
            renamed.push((item.id, id));
            if let Some(refusal) = &item.refusal {
                let (ids, refusal) = (vec![id], refusal.clone());
                record(
                    transaction,
                    channel,
                    &DeliveryOutcome::Refused { ids, refusal },
                )?;
            }
            if let Some(message_id) = &item.message_id {
                let (ids, message_id) = (vec![id], message_id.clone());
                record(
                    transaction,
                    channel,
                    &DeliveryOutcome::Attempting { ids, message_id },
                )?;
            }
            if !item.done_recipients.is_empty() {
                let (ids, recipients) = (vec![id], item.done_recipients.clone());
                record(
                    transaction,
                    channel,
                    &DeliveryOutcome::PartlyDelivered { ids, recipients },
                )?;
            }
        }
        for (incident, message_id) in &self.threads {
            transaction.execute(
                "UPDATE incidents SET thread = ?2 WHERE incident = ?1 AND thread IS NULL",
                rusqlite::params![super::to_i64(*incident), message_id],
            )?;
        }
        for (channel, outcome) in &self.outcomes {
            record(transaction, channel, outcome)?;
        }
        for delivery in &self.deliveries {
            record_delivery(transaction, delivery)?;
        }
        for (channel, count) in &self.dropped {
            add_dropped(transaction, channel, *count, *count)?;
        }
        for (channel, count) in &self.undelivered {
            add_dropped(transaction, channel, 0, *count)?;
        }
        Ok(renamed)
    }

    /// What waits on a channel: on the disk, and what the disk has refused. What was not yet
    /// written is not delivered, so that a restart cannot deliver it twice.
    pub fn pending(&self, connection: Option<&Connection>, channel: &str) -> PendingItems {
        let stored = connection.map(|connection| pending(connection, channel));
        let mut all = match stored {
            Some(Ok(stored)) => stored,
            Some(Err(error)) => {
                log::debug!("the outbox cannot be read: {error}");
                PendingItems::default()
            }
            None => PendingItems::default(),
        };
        for (_, outcome) in self.outcomes.iter().filter(|(of, _)| of == channel) {
            apply(&mut all.items, outcome);
        }
        let dropped = self.dropped.get(channel).copied().unwrap_or(0);
        all.dropped += dropped;
        all.undelivered += dropped + self.undelivered.get(channel).copied().unwrap_or(0);
        if self.has_disk_failed {
            let here = self.rows.iter().filter(|(of, _)| of == channel);
            all.items.extend(here.map(|(_, item)| item.clone()));
        }
        for item in &mut all.items {
            let known = self.threads.get(&item.event.incident);
            item.thread_root = item.thread_root.take().or_else(|| known.cloned());
        }
        all
    }

    /// Records the outcome of a delivery: at once on the disk where that works. After an error
    /// the outcome is kept.
    pub fn record(
        &mut self,
        connection: Option<&mut Connection>,
        channel: &str,
        mut outcome: DeliveryOutcome,
    ) -> rusqlite::Result<()> {
        for id in outcome.ids_mut() {
            let now = self.stored_ids.iter().find(|(former, _)| former == id);
            *id = now.map_or(*id, |(_, now)| *now);
        }
        self.record_threads(channel, &outcome);
        self.forget_threads(&outcome);
        self.record_deliveries(channel, &outcome);
        self.apply_to_rows(&outcome);
        let stored = |id: &i64| *id > 0;
        let reports_dropped =
            matches!(outcome, DeliveryOutcome::Delivered { dropped, .. } if dropped > 0);
        if !outcome.ids().iter().any(stored) && !reports_dropped {
            return Ok(());
        }
        let written = match connection {
            Some(connection) if self.outcomes.is_empty() => (|| {
                let transaction = connection.transaction()?;
                record(&transaction, channel, &outcome)?;
                transaction.commit()
            })(),
            _ => Err(rusqlite::Error::InvalidQuery),
        };
        if written.is_err() {
            self.outcomes.push_back((channel.to_owned(), outcome));
        }
        written
    }

    fn record_threads(&mut self, channel: &str, outcome: &DeliveryOutcome) {
        let DeliveryOutcome::Attempting { ids, message_id } = outcome else {
            return;
        };
        let here = self
            .rows
            .iter()
            .filter(|(of, item)| of == channel && channel == "mail" && ids.contains(&item.id));
        let incidents: Vec<u64> = here.map(|(_, item)| item.event.incident).collect();
        for incident in incidents {
            let thread = self.threads.entry(incident);
            thread.or_insert_with(|| message_id.clone());
        }
    }

    /// A message that no server has accepted starts no thread.
    fn forget_threads(&mut self, outcome: &DeliveryOutcome) {
        let (DeliveryOutcome::Split { ids } | DeliveryOutcome::Refused { ids, .. }) = outcome
        else {
            return;
        };
        let left = self.rows.iter().map(|(_, item)| item);
        let left = left.filter(|item| ids.contains(&item.id) && item.done_recipients.is_empty());
        let messages: Vec<&String> = left.filter_map(|item| item.message_id.as_ref()).collect();
        self.threads
            .retain(|_, thread| !messages.contains(&&*thread));
    }

    fn record_deliveries(&mut self, channel: &str, outcome: &DeliveryOutcome) {
        let (DeliveryOutcome::Delivered { ids, ended, .. }
        | DeliveryOutcome::Undelivered { ids, ended }) = outcome
        else {
            return;
        };
        let rows = self.rows.iter();
        let here = rows.filter(|(of, item)| of == channel && ids.contains(&item.id));
        let record = here.map(|(_, item)| delivery(&item.event, channel, ended));
        let before = self.deliveries.len();
        self.deliveries.extend(record);
        if matches!(outcome, DeliveryOutcome::Undelivered { .. }) {
            let given_up = (self.deliveries.len() - before) as u64;
            *self.undelivered.entry(channel.to_owned()).or_default() += given_up;
        }
        let excess = self.deliveries.len().saturating_sub(limits::OUTBOX_ROWS);
        self.deliveries.drain(..excess);
    }

    fn apply_to_rows(&mut self, outcome: &DeliveryOutcome) {
        let mut items: Vec<OutboxItem> = Vec::new();
        let mut channels = BTreeMap::new();
        for (channel, item) in self.rows.drain(..) {
            channels.insert(item.id, channel);
            items.push(item);
        }
        apply(&mut items, outcome);
        let rows = items.into_iter();
        self.rows = rows
            .filter_map(|item| Some((channels.remove(&item.id)?, item)))
            .collect();
    }
}

/// Applies an outcome to items in memory.
fn apply(items: &mut Vec<OutboxItem>, outcome: &DeliveryOutcome) {
    match outcome {
        DeliveryOutcome::Attempting { ids, message_id } => {
            for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                item.message_id.get_or_insert_with(|| message_id.clone());
            }
        }
        DeliveryOutcome::PartlyDelivered { ids, recipients } => {
            for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                item.done_recipients.extend(recipients.iter().cloned());
            }
        }
        DeliveryOutcome::Split { ids } => {
            for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                item.message_id = None;
            }
        }
        DeliveryOutcome::Refused { ids, refusal } => {
            for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                item.message_id = None;
                item.refusal = Some(refusal.clone());
            }
        }
        DeliveryOutcome::Delivered { ids, .. } | DeliveryOutcome::Undelivered { ids, .. } => {
            items.retain(|item| !ids.contains(&item.id));
        }
    }
}
