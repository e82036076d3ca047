//! The texts of events. Filler is cut from one text that is made at the start: its content means nothing, its length does.

use super::model::{Draw, Model};
use crate::connectors::generated::{below, draw};
use std::fmt::Write as _;

const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
const CHANNELS: u64 = 10_000;

/// Average sizes of events in bytes, without which `extra` has no length.
const PERSON_BYTES: usize = 200;
const AUCTION_BYTES: usize = 500;
const BID_BYTES: usize = 100;

/// Longer than the longest piece by far, so that pieces differ; small enough for the first-level cache.
const FILLER_BYTES: usize = 16 << 10;

pub(super) struct Texts {
    filler: Vec<u8>,
    /// Name and URL; the hot ones first. Empty if no table column needs them.
    channels: Vec<(String, String)>,
}

#[allow(clippy::unused_self, reason = "all texts have one signature, also those that need no filler")]
impl Texts {
    pub(super) fn new(seed: u64, channels: bool) -> Self {
        let letter = |i| match below(13, draw(seed, i, 101)) {
            0 => b' ',
            _ => b'a' + below(26, draw(seed, i, 102)) as u8,
        };
        let filler = (0..FILLER_BYTES as u64).map(letter).collect();
        let count = if channels { CHANNELS + HOT_CHANNELS.len() as u64 } else { 0 };
        Self { filler, channels: (0..count).map(|i| channel(seed, i)).collect() }
    }

    #[inline]
    fn push_filler(&self, length: usize, random: u64, out: &mut Vec<u8>) {
        let from = below((FILLER_BYTES - length) as u64, random) as usize;
        out.extend_from_slice(&self.filler[from..from + length]);
    }

    /// Letters without blanks, for parts of addresses.
    fn push_letters(&self, length: usize, random: u64, out: &mut Vec<u8>) {
        let at = out.len();
        self.push_filler(length, random, out);
        out[at..].iter_mut().filter(|b| **b == b' ').for_each(|b| *b = b'_');
    }

    /// Filler that brings an event of `used` bytes to its average size, give or take a fifth.
    #[inline]
    fn push_extra(&self, average: usize, used: usize, random: u64, out: &mut Vec<u8>) {
        let Some(wanted) = average.checked_sub(used) else { return };
        let spread = (wanted + 2) / 5;
        let length = wanted - spread + if spread == 0 { 0 } else { below(2 * spread as u64, random) as usize };
        self.push_filler(length, random.rotate_left(32), out);
    }

    #[inline]
    fn channel_of(&self, m: &Model, event: u64) -> &(String, String) {
        let random = m.draw(event, Draw::Channel);
        let hot = HOT_CHANNELS.len() as u64;
        let place = if random & 1 == 1 { below(hot, random) } else { hot + below(CHANNELS, random) };
        &self.channels[place as usize]
    }

    #[inline]
    pub(super) fn channel(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.channel_of(m, event).0.as_bytes());
    }

    #[inline]
    pub(super) fn url(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.channel_of(m, event).1.as_bytes());
    }

    #[inline]
    pub(super) fn bid_extra(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        self.push_extra(BID_BYTES, 32, m.draw(event, Draw::Extra), out);
    }

    pub(super) fn name(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        let random = m.draw(event, Draw::Name);
        out.extend_from_slice(pick(&FIRST_NAMES, random).as_bytes());
        out.push(b' ');
        out.extend_from_slice(pick(&LAST_NAMES, random.rotate_left(32)).as_bytes());
    }

    pub(super) fn email(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        let random = m.draw(event, Draw::Email);
        self.push_letters(3 + below(4, random) as usize, random.rotate_left(16), out);
        out.push(b'@');
        self.push_letters(3 + below(2, random.rotate_left(32)) as usize, random.rotate_left(48), out);
        out.extend_from_slice(b".com");
    }

    pub(super) fn credit_card(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        let mut random = m.draw(event, Draw::Card);
        for group in 0..4 {
            if group > 0 {
                out.push(b' ');
            }
            let mut digits = random & 0xFFFF;
            for _ in 0..4 {
                out.push(b'0' + (digits % 10) as u8);
                digits /= 10;
            }
            random >>= 16;
        }
    }

    pub(super) fn city(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(pick(&CITIES, m.draw(event, Draw::City)).as_bytes());
    }

    pub(super) fn state(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(pick(&STATES, m.draw(event, Draw::State)).as_bytes());
    }

    pub(super) fn person_extra(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        let mut others = vec![];
        for field in [Self::name, Self::email, Self::credit_card, Self::city, Self::state] {
            field(self, m, event, &mut others);
        }
        self.push_extra(PERSON_BYTES, 8 + others.len(), m.draw(event, Draw::Extra), out);
    }

    pub(super) fn item(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        let random = m.draw(event, Draw::Item);
        self.push_filler(3 + below(17, random) as usize, random.rotate_left(32), out);
    }

    pub(super) fn description(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        let random = m.draw(event, Draw::Description);
        self.push_filler(3 + below(97, random) as usize, random.rotate_left(32), out);
    }

    pub(super) fn auction_extra(&self, m: &Model, event: u64, out: &mut Vec<u8>) {
        let mut others = vec![];
        self.item(m, event, &mut others);
        self.description(m, event, &mut others);
        self.push_extra(AUCTION_BYTES, 48 + others.len(), m.draw(event, Draw::Extra), out);
    }
}

fn pick<'a>(names: &[&'a str], random: u64) -> &'a str {
    names[below(names.len() as u64, random) as usize]
}

/// Channel `i`: one of the hot four, or `channel-<n>`; nine of ten URLs of the latter carry a channel id.
fn channel(seed: u64, i: u64) -> (String, String) {
    let hot = HOT_CHANNELS.len() as u64;
    let mut url = "https://www.nexmark.com/".to_owned();
    for part in 0..3 {
        let random = draw(seed, i, 110 + part);
        for k in 0..3 + below(2, random) {
            url.push(char::from(b'a' + below(26, draw(random, k, 120)) as u8));
        }
        url.push('/');
    }
    url.push_str("item.htm?query=1");
    if i < hot {
        return (HOT_CHANNELS[i as usize].to_owned(), url);
    }
    let n = (i - hot) as u32;
    if below(10, draw(seed, i, Draw::Url as u64)) > 0 {
        let id = (n.reverse_bits() as i32).unsigned_abs();
        write!(url, "&channel_id={id}").expect("writing to a String succeeds");
    }
    (format!("channel-{n}"), url)
}
