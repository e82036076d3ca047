//! The numbers of an event: which kind it is, whom it names, what it costs, when it happens.

use super::columns::Kind;
use crate::connectors::generated::{below, draw, unit};

/// 2015-07-15 00:00:00 UTC, the reference generator's base time.
const BASE_TIME_MS: i64 = 1_436_918_400_000;

const FIRST_PERSON: u64 = 1000;
const FIRST_AUCTION: u64 = 1000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

/// Auctions that are bid for, and people who are active, at a time.
const IN_FLIGHT_AUCTIONS: u64 = 100;
const ACTIVE_PEOPLE: u64 = 1000;
/// Ids may be named a little before they exist.
const ID_LEAD: u64 = 10;

/// One in so many draws is not hot; a hot id is the last one rounded down to a multiple of `HOT_STEP`.
const HOT_AUCTIONS: u64 = 2;
const HOT_SELLERS: u64 = 4;
const HOT_BIDDERS: u64 = 4;
const HOT_STEP: u64 = 100;

/// What is drawn; each draw is independent of which others are made.
#[derive(Clone, Copy)]
pub(super) enum Draw {
    HotAuction = 1,
    Auction,
    HotBidder,
    Bidder,
    Price,
    HotSeller,
    Seller,
    Category,
    InitialBid,
    Reserve,
    Expires,
    Channel,
    Name,
    Email,
    Card,
    City,
    State,
    Item,
    Description,
    Extra,
    Url,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    pub seed: u64,
    pub persons: u64,
    pub auctions: u64,
    pub bids: u64,
    /// Events per second of event time.
    pub rate: u64,
}

impl Model {
    pub(super) fn total(&self) -> u64 {
        self.persons + self.auctions + self.bids
    }

    #[inline]
    pub(super) fn draw(&self, event: u64, what: Draw) -> u64 {
        draw(self.seed, event, what as u64)
    }

    #[inline]
    pub(super) fn kind(&self, event: u64) -> Kind {
        let place = event % self.total();
        if place < self.persons {
            Kind::Person
        } else if place < self.persons + self.auctions {
            Kind::Auction
        } else {
            Kind::Bid
        }
    }

    /// Milliseconds since the epoch.
    #[inline]
    pub(super) fn time(&self, event: u64) -> i64 {
        // Whole seconds first: the product of all milliseconds could overflow, and 128-bit division is slow.
        let (seconds, rest) = (event / self.rate, event % self.rate);
        BASE_TIME_MS + (seconds * 1000 + rest * 1000 / self.rate) as i64
    }

    /// Persons up to and with `event`, less one: the newest person's number.
    #[inline]
    fn last_person(&self, event: u64) -> u64 {
        let (round, place) = (event / self.total(), event % self.total());
        round * self.persons + place.min(self.persons - 1)
    }

    /// The newest auction's number; 0 before the first.
    #[inline]
    fn last_auction(&self, event: u64) -> u64 {
        let (round, place) = (event / self.total(), event % self.total());
        let auctions = (place + 1).saturating_sub(self.persons).min(self.auctions);
        (round * self.auctions + auctions).saturating_sub(1)
    }

    pub(super) fn person_id(&self, event: u64) -> i64 {
        (self.last_person(event) + FIRST_PERSON) as i64
    }

    pub(super) fn auction_id(&self, event: u64) -> i64 {
        (self.last_auction(event) + FIRST_AUCTION) as i64
    }

    /// Someone active, or about to be.
    fn any_person(&self, event: u64, random: u64) -> u64 {
        let people = self.last_person(event) + 1;
        let active = people.min(ACTIVE_PEOPLE);
        people - active + below(active + ID_LEAD, random)
    }

    #[inline]
    pub(super) fn bid_auction(&self, event: u64) -> i64 {
        let last = self.last_auction(event);
        let id = if below(HOT_AUCTIONS, self.draw(event, Draw::HotAuction)) > 0 {
            last / HOT_STEP * HOT_STEP
        } else {
            let first = last.saturating_sub(IN_FLIGHT_AUCTIONS);
            first + below(last - first + 1 + ID_LEAD, self.draw(event, Draw::Auction))
        };
        (id + FIRST_AUCTION) as i64
    }

    #[inline]
    pub(super) fn bidder(&self, event: u64) -> i64 {
        let id = if below(HOT_BIDDERS, self.draw(event, Draw::HotBidder)) > 0 {
            self.last_person(event) / HOT_STEP * HOT_STEP + 1
        } else {
            self.any_person(event, self.draw(event, Draw::Bidder))
        };
        (id + FIRST_PERSON) as i64
    }

    pub(super) fn seller(&self, event: u64) -> i64 {
        let id = if below(HOT_SELLERS, self.draw(event, Draw::HotSeller)) > 0 {
            self.last_person(event) / HOT_STEP * HOT_STEP
        } else {
            self.any_person(event, self.draw(event, Draw::Seller))
        };
        (id + FIRST_PERSON) as i64
    }

    pub(super) fn category(&self, event: u64) -> i64 {
        (FIRST_CATEGORY + below(CATEGORIES, self.draw(event, Draw::Category))) as i64
    }

    #[inline]
    pub(super) fn price(&self, event: u64, what: Draw) -> i64 {
        price(unit(self.draw(event, what)))
    }

    pub(super) fn reserve(&self, event: u64) -> i64 {
        self.price(event, Draw::InitialBid) + self.price(event, Draw::Reserve)
    }

    /// An auction lasts up to twice as long as the auctions that are in flight take to come.
    pub(super) fn expires(&self, event: u64) -> i64 {
        let horizon = self.time(event + IN_FLIGHT_AUCTIONS * self.total() / self.auctions) - self.time(event);
        let most = (2 * horizon).max(1) as u64;
        self.time(event) + 1 + below(most, self.draw(event, Draw::Expires)) as i64
    }
}

/// `round(10^(6 u) · 100)`, from multiplications and additions only: those give the same bits on every machine, a library's
/// `powf` need not. 10^(6u) = 2^x with x = 6u·log2(10); the fraction's power is the Taylor series of e^(f·ln 2) to the 12th
/// term (error below 1e-15 for f < 1).
#[inline]
fn price(u: f64) -> i64 {
    let x = u * 6.0 * std::f64::consts::LOG2_10;
    let whole = x as u32;
    let y = (x - f64::from(whole)) * std::f64::consts::LN_2;
    let mut power = 1.0;
    for k in (1..=12u32).rev() {
        power = 1.0 + power * y / f64::from(k);
    }
    ((1u64 << whole) as f64 * power * 100.0 + 0.5) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_is_a_power_of_ten() {
        for i in 0..10_000 {
            let u = f64::from(i) / 10_000.0;
            let exact = 10f64.powf(6.0 * u) * 100.0;
            assert!((price(u) as f64 - exact).abs() <= 0.500_001, "{u}: {} {exact}", price(u));
        }
        assert_eq!((price(0.0), price(0.5)), (100, 100_000));
    }

    #[test]
    fn ids_count_up_without_gaps() {
        let m = Model { seed: 1, persons: 1, auctions: 3, bids: 46, rate: 100_000 };
        let of = |kind, id: &dyn Fn(u64) -> i64| (0..1000).filter(|e| m.kind(*e) == kind).map(id).collect::<Vec<_>>();
        assert_eq!(of(Kind::Person, &|e| m.person_id(e)), (1000..1020).collect::<Vec<_>>());
        assert_eq!(of(Kind::Auction, &|e| m.auction_id(e)), (1000..1060).collect::<Vec<_>>());
        assert_eq!((m.time(0), m.time(99), m.time(100)), (BASE_TIME_MS, BASE_TIME_MS, BASE_TIME_MS + 1));
    }
}
