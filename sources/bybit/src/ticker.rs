//! Tickers: one topic that feeds many channels.

use crate::parse::Result;
use crate::product::Product;
use model::{
    Body, Channel, DayStats, Decimal, Funding, Greeks, Instrument, InstrumentKind, Level, OpenInterest,
    Quote, Ts,
};
use source::Cursor;

/// A number of a ticker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum F {
    Last,
    Open,
    High,
    Low,
    Volume,
    Turnover,
    Mark,
    Index,
    Interest,
    InterestValue,
    Funding,
    FundingAt,
    Delta,
    Gamma,
    Vega,
    Theta,
    MarkIv,
    BidIv,
    AskIv,
    Underlying,
}

const FIELDS: usize = 20;

impl F {
    const fn bit(self) -> u32 {
        1 << self as usize
    }

    fn of(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"lastPrice" => Self::Last,
            b"prevPrice24h" => Self::Open,
            b"highPrice24h" => Self::High,
            b"lowPrice24h" => Self::Low,
            b"volume24h" => Self::Volume,
            b"turnover24h" => Self::Turnover,
            b"markPrice" => Self::Mark,
            b"indexPrice" => Self::Index,
            b"openInterest" => Self::Interest,
            b"openInterestValue" => Self::InterestValue,
            b"fundingRate" => Self::Funding,
            b"nextFundingTime" => Self::FundingAt,
            b"delta" => Self::Delta,
            b"gamma" => Self::Gamma,
            b"vega" => Self::Vega,
            b"theta" => Self::Theta,
            b"markPriceIv" => Self::MarkIv,
            b"bidIv" => Self::BidIv,
            b"askIv" => Self::AskIv,
            b"underlyingPrice" => Self::Underlying,
            _ => return None,
        })
    }
}

/// Keys of a ticker that nothing here is made of.
fn passed_over(key: &[u8]) -> bool {
    const KEYS: [&str; 30] = [
        "symbol",
        "tickDirection",
        "price24hPcnt",
        "prevPrice1h",
        "usdIndexPrice",
        "bid1Price",
        "bid1Size",
        "ask1Price",
        "ask1Size",
        "fundingIntervalHour",
        "fundingCap",
        "singleOpenInterest",
        "singleOpenInterestValue",
        "preOpenPrice",
        "preQty",
        "curPreListingPhase",
        "deliveryTime",
        "deliveryFeeRate",
        "predictedDeliveryPrice",
        "basis",
        "basisRate",
        "basisRateYear",
        "totalVolume",
        "totalTurnover",
        "change24h",
        "bidPrice",
        "bidSize",
        "askPrice",
        "askSize",
        "predictedFundingRate",
    ];
    KEYS.iter().any(|k| k.as_bytes() == key)
}

/// What is known of an instrument by its ticker. The venue sends all of it, then only what changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ticker {
    numbers: [Option<Decimal>; FIELDS],
    /// Which numbers were told.
    told: u32,
    /// Best bid and offer of an option.
    bid: Option<Level>,
    ask: Option<Level>,
    quoted: bool,
    /// A whole ticker came before the changes.
    pub whole: bool,
    /// When it was told last.
    pub ts: Option<Ts>,
}

/// What a ticker makes known.
const PARTS: [(Channel, u32); 6] = [
    (
        Channel::DayStats,
        F::Last.bit() | F::Open.bit() | F::High.bit() | F::Low.bit() | F::Volume.bit() | F::Turnover.bit(),
    ),
    (Channel::MarkPrice, F::Mark.bit()),
    (Channel::IndexPrice, F::Index.bit()),
    (Channel::OpenInterest, F::Interest.bit() | F::InterestValue.bit()),
    (Channel::Funding, F::Funding.bit() | F::FundingAt.bit()),
    (
        Channel::Greeks,
        F::Delta.bit()
            | F::Gamma.bit()
            | F::Vega.bit()
            | F::Theta.bit()
            | F::MarkIv.bit()
            | F::BidIv.bit()
            | F::AskIv.bit()
            | F::Underlying.bit(),
    ),
];

impl Ticker {
    /// Reads the data of `tickers`.
    ///
    /// `{"symbol":"BTCUSDT","lastPrice":"64010.30","prevPrice24h":"63251","highPrice24h":"64500","lowPrice24h":"62800","markPrice":"64009.90","indexPrice":"64005.10","openInterest":"55000.1","openInterestValue":"3520000000","turnover24h":"3200000000.55","volume24h":"50000.2","nextFundingTime":"1760025600000","fundingRate":"0.0001","bid1Price":"64010.20","bid1Size":"0.9","ask1Price":"64010.30","ask1Size":"0.7"}`
    pub fn read<'a>(
        c: &mut Cursor<'a>,
        instrument: &Instrument,
        mut unknown: impl FnMut(&'a [u8]),
    ) -> Result<Self> {
        let mut ticker = Self::default();
        let option = instrument.kind == InstrumentKind::Option;
        let (mut bid, mut ask) = ((None, None), (None, None));
        c.object(|c, key| {
            match key {
                b"bidPrice" if option => bid.0 = Some(c.px(instrument.px_scale)?),
                b"bidSize" if option => bid.1 = Some(c.qty(instrument.qty_scale)?),
                b"askPrice" if option => ask.0 = Some(c.px(instrument.px_scale)?),
                b"askSize" if option => ask.1 = Some(c.qty(instrument.qty_scale)?),
                key => {
                    if let Some(field) = F::of(key) {
                        let number = c.decimal_opt()?;
                        ticker.told |= field.bit();
                        if let Some(slot) = ticker.numbers.get_mut(field as usize) {
                            *slot = number;
                        }
                        return Ok(());
                    }
                    if !passed_over(key) {
                        unknown(key);
                    }
                    c.skip()?;
                }
            }
            Ok(())
        })?;
        let level = |(px, qty)| match (px, qty) {
            (Some(px), Some(qty)) if px > model::Px(0) && qty > model::Qty(0) => Some(Level { px, qty }),
            _ => None,
        };
        ticker.quoted = bid.0.is_some() && ask.0.is_some();
        (ticker.bid, ticker.ask) = (level(bid), level(ask));
        Ok(ticker)
    }

    /// Takes what a push told; a whole one replaces all.
    pub fn merge(&mut self, push: &Self, whole: bool, ts: Option<Ts>) {
        if whole {
            *self = Self { whole: true, ts, ..*push };
            return;
        }
        self.ts = ts;
        for (n, (slot, number)) in self.numbers.iter_mut().zip(push.numbers).enumerate() {
            if push.told & 1 << n != 0 {
                *slot = number;
            }
        }
        self.told |= push.told;
        if push.quoted {
            (self.bid, self.ask, self.quoted) = (push.bid, push.ask, true);
        }
    }

    /// Tells its levels at other scales; one that does not fit is forgotten.
    pub fn refit(&mut self, fit: impl Fn(Level) -> Option<Level>) {
        (self.bid, self.ask) = (self.bid.and_then(&fit), self.ask.and_then(&fit));
    }

    /// Sets a number as if it had been told.
    pub fn set(&mut self, field: F, number: Decimal) {
        if let Some(slot) = self.numbers.get_mut(field as usize) {
            *slot = Some(number);
            self.told |= field.bit();
        }
    }

    fn number(&self, field: F) -> Option<Decimal> {
        self.numbers.get(field as usize).copied().flatten()
    }

    /// The event of a channel as it stands now.
    pub fn body(&self, channel: Channel, product: Product) -> Option<Body> {
        let inverse = product == Product::Inverse;
        Some(match channel {
            Channel::DayStats if self.whole => {
                // An option that was not traded says 0.
                let px = |field| {
                    self.number(field).filter(|px: &Decimal| product != Product::Option || !px.is_zero())
                };
                Body::DayStats(Box::new(DayStats {
                    open: px(F::Open),
                    high: px(F::High),
                    low: px(F::Low),
                    last: px(F::Last),
                    volume: self.number(F::Volume),
                    // Of an inverse contract it is in coins.
                    turnover: self.number(F::Turnover).filter(|_| !inverse),
                    ..DayStats::default()
                }))
            }
            Channel::MarkPrice => Body::MarkPrice(self.number(F::Mark)?),
            Channel::IndexPrice => Body::IndexPrice(self.number(F::Index)?),
            Channel::OpenInterest => Body::OpenInterest(OpenInterest {
                qty: self.number(F::Interest)?,
                value: self.number(F::InterestValue).filter(|_| !inverse),
            }),
            Channel::Funding => Body::Funding(Box::new(Funding {
                rate: self.number(F::Funding)?,
                at: self.number(F::FundingAt).and_then(|ms| ms.mantissa_at(0)).map(Ts::from_ms),
                next_rate: None,
            })),
            Channel::Greeks => Body::Greeks(Box::new(Greeks {
                delta: Some(self.number(F::Delta)?),
                gamma: self.number(F::Gamma),
                vega: self.number(F::Vega),
                theta: self.number(F::Theta),
                rho: None,
                mark_iv: self.number(F::MarkIv),
                bid_iv: self.number(F::BidIv),
                ask_iv: self.number(F::AskIv),
                underlying: self.number(F::Underlying),
            })),
            Channel::Quote if self.quoted => Body::Quote(Quote { bid: self.bid, ask: self.ask, seq: None }),
            _ => return None,
        })
    }

    /// The channels that this push says something about.
    pub fn news(&self) -> impl Iterator<Item = Channel> {
        let (told, quoted) = (self.told, self.quoted);
        let parts = PARTS.into_iter().filter(move |(_, bits)| told & bits != 0).map(|(channel, _)| channel);
        parts.chain(quoted.then_some(Channel::Quote))
    }
}

/// The channels that a ticker feeds.
pub const TICKER_CHANNELS: [Channel; 7] = [
    Channel::DayStats,
    Channel::MarkPrice,
    Channel::IndexPrice,
    Channel::OpenInterest,
    Channel::Funding,
    Channel::Greeks,
    Channel::Quote,
];
