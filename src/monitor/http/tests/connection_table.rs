//! Connection table: limits, eviction, deadlines.

use super::*;
use std::net::Ipv4Addr;

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

fn table() -> Rc<ConnectionTable> {
    Rc::new(ConnectionTable::new(
        4,
        2,
        Arc::new(HttpStats::new()),
        Rc::default(),
    ))
}

#[test]
fn connections_are_limited_in_total_and_per_address() {
    let table = table();
    let first = table.admit(address(1), false).ok();
    let _second = table.admit(address(1), false).ok();
    assert_eq!(
        table.admit(address(1), false).err(),
        Some(LimitReached::PerAddress)
    );
    let _others = (
        table.admit(address(2), false).ok(),
        table.admit(address(3), false).ok(),
    );
    assert_eq!(
        table.admit(address(4), false).err(),
        Some(LimitReached::Total)
    );
    drop(first);
    assert!(table.admit(address(1), false).is_ok());
}

#[test]
fn a_proxy_has_half_of_all_and_its_requests_count_for_their_clients() {
    let stats = Arc::new(HttpStats::new());
    let table = Rc::new(ConnectionTable::new(6, 2, stats, Rc::default()));
    let admitted: Vec<_> = (0..3).map(|_| table.admit(address(1), true)).collect();
    assert!(admitted.iter().all(Result::is_ok));
    let fourth = table.admit(address(1), true);
    assert_eq!(fourth.err(), Some(LimitReached::PerProxy));
    let own = table.admit(address(7), false).expect("its first");
    let second = table.admit_client(address(7)).expect("its second");
    let third = || table.admit_client(address(7)).err();
    assert_eq!(third(), Some(LimitReached::PerAddress));
    assert!(table.admit_client(address(8)).is_ok(), "another client");
    drop(own);
    assert_eq!(third(), None);
    drop(second);
    assert_eq!(table.per_address.borrow().len(), 1, "the proxy alone");
}

#[test]
fn the_longest_idle_is_evicted_and_none_with_a_request_in_progress() {
    let table = table();
    let long = Duration::from_secs(60);
    let answering = table.admit(address(1), false).expect("admitted");
    answering.state.enter(ConnectionPhase::Answering, long);
    let head = table.admit(address(1), false).expect("admitted");
    head.state.enter(ConnectionPhase::Head, long);
    let idle = table.admit(address(2), false).expect("admitted");
    idle.state.enter(ConnectionPhase::Idle, long);
    let lingering = table.admit(address(2), false).expect("admitted");
    lingering.state.enter(ConnectionPhase::Lingering, long);
    for next in [&lingering, &idle, &head] {
        assert!(next.state.interrupt.get().is_none());
        assert!(table.evict_idle(Duration::ZERO));
        assert_eq!(next.state.interrupt.get(), Some(Interrupt::Evicted));
    }
    assert!(!table.evict_idle(Duration::ZERO));
    assert!(answering.state.interrupt.get().is_none());
}

#[test]
fn a_recently_active_connection_is_not_evicted() {
    let table = table();
    let idle = table.admit(address(1), false).expect("admitted");
    idle.state
        .enter(ConnectionPhase::Idle, Duration::from_secs(60));
    assert!(!table.evict_idle(Duration::from_secs(1)));
}

#[test]
fn a_wait_times_out_and_the_next_phase_starts_anew() {
    let table = table();
    let guard = table.admit(address(1), false).expect("admitted");
    guard.state.enter(ConnectionPhase::Head, Duration::ZERO);
    table.expire(Instant::now());
    let waited = smol::block_on(guard.state.wait(std::future::pending::<()>()));
    assert_eq!(waited, Err(Interrupt::TimedOut));
    guard
        .state
        .enter(ConnectionPhase::Answering, Duration::from_secs(60));
    assert_eq!(smol::block_on(guard.state.wait(async { 7 })), Ok(7));
}

#[test]
fn an_evicted_connection_stays_evicted_in_a_new_phase() {
    let table = table();
    let guard = table.admit(address(1), false).expect("admitted");
    let long = Duration::from_secs(60);
    guard.state.enter(ConnectionPhase::Lingering, long);
    table.stop();
    guard.state.enter(ConnectionPhase::Idle, long);
    let waited = smol::block_on(guard.state.wait(std::future::pending::<()>()));
    assert_eq!(waited, Err(Interrupt::Evicted));
}
