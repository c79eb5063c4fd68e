//! The two sides of one book, cut to the depth that is subscribed, and the venue's checksum over them.
//!
//! The venue cuts each side after each message and does not say which levels went. They are found here, so that what
//! is told further says it.

use model::{Level, Px, Scale, Side, rescale};

/// How many levels of a side the checksum is over.
const SUMMED: usize = 10;
/// The most digits after the point that are tried for a checksum.
const DIGITS_MAX: Scale = 12;

/// The levels of a book, the best last.
#[derive(Clone, Debug, Default)]
pub struct Ladders {
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Ladders {
    /// Forgets all levels.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    fn side(&mut self, side: Side) -> &mut Vec<Level> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    /// Changes a level; quantity zero removes it.
    #[inline]
    pub fn set(&mut self, side: Side, level: Level) {
        let levels = self.side(side);
        let worse = |held: &Level| match side {
            Side::Bid => held.px < level.px,
            Side::Ask => held.px > level.px,
        };
        let at = levels.partition_point(worse);
        match levels.get_mut(at).filter(|held| held.px == level.px) {
            Some(_) if level.qty.0 == 0 => _ = levels.remove(at),
            Some(held) => held.qty = level.qty,
            None if level.qty.0 != 0 => levels.insert(at, level),
            None => {}
        }
    }

    /// Cuts a side to its best `depth` levels and hands out the prices that went.
    #[inline]
    pub fn cut(&mut self, side: Side, depth: usize, mut went: impl FnMut(Px)) {
        let levels = self.side(side);
        let over = levels.len().saturating_sub(depth);
        for level in levels.drain(..over) {
            went(level.px);
        }
    }

    /// The levels of a side, best first.
    pub fn best(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        match side {
            Side::Bid => self.bids.iter().rev().copied(),
            Side::Ask => self.asks.iter().rev().copied(),
        }
    }

    /// Writes all numbers at other scales (`from`, `to` for prices, then for quantities); false where that is not exact.
    #[must_use]
    pub fn rescale(&mut self, px: (Scale, Scale), qty: (Scale, Scale)) -> bool {
        self.bids.iter_mut().chain(&mut self.asks).all(|level| {
            let new = (rescale(level.px.0, px.0, px.1), rescale(level.qty.0, qty.0, qty.1));
            let (Some(new_px), Some(new_qty)) = new else { return false };
            (level.px.0, level.qty.0) = (new_px, new_qty);
            true
        })
    }

    /// The checksum with so many digits after the point of a price and of a quantity, of numbers at `scales`. `None`
    /// where a number has more digits than that.
    pub fn checksum(&self, scales: (Scale, Scale), digits: (Scale, Scale)) -> Option<u32> {
        let mut text = Text::default();
        for level in self.best(Side::Ask).take(SUMMED).chain(self.best(Side::Bid).take(SUMMED)) {
            text.put(rescale(level.px.0, scales.0, digits.0)?);
            text.put(rescale(level.qty.0, scales.1, digits.1)?);
        }
        Some(crc32fast::hash(text.bytes()))
    }

    /// The digits with which the checksum is this one: those of the definition first, then any.
    pub fn digits(&self, scales: (Scale, Scale), sum: u32) -> Option<(Scale, Scale)> {
        let pairs = (0..=DIGITS_MAX).flat_map(|px| (0..=DIGITS_MAX).map(move |qty| (px, qty)));
        std::iter::once(scales).chain(pairs).find(|digits| self.checksum(scales, *digits) == Some(sum))
    }
}

/// The text that the checksum is over.
struct Text {
    bytes: [u8; SUMMED * 4 * 20],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; SUMMED * 4 * 20], len: 0 }
    }
}

impl Text {
    /// Appends a number without leading zeros.
    #[inline]
    fn put(&mut self, number: i64) {
        let mut digits = [0_u8; 20];
        let (mut rest, mut at) = (number.unsigned_abs(), digits.len());
        for place in digits.iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
            at -= 1;
            if rest == 0 {
                break;
            }
        }
        let digits = digits.get(at..).unwrap_or_default();
        if let Some(room) = self.bytes.get_mut(self.len..self.len + digits.len()) {
            room.copy_from_slice(digits);
            self.len += digits.len();
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Qty;

    fn level(px: i64, qty: i64) -> Level {
        Level { px: Px(px), qty: Qty(qty) }
    }

    fn ladders(bids: &[(&str, &str)], asks: &[(&str, &str)], digits: (Scale, Scale)) -> Ladders {
        let mut made = Ladders::default();
        let number = |text: &str, scale| model::parse_mantissa(text.as_bytes(), scale).unwrap();
        for (side, levels) in [(Side::Bid, bids), (Side::Ask, asks)] {
            for (px, qty) in levels {
                made.set(side, level(number(px, digits.0), number(qty, digits.1)));
            }
        }
        made
    }

    const MATIC_BIDS: [(&str, &str); 10] = [
        ("0.5666", "4831.75496356"),
        ("0.5665", "6658.22734739"),
        ("0.5664", "18724.91513344"),
        ("0.5663", "11563.92544914"),
        ("0.5662", "14006.65365711"),
        ("0.5661", "17454.85679807"),
        ("0.566", "18097.1547"),
        ("0.5659", "33644.89175666"),
        ("0.5658", "148.3464"),
        ("0.5657", "606.70854372"),
    ];
    const MATIC_ASKS: [(&str, &str); 10] = [
        ("0.5668", "4410.79769741"),
        ("0.5669", "4655.40412487"),
        ("0.567", "49844.89424998"),
        ("0.5671", "24306.41678"),
        ("0.5672", "29783.25223475"),
        ("0.5673", "57234.71239278"),
        ("0.5674", "45065.04744"),
        ("0.5675", "5912.76380354"),
        ("0.5676", "42514.92434778"),
        ("0.5677", "36304.0847022"),
    ];

    #[test]
    fn the_documented_books_have_the_documented_checksums() {
        let mut matic = ladders(&MATIC_BIDS, &MATIC_ASKS, (4, 8));
        assert_eq!(matic.checksum((4, 8), (4, 8)), Some(2_439_117_997));
        matic.set(Side::Bid, level(5_657, 109_839_475_580));
        assert_eq!(matic.checksum((4, 8), (4, 8)), Some(2_114_181_697));

        let asks = [
            ("45285.2", "0.001"),
            ("45286.4", "1.54571953"),
            ("45286.6", "1.54571109"),
            ("45289.6", "1.54560911"),
            ("45290.2", "0.1589066"),
            ("45291.8", "1.54553491"),
            ("45294.7", "0.04454749"),
            ("45296.1", "0.3538"),
            ("45297.5", "0.09945542"),
            ("45299.5", "0.18772827"),
        ];
        let bids = [
            ("45283.5", "0.1"),
            ("45283.4", "1.54582015"),
            ("45282.1", "0.1"),
            ("45281", "0.1"),
            ("45280.3", "1.54592586"),
            ("45279", "0.0799"),
            ("45277.6", "0.03310103"),
            ("45277.5", "0.3"),
            ("45277.3", "1.54602737"),
            ("45276.6", "0.15445238"),
        ];
        assert_eq!(ladders(&bids, &asks, (1, 8)).checksum((1, 8), (1, 8)), Some(3_310_070_434));
    }

    #[test]
    fn a_book_of_fewer_than_ten_levels_has_a_checksum_too() {
        let bids = [("0.566", "0.25"), ("0.5655", "100")];
        let mut book = ladders(&bids, &[("0.567", "12.5"), ("0.5671", "3")], (4, 8));
        assert_eq!(book.checksum((4, 8), (4, 8)), Some(3_905_475_208));
        book.set(Side::Ask, level(5_670, 0));
        book.set(Side::Ask, level(5_675, 100_000_001));
        assert_eq!(book.checksum((4, 8), (4, 8)), Some(3_335_447_095));
        book.set(Side::Ask, level(5_671, 0));
        book.set(Side::Bid, level(5_660, 0));
        assert_eq!(book.checksum((4, 8), (4, 8)), Some(2_873_731_235));
    }

    #[test]
    fn the_digits_are_found_by_the_checksum_where_the_definition_has_others() {
        let book = ladders(&MATIC_BIDS, &MATIC_ASKS, (8, 10));
        assert_eq!(book.digits((8, 10), 2_439_117_997), Some((4, 8)));
        assert_eq!(book.digits((8, 10), 2_439_117_998), None);
    }

    #[test]
    fn levels_that_fall_out_of_the_depth_are_named() {
        let mut book = Ladders::default();
        for px in 1..=5 {
            book.set(Side::Bid, level(px, 1));
            book.set(Side::Ask, level(100 + px, 1));
        }
        let mut went = Vec::new();
        book.cut(Side::Bid, 3, |px| went.push(px.0));
        book.cut(Side::Ask, 3, |px| went.push(px.0));
        went.sort_unstable();
        assert_eq!(went, [1, 2, 104, 105]);
        assert_eq!(book.best(Side::Bid).map(|l| l.px.0).collect::<Vec<_>>(), [5, 4, 3]);
        assert_eq!(book.best(Side::Ask).map(|l| l.px.0).collect::<Vec<_>>(), [101, 102, 103]);
    }
}
