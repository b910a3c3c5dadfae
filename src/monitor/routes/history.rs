//! `/history`: query parameters, and the response as JSON or CSV.
//!
//! Pure; any thread. Reading the database is the context's closure.

use std::fmt::Write;

use serde::Serialize;

use super::table::RequestTarget;
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

/// Parses the query; the problem names what is wrong and the right form.
pub fn parse_query(
    target: &RequestTarget,
    now: Wall,
) -> Result<(HistoryQuery, HistoryFormat), ProblemDetails> {
    let (query, format) = parse(target, now).map_err(|wrong| ProblemDetails::new(400, wrong))?;
    // Each value is fine by itself, so the request is; there is only nothing between them.
    if query.from >= query.to {
        let HistoryQuery { from, to, .. } = query;
        let detail = format!("`from` ({from}) must be before `to` ({to}).");
        return Err(ProblemDetails::new(404, detail));
    }
    Ok((query, format))
}

fn parse(target: &RequestTarget, now: Wall) -> Result<(HistoryQuery, HistoryFormat), String> {
    let key = target.parameter("key").filter(|key| !key.is_empty());
    let key = key.ok_or("`key` is missing. Example: /history?key=temperature.")?;
    let instant = |name: &str, otherwise: Wall| {
        match target.parameter(name) {
        None => Ok(otherwise),
        Some(text) => parse_instant(text, now).ok_or_else(|| {
            format!(
                "`{name}` is {text:?}; expected a time such as 2025-10-30T20:00:00Z or a span from now on such as -24h or %2B24h."
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
    let format = match target.parameter("format") {
        None | Some("json") => HistoryFormat::Json,
        Some("csv") => HistoryFormat::Csv,
        Some(other) => return Err(format!("`format` is {other:?}; expected json or csv.")),
    };
    let key = key.into();
    Ok((
        HistoryQuery {
            key,
            from,
            to,
            points,
        },
        format,
    ))
}

/// RFC 3339, or a span before now with a minus sign, after now with a plus sign.
fn parse_instant(text: &str, now: Wall) -> Option<Wall> {
    if let Some(span) = text.strip_prefix('-') {
        return parse_duration(span).map(|span| now.before(span));
    }
    // An unescaped `+` arrives as a blank.
    if let Some(span) = text.strip_prefix(['+', ' ']) {
        return parse_duration(span).map(|span| now.after(span));
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

#[derive(Serialize)]
struct HistoryBody<'a> {
    key: &'a str,
    unit: Option<&'a str>,
    from: String,
    to: String,
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

/// What was observed, then what is ahead.
pub fn json(
    query: &HistoryQuery,
    unit: Option<&str>,
    buckets: &[Bucket],
    forecast: &[Bucket],
) -> Vec<u8> {
    let bucket = |(bucket, forecast): (&Bucket, bool)| {
        // What JSON cannot represent is never stored; a bucket that contains it anyway
        // is left out.
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
    };
    let history = HistoryBody {
        key: &query.key,
        unit,
        from: query.from.to_string(),
        to: query.to.to_string(),
        buckets: marked(buckets, forecast).filter_map(bucket).collect(),
    };
    serde_json::to_vec(&history).unwrap_or_default()
}

/// The buckets of both, each with whether it is a forecast.
fn marked<'a>(
    buckets: &'a [Bucket],
    forecast: &'a [Bucket],
) -> impl Iterator<Item = (&'a Bucket, bool)> {
    let observed = buckets.iter().map(|bucket| (bucket, false));
    observed.chain(forecast.iter().map(|bucket| (bucket, true)))
}

/// RFC 4180, a header line first; the column `forecast` is there if something is one. Every cell is a time or a number: text from a server, which
/// a spreadsheet could take for a formula, has no column here.
pub fn csv(buckets: &[Bucket], forecast: &[Bucket]) -> Vec<u8> {
    let has_forecast = !forecast.is_empty();
    let mut text = String::from("from,duration_s,count,min,mean,max,last");
    text.push_str(if has_forecast {
        ",forecast\r\n"
    } else {
        "\r\n"
    });
    for (bucket, forecast) in marked(buckets, forecast) {
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
