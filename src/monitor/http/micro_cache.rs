//! Micro cache: responses of the worker pool, reused for the same request a moment later.
//!
//! Many browsers, or one that reloads all the time, cost a few renderings a second and not one
//! each. Owned by the server's thread, bounded in number, bytes and time. A new event ends every
//! entry: a client that has seen an event gets no page without it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handler::Request;
use super::response_writer::{EncodedResponse, ResponseBody};
use crate::limits;

/// What a response has that is never reused, as of keys that are given once.
const PRIVATE_FIELD: &str = "Cache-Control: private";

pub struct MicroCache {
    ttl: Duration,
    entries: RefCell<VecDeque<MicroCacheEntry>>,
}

struct MicroCacheEntry {
    /// Everything but the address is compared: a different request, for example with another
    /// password, never gets the response.
    request: Request,
    until: Instant,
    event_number: u64,
    status: u16,
    fields: Vec<u8>,
    body: Arc<[u8]>,
}

impl MicroCache {
    /// Entries live for `ttl` after their request.
    pub fn new(ttl: Duration) -> MicroCache {
        MicroCache {
            ttl,
            entries: RefCell::default(),
        }
    }

    /// The response to the same request. `event` is the number of the newest event.
    pub fn get(&self, request: &Request, event: u64) -> Option<EncodedResponse> {
        let entries = self.entries.borrow();
        let now = Instant::now();
        let same = entries.iter().find(|entry| {
            entry.event_number == event && now < entry.until && is_same(&entry.request, request)
        })?;
        Some(EncodedResponse {
            status: same.status,
            fields: same.fields.clone(),
            body: ResponseBody::Shared(same.body.clone()),
            reservation: None,
        })
    }

    /// Stores the response to a request of `requested_at`, when `event` was the newest event;
    /// returns it.
    pub fn insert(
        &self,
        request: &Request,
        requested_at: Instant,
        event: u64,
        reply: EncodedResponse,
    ) -> EncodedResponse {
        let until = requested_at + self.ttl;
        let ResponseBody::Own(bytes) = &reply.body else {
            return reply;
        };
        let is_cacheable = matches!(reply.status, 200 | 304)
            && !is_private(&reply.fields)
            && bytes.len() <= limits::PAGE_CACHE_ENTRY_BYTES
            && Instant::now() < until;
        if !is_cacheable {
            return reply;
        }
        let body: Arc<[u8]> = bytes.as_slice().into();
        let mut entries = self.entries.borrow_mut();
        entries.retain(|entry| !is_same(&entry.request, request));
        if entries.len() >= limits::PAGE_CACHE_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(MicroCacheEntry {
            request: request.clone(),
            until,
            event_number: event,
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

/// Whether the header fields say that the response is for one client, once.
fn is_private(fields: &[u8]) -> bool {
    let mark = PRIVATE_FIELD.as_bytes();
    fields.windows(mark.len()).any(|part| part == mark)
}

fn is_same(one: &Request, other: &Request) -> bool {
    one.target == other.target
        && one.is_head == other.is_head
        && one.base == other.base
        && one.is_https == other.is_https
        && one.token == other.token
        && one.headers == other.headers
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
    fn what_is_for_one_client_is_never_reused() {
        let cache = MicroCache::new(LONG);
        let setup = request("/api/setup", &[("id", "AA:BB:CC:DD:EE:FF")]);
        for (fields, is_kept) in [
            ("Cache-Control: private, no-store\r\n", false),
            ("Cache-Control: no-store\r\n", true),
        ] {
            let mut reply = reply(200, b"key".to_vec());
            reply.fields.extend(fields.as_bytes());
            cache.insert(&setup, Instant::now(), 7, reply);
            assert_eq!(cache.get(&setup, 7).is_some(), is_kept, "{fields}");
        }
    }

    #[test]
    fn the_same_request_gets_the_same_response_until_the_next_event() {
        let cache = MicroCache::new(LONG);
        let page = request("/web", &[("authorization", "Basic a")]);
        let given = cache.insert(&page, Instant::now(), 7, reply(200, b"page".to_vec()));
        assert_eq!(given.body.bytes(), b"page");
        let again = cache.get(&page, 7).expect("it was just given");
        assert_eq!((again.status, again.body.bytes()), (200, &b"page"[..]));
        assert_eq!(again.fields, b"X-Test: 1\r\n");
        assert!(cache.get(&page, 8).is_none(), "there is a new event");
        for other in [
            request("/web", &[]),
            request("/web", &[("authorization", "Basic b")]),
            request("/web?", &[("authorization", "Basic a")]),
            Request {
                is_head: true,
                ..page.clone()
            },
            Request {
                base: "/node".to_owned(),
                ..page.clone()
            },
            Request {
                token: Some("b".to_owned()),
                ..page.clone()
            },
        ] {
            assert!(cache.get(&other, 7).is_none(), "{other:?}");
        }
    }

    #[test]
    fn only_recent_small_200_responses_are_cached_up_to_a_limit() {
        let cache = MicroCache::new(LONG);
        let now = Instant::now();
        let is_stored = |target: &str, requested_at: Instant, reply: EncodedResponse| {
            let request = request(target, &[]);
            cache.insert(&request, requested_at, 0, reply);
            cache.get(&request, 0).is_some()
        };
        let old = now.checked_sub(LONG).unwrap_or(now);
        assert!(old == now || !is_stored("/old", old, reply(200, Vec::new())));
        assert!(!is_stored("/bad", now, reply(503, Vec::new())));
        let large = vec![b' '; limits::PAGE_CACHE_ENTRY_BYTES + 1];
        assert!(!is_stored("/large", now, reply(200, large)));
        for number in 0..=limits::PAGE_CACHE_ENTRIES {
            assert!(is_stored(
                &format!("/{number}"),
                now,
                reply(200, Vec::new())
            ));
        }
        assert!(cache.get(&request("/0", &[]), 0).is_none());
        cache.expire(now + LONG);
        assert_eq!(cache.entries.borrow().len(), 0);
    }
}
