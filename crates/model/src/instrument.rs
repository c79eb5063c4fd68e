//! What an instrument is, and how its numbers are scaled.

use crate::date::Date;
use crate::num::{Decimal, SCALE_MAX, Scale};
use crate::time::Ts;

/// The same number for the same instrument on every machine and in every run: a hash of venue, product and symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstrumentId(pub u64);

impl InstrumentId {
    /// The id of `symbol` in `product` of `venue` (FNV-1a, 64 bits).
    pub fn of(venue: &str, product: &str, symbol: &str) -> Self {
        let bytes = venue.bytes().chain([0]).chain(product.bytes()).chain([0]).chain(symbol.bytes());
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
    }
}

/// What kind of thing is traded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstrumentKind {
    /// The thing itself against money.
    Spot,
    /// A future without an end.
    Perpetual,
    /// A future with an expiry.
    Future,
    /// The right to buy or sell.
    Option,
    /// A computed value, not traded.
    Index,
}

/// Which right an option gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// To buy.
    Call,
    /// To sell.
    Put,
}

/// Whether an instrument can be traded now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Trading.
    Trading,
    /// Listed, not open yet. A crossed book is legal now.
    PreOpen,
    /// Stopped for a while.
    Halted,
    /// Will not trade again.
    Closed,
    /// The venue's own word, not known to us.
    Other(Box<str>),
}

/// A tradable thing at a venue, with the scale of its numbers. Never changed in place: a new definition replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// The hash of venue, product and symbol.
    pub id: InstrumentId,
    /// Where it trades: `binance`, `okx`, `sse`.
    pub venue: Box<str>,
    /// The venue's section, where one symbol can mean two things: `spot`, `usdm`. Empty where symbols are unique.
    pub product: Box<str>,
    /// The venue's spelling.
    pub symbol: Box<str>,
    /// The canonical name: `BTC/USDT:USDT@okx`, `600519.SH`.
    pub name: Box<str>,
    /// The name for people: `贵州茅台`; empty where there is none.
    pub title: Box<str>,
    /// What is traded.
    pub kind: InstrumentKind,
    /// Base coin or asset; empty where unknown.
    pub base: Box<str>,
    /// The money that prices are in; empty where unknown.
    pub quote: Box<str>,
    /// The coin that profit is paid in; empty for spot.
    pub settle: Box<str>,
    /// When it ends; `None` for spot and perpetuals.
    pub expiry: Option<Ts>,
    /// Strike price and right; `None` unless an option.
    pub option: Option<(Decimal, Right)>,
    /// Digits after the point of every price.
    pub px_scale: Scale,
    /// Digits after the point of every quantity.
    pub qty_scale: Scale,
    /// The smallest step of price; `None` where the venue has not said.
    pub tick: Option<Decimal>,
    /// The smallest step of quantity; `None` where the venue has not said.
    pub lot: Option<Decimal>,
    /// What one contract is worth in base (linear) or quote (inverse); `None` where quantities are in base.
    pub contract_size: Option<Decimal>,
    /// Whether it trades.
    pub status: Status,
    /// True where no definition of the venue was seen: scales are guesses that widen when a number needs it.
    pub provisional: bool,
}

impl Instrument {
    /// A definition made up because data came before any definition: generous scales, named by its symbol.
    pub fn provisional(venue: &str, product: &str, symbol: &str, kind: InstrumentKind) -> Self {
        Self {
            id: InstrumentId::of(venue, product, symbol),
            venue: venue.into(),
            product: product.into(),
            symbol: symbol.into(),
            name: format!("{symbol}@{venue}").into(),
            title: "".into(),
            kind,
            base: "".into(),
            quote: "".into(),
            settle: "".into(),
            expiry: None,
            option: None,
            px_scale: 8,
            qty_scale: 8,
            tick: None,
            lot: None,
            contract_size: None,
            status: Status::Trading,
            provisional: true,
        }
    }

    /// Sets base, quote and settle, and the canonical name that follows from them, from expiry and from the option's terms.
    #[must_use]
    pub fn named(mut self, base: &str, quote: &str, settle: &str) -> Self {
        self.base = base.into();
        self.quote = quote.into();
        self.settle = settle.into();
        let mut name = format!("{base}/{quote}");
        if self.kind != InstrumentKind::Spot && !settle.is_empty() {
            name.push(':');
            name.push_str(settle);
        }
        if let Some(expiry) = self.expiry {
            // `YYMMDD`.
            let day = Date::of(expiry).number() % 1_000_000;
            name = format!("{name}-{day:06}");
        }
        if let Some((strike, right)) = self.option {
            let right = if right == Right::Call { 'C' } else { 'P' };
            name = format!("{name}-{strike}-{right}");
        }
        self.name = format!("{name}@{}", self.venue).into();
        self
    }

    /// A copy whose scales hold numbers of `px_scale` and `qty_scale` digits, or `None` where nothing would change
    /// or no definition can hold them.
    pub fn rescaled(&self, px_scale: Scale, qty_scale: Scale) -> Option<Self> {
        let same = px_scale == self.px_scale && qty_scale == self.qty_scale;
        if same || px_scale > SCALE_MAX || qty_scale > SCALE_MAX {
            return None;
        }
        Some(Self { px_scale, qty_scale, provisional: true, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names_follow_from_the_terms() {
        let mut option =
            Instrument::provisional("okx", "", "BTC-USD-250627-100000-C", InstrumentKind::Option);
        option.expiry = Some(Ts::from_ms(1_751_011_200_000));
        option.option = Some((Decimal::new(100_000, 0), Right::Call));
        assert_eq!(&*option.named("BTC", "USD", "BTC").name, "BTC/USD:BTC-250627-100000-C@okx");
        let spot = Instrument::provisional("binance", "spot", "BTCUSDT", InstrumentKind::Spot);
        assert_eq!(&*spot.named("BTC", "USDT", "").name, "BTC/USDT@binance");
    }

    #[test]
    fn one_symbol_in_two_products_is_two_instruments() {
        assert_ne!(
            InstrumentId::of("binance", "spot", "BTCUSDT"),
            InstrumentId::of("binance", "usdm", "BTCUSDT")
        );
    }
}
