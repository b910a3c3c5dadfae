//! Daily check of a channel's login: an OAuth client whose secret or refresh token has ended is noticed
//! before an alert needs it, and a refresh token that must not rest for months is used.
//!
//! On the thread of the channel, while nothing waits.

use std::time::Duration;

use super::channels::Channel;
use crate::domain::alert::DeliveryFailure;
use crate::domain::time::Mono;
use crate::limits;

pub struct LoginCheck {
    /// `None`: the channel has nothing to check.
    due: Option<Mono>,
    pub failure: Option<DeliveryFailure>,
}

impl LoginCheck {
    /// The first one soon after the start, when the network may be up.
    pub fn new(started: Mono) -> LoginCheck {
        LoginCheck {
            due: Some(started.after(limits::LOGIN_CHECK_RETRY)),
            failure: None,
        }
    }

    /// Checks the login if that is due; returns how long to wait for the next.
    pub fn run(&mut self, channel: &dyn Channel, now: Mono) -> Option<Duration> {
        let due = self.due?;
        if due > now {
            return Some(due.since(now));
        }
        let name = channel.name();
        match channel.check_token() {
            None => self.due = None,
            Some(Ok(())) => self.succeeded(now),
            Some(Err(why)) => {
                if self.failure.as_ref().is_none_or(|known| known.why != why) {
                    log::warn!("{name}: alerts could not be delivered now: {why}");
                }
                let since = self.failure.as_ref().map_or(now, |it| it.since);
                self.failure = Some(DeliveryFailure { since, why });
                self.due = Some(now.after(limits::LOGIN_CHECK_RETRY));
            }
        }
        self.due.map(|due| due.since(now))
    }

    /// The channel has delivered, or its login is as it should be.
    pub fn succeeded(&mut self, now: Mono) {
        self.failure = None;
        self.due = self.due.map(|_| now.after(limits::LOGIN_CHECK_INTERVAL));
    }
}
