//! Send budget: limits response bytes that clients have not read yet.
//!
//! Owned by the server's thread. It counts and rejects; it holds no response longer than its
//! sender does.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::handler::Overload;
use super::stats::HttpStats;
use crate::limits;

/// The bytes of large responses that clients have not read. A shared body counts once, however
/// many are being sent it; one of the pool counts for itself, from the moment its length is
/// known. Small responses are not counted: the number of connections bounds them.
pub struct SendBudget {
    total: Cell<usize>,
    max_total: usize,
    max_per_address: usize,
    /// By the address of the bytes, which do not move while a reservation holds them.
    shared: RefCell<HashMap<usize, usize>>,
    per_address: RefCell<HashMap<IpAddr, usize>>,
    stats: Arc<HttpStats>,
}

impl SendBudget {
    pub fn new(max_total: usize, max_per_address: usize, stats: Arc<HttpStats>) -> Rc<SendBudget> {
        Rc::new(SendBudget {
            total: Cell::new(0),
            max_total,
            max_per_address,
            shared: RefCell::default(),
            per_address: RefCell::default(),
            stats,
        })
    }

    /// Reserves room for a shared body; `None` if there is none.
    pub fn reserve_shared(self: &Rc<Self>, body: &Arc<[u8]>) -> Option<Reservation> {
        let bytes = body.len();
        if bytes <= limits::SMALL_RESPONSE_BYTES {
            return Some(Reservation::none(self));
        }
        let address = body.as_ptr() as usize;
        let mut shared = self.shared.borrow_mut();
        match shared.get_mut(&address) {
            Some(count) => *count += 1,
            None => {
                if self.total.get() + bytes > self.max_total {
                    return None;
                }
                shared.insert(address, 1);
                self.change(|total| total + bytes);
            }
        }
        Some(Reservation {
            budget: self.clone(),
            kind: ReservationKind::Shared {
                address,
                bytes,
                _body: body.clone(),
            },
        })
    }

    /// Reserves room for a body that only `peer` gets, or returns the limit that was reached.
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
            budget: self.clone(),
            kind: ReservationKind::Own { peer, bytes },
        })
    }

    fn change(&self, by: impl Fn(usize) -> usize) {
        self.total.set(by(self.total.get()));
        self.stats.set_bytes_outstanding(self.total.get());
    }
}

/// A body that is being sent; dropping it releases its bytes.
pub struct Reservation {
    budget: Rc<SendBudget>,
    kind: ReservationKind,
}

enum ReservationKind {
    None,
    Shared {
        address: usize,
        bytes: usize,
        /// Holds the bytes, so that no other body can get the same address.
        _body: Arc<[u8]>,
    },
    Own {
        peer: IpAddr,
        bytes: usize,
    },
}

impl Reservation {
    fn none(budget: &Rc<SendBudget>) -> Reservation {
        Reservation {
            budget: budget.clone(),
            kind: ReservationKind::None,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        match &self.kind {
            ReservationKind::None => {}
            ReservationKind::Shared { address, bytes, .. } => {
                let mut shared = self.budget.shared.borrow_mut();
                if let Some(count) = shared.get_mut(address) {
                    *count -= 1;
                    if *count == 0 {
                        shared.remove(address);
                        self.budget.change(|total| total - bytes);
                    }
                }
            }
            ReservationKind::Own { peer, bytes } => {
                let mut of_address = self.budget.per_address.borrow_mut();
                if let Some(held) = of_address.get_mut(peer) {
                    *held -= bytes;
                    if *held == 0 {
                        of_address.remove(peer);
                    }
                }
                self.budget.change(|total| total - bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_body_counts_once_and_each_own_body_by_itself() {
        let budget = SendBudget::new(100_000, 60_000, Arc::new(HttpStats::new()));
        let peer = IpAddr::from([127, 0, 0, 1]);
        let other = IpAddr::from([127, 0, 0, 2]);
        let body: Arc<[u8]> = vec![0; 50_000].into();
        let first = budget.reserve_shared(&body);
        let second = budget.reserve_shared(&body);
        assert_eq!(budget.total.get(), 50_000);
        drop(first);
        assert_eq!(budget.total.get(), 50_000, "one is still being sent it");
        let own = budget.reserve(40_000, peer);
        assert!(own.is_ok());
        let refused = |peer| budget.reserve(30_000, peer).map(drop);
        let share = Overload::BytesOutstandingPerAddress(60_000);
        assert_eq!(refused(peer), Err(share), "one address has its share");
        let room = Overload::BytesOutstanding(100_000);
        assert_eq!(refused(other), Err(room), "no room in all");
        assert!(
            budget.reserve(1_000, other).is_ok(),
            "a small response is always sent"
        );
        drop(second);
        assert!(budget.reserve(30_000, other).is_ok());
        drop(own);
        assert_eq!(budget.total.get(), 0);
    }
}
