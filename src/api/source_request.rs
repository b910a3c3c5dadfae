//! Request of a source: the same for every fetch, or filled with the date for each.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::outgoing_request::OutgoingRequest;
use super::outgoing_request::SendRequest;
use crate::domain::failure::{Cause, Failure};
use crate::domain::placeholder::PlaceholderTime;
use crate::domain::time::Wall;

/// What fills the date placeholders of a request. `Err` says what is invalid.
pub type FillRequest =
    dyn Fn(&PlaceholderTime) -> Result<FilledRequest, String> + std::marker::Send + Sync;

pub enum SourceRequest {
    Fixed(Arc<SendRequest>),
    /// It has date placeholders, in this zone.
    Dated {
        zone: TimeZone,
        fill: Box<FillRequest>,
    },
    /// None can be made, and why.
    Unavailable(String),
}

/// A request with its date placeholders filled.
pub struct FilledRequest {
    pub send: Arc<SendRequest>,
    /// What `send` sends.
    pub outgoing: OutgoingRequest,
}

impl From<Box<SendRequest>> for SourceRequest {
    fn from(send: Box<SendRequest>) -> SourceRequest {
        SourceRequest::Fixed(send.into())
    }
}

impl From<OutgoingRequest> for FilledRequest {
    fn from(outgoing: OutgoingRequest) -> FilledRequest {
        let sent = outgoing.clone();
        FilledRequest {
            send: Arc::new(move |agent| sent.send(agent)),
            outgoing,
        }
    }
}

impl SourceRequest {
    pub fn has_placeholders(&self) -> bool {
        matches!(self, SourceRequest::Dated { .. })
    }

    /// What is sent at this time, and its identity: 0 where every request is the same.
    pub fn at(&self, wall: Wall) -> Result<(Arc<SendRequest>, u64), Failure> {
        match self {
            SourceRequest::Fixed(send) => Ok((send.clone(), 0)),
            SourceRequest::Dated { zone, fill } => {
                let zone = zone.clone();
                let filled = fill(&PlaceholderTime { wall, zone }).map_err(|problem| {
                    let detail = format!("the request cannot be made for this date: {problem}");
                    Failure::new(Cause::Schema, detail)
                })?;
                Ok((filled.send, filled.outgoing.identity()))
            }
            SourceRequest::Unavailable(reason) => Err(Failure::new(Cause::Configuration, reason)),
        }
    }

    /// The request at this time, if it depends on the time.
    pub fn fill(&self, wall: Wall) -> Option<Result<FilledRequest, String>> {
        match self {
            SourceRequest::Fixed(_) | SourceRequest::Unavailable(_) => None,
            SourceRequest::Dated { zone, fill } => {
                let zone = zone.clone();
                Some(fill(&PlaceholderTime { wall, zone }))
            }
        }
    }
}
