//! Login throttle: who is locked out, for how long, and what is remembered.

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
fn ten_wrong_passwords_a_minute_lock_only_that_address_out() {
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
fn wrong_passwords_count_per_address_and_per_ipv6_network() {
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
    // The right password does not reset the count of wrong ones.
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
fn a_full_table_neither_locks_all_clients_out_nor_lets_a_guesser_in() {
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
    // All of it expires.
    let later = now.after(limits::WRONG_PASSWORD_WINDOW);
    assert!(!guesses.is_locked_out(of_network(5_000), later));
    assert!(guess(&mut guesses, of_network(5_000), later));
    assert!(guesses.others.len() <= limits::THROTTLED_ADDRESSES);
}

#[test]
fn addresses_with_the_right_password_are_bounded_and_the_latest_stay() {
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
