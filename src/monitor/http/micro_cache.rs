//! Answers of the pool that serve whoever asks the very same a moment later, so that many
//! browsers, or one that hammers, cost a page a few times a second and not one each.
//!
//! Owned by the gate's thread, bounded in number, bytes and time. What was announced since
//! makes an answer useless at once: nobody who was just told of news gets a page without it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handler::Request;
use super::response_writer::{EncodedResponse, ResponseBody};
use crate::limits;

pub struct MicroCache {
    ttl: Duration,
    entries: RefCell<VecDeque<MicroCacheEntry>>,
}

struct MicroCacheEntry {
    /// All of it but the address counts: an answer is never given to who asked otherwise,
    /// with another password, say.
    request: Request,
    until: Instant,
    event_number: u64,
    status: u16,
    fields: Vec<u8>,
    body: Arc<[u8]>,
}

impl MicroCache {
    /// Answers are repeated for `span` after they were asked for.
    pub fn new(span: Duration) -> MicroCache {
        MicroCache {
            ttl: span,
            entries: RefCell::default(),
        }
    }

    /// The answer to the same question, if it was just given. `heard` is the number of the
    /// newest announcement.
    pub fn get(&self, request: &Request, heard: u64) -> Option<EncodedResponse> {
        let kept = self.entries.borrow();
        let now = Instant::now();
        let same = kept.iter().find(|kept| {
            kept.event_number == heard && now < kept.until && is_same(&kept.request, request)
        })?;
        Some(EncodedResponse {
            status: same.status,
            fields: same.fields.clone(),
            body: ResponseBody::Shared(same.body.clone()),
            reservation: None,
        })
    }

    /// Keeps an answer that the pool was asked for at `asked`, with the announcements heard
    /// until then; gives it back.
    pub fn insert(
        &self,
        request: &Request,
        asked: Instant,
        heard: u64,
        reply: EncodedResponse,
    ) -> EncodedResponse {
        let until = asked + self.ttl;
        let ResponseBody::Own(bytes) = &reply.body else {
            return reply;
        };
        let is_kept = matches!(reply.status, 200 | 304)
            && bytes.len() <= limits::PAGE_CACHE_ENTRY_BYTES
            && Instant::now() < until;
        if !is_kept {
            return reply;
        }
        let body: Arc<[u8]> = bytes.as_slice().into();
        let mut kept = self.entries.borrow_mut();
        kept.retain(|kept| !is_same(&kept.request, request));
        if kept.len() >= limits::PAGE_CACHE_ENTRIES {
            kept.pop_front();
        }
        kept.push_back(MicroCacheEntry {
            request: request.clone(),
            until,
            event_number: heard,
            status: reply.status,
            fields: reply.fields.clone(),
            body: body.clone(),
        });
        EncodedResponse {
            body: ResponseBody::Shared(body),
            ..reply
        }
    }

    /// Drops what is too old; returns when the next entry is.
    pub fn expire(&self, now: Instant) -> Option<Instant> {
        let mut entries = self.entries.borrow_mut();
        entries.retain(|entry| now < entry.until);
        entries.iter().map(|entry| entry.until).min()
    }
}

fn is_same(one: &Request, other: &Request) -> bool {
    one.target == other.target && one.is_head == other.is_head && one.headers == other.headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::request;

    const LONG: Duration = Duration::from_secs(3600);

    fn reply(status: u16, body: Vec<u8>) -> EncodedResponse {
        EncodedResponse {
            status,
            fields: b"X-Test: 1\r\n".to_vec(),
            body: ResponseBody::Own(body),
            reservation: None,
        }
    }

    #[test]
    fn the_same_question_gets_the_same_answer_until_there_is_news() {
        let repeats = MicroCache::new(LONG);
        let page = request("/web", &[("authorization", "Basic a")]);
        let given = repeats.insert(&page, Instant::now(), 7, reply(200, b"page".to_vec()));
        assert_eq!(given.body.bytes(), b"page");
        let again = repeats.get(&page, 7).expect("it was just given");
        assert_eq!((again.status, again.body.bytes()), (200, &b"page"[..]));
        assert_eq!(again.fields, b"X-Test: 1\r\n");
        assert!(repeats.get(&page, 8).is_none(), "there is news");
        for other in [
            request("/web", &[]),
            request("/web", &[("authorization", "Basic b")]),
            request("/web?", &[("authorization", "Basic a")]),
            Request {
                is_head: true,
                ..page.clone()
            },
        ] {
            assert!(repeats.get(&other, 7).is_none(), "{other:?}");
        }
    }

    #[test]
    fn only_what_is_young_good_and_small_is_kept_and_little_of_it() {
        let repeats = MicroCache::new(LONG);
        let now = Instant::now();
        let kept = |target: &str, asked: Instant, reply: EncodedResponse| {
            let request = request(target, &[]);
            repeats.insert(&request, asked, 0, reply);
            repeats.get(&request, 0).is_some()
        };
        let old = now.checked_sub(LONG).unwrap_or(now);
        assert!(old == now || !kept("/old", old, reply(200, Vec::new())));
        assert!(!kept("/bad", now, reply(503, Vec::new())));
        let large = vec![b' '; limits::PAGE_CACHE_ENTRY_BYTES + 1];
        assert!(!kept("/large", now, reply(200, large)));
        for number in 0..=limits::PAGE_CACHE_ENTRIES {
            assert!(kept(&format!("/{number}"), now, reply(200, Vec::new())));
        }
        assert!(repeats.get(&request("/0", &[]), 0).is_none());
        repeats.expire(now + LONG);
        assert_eq!(repeats.entries.borrow().len(), 0);
    }
}
