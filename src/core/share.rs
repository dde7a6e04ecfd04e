//! What there is a bounded number of at a time, and each address's share of it.
//!
//! One mechanism for clients, scrapes and answers that other threads make. Who makes room for a
//! newcomer where nothing is free is decided in `room`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// At a time.
    pub in_all: usize,
    /// Of one address.
    pub of_one: usize,
}

impl Most {
    /// Half of all for each address, so that one alone cannot keep all others out.
    pub const fn half_for_each(in_all: usize) -> Most {
        Most {
            in_all,
            of_one: in_all.div_ceil(2),
        }
    }
}

/// Why there is nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    InAll,
    /// This address has its share.
    OfOne,
}

/// Counts what is taken.
#[derive(Debug)]
pub struct Shares {
    most: Most,
    all: Arc<()>,
    of: HashMap<IpAddr, Arc<()>>,
}

/// One of them. It counts until it is dropped, on whichever thread.
#[derive(Debug)]
pub struct Share {
    _all: Arc<()>,
    _of: Arc<()>,
}

impl Shares {
    /// None is taken yet.
    pub fn new(most: Most) -> Shares {
        Shares {
            most,
            all: Arc::default(),
            of: HashMap::new(),
        }
    }

    /// Takes one for that address.
    pub fn take(&mut self, address: IpAddr) -> Result<Share, Full> {
        if self.count_of(address) >= self.most.of_one {
            return Err(Full::OfOne);
        }
        if self.count() >= self.most.in_all {
            return Err(Full::InAll);
        }
        if self.of.len() > 2 * self.count() + 16 {
            self.of.retain(|_, of| Arc::strong_count(of) > 1);
        }
        Ok(Share {
            _all: Arc::clone(&self.all),
            _of: Arc::clone(self.of.entry(address).or_default()),
        })
    }

    /// How many are taken.
    pub fn count(&self) -> usize {
        Arc::strong_count(&self.all) - 1
    }

    /// How many that address has.
    pub fn count_of(&self, address: IpAddr) -> usize {
        self.of
            .get(&address)
            .map_or(0, |of| Arc::strong_count(of) - 1)
    }

    /// How many there may be.
    pub fn most(&self) -> Most {
        self.most
    }

    /// Changes how many there may be. What is taken stays taken.
    pub fn set_most(&mut self, most: Most) {
        self.most = most;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn an_address_has_its_share_and_the_rest_is_for_others() {
        let mut shares = Shares::new(Most::half_for_each(8));
        let mut take = |last: u8| shares.take(address(last));
        let ones: Vec<_> = (0..4).map(|_| take(1).unwrap()).collect();
        assert_eq!(take(1).unwrap_err(), Full::OfOne);
        let others: Vec<_> = (2..6).map(|last| take(last).unwrap()).collect();
        assert_eq!(take(9).unwrap_err(), Full::InAll);
        assert_eq!(take(1).unwrap_err(), Full::OfOne);
        assert_eq!(shares.count(), 8);
        drop(others);
        assert_eq!((shares.count(), shares.count_of(address(1))), (4, 4));
        assert!(shares.take(address(9)).is_ok());
        assert_eq!(shares.take(address(1)).unwrap_err(), Full::OfOne);
        drop(ones);
        assert!(shares.take(address(1)).is_ok());
        assert_eq!(shares.count(), 0);
    }

    #[test]
    fn one_that_another_thread_drops_is_free_again() {
        let mut shares = Shares::new(Most::half_for_each(1));
        let share = shares.take(address(1)).unwrap();
        assert!(shares.take(address(2)).is_err());
        let move_away = move || drop(share);
        move_away();
        assert!(shares.take(address(2)).is_ok());
    }

    #[test]
    fn addresses_that_have_none_are_forgotten() {
        let mut shares = Shares::new(Most::half_for_each(8));
        for last in 0..=255 {
            drop(shares.take(address(last)).unwrap());
        }
        assert!(shares.of.len() <= 20, "{}", shares.of.len());
    }

    #[test]
    fn fewer_than_there_are_let_nobody_in_until_enough_have_gone() {
        let mut shares = Shares::new(Most::half_for_each(8));
        let mut taken: Vec<_> = (0..6)
            .map(|last| shares.take(address(last)).unwrap())
            .collect();
        shares.set_most(Most::half_for_each(4));
        assert_eq!(shares.take(address(9)).unwrap_err(), Full::InAll);
        taken.truncate(3);
        assert!(shares.take(address(9)).is_ok());
    }
}
