//! Login throttle: limits wrong passwords per address.
//!
//! Pure: the time comes in. An address has [`limits::WRONG_PASSWORDS`] wrong ones in any
//! [`limits::WRONG_PASSWORD_WINDOW`]; then every request that needs the password is rejected, with
//! the right one too, from this address alone. An IPv6 client has a whole /64 and counts as one.
//!
//! The tables are bounded, and filling them gains an attacker nothing:
//! - addresses that sent the right password lately have a table of their own, which only
//!   clients that know it can fill, so that a display is never locked out by others;
//! - of the others 256 are counted each by itself, and none is forgotten while it still counts;
//! - when those are taken, further addresses share counters by network, so that many of them
//!   get few failures, and locked out are only newcomers of the same network.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;

use crate::domain::time::Mono;
use crate::limits;

/// The wrong passwords of one address or network.
#[derive(Debug, Clone, Copy, Default)]
struct FailedLogins {
    /// The latest, as a ring; how many there ever were.
    at: [Mono; limits::WRONG_PASSWORDS],
    count: usize,
}

impl FailedLogins {
    fn add(&mut self, now: Mono) {
        self.at[self.count % limits::WRONG_PASSWORDS] = now;
        // Wraps only after more failures than there are milliseconds in an age.
        self.count = self.count.saturating_add(1);
    }

    /// Whether all of the latest are within the window.
    fn is_too_many(&self, now: Mono) -> bool {
        let oldest = self.at[self.count % limits::WRONG_PASSWORDS];
        self.count >= limits::WRONG_PASSWORDS && is_recent(oldest, now)
    }

    fn is_expired(&self, now: Mono) -> bool {
        let latest = self.count.checked_sub(1);
        latest.is_none_or(|latest| !is_recent(self.at[latest % limits::WRONG_PASSWORDS], now))
    }
}

fn is_recent(at: Mono, now: Mono) -> bool {
    now.since(at) < limits::WRONG_PASSWORD_WINDOW
}

/// An address as failures are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ClientKey {
    V4([u8; 4]),
    /// The first 64 bits.
    V6([u8; 8]),
}

impl ClientKey {
    fn of(address: IpAddr) -> ClientKey {
        match address.to_canonical() {
            IpAddr::V4(address) => ClientKey::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                ClientKey::V6([a, b, c, d, e, f, g, h])
            }
        }
    }

    /// The network of one operator, roughly: a /16, or a /32 of IPv6.
    fn network(self) -> (bool, [u8; 4]) {
        match self {
            ClientKey::V4([a, b, ..]) => (false, [a, b, 0, 0]),
            ClientKey::V6([a, b, c, d, ..]) => (true, [a, b, c, d]),
        }
    }
}

/// Addresses with wrong passwords, and addresses with the right one.
pub struct LoginThrottle {
    /// With the time of the latest right password.
    authenticated: HashMap<ClientKey, (FailedLogins, Mono)>,
    others: HashMap<ClientKey, FailedLogins>,
    by_network: [FailedLogins; NETWORK_COUNTERS],
    /// Random, so that a client cannot choose whose counter it shares.
    hasher: RandomState,
}

/// Counters of networks, for when the table is full.
const NETWORK_COUNTERS: usize = 64;

impl Default for LoginThrottle {
    fn default() -> LoginThrottle {
        LoginThrottle {
            authenticated: HashMap::new(),
            others: HashMap::new(),
            by_network: [FailedLogins::default(); NETWORK_COUNTERS],
            hasher: RandomState::new(),
        }
    }
}

impl LoginThrottle {
    /// Whether this address may not try a password now, not even the right one.
    pub fn is_locked_out(&self, address: IpAddr, now: Mono) -> bool {
        let guesser = ClientKey::of(address);
        let own = self.authenticated.get(&guesser).map(|(wrong, _)| wrong);
        let own = own.or_else(|| self.others.get(&guesser));
        match own {
            Some(wrong) => wrong.is_too_many(now),
            None => {
                self.is_full(now) && self.by_network[self.network_counter(guesser)].is_too_many(now)
            }
        }
    }

    /// Records a wrong password.
    pub fn record_failure(&mut self, address: IpAddr, now: Mono) {
        let guesser = ClientKey::of(address);
        if let Some((wrong, _)) = self.authenticated.get_mut(&guesser) {
            return wrong.add(now);
        }
        let is_new = !self.others.contains_key(&guesser);
        if is_new && self.others.len() >= limits::THROTTLED_ADDRESSES {
            self.others.retain(|_, wrong| !wrong.is_expired(now));
        }
        if is_new && self.others.len() >= limits::THROTTLED_ADDRESSES {
            let share = self.network_counter(guesser);
            self.by_network[share].add(now);
        } else {
            self.others.entry(guesser).or_default().add(now);
        }
    }

    /// Records the right password.
    pub fn record_success(&mut self, address: IpAddr, now: Mono) {
        let guesser = ClientKey::of(address);
        if let Some((_, at)) = self.authenticated.get_mut(&guesser) {
            *at = now;
            return;
        }
        if self.authenticated.len() >= limits::TRUSTED_ADDRESSES
            && let Some(oldest) = self.authenticated.iter().min_by_key(|(_, (_, at))| *at)
        {
            let oldest = *oldest.0;
            self.authenticated.remove(&oldest);
        }
        let wrong = self.others.remove(&guesser).unwrap_or_default();
        self.authenticated.insert(guesser, (wrong, now));
    }

    /// Whether every entry has failures that still count.
    fn is_full(&self, now: Mono) -> bool {
        self.others.len() >= limits::THROTTLED_ADDRESSES
            && self.others.values().all(|wrong| !wrong.is_expired(now))
    }

    fn network_counter(&self, guesser: ClientKey) -> usize {
        self.hasher.hash_one(guesser.network()) as usize % NETWORK_COUNTERS
    }
}

#[cfg(test)]
#[path = "tests/login_throttle.rs"]
mod tests;
