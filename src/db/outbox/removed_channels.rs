//! Alerts that wait for a channel that is no longer configured: kept for the case that it comes
//! back, then given up as refused ones are.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{add_dropped, record_deliveries, remove, to_json};
use crate::domain::outbox::{DeliveryEnd, DeliveryRefusal, OutboxChannel};
use crate::domain::time::Wall;
use crate::limits;

/// Stored with such an alert; the channel tries it again when it is back.
const NOT_CONFIGURED: &str = "this channel is not configured";

/// Alerts by the channel that is missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RemovedChannels {
    pub kept: BTreeMap<String, u64>,
    pub given_up: BTreeMap<String, u64>,
}

/// Notes once a day for each alert that its channel is missing, and gives it up after so many days
/// as a refused one. Without a time they are only counted.
pub fn age_removed_channels(
    connection: &mut Connection,
    channels: &[OutboxChannel],
    now: Option<Wall>,
) -> rusqlite::Result<RemovedChannels> {
    let rows = rows_of_removed(connection, channels)?;
    let mut removed = RemovedChannels::default();
    let Some(now) = now.filter(|_| !rows.is_empty()) else {
        for (_, channel, _) in rows {
            *removed.kept.entry(channel).or_default() += 1;
        }
        return Ok(removed);
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (id, channel, refusal) in rows {
        let is_given_up = age(&transaction, (id, &channel), refusal, now)?;
        let counts = if is_given_up {
            &mut removed.given_up
        } else {
            &mut removed.kept
        };
        *counts.entry(channel).or_default() += 1;
    }
    transaction.commit()?;
    Ok(removed)
}

type Row = (i64, String, Option<DeliveryRefusal>);

fn rows_of_removed(
    connection: &Connection,
    channels: &[OutboxChannel],
) -> rusqlite::Result<Vec<Row>> {
    let mut statement =
        connection.prepare_cached("SELECT id, channel, refused FROM outbox ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut removed = Vec::new();
    while let Some(row) = rows.next()? {
        let channel: String = row.get(1)?;
        if channels.iter().any(|it| *it.name == *channel) {
            continue;
        }
        let refusal: Option<String> = row.get(2)?;
        let refusal = refusal.and_then(|text| serde_json::from_str(&text).ok());
        removed.push((row.get(0)?, channel, refusal));
    }
    Ok(removed)
}

/// Whether the alert is given up.
fn age(
    transaction: &Transaction<'_>,
    (id, channel): (i64, &str),
    refusal: Option<DeliveryRefusal>,
    now: Wall,
) -> rusqlite::Result<bool> {
    let second = now.second();
    let day = limits::REFUSED_RETRY_INTERVAL.as_secs();
    let next = match refusal {
        Some(refusal) if refusal.why == NOT_CONFIGURED => {
            // Days are counted, so that a clock that jumps costs one.
            let past = u64::try_from(second.saturating_sub(refusal.last));
            if past.is_ok_and(|past| past < day) {
                return Ok(false);
            }
            DeliveryRefusal {
                last: second,
                days: refusal.days.saturating_add(1),
                ..refusal
            }
        }
        earlier => DeliveryRefusal {
            since: earlier.as_ref().map_or(second, |it| it.since),
            last: second,
            days: earlier.as_ref().map_or(0, |it| it.days),
            why: NOT_CONFIGURED.to_owned(),
            config_fingerprint: 0,
        },
    };
    if next.days < limits::REFUSED_RETRIES {
        transaction.execute(
            "UPDATE outbox SET refused = ?2 WHERE id = ?1",
            rusqlite::params![id, to_json(&next)?],
        )?;
        return Ok(false);
    }
    let ended = DeliveryEnd {
        second,
        attempts: next.days,
        refused: Some(next.why),
        is_given_up: true,
    };
    record_deliveries(transaction, channel, &[id], &ended)?;
    let removed = remove(transaction, &[id])?;
    add_dropped(transaction, channel, 0, removed)?;
    Ok(true)
}

#[cfg(test)]
#[path = "tests/removed_channels.rs"]
mod tests;
