//! Queue of a push display: which message it is sent next, so that only changes are sent, and the
//! newest ones.
//!
//! Pure. It holds what the display has, never messages: what is sent is made of the newest
//! snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::message::{MessageDigest, PushMessage};
use crate::domain::time::Mono;
use crate::limits;

/// How often messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// The shortest time between two messages about the same.
    pub every: Duration,
    /// After which time a message is sent again although nothing changed: the display forgets, or
    /// has been switched off.
    pub refresh: Option<Duration>,
    /// Whether the display can be told that something is gone.
    pub can_remove: bool,
}

/// What the display has.
#[derive(Debug)]
pub struct PushQueue {
    pacing: Pacing,
    /// By what they are about.
    shown: BTreeMap<Arc<str>, ShownMessage>,
}

#[derive(Debug, Clone, Copy)]
struct ShownMessage {
    /// `None`: the display may have forgotten it, or it was there before this node.
    digest: Option<MessageDigest>,
    sent_at: Mono,
    is_refused: bool,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum NextPush<'m> {
    Send(&'m PushMessage),
    Remove(Arc<str>),
    /// Nothing before this instant, if nothing changes; `None`: nothing at all.
    Wait(Option<Mono>),
}

impl PushQueue {
    pub fn new(pacing: Pacing) -> PushQueue {
        PushQueue {
            pacing,
            shown: BTreeMap::new(),
        }
    }

    /// The next of `messages`, which are all that the display shall have.
    pub fn next<'m>(&self, messages: &'m [PushMessage], now: Mono) -> NextPush<'m> {
        if let Some(gone) = self.gone(messages) {
            return NextPush::Remove(gone.clone());
        }
        let due = messages.iter().filter_map(|it| Some((self.due(it)?, it)));
        match due.min_by_key(|(due, _)| *due) {
            Some((due, message)) if due <= now => NextPush::Send(message),
            Some((due, _)) => NextPush::Wait(Some(due)),
            None => NextPush::Wait(None),
        }
    }

    /// How many messages the display has not yet got as they are now.
    pub fn waiting(&self, messages: &[PushMessage]) -> u64 {
        let is_new = |message: &&PushMessage| {
            let shown = self.shown.get(&message.about);
            let digest = shown.and_then(|it| it.digest);
            digest.map(|it| it.content) != Some(message.digest.content)
        };
        messages.iter().filter(is_new).count() as u64
    }

    /// The display has this message now.
    pub fn accepted(&mut self, message: &PushMessage, now: Mono) {
        self.record(message, now, false);
    }

    /// The display does not want this message; another one about the same may be right.
    pub fn refused(&mut self, message: &PushMessage, now: Mono) {
        self.record(message, now, true);
    }

    fn record(&mut self, message: &PushMessage, now: Mono, is_refused: bool) {
        let shown = ShownMessage {
            digest: Some(message.digest),
            sent_at: now,
            is_refused,
        };
        self.shown.insert(message.about.clone(), shown);
    }

    pub fn removed(&mut self, about: &str) {
        self.shown.remove(about);
    }

    /// The display shows something of an earlier run.
    pub fn found(&mut self, about: &str, now: Mono) {
        if !self.shown.contains_key(about) {
            let shown = ShownMessage {
                digest: None,
                sent_at: now,
                is_refused: false,
            };
            self.shown.insert(about.into(), shown);
        }
    }

    /// The display was away: it may have been switched off, and have forgotten everything.
    pub fn forget(&mut self) {
        for shown in self.shown.values_mut() {
            shown.digest = None;
        }
    }

    /// The first that the display has and that there is no message about any more.
    fn gone(&self, messages: &[PushMessage]) -> Option<&Arc<str>> {
        let is_gone = |about: &&Arc<str>| messages.iter().all(|it| it.about != **about);
        let mut gone = self.shown.keys().filter(is_gone);
        gone.next().filter(|_| self.pacing.can_remove)
    }

    /// When a message is to be sent; one that was never sent comes first.
    fn due(&self, message: &PushMessage) -> Option<Mono> {
        let Some(shown) = self.shown.get(&message.about) else {
            return Some(Mono(0));
        };
        let Some(digest) = shown.digest else {
            return Some(Mono(0));
        };
        let every = self.pacing.every;
        let wait = if digest.content != message.digest.content {
            Some(every)
        } else if shown.is_refused {
            Some(limits::PUSH_REFUSED_RETRY.max(every))
        } else {
            let times_differ = digest.times != message.digest.times;
            let times = times_differ.then(|| limits::SNAPSHOT_TIMES_INTERVAL.max(every));
            match (times, self.pacing.refresh) {
                (Some(times), Some(refresh)) => Some(times.min(refresh)),
                (times, refresh) => times.or(refresh),
            }
        };
        wait.map(|wait| shown.sent_at.after(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(about: &str, content: u64, times: u64) -> PushMessage {
        PushMessage {
            about: about.into(),
            digest: MessageDigest { content, times },
            ..PushMessage::default()
        }
    }

    fn queue(refresh: Option<u64>, can_remove: bool) -> PushQueue {
        PushQueue::new(Pacing {
            every: Duration::from_secs(10),
            refresh: refresh.map(Duration::from_secs),
            can_remove,
        })
    }

    fn seconds(seconds: u64) -> Mono {
        Mono(1_000_000 + seconds * 1000)
    }

    #[test]
    fn only_changes_are_sent_and_not_more_often_than_every() {
        let mut queue = queue(None, false);
        let first = [message("a", 1, 0), message("b", 1, 0)];
        assert_eq!(queue.next(&first, seconds(0)), NextPush::Send(&first[0]));
        assert_eq!(queue.waiting(&first), 2);
        queue.accepted(&first[0], seconds(0));
        assert_eq!(queue.next(&first, seconds(0)), NextPush::Send(&first[1]));
        queue.accepted(&first[1], seconds(1));
        assert_eq!(queue.next(&first, seconds(999)), NextPush::Wait(None));
        assert_eq!(queue.waiting(&first), 0);
        let changed = [message("a", 2, 0), message("b", 2, 0)];
        assert_eq!(
            queue.next(&changed, seconds(4)),
            NextPush::Wait(Some(seconds(10)))
        );
        assert_eq!(
            queue.next(&changed, seconds(10)),
            NextPush::Send(&changed[0])
        );
        // The newest replaces what waits.
        let newest = [message("a", 3, 0), message("b", 1, 0)];
        queue.accepted(&newest[0], seconds(10));
        assert_eq!(queue.next(&newest, seconds(11)), NextPush::Wait(None));
    }

    #[test]
    fn times_alone_are_sent_once_a_minute() {
        let mut queue = queue(None, false);
        queue.accepted(&message("a", 1, 1), seconds(0));
        let later = [message("a", 1, 2)];
        assert_eq!(
            queue.next(&later, seconds(59)),
            NextPush::Wait(Some(seconds(60)))
        );
        assert_eq!(queue.next(&later, seconds(60)), NextPush::Send(&later[0]));
    }

    #[test]
    fn what_the_display_forgets_is_sent_again() {
        let mut queue = queue(Some(150), false);
        let same = [message("a", 1, 0)];
        queue.accepted(&same[0], seconds(0));
        assert_eq!(
            queue.next(&same, seconds(149)),
            NextPush::Wait(Some(seconds(150)))
        );
        assert_eq!(queue.next(&same, seconds(150)), NextPush::Send(&same[0]));
        queue.accepted(&same[0], seconds(150));
        queue.forget();
        assert_eq!(queue.next(&same, seconds(151)), NextPush::Send(&same[0]));
    }

    #[test]
    fn a_refused_message_does_not_hold_up_others() {
        let mut queue = queue(None, false);
        let both = [message("a", 1, 0), message("b", 1, 0)];
        queue.refused(&both[0], seconds(0));
        assert_eq!(queue.next(&both, seconds(0)), NextPush::Send(&both[1]));
        queue.accepted(&both[1], seconds(0));
        let retry = seconds(limits::PUSH_REFUSED_RETRY.as_secs());
        assert_eq!(queue.next(&both, seconds(1)), NextPush::Wait(Some(retry)));
        // Another one about the same may be right.
        let other = [message("a", 2, 0), message("b", 1, 0)];
        assert_eq!(queue.next(&other, seconds(10)), NextPush::Send(&other[0]));
    }

    #[test]
    fn what_is_gone_is_removed_where_that_is_possible() {
        let both = [message("a", 1, 0), message("b", 1, 0)];
        for can_remove in [true, false] {
            let mut queue = queue(None, can_remove);
            for message in &both {
                queue.accepted(message, seconds(0));
            }
            // It was there before this node.
            queue.found("c", seconds(0));
            queue.found("a", seconds(0));
            let mut gone = Vec::new();
            while let NextPush::Remove(about) = queue.next(&both[..1], seconds(1)) {
                queue.removed(&about);
                gone.push(about);
            }
            let expected: &[&str] = if can_remove { &["b", "c"] } else { &[] };
            assert_eq!(gone.iter().map(|it| &**it).collect::<Vec<_>>(), expected);
            assert_eq!(queue.next(&both[..1], seconds(1)), NextPush::Wait(None));
        }
    }
}
