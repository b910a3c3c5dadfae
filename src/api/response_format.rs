//! Response formats: the bytes of a body to the tree of values that selections read.
//!
//! Pure.

use serde_json::Value as Json;

use super::charset;
use super::error_message;
use super::format::detect::{Looks, describe_web_page, detect};
use super::format::xml::XmlLists;
use super::format::{FormatError, complete_lines, csv, prometheus, text, xml};
use super::http_response::FetchedResponse;
use super::json::{self, BodyOrigin};
use super::parsed_body::ParsedBody;
use crate::domain::failure::{Cause, Failure};
use crate::domain::plan::{ResponseFormat, SourcePlan};
use crate::domain::reading::Issue;
use crate::limits;

/// Parses a body in the format of the source.
pub fn parse(fetched: &FetchedResponse, plan: &SourcePlan) -> Result<ParsedBody, Failure> {
    let text = charset::decode(&fetched.body, fetched.content_type.as_deref());
    let host = fetched.host();
    let content_type = fetched.content_type.as_deref();
    let origin = BodyOrigin {
        host,
        is_html: fetched.is_html(),
        is_end_marked: fetched.is_end_marked,
    };
    let other = |parse: &ParseText| parse_other(&text, fetched, plan.format, parse);
    match plan.format {
        ResponseFormat::Json if content_type.is_some_and(json::is_lines) => {
            json::parse_text_or_lines(&text, origin)
        }
        ResponseFormat::Json => json::parse(&text, origin),
        ResponseFormat::Ndjson => json::parse_lines(&text, origin),
        ResponseFormat::Csv => other(&csv::parse),
        ResponseFormat::Xml => {
            let lists = XmlLists::of_plan(plan);
            other(&|text| xml::parse(text, &lists).map(without_issues))
        }
        ResponseFormat::Prometheus => other(&prometheus::parse),
        ResponseFormat::Text => {
            let is_value = plan.reads_whole_response();
            other(&|text| text::parse(text, is_value).map(without_issues))
        }
    }
}

/// Parses a text that is whole.
type ParseText<'a> = dyn Fn(&str) -> Result<(Json, Vec<Issue>), FormatError> + 'a;

fn without_issues(tree: Json) -> (Json, Vec<Issue>) {
    (tree, Vec::new())
}

/// The format that a response looks like; JSON where it looks like none.
pub fn likely_format(fetched: &FetchedResponse) -> ResponseFormat {
    let content_type = fetched.content_type.as_deref();
    match detect(&charset::decode(&fetched.body, content_type), content_type) {
        Some(Looks::Like(format)) => format,
        Some(Looks::Html | Looks::Jsonp | Looks::Binary) | None => ResponseFormat::Json,
    }
}

/// Parses a body that is not JSON by `parse`.
fn parse_other(
    text: &str,
    fetched: &FetchedResponse,
    format: ResponseFormat,
    parse: &ParseText,
) -> Result<ParsedBody, Failure> {
    let host = fetched.host();
    // What devices send behind their text.
    let text = text.trim_end_matches('\0');
    let title = format.title();
    let fail = |detail| Err(Failure::new(Cause::NotJson, detail));
    if text.trim().is_empty() {
        return fail(format!("the response of {host} is empty, expected {title}"));
    }
    if text.contains('\0') {
        return fail(format!("{host} returned binary data, expected {title}"));
    }
    let looks = detect(text, fetched.content_type.as_deref());
    if let Some(other) = looks.filter(|looks| is_refused(*looks, format)) {
        let what = match other {
            Looks::Html => describe_web_page(text),
            looks => looks.to_string(),
        };
        let said = error_message::describe_body(text.as_bytes());
        return fail(format!("{host} returned {what}, expected {title}{said}"));
    }
    // XML shows by itself where it is cut.
    let is_end_marked = fetched.is_end_marked || format == ResponseFormat::Xml;
    let (whole, cut) = complete_lines(text, is_end_marked);
    if let Some(issue) = cut.as_ref().filter(|_| whole.trim().is_empty()) {
        return fail(format!(
            "the only line of the response of {host} may be cut: expected {}, found {}",
            issue.expected, issue.found
        ));
    }
    let (tree, issues) = parse(whole).map_err(|error| describe(error, looks, format, host))?;
    let mut body = ParsedBody::from(tree);
    body.issues.extend(cut.into_iter().chain(issues));
    Ok(body)
}

/// Whether a body is none of `format`, though a lenient parser would make something of it.
fn is_refused(looks: Looks, format: ResponseFormat) -> bool {
    let is_lenient = matches!(format, ResponseFormat::Csv | ResponseFormat::Text);
    match looks {
        Looks::Html => true,
        Looks::Like(ResponseFormat::Json) => is_lenient || format == ResponseFormat::Xml,
        Looks::Like(ResponseFormat::Xml) => format != ResponseFormat::Xml,
        Looks::Like(ResponseFormat::Ndjson) => format == ResponseFormat::Csv,
        Looks::Like(ResponseFormat::Prometheus) => format == ResponseFormat::Csv,
        Looks::Like(_) | Looks::Jsonp | Looks::Binary => false,
    }
}

fn describe(
    error: FormatError,
    looks: Option<Looks>,
    format: ResponseFormat,
    host: &str,
) -> Failure {
    let FormatError::Malformed {
        line,
        expected,
        found,
    } = error
    else {
        return too_many(host);
    };
    let title = format.title();
    let other = looks.filter(|looks| *looks != Looks::Like(format));
    let advice = other.map(|looks| format!("; it looks like {looks}"));
    let detail = format!(
        "the response of {host} is not valid {title} (line {line}): expected {expected}, found \
         {found}{}",
        advice.unwrap_or_default()
    );
    Failure::new(Cause::NotJson, detail)
}

fn too_many(host: &str) -> Failure {
    let most = limits::JSON_VALUES;
    let detail = format!("the response of {host} holds more than {most} values");
    Failure::new(Cause::TooLarge, detail)
}

#[cfg(test)]
#[path = "tests/response_format.rs"]
mod tests;
