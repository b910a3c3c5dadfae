//! `/history`: query parameters, and the response as JSON or CSV.
//!
//! Pure; any thread. Reading the database is the context's closure.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use super::table::{HISTORY_KEY, RequestTarget};
use crate::domain::compact_sort::CompactSort;
use crate::domain::csv_field::csv_text;
use crate::domain::history::{Bucket, HistoryQuery};
use crate::domain::text::{format_number, parse_duration};
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::problem::ProblemDetails;
use crate::sys::thread::yield_cpu;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryFormat {
    Json,
    Csv,
}

/// Points where a client names no number: a chart on a small screen.
const POINTS: usize = 500;

/// What a request asks for: the history of one key or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRequest {
    /// One at least, each once.
    pub queries: Vec<HistoryQuery>,
    pub from: Wall,
    pub to: Wall,
    pub format: HistoryFormat,
}

impl HistoryRequest {
    /// Rows that coarse tiers and forecasts of one key cost at most: of short spans few, so that most
    /// is left for detail.
    pub fn coarse_rows(&self) -> u64 {
        let hours = self.to.since(self.from).as_secs() / 3_600 + 2;
        let forecasts = limits::SERIES_ELEMENTS as u64;
        hours
            .saturating_mul(limits::HISTORY_COARSE_ROWS_PER_HOUR)
            .saturating_add(forecasts)
            .min(limits::HISTORY_COARSE_ROWS)
    }
}

/// Parses the query; the problem names what is wrong and the right form.
pub fn parse_request(target: &RequestTarget, now: Wall) -> Result<HistoryRequest, ProblemDetails> {
    let request = parse(target, now).map_err(|wrong| ProblemDetails::new(400, wrong))?;
    // Each value is fine by itself, so the request is; there is only nothing between them.
    let HistoryRequest { from, to, .. } = request;
    if from >= to {
        let detail = format!("`from` ({from}) must be before `to` ({to}).");
        return Err(ProblemDetails::new(404, detail));
    }
    Ok(request)
}

fn parse(target: &RequestTarget, now: Wall) -> Result<HistoryRequest, String> {
    let keys = parse_keys(target)?;
    let instant = |name: &str, otherwise: Wall| {
        match target.parameter(name) {
        None => Ok(otherwise),
        Some(text) => parse_instant(text, now).ok_or_else(|| {
            format!(
                "`{name}` is {text:?}; expected a time such as 2025-10-30T20:00:00Z, a span from now on such as -24h or %2B24h, or seconds or milliseconds since 1970."
            )
        }),
    }
    };
    let day = std::time::Duration::from_secs(86_400);
    let (from, to) = (instant("from", now.before(day))?, instant("to", now)?);
    let points = match target.parameter("points") {
        None => POINTS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|points| (1..=limits::HISTORY_POINTS).contains(points))
            .ok_or_else(|| {
                let most = limits::HISTORY_POINTS;
                format!("`points` is {text:?}; expected a whole number from 1 to {most}.")
            })?,
    };
    // It says how many there are at most, so fewer are an answer too.
    let points = points.min(limits::HISTORY_TOTAL_POINTS / keys.len());
    let format = match target.parameter("format") {
        None | Some("json") => HistoryFormat::Json,
        Some("csv") => HistoryFormat::Csv,
        Some(other) => return Err(format!("`format` is {other:?}; expected json or csv.")),
    };
    let query = |key: &str| HistoryQuery {
        key: key.into(),
        from,
        to,
        points,
    };
    Ok(HistoryRequest {
        queries: keys.into_iter().map(query).collect(),
        from,
        to,
        format,
    })
}

fn parse_keys(target: &RequestTarget) -> Result<Vec<&str>, String> {
    let mut keys: Vec<&str> = Vec::new();
    for key in target.values(HISTORY_KEY).filter(|key| !key.is_empty()) {
        if keys.contains(&key) {
            return Err(format!("`key` is {key:?} twice; give each key once."));
        }
        keys.push(key);
    }
    match keys.len() {
        0 => Err("`key` is missing. Example: /history?key=temperature.".to_owned()),
        1..=limits::HISTORY_KEYS => Ok(keys),
        count => {
            let most = limits::HISTORY_KEYS;
            Err(format!(
                "`key` is given {count} times; expected at most {most} keys."
            ))
        }
    }
}

/// RFC 3339, a span before now with a minus sign, after now with a plus sign, or seconds or
/// milliseconds since 1970.
fn parse_instant(text: &str, now: Wall) -> Option<Wall> {
    if let Some(span) = text.strip_prefix('-') {
        return parse_duration(span).map(|span| now.before(span));
    }
    // An unescaped `+` arrives as a blank.
    if let Some(span) = text.strip_prefix(['+', ' ']) {
        return parse_duration(span).map(|span| now.after(span));
    }
    if let Some(instant) = Wall::from_epoch_text(text) {
        return Some(instant);
    }
    // An unescaped `+` of an offset arrives as a blank.
    let text = text.replace(' ', "+");
    let has_time = text
        .as_bytes()
        .get(10)
        .is_some_and(|b| matches!(b, b'T' | b't'));
    let instant: jiff::Timestamp = has_time.then(|| text.parse().ok())??;
    Some(Wall(instant.as_millisecond()))
}

/// What was observed of a key, then what is ahead.
#[derive(Debug)]
pub struct HistorySeries {
    pub key: Arc<str>,
    pub unit: Option<String>,
    pub buckets: Vec<Bucket>,
    pub forecast: Vec<Bucket>,
}

impl HistorySeries {
    /// The buckets of both, each with whether it is a forecast.
    fn marked(&self) -> impl Iterator<Item = (&Bucket, bool)> {
        let observed = self.buckets.iter().map(|bucket| (bucket, false));
        observed.chain(self.forecast.iter().map(|bucket| (bucket, true)))
    }

    fn bucket_bodies(&self) -> Vec<BucketBody> {
        self.marked()
            .filter_map(|(bucket, forecast)| BucketBody::of(bucket, forecast))
            .collect()
    }
}

#[derive(Serialize)]
struct HistoryBody<'a> {
    key: &'a str,
    unit: Option<&'a str>,
    from: String,
    to: String,
    buckets: Vec<BucketBody>,
}

#[derive(Serialize)]
struct SeriesBody<'a> {
    key: &'a str,
    unit: Option<&'a str>,
    buckets: Vec<BucketBody>,
}

#[derive(Serialize)]
struct BucketBody {
    from: String,
    duration_s: u64,
    count: u64,
    min: serde_json::Number,
    mean: serde_json::Number,
    max: serde_json::Number,
    last: serde_json::Number,
    /// Ahead of now: as the source says, not observed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forecast: bool,
}

impl BucketBody {
    /// What JSON cannot represent is never stored; a bucket that contains it anyway is left out.
    fn of(bucket: &Bucket, forecast: bool) -> Option<BucketBody> {
        let number = |number: f64| format_number(number).parse().ok();
        yield_cpu();
        Some(BucketBody {
            from: bucket.from.to_string(),
            duration_s: bucket.seconds,
            count: bucket.count,
            min: number(bucket.min)?,
            mean: number(bucket.mean)?,
            max: number(bucket.max)?,
            last: number(bucket.last)?,
            forecast,
        })
    }
}

/// One key is the object itself; several are a list.
pub fn json(request: &HistoryRequest, histories: &[HistorySeries]) -> Vec<u8> {
    let (from, to) = (request.from.to_string(), request.to.to_string());
    if let [one] = histories {
        let body = HistoryBody {
            key: &one.key,
            unit: one.unit.as_deref(),
            from,
            to,
            buckets: one.bucket_bodies(),
        };
        return serde_json::to_vec(&body).unwrap_or_default();
    }
    let mut body = format!("{{\"from\":\"{from}\",\"to\":\"{to}\",\"series\":[").into_bytes();
    for (index, history) in histories.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        // One at a time: buckets take more room than their text.
        let series = SeriesBody {
            key: &history.key,
            unit: history.unit.as_deref(),
            buckets: history.bucket_bodies(),
        };
        body.extend(serde_json::to_vec(&series).unwrap_or_default());
    }
    body.extend(b"]}");
    body
}

/// RFC 4180, a header line first; the column `forecast` is there if something is one, and `key` in
/// front if there are several. The other cells are times and numbers, which no spreadsheet takes for
/// a formula. Of several keys the lines are in the order of time: Grafana makes series of those alone.
pub fn csv(histories: &[HistorySeries]) -> Vec<u8> {
    let has_forecast = histories.iter().any(|history| !history.forecast.is_empty());
    let has_keys = histories.len() > 1;
    let mut text = String::from(if has_keys { "key," } else { "" });
    text.push_str("from,duration_s,count,min,mean,max,last");
    text.push_str(if has_forecast {
        ",forecast\r\n"
    } else {
        "\r\n"
    });
    let of_key = |history| HistorySeries::marked(history).map(move |marked| (history, marked));
    let mut lines: Vec<(&HistorySeries, (&Bucket, bool))> =
        histories.iter().flat_map(of_key).collect();
    if has_keys {
        lines.compact_sort_by_key(|(_, (bucket, _))| bucket.from);
    }
    for (history, (bucket, forecast)) in lines {
        if has_keys {
            text.push_str(&csv_text(&history.key));
            text.push(',');
        }
        let [min, mean, max, last] =
            [bucket.min, bucket.mean, bucket.max, bucket.last].map(format_number);
        let (from, seconds, count) = (bucket.from, bucket.seconds, bucket.count);
        // Writing to a String cannot fail.
        let _ = write!(text, "{from},{seconds},{count},{min},{mean},{max},{last}");
        text.push_str(match (has_forecast, forecast) {
            (true, true) => ",1\r\n",
            (true, false) => ",0\r\n",
            (false, _) => "\r\n",
        });
    }
    text.into_bytes()
}

#[cfg(test)]
#[path = "tests/history.rs"]
mod tests;
