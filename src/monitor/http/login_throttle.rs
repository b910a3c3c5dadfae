//! Login throttle: limits wrong passwords per address.
//!
//! Pure: the time comes in. An address has [`limits::WRONG_PASSWORDS`] wrong ones in any
//! [`limits::WRONG_PASSWORD_WINDOW`]; then everything that needs the password is refused to it, the right
//! one too, and to nobody else. An IPv6 client has a whole /64 and counts as one.
//!
//! What is remembered is bounded, and whoever can fill it gains nothing:
//! - addresses that gave the right password lately stand in a table of their own, which only
//!   those who know it can fill, so that a kept display is never locked out by others;
//! - of the others 256 are counted each by itself, and none is forgotten while it still counts;
//! - when those are taken, further addresses share counters by network, so that many of them
//!   get few guesses, and locked out are only newcomers of the same network.

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
        // Wraps only after more guesses than there are milliseconds in an age.
        self.count = self.count.saturating_add(1);
    }

    /// All of the latest lie within the time that counts.
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

/// An address as guesses are counted.
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

    /// What one owner usually has: a /16, or a /32 of IPv6.
    fn network(self) -> (bool, [u8; 4]) {
        match self {
            ClientKey::V4([a, b, ..]) => (false, [a, b, 0, 0]),
            ClientKey::V6([a, b, c, d, ..]) => (true, [a, b, c, d]),
        }
    }
}

/// Who guesses, and who knows.
pub struct LoginThrottle {
    /// With the time of the latest right password.
    authenticated: HashMap<ClientKey, (FailedLogins, Mono)>,
    others: HashMap<ClientKey, FailedLogins>,
    by_network: [FailedLogins; NETWORK_COUNTERS],
    /// Unknown to others, so that nobody can choose whose counter is shared.
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

    /// Takes note of a wrong password.
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

    /// Takes note of the right password.
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

    /// Every place is taken by somebody whose guesses still count.
    fn is_full(&self, now: Mono) -> bool {
        self.others.len() >= limits::THROTTLED_ADDRESSES
            && self.others.values().all(|wrong| !wrong.is_expired(now))
    }

    fn network_counter(&self, guesser: ClientKey) -> usize {
        self.hasher.hash_one(guesser.network()) as usize % NETWORK_COUNTERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = limits::WRONG_PASSWORDS;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn guess(guesses: &mut LoginThrottle, address: IpAddr, now: Mono) -> bool {
        let may = !guesses.is_locked_out(address, now);
        if may {
            guesses.record_failure(address, now);
        }
        may
    }

    #[test]
    fn ten_wrong_ones_a_minute_and_then_nothing_from_there_alone() {
        let mut guesses = LoginThrottle::default();
        let (guesser, owner) = (ip("192.168.1.66"), ip("192.168.1.20"));
        let mut tried = Vec::new();
        for second in 0..600 {
            let now = Mono(1_000 * second);
            if guess(&mut guesses, guesser, now) {
                tried.push(now);
            }
            assert!(!guesses.is_locked_out(owner, now));
            guesses.record_success(owner, now);
        }
        assert_eq!(tried.len(), 10 * MOST);
        for window in tried.windows(MOST + 1) {
            assert!(window[MOST].since(window[0]) >= limits::WRONG_PASSWORD_WINDOW);
        }
    }

    #[test]
    fn who_shares_an_address_shares_its_guesses_and_an_ipv6_network_is_one() {
        let mut guesses = LoginThrottle::default();
        let now = Mono(5_000);
        for host in 0..MOST {
            assert!(guess(
                &mut guesses,
                ip(&format!("2001:db8:1:2::{host:x}")),
                now
            ));
        }
        assert!(guesses.is_locked_out(ip("2001:db8:1:2:ffff::1"), now));
        assert!(!guesses.is_locked_out(ip("2001:db8:1:3::1"), now));
        // The right password does not wash the wrong ones away.
        let nat = ip("203.0.113.5");
        for _ in 0..MOST - 1 {
            assert!(guess(&mut guesses, nat, now));
            guesses.record_success(nat, now);
        }
        assert!(guess(&mut guesses, ip("::ffff:203.0.113.5"), now));
        assert!(guesses.is_locked_out(nat, now));
        assert!(guesses.is_locked_out(nat, now.after(limits::WRONG_PASSWORD_WINDOW / 2)));
        assert!(!guesses.is_locked_out(nat, now.after(limits::WRONG_PASSWORD_WINDOW)));
    }

    #[test]
    fn a_full_table_neither_locks_everybody_out_nor_lets_a_guesser_in() {
        let mut guesses = LoginThrottle::default();
        let (display, now) = (ip("198.51.100.7"), Mono(5_000));
        guesses.record_success(display, now);
        let of_network = |host: usize| ip(&format!("10.9.{}.{}", host / 256, host % 256));
        let mut tried = 0;
        for _ in 0..3 * MOST {
            for host in 0..4 * limits::THROTTLED_ADDRESSES {
                tried += usize::from(guess(&mut guesses, of_network(host), now));
            }
        }
        // Each of the table, and all others of one network together, ten.
        assert_eq!(tried, (limits::THROTTLED_ADDRESSES + 1) * MOST);
        assert!(guesses.is_locked_out(of_network(5_000), now));
        assert!(!guesses.is_locked_out(display, now));
        let is_open = |network: u8| !guesses.is_locked_out(ip(&format!("{network}.1.2.3")), now);
        assert!((100..200).filter(|it| is_open(*it)).count() > 90);
        // And it all passes.
        let later = now.after(limits::WRONG_PASSWORD_WINDOW);
        assert!(!guesses.is_locked_out(of_network(5_000), later));
        assert!(guess(&mut guesses, of_network(5_000), later));
        assert!(guesses.others.len() <= limits::THROTTLED_ADDRESSES);
    }

    #[test]
    fn those_who_know_are_bounded_and_the_latest_stay() {
        let mut guesses = LoginThrottle::default();
        for host in 0..2 * limits::TRUSTED_ADDRESSES {
            let address = ip(&format!("10.0.{}.{}", host / 256, host % 256));
            guesses.record_success(address, Mono(host as u64));
        }
        assert_eq!(guesses.authenticated.len(), limits::TRUSTED_ADDRESSES);
        let latest = (2 * limits::TRUSTED_ADDRESSES - 1) % 256;
        let latest = ClientKey::of(ip(&format!("10.0.0.{latest}")));
        assert!(guesses.authenticated.contains_key(&latest));
    }
}
