//! Alert storage: the state machine's state, and the outbox of events that are not delivered
//! yet; incidents.rs keeps their history.
//!
//! Functions over a connection that the `store` thread hands in. The state and the events that it
//! caused are written in one transaction, so that no restart repeats or forgets one. What cannot
//! be written yet waits in [`OutboxBuffer`]. Nothing here decides what is delivered.

mod incidents;
mod removed_channels;
mod write_buffer;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

pub use self::incidents::incidents;
use self::incidents::{
    begin_thread, delivery, record_deliveries, record_delivery, record_incident,
};
pub use self::removed_channels::age_removed_channels;
pub use self::write_buffer::OutboxBuffer;
use super::error;
use crate::domain::alert::AlertState;
use crate::domain::alert_event::AlertEvent;
use crate::domain::outbox::{
    DeliveryEnd, DeliveryOutcome, DeliveryRefusal, OutboxItem, PendingItems,
};
use crate::limits;

/// Whether an event of an incident waits on a channel, or was delivered there.
fn has_event(connection: &Connection, incident: u64, channel: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE incident = ?1 AND channel = ?2)
             OR EXISTS (SELECT 1 FROM deliveries
                        WHERE incident = ?1 AND channel = ?2 AND given_up = 0)",
        params![to_i64(incident), channel],
        |row| row.get(0),
    )
}

fn write_state(transaction: &Transaction<'_>, state: &AlertState) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO alert_state (id, state) VALUES (1, ?1)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state",
        [to_json(state)?],
    )?;
    Ok(())
}

/// The id that the event has from now on.
fn append(
    transaction: &Transaction<'_>,
    channel: &str,
    event: &AlertEvent,
) -> rusqlite::Result<i64> {
    transaction.execute(
        "INSERT INTO outbox (channel, incident, event) VALUES (?1, ?2, ?3)",
        params![channel, to_i64(event.incident), to_json(event)?],
    )?;
    let id = transaction.last_insert_rowid();
    enforce_limit(transaction, channel)?;
    Ok(id)
}

/// Drops what is too much on a channel: what was refused first, the oldest of them first.
fn enforce_limit(transaction: &Transaction<'_>, channel: &str) -> rusqlite::Result<()> {
    let mut excess = transaction.prepare_cached(
        "SELECT id, refused IS NOT NULL FROM outbox WHERE channel = ?1 AND message_id IS NULL
         ORDER BY refused IS NOT NULL, id DESC LIMIT -1 OFFSET ?2",
    )?;
    let rows = excess.query_map(params![channel, to_i64(limits::OUTBOX_ROWS)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let excess: Vec<(i64, bool)> = rows.collect::<rusqlite::Result<_>>()?;
    if excess.is_empty() {
        return Ok(());
    }
    let refused = excess.iter().filter(|(_, is_refused)| *is_refused).count();
    log::error!("{channel}: {}", dropped_text(excess.len(), refused));
    let ids: Vec<i64> = excess.iter().map(|(id, _)| *id).collect();
    record_dropped_refusals(transaction, channel, &ids)?;
    remove(transaction, &ids)?;
    add_dropped(transaction, channel, ids.len() as u64, ids.len() as u64)
}

fn dropped_text(count: usize, refused: usize) -> String {
    match refused {
        0 => format!("{count} alert events were dropped: the queue is full"),
        refused => format!(
            "{count} alert events were dropped: the queue is full; {refused} of them had been refused"
        ),
    }
}

/// A refused event that is dropped ends as not delivered in the history.
fn record_dropped_refusals(
    transaction: &Transaction<'_>,
    channel: &str,
    ids: &[i64],
) -> rusqlite::Result<()> {
    for id in ids {
        let row = "SELECT refused FROM outbox WHERE id = ?1";
        let text: Option<String> = transaction.query_row(row, [id], |row| row.get(0))?;
        if let Some(refusal) =
            text.and_then(|text| serde_json::from_str::<DeliveryRefusal>(&text).ok())
        {
            record_deliveries(transaction, channel, &[*id], &dropped_refusal(&refusal))?;
        }
    }
    Ok(())
}

/// How the delivery of a refused event ended that had to make room.
fn dropped_refusal(refusal: &DeliveryRefusal) -> DeliveryEnd {
    DeliveryEnd {
        second: refusal.last,
        attempts: refusal.days,
        refused: Some(format!("{}; dropped: the queue is full", refusal.why)),
        is_given_up: true,
    }
}

fn add_dropped(
    transaction: &Transaction<'_>,
    channel: &str,
    dropped: u64,
    undelivered: u64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO outbox_dropped (channel, count, undelivered) VALUES (?1, ?2, ?3)
         ON CONFLICT (channel) DO UPDATE SET count = count + excluded.count,
             undelivered = undelivered + excluded.undelivered",
        params![channel, to_i64(dropped), to_i64(undelivered)],
    )?;
    Ok(())
}

/// The state as the last run left it; `None` in a new database. One that cannot be read is logged
/// and replaced by an empty one, which counts incidents on from the history.
pub fn read_state(connection: &Connection, boot: &str) -> rusqlite::Result<Option<AlertState>> {
    let mut statement = connection.prepare("SELECT state FROM alert_state WHERE id = 1")?;
    let text = statement.query_row([], |row| row.get::<_, String>(0));
    let Some(text) = error::readable(text.optional())? else {
        return Ok(Some(reset_state(connection, boot, "it is not text")?));
    };
    let Some(text) = text else {
        let last = "SELECT max(incident) FROM incidents";
        let last: Option<i64> = connection.query_row(last, [], |row| row.get(0))?;
        return match last {
            Some(_) => reset_state(connection, boot, "it is missing").map(Some),
            None => Ok(None),
        };
    };
    Ok(Some(match serde_json::from_str(&text) {
        Ok(state) => state,
        Err(error) => reset_state(connection, boot, &error.to_string())?,
    }))
}

fn reset_state(connection: &Connection, boot: &str, why: &str) -> rusqlite::Result<AlertState> {
    log::error!("the alert state cannot be read ({why}); it starts empty");
    let count = "SELECT coalesce(max(incident), 0) FROM incidents";
    let known: i64 = connection.query_row(count, [], |row| row.get(0))?;
    Ok(AlertState::new(boot).counting_from(known.unsigned_abs()))
}

/// What waits on a channel.
pub fn pending(connection: &Connection, channel: &str) -> rusqlite::Result<PendingItems> {
    let mut statement = connection.prepare(
        "SELECT id, event, message_id, settled, thread, refused FROM outbox
         LEFT JOIN incidents USING (incident)
         WHERE channel = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([channel], |row| {
        let event: String = row.get(1)?;
        // A second delivery is better than none: only the event itself must be readable.
        let settled = error::readable(row.get::<_, String>(3))?;
        let refused = error::readable(row.get::<_, Option<String>>(5))?.flatten();
        Ok(OutboxItem {
            id: row.get(0)?,
            event: from_json(1, &event)?,
            message_id: error::readable(row.get(2))?.flatten(),
            done_recipients: settled
                .and_then(|settled| serde_json::from_str(&settled).ok())
                .unwrap_or_default(),
            // One that cannot be read makes it an event that was never tried.
            refusal: refused.and_then(|text| serde_json::from_str(&text).ok()),
            thread_root: error::readable(row.get(4))?.flatten(),
        })
    })?;
    let mut items = Vec::new();
    for item in rows {
        match item {
            Ok(item) => items.push(item),
            // One damaged row must not silence the rest.
            Err(error) if error::is_bad_cell(&error) => {
                log::error!("{channel}: an alert event cannot be read: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    let counts = "SELECT count, undelivered FROM outbox_dropped WHERE channel = ?1";
    let counts = connection
        .query_row(counts, [channel], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional();
    let counts: Option<(i64, i64)> = error::readable(counts)?.flatten();
    let (dropped, undelivered) = counts.unwrap_or_default();
    Ok(PendingItems {
        items,
        dropped: dropped.unsigned_abs(),
        undelivered: undelivered.unsigned_abs(),
    })
}

/// Writes the outcome of a delivery.
pub fn record(
    transaction: &Transaction<'_>,
    channel: &str,
    outcome: &DeliveryOutcome,
) -> rusqlite::Result<()> {
    match outcome {
        DeliveryOutcome::Attempting { ids, message_id } => {
            for id in ids {
                transaction.execute(
                    "UPDATE outbox SET message_id = ?2 WHERE id = ?1 AND message_id IS NULL",
                    params![id, message_id],
                )?;
                if channel == "mail" {
                    begin_thread(transaction, *id, message_id)?;
                }
            }
        }
        DeliveryOutcome::PartlyDelivered { ids, recipients } => {
            for id in ids {
                let known = "SELECT settled FROM outbox WHERE id = ?1";
                let known = transaction.query_row(known, [id], |row| row.get::<_, String>(0));
                let known = match error::readable(known.optional())? {
                    Some(None) => continue,
                    known => known.flatten(),
                };
                let mut settled: Vec<String> = known
                    .and_then(|known| serde_json::from_str(&known).ok())
                    .unwrap_or_default();
                settled.extend(recipients.iter().cloned());
                settled.sort();
                settled.dedup();
                transaction.execute(
                    "UPDATE outbox SET settled = ?2 WHERE id = ?1",
                    params![id, to_json(&settled)?],
                )?;
            }
        }
        DeliveryOutcome::Delivered {
            ids,
            dropped,
            ended,
        } => {
            record_deliveries(transaction, channel, ids, ended)?;
            remove(transaction, ids)?;
            transaction.execute(
                "UPDATE outbox_dropped SET count = max(0, count - ?2) WHERE channel = ?1",
                params![channel, to_i64(*dropped)],
            )?;
        }
        DeliveryOutcome::Split { ids } => detach_from_message(transaction, ids)?,
        DeliveryOutcome::Refused { ids, refusal } => {
            detach_from_message(transaction, ids)?;
            for id in ids {
                transaction.execute(
                    "UPDATE outbox SET refused = ?2 WHERE id = ?1",
                    params![id, to_json(refusal)?],
                )?;
            }
            enforce_limit(transaction, channel)?;
        }
        DeliveryOutcome::Undelivered { ids, ended } => {
            record_deliveries(transaction, channel, ids, ended)?;
            let removed = remove(transaction, ids)?;
            add_dropped(transaction, channel, 0, removed)?;
        }
    }
    Ok(())
}

/// Detaches events from a message that no server has accepted.
fn detach_from_message(transaction: &Transaction<'_>, ids: &[i64]) -> rusqlite::Result<()> {
    for id in ids {
        transaction.execute(
            "UPDATE incidents SET thread = NULL
             WHERE thread = (SELECT message_id FROM outbox WHERE id = ?1 AND settled = '[]')",
            [id],
        )?;
        transaction.execute("UPDATE outbox SET message_id = NULL WHERE id = ?1", [id])?;
    }
    Ok(())
}

/// How many of them were still there.
fn remove(transaction: &Transaction<'_>, ids: &[i64]) -> rusqlite::Result<u64> {
    let mut removed = 0;
    for id in ids {
        removed += transaction.execute("DELETE FROM outbox WHERE id = ?1", [id])? as u64;
    }
    Ok(removed)
}

/// How many refused events wait on a channel; for commands that look at the database of a
/// running service. One that an older version made knows none.
pub fn count_refused(connection: &Connection, channel: &str) -> rusqlite::Result<u64> {
    let columns = "SELECT count(*) FROM pragma_table_info('outbox') WHERE name = 'refused'";
    let known: i64 = connection.query_row(columns, [], |row| row.get(0))?;
    if known == 0 {
        return Ok(0);
    }
    let count = "SELECT count(*) FROM outbox WHERE channel = ?1 AND refused IS NOT NULL";
    let count: i64 = connection.query_row(count, [channel], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// SQLite's integers are signed; counts of ours never come near the difference.
fn to_i64(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn from_json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, error.into())
    })
}

#[cfg(test)]
#[path = "tests/outbox.rs"]
pub mod tests;
