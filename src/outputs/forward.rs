//! Forwarding: stored rows to InfluxDB, VictoriaMetrics or Telegraf, by line protocol over HTTP.
//!
//! On the thread `forward-NAME`. Rows go in the order in which they were stored, at least once: the
//! database keeps how far it has come. Repeating is harmless, because each has a time of its own.
//! At most one batch is in memory, whatever waits.

mod batch;
mod forecasts;
mod line_protocol;
mod pace;
mod report;
mod settled;
mod waiting_rows;
mod write_request;
mod write_response;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use self::batch::LineBatch;
use self::forecasts::SentForecasts;
use self::line_protocol::{LineFormat, LinePoint};
use self::pace::Pace;
use self::report::Report;
use self::settled::SettledPlace;
use self::waiting_rows::WaitingRows;
use self::write_request::WriteClient;
use self::write_response::WriteResult;
use super::{Follows, Output, OutputContext};
use crate::config::ForwardConfig;
use crate::domain::plan::{KeySelector, is_selected};
use crate::domain::stored_rows::{FeedPlace, RowFeed};
use crate::limits;

/// An output that forwards stored rows.
pub struct ForwardOutput {
    name: String,
    client: WriteClient,
    format: LineFormat,
    keys: Vec<KeySelector>,
    forecasts: Option<SentForecasts>,
    /// Without one it can only be checked.
    feed: Option<Arc<dyn RowFeed>>,
    place: Option<FeedPlace>,
    settled: SettledPlace,
    waiting: Arc<WaitingRows>,
    pace: Pace,
}

/// Why a batch was not taken.
struct WriteFailure {
    why: String,
    wait: Option<Duration>,
    is_outage: bool,
}

/// What was done with a batch.
#[derive(Default)]
struct Delivered {
    accepted: u64,
    /// Lines that the server refused, one by one, and why.
    refused: Vec<(usize, String)>,
    /// Points that the server does not keep any more, and what it said.
    too_old: Option<(u64, String)>,
    /// Whether a request had too many lines.
    is_too_large: bool,
    /// Whether the server takes other lines than the refused ones.
    takes_others: bool,
}

impl ForwardOutput {
    pub fn new(config: &ForwardConfig, node: &str, feed: Option<Arc<dyn RowFeed>>) -> Self {
        ForwardOutput {
            name: format!("forward {}", config.name),
            client: WriteClient::new(config),
            format: LineFormat::new(config, node),
            keys: config.keys.clone(),
            forecasts: config.forecasts.then(SentForecasts::default),
            feed,
            place: None,
            settled: SettledPlace::default(),
            waiting: Arc::default(),
            pace: Pace::default(),
        }
    }
}

impl Output for ForwardOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn destination(&self) -> String {
        self.client.destination()
    }

    fn follows(&self) -> Follows {
        Follows::StoredRows
    }

    fn run(&mut self, context: &OutputContext) {
        let mut report = Report::new(context, self.client.host());
        let mut seen = 0;
        self.report_waiting(context);
        while !context.stop.is_stopping() {
            match self.turn(context, &mut report) {
                Ok(true) => {
                    let pause = self.pace.pause(context.clock.now().mono);
                    context.stop.wait(pause);
                }
                // Commits wake it: nothing is polled.
                Ok(false) => {
                    context.stop.wait_or_wake(limits::OUTPUT_IDLE, &mut seen);
                }
                Err(failure) => {
                    if context.stop.is_stopping() {
                        return;
                    }
                    if failure.is_outage {
                        self.go_back();
                    }
                    report.failed(&failure.why);
                    context.stop.wait(self.pace.failed(failure.wait));
                }
            }
        }
    }

    fn check(&self) -> Result<String, String> {
        self.client.check()
    }
}

impl ForwardOutput {
    /// Sends what is next; false if there is nothing.
    fn turn(
        &mut self,
        context: &OutputContext,
        report: &mut Report<'_>,
    ) -> Result<bool, WriteFailure> {
        let Some(place) = self.feed.as_ref().and_then(|feed| feed.place()) else {
            return Ok(false);
        };
        if self.place.is_none_or(|known| known.epoch != place.epoch) {
            self.settled = SettledPlace::at(place.through);
            self.waiting.begin(place.epoch, place.through);
        }
        self.place = Some(place);
        self.pace.begin(context.clock.now().mono);
        // Opening the database to find nothing costs more than a row.
        let has_rows = place.newest > self.settled.position();
        let batch = if has_rows {
            self.read(context, report)?
        } else {
            LineBatch::at(self.settled.position())
        };
        if batch.is_empty() {
            self.pass(batch.through, context);
            return self.send_forecasts(place, context, report);
        }
        let delivered = self.deliver(&batch, context)?;
        self.judge(&batch, &delivered, report)?;
        self.pace.succeeded();
        self.pass(batch.through, context);
        Ok(true)
    }

    /// From now on who reads the status finds how many rows are still to be sent.
    fn report_waiting(&self, context: &OutputContext) {
        let Some(feed) = self.feed.clone() else {
            return;
        };
        let waiting = self.waiting.clone();
        let count = move || feed.place().map(|place| waiting.count(place));
        context.status.count_waiting(Arc::new(count));
    }

    /// The receiver was lost, and perhaps what it has taken lately.
    fn go_back(&mut self) {
        self.settled.go_back();
        self.waiting.pass(self.settled.position());
    }

    /// Rows up to an id need not be sent again.
    fn pass(&mut self, through: i64, context: &OutputContext) {
        self.settled.pass(through, context.clock.now().mono);
        self.waiting.pass(through);
        if let (Some(feed), Some(place)) = (&self.feed, self.place) {
            feed.settle(place.epoch, self.settled.settled());
        }
    }

    /// The next rows that are wanted, in small steps.
    fn read(
        &self,
        context: &OutputContext,
        report: &mut Report<'_>,
    ) -> Result<LineBatch, WriteFailure> {
        let mut batch = LineBatch::at(self.settled.position());
        let Some(feed) = &self.feed else {
            return Ok(batch);
        };
        // Among so many a line that the server refuses has others for company.
        let most = self.pace.rows().max(limits::FORWARD_REFUSED_LINES);
        let mut is_end = false;
        while !is_end && !batch.is_full(most) && !context.stop.is_stopping() {
            let step = feed.read(batch.through, &mut |row| {
                if is_selected(&self.keys, row.key) {
                    let point = LinePoint {
                        key: row.key,
                        value: &row.value,
                        second: row.second,
                        untrusted: row.untrusted,
                        is_forecast: false,
                    };
                    batch.push(&self.format, &point);
                }
                batch.is_full(most)
            });
            let step = step.map_err(|why| WriteFailure {
                why,
                wait: None,
                is_outage: false,
            })?;
            report.deleted(step.deleted);
            batch.through = step.through;
            is_end = step.is_end;
        }
        Ok(batch)
    }

    /// Writes a batch; where the server refuses it, its halves, until the bad lines are known.
    fn deliver(
        &mut self,
        batch: &LineBatch,
        context: &OutputContext,
    ) -> Result<Delivered, WriteFailure> {
        let mut delivered = Delivered::default();
        // The next range is last.
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for begin in (0..batch.len()).step_by(self.pace.rows()).rev() {
            ranges.push(begin..batch.len().min(begin + self.pace.rows()));
        }
        while let Some(range) = ranges.pop() {
            let count = range.len() as u64;
            let why = match self.client.write(batch.lines(&range), &context.stop) {
                WriteResult::Accepted => {
                    delivered.accepted += count;
                    continue;
                }
                WriteResult::TooOld { points, why } => {
                    let (before, _) = delivered.too_old.take().unwrap_or_default();
                    delivered.accepted += count.saturating_sub(points);
                    delivered.too_old = Some((before + points.min(count), why));
                    continue;
                }
                WriteResult::Failed {
                    why,
                    wait,
                    is_outage,
                } => {
                    return Err(WriteFailure {
                        why,
                        wait,
                        is_outage,
                    });
                }
                WriteResult::TooLarge => {
                    if range.len() > 1 {
                        self.pace.too_large(range.len());
                        delivered.is_too_large = true;
                    }
                    "it is too long for the server (HTTP 413)".to_owned()
                }
                WriteResult::Refused(why) => why,
            };
            if range.len() > 1 {
                let middle = range.start + range.len() / 2;
                ranges.push(middle..range.end);
                ranges.push(range.start..middle);
                continue;
            }
            delivered.refused.push((range.start, why));
            let is_hopeless = delivered.refused.len() >= limits::FORWARD_REFUSED_LINES;
            if is_hopeless && delivered.has_no_success() {
                delivered.takes_others = self.takes_some_of(range.end, batch, context)?;
                if !delivered.takes_others {
                    break;
                }
            }
        }
        if !delivered.is_too_large {
            self.pace.not_too_large();
        }
        Ok(delivered)
    }

    /// Whether the server takes some of the lines behind those that it has refused.
    fn takes_some_of(
        &self,
        begin: usize,
        batch: &LineBatch,
        context: &OutputContext,
    ) -> Result<bool, WriteFailure> {
        let step = (batch.len() - begin)
            .div_ceil(limits::FORWARD_PROBES)
            .max(1);
        for line in (begin..batch.len()).rev().step_by(step) {
            match self
                .client
                .write(batch.lines(&(line..line + 1)), &context.stop)
            {
                WriteResult::Accepted | WriteResult::TooOld { .. } => return Ok(true),
                WriteResult::Refused(_) | WriteResult::TooLarge => {}
                WriteResult::Failed {
                    why,
                    wait,
                    is_outage,
                } => {
                    return Err(WriteFailure {
                        why,
                        wait,
                        is_outage,
                    });
                }
            }
        }
        Ok(false)
    }

    /// Gives up lines that the server refuses while it takes others. Where it takes none, the
    /// reason is not in the lines, and nothing is given up.
    fn judge(
        &self,
        batch: &LineBatch,
        delivered: &Delivered,
        report: &mut Report<'_>,
    ) -> Result<(), WriteFailure> {
        if let Some((_, why)) = delivered.refused.first()
            && delivered.has_no_success()
        {
            return Err(WriteFailure {
                why: format!("it refuses every row: {why}"),
                wait: None,
                is_outage: false,
            });
        }
        if let Some((points, why)) = &delivered.too_old {
            report.too_old(*points, why);
        }
        for (line, why) in &delivered.refused {
            report.refused(batch.lines(&(*line..line + 1)), why);
        }
        report.sent(delivered.accepted);
        Ok(())
    }

    /// What has changed of what is ahead of its time; true if something was sent.
    fn send_forecasts(
        &mut self,
        place: FeedPlace,
        context: &OutputContext,
        report: &mut Report<'_>,
    ) -> Result<bool, WriteFailure> {
        let (Some(mut sent), Some(feed)) = (self.forecasts.take(), &self.feed) else {
            return Ok(false);
        };
        let keys = &self.keys;
        let next = sent.next_batch(place, &**feed, &self.format, &|key| is_selected(keys, key));
        let delivered = match next {
            Ok(None) => Ok(false),
            Ok(Some(batch)) => self.deliver(&batch, context).and_then(|delivered| {
                self.judge(&batch, &delivered, report)?;
                self.pace.succeeded();
                sent.confirm();
                Ok(true)
            }),
            Err(why) => Err(WriteFailure {
                why,
                wait: None,
                is_outage: false,
            }),
        };
        self.forecasts = Some(sent);
        delivered
    }
}

impl Delivered {
    fn has_no_success(&self) -> bool {
        self.accepted == 0 && self.too_old.is_none() && !self.takes_others
    }
}

#[cfg(test)]
#[path = "forward/tests/forward.rs"]
mod tests;
