//! How many bytes of answers clients have not taken yet, so that many who do not read cannot
//! fill the memory.
//!
//! Owned by the gate's thread. It counts and says no; it holds no answer longer than its
//! sender does.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::handler::Overload;
use super::stats::HttpStats;
use crate::limits;

/// The bytes of large answers that clients have not taken. A shared body counts once, however
/// many are being sent it; one of the pool counts for itself, from the moment its length is
/// known. Small answers are not counted: the number of connections bounds them.
pub struct SendBudget {
    total: Cell<usize>,
    max_total: usize,
    max_per_address: usize,
    /// By the address of the bytes, which stay where they are while anybody holds them.
    shared: RefCell<HashMap<usize, usize>>,
    per_address: RefCell<HashMap<IpAddr, usize>>,
    stats: Arc<HttpStats>,
}

impl SendBudget {
    pub fn new(in_all: usize, of_one_address: usize, stats: Arc<HttpStats>) -> Rc<SendBudget> {
        Rc::new(SendBudget {
            total: Cell::new(0),
            max_total: in_all,
            max_per_address: of_one_address,
            shared: RefCell::default(),
            per_address: RefCell::default(),
            stats,
        })
    }

    /// Counts a shared body in; None if there is no room.
    pub fn reserve_shared(self: &Rc<Self>, body: &Arc<[u8]>) -> Option<Reservation> {
        let bytes = body.len();
        if bytes <= limits::SMALL_RESPONSE_BYTES {
            return Some(Reservation::none(self));
        }
        let place = body.as_ptr() as usize;
        let mut shared = self.shared.borrow_mut();
        match shared.get_mut(&place) {
            Some(count) => *count += 1,
            None => {
                if self.total.get() + bytes > self.max_total {
                    return None;
                }
                shared.insert(place, 1);
                self.change(|total| total + bytes);
            }
        }
        Some(Reservation {
            outstanding: self.clone(),
            kind: ReservationKind::Shared {
                place,
                bytes,
                _body: body.clone(),
            },
        })
    }

    /// Counts a body in that only `peer` gets, or says why there is no room.
    pub fn reserve(self: &Rc<Self>, bytes: usize, peer: IpAddr) -> Result<Reservation, Overload> {
        if bytes <= limits::SMALL_RESPONSE_BYTES {
            return Ok(Reservation::none(self));
        }
        let mut of_address = self.per_address.borrow_mut();
        let of_one = of_address.get(&peer).copied().unwrap_or(0);
        if of_one + bytes > self.max_per_address {
            return Err(Overload::BytesOutstandingPerAddress(self.max_per_address));
        }
        if self.total.get() + bytes > self.max_total {
            return Err(Overload::BytesOutstanding(self.max_total));
        }
        of_address.insert(peer, of_one + bytes);
        self.change(|total| total + bytes);
        Ok(Reservation {
            outstanding: self.clone(),
            kind: ReservationKind::Own { peer, bytes },
        })
    }

    fn change(&self, by: impl Fn(usize) -> usize) {
        self.total.set(by(self.total.get()));
        self.stats.set_bytes_outstanding(self.total.get());
    }
}

/// A body on its way; dropping it counts it out.
pub struct Reservation {
    outstanding: Rc<SendBudget>,
    kind: ReservationKind,
}

enum ReservationKind {
    None,
    Shared {
        place: usize,
        bytes: usize,
        /// Keeps the bytes at their place, so that no other body can be taken for this one.
        _body: Arc<[u8]>,
    },
    Own {
        peer: IpAddr,
        bytes: usize,
    },
}

impl Reservation {
    fn none(outstanding: &Rc<SendBudget>) -> Reservation {
        Reservation {
            outstanding: outstanding.clone(),
            kind: ReservationKind::None,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        match &self.kind {
            ReservationKind::None => {}
            ReservationKind::Shared { place, bytes, .. } => {
                let mut shared = self.outstanding.shared.borrow_mut();
                if let Some(count) = shared.get_mut(place) {
                    *count -= 1;
                    if *count == 0 {
                        shared.remove(place);
                        self.outstanding.change(|total| total - bytes);
                    }
                }
            }
            ReservationKind::Own { peer, bytes } => {
                let mut of_address = self.outstanding.per_address.borrow_mut();
                if let Some(held) = of_address.get_mut(peer) {
                    *held -= bytes;
                    if *held == 0 {
                        of_address.remove(peer);
                    }
                }
                self.outstanding.change(|total| total - bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_body_counts_once_and_own_ones_each() {
        let outstanding = SendBudget::new(100_000, 60_000, Arc::new(HttpStats::new()));
        let peer = IpAddr::from([127, 0, 0, 1]);
        let other = IpAddr::from([127, 0, 0, 2]);
        let body: Arc<[u8]> = vec![0; 50_000].into();
        let first = outstanding.reserve_shared(&body);
        let second = outstanding.reserve_shared(&body);
        assert_eq!(outstanding.total.get(), 50_000);
        drop(first);
        assert_eq!(
            outstanding.total.get(),
            50_000,
            "one is still being sent it"
        );
        let own = outstanding.reserve(40_000, peer);
        assert!(own.is_ok());
        let refused = |peer| outstanding.reserve(30_000, peer).map(drop);
        let share = Overload::BytesOutstandingPerAddress(60_000);
        assert_eq!(refused(peer), Err(share), "one address has its share");
        let room = Overload::BytesOutstanding(100_000);
        assert_eq!(refused(other), Err(room), "no room in all");
        assert!(
            outstanding.reserve(1_000, other).is_ok(),
            "a small answer always goes"
        );
        drop(second);
        assert!(outstanding.reserve(30_000, other).is_ok());
        drop(own);
        assert_eq!(outstanding.total.get(), 0);
    }
}
