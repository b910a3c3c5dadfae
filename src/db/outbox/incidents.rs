//! Incidents and their deliveries, for the alert history.
//!
//! Functions over a connection that the `store` thread hands in.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::to_i64;
use crate::db::error;
use crate::domain::alert_event::{AlertEvent, AlertEventKind};
use crate::domain::outbox::{DeliveryEnd, DeliveryRecord, DeliveryRefusal, Incident, WaitingEvent};
use crate::domain::time::Wall;
use crate::limits;

pub(super) fn record_incident(
    transaction: &Transaction<'_>,
    event: &AlertEvent,
) -> rusqlite::Result<()> {
    if event.kind.opens() {
        let words = event.text.for_people();
        let cause = match words.cause.as_str() {
            "" => String::new(),
            cause => format!(" ({cause})"),
        };
        transaction.execute(
            "INSERT OR REPLACE INTO incidents (incident, alert, since, sure, flaps, words)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                to_i64(event.incident),
                event.alert,
                event.since.wall().second(),
                event.since.is_trusted,
                event.kind == AlertEventKind::Flapping,
                format!(
                    "{}: {}{cause}. {}",
                    words.about, words.problem, words.detail
                ),
            ],
        )?;
        transaction.execute(
            "DELETE FROM incidents WHERE incident IN (
                 SELECT incident FROM incidents ORDER BY ended IS NULL DESC, incident DESC
                 LIMIT -1 OFFSET ?1)",
            [to_i64(limits::INCIDENTS)],
        )?;
    }
    if event.kind.closes() {
        transaction.execute(
            "UPDATE incidents SET ended = ?2, since = ?3, sure = ?4 WHERE incident = ?1",
            params![
                to_i64(event.incident),
                event.at.wall().second(),
                event.since.wall().second(),
                event.since.is_trusted
            ],
        )?;
    }
    Ok(())
}

/// Later mails of an incident are replies to its first.
pub(super) fn begin_thread(
    transaction: &Transaction<'_>,
    id: i64,
    message_id: &str,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE incidents SET thread = ?2
         WHERE thread IS NULL AND incident = (SELECT incident FROM outbox WHERE id = ?1)",
        params![id, message_id],
    )?;
    Ok(())
}

/// Notes for the history how the delivery of rows that are still there has ended.
pub(super) fn record_deliveries(
    transaction: &Transaction<'_>,
    channel: &str,
    ids: &[i64],
    ended: &DeliveryEnd,
) -> rusqlite::Result<()> {
    for id in ids {
        let row = "SELECT event FROM outbox WHERE id = ?1";
        let text = transaction.query_row(row, [id], |row| row.get::<_, String>(0));
        let text = error::readable(text.optional())?.flatten();
        if let Some(event) = text.and_then(|text| serde_json::from_str::<AlertEvent>(&text).ok()) {
            record_delivery(transaction, &delivery(&event, channel, ended))?;
        }
    }
    Ok(())
}

pub(super) fn delivery(event: &AlertEvent, channel: &str, ended: &DeliveryEnd) -> DeliveryRecord {
    DeliveryRecord {
        incident: event.incident,
        channel: channel.to_owned(),
        kind: event.kind.name().to_owned(),
        ended: ended.clone(),
    }
}

pub(super) fn record_delivery(
    transaction: &Transaction<'_>,
    delivery: &DeliveryRecord,
) -> rusqlite::Result<()> {
    let ended = &delivery.ended;
    transaction.execute(
        "INSERT INTO deliveries (incident, channel, kind, ended, attempts, refused, given_up)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            to_i64(delivery.incident),
            delivery.channel,
            delivery.kind,
            ended.second,
            ended.attempts,
            ended.refused,
            ended.is_given_up
        ],
    )?;
    transaction.execute(
        "DELETE FROM deliveries WHERE id <= (SELECT max(id) FROM deliveries) - ?1",
        [to_i64(limits::DELIVERIES)],
    )?;
    Ok(())
}

pub(super) fn deliveries(
    connection: &Connection,
    incident: i64,
) -> rusqlite::Result<Vec<DeliveryRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT channel, kind, ended, attempts, refused, given_up FROM deliveries
         WHERE incident = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([incident], |row| {
        Ok(DeliveryRecord {
            incident: incident.unsigned_abs(),
            channel: row.get(0)?,
            kind: row.get(1)?,
            ended: DeliveryEnd {
                second: row.get(2)?,
                attempts: row.get(3)?,
                refused: row.get(4)?,
                is_given_up: row.get(5)?,
            },
        })
    })?;
    readable_rows(rows)
}

/// Undelivered events by incident, the oldest first.
pub(super) fn waiting_by_incident(
    connection: &Connection,
) -> rusqlite::Result<BTreeMap<i64, Vec<WaitingEvent>>> {
    let mut statement = connection.prepare_cached(
        "SELECT incident, channel, event, settled, refused FROM outbox ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut waiting: BTreeMap<i64, Vec<WaitingEvent>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let event: String = row.get(2)?;
        let settled: String = row.get(3)?;
        let refused: Option<String> = row.get(4)?;
        // A damaged row is logged by the delivery thread.
        let Ok(event) = serde_json::from_str::<AlertEvent>(&event) else {
            continue;
        };
        let refusal = refused.and_then(|text| serde_json::from_str::<DeliveryRefusal>(&text).ok());
        waiting.entry(row.get(0)?).or_default().push(WaitingEvent {
            channel: row.get(1)?,
            kind: event.kind.name().to_owned(),
            done_recipients: serde_json::from_str(&settled).unwrap_or_default(),
            refused: refusal.map(|refusal| refusal.why),
        });
    }
    Ok(waiting)
}

/// The newest incidents, the newest first.
pub fn incidents(connection: &Connection, most: usize) -> rusqlite::Result<Vec<Incident>> {
    let mut waiting = waiting_by_incident(connection)?;
    let mut statement = connection.prepare(
        "SELECT incident, alert, since, sure, ended, flaps, words FROM incidents
         ORDER BY incident DESC LIMIT ?1",
    )?;
    let rows = statement.query_map([to_i64(most)], |row| {
        let incident: i64 = row.get(0)?;
        let ended: Option<i64> = row.get(4)?;
        Ok(Incident {
            incident: incident.unsigned_abs(),
            alert: row.get(1)?,
            since: Wall::from_second(row.get(2)?),
            since_is_trusted: row.get(3)?,
            ended: ended.map(Wall::from_second),
            flaps: row.get(5)?,
            text: row.get(6)?,
            deliveries: deliveries(connection, incident)?,
            waiting: waiting.remove(&incident).unwrap_or_default(),
        })
    })?;
    readable_rows(rows)
}

/// The rows of a history that can be read.
pub(super) fn readable_rows<T>(
    rows: impl Iterator<Item = rusqlite::Result<T>>,
) -> rusqlite::Result<Vec<T>> {
    let mut readable = Vec::new();
    for row in rows {
        readable.extend(error::readable(row)?);
    }
    Ok(readable)
}
