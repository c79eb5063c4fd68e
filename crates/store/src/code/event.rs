//! What events and definitions hold, field by field. A field or a choice that is added to the model does not compile until
//! it stands here, with a new version of the file's format.

use super::Code;
use model::{
    Bar, Body, CapitalFlow, Channel, Checksum, ChecksumKind, CorporateAction, DayStats, Delta, Finding,
    Flags, Fundamentals, Funding, Gap, GapCause, Greeks, Instrument, InstrumentKind, LaneFact, Level,
    LinkFact, Liquidation, LongShortRatio, Minute, OpenInterest, Order, OrderAction, Proof, Quote, RankRow,
    Ranking, Right, Sector, Side, Snapshot, Status, Trade, TradeId,
};

macro_rules! record {
    ($($name:ident { $($field:ident),+ })+) => {$(
        impl Code for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($field.put(out);)+
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: Code::take(bytes)?),+ })
            }
        }
    )+};
}

macro_rules! choice {
    ($($name:ident { $($code:literal => $variant:ident $(($inner:ident))? $({ $($field:ident),+ })?),+ $(,)? })+) => {$(
        impl Code for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($inner))? $({ $($field),+ })? => {
                        out.push($code);
                        $($inner.put(out);)?
                        $($($field.put(out);)+)?
                    })+
                }
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(match u8::take(bytes)? {
                    $($code => {
                        $(let $inner = Code::take(bytes)?;)?
                        $($(let $field = Code::take(bytes)?;)+)?
                        Self::$variant $(($inner))? $({ $($field),+ })?
                    })+
                    _ => return None,
                })
            }
        }
    )+};
}

pub(crate) use {choice, record};

record! {
    Level { px, qty }
    Trade { id, px, qty, aggressor, count }
    Checksum { kind, value }
    Snapshot { seq, levels, checksum, epoch }
    Delta { prev_seq, seq, levels, checksum, epoch }
    Gap { cause, from_seq, to_seq }
    Quote { bid, ask, seq }
    Bar { interval, start, open, high, low, close, volume, turnover, trades, closed }
    DayStats {
        open, high, low, last, last_qty, volume, turnover, trades, prev_close, limit_up, limit_down, buy_volume,
        sell_volume
    }
    Order { id, side, px, qty, action, seq }
    Minute { start, px, volume, avg_px }
    CapitalFlow { main, very_large, large, medium, small }
    CorporateAction { what, at, cash, bonus, rights, rights_px, facts }
    Fundamentals { updated, facts }
    Ranking { list, rows }
    RankRow { name, title, value, rise }
    Sector { of, title, members }
    Funding { rate, at, next_rate }
    OpenInterest { qty, value }
    Liquidation { side, px, qty, avg_px }
    LongShortRatio { of, interval, ratio, long, short }
    Greeks { delta, gamma, vega, theta, rho, mark_iv, bid_iv, ask_iv, underlying }
    Finding { check, channel, what, samples }
    Instrument {
        id, venue, product, symbol, name, title, kind, base, quote, settle, expiry, option, px_scale, qty_scale, tick,
        lot, contract_size, status, provisional
    }
}

choice! {
    Body {
        1 => Trade(it),
        2 => Snapshot(it),
        3 => Delta(it),
        4 => Gap(it),
        5 => Quote(it),
        6 => Bar(it),
        7 => DayStats(it),
        8 => MarkPrice(it),
        9 => IndexPrice(it),
        10 => Funding(it),
        11 => OpenInterest(it),
        12 => Liquidation(it),
        13 => VolatilityIndex(it),
        14 => LongShortRatio(it),
        15 => Greeks(it),
        16 => Status(it),
        17 => Order(it),
        18 => Minute(it),
        19 => CapitalFlow(it),
        20 => CorporateAction(it),
        21 => Fundamentals(it),
        22 => Ranking(it),
        23 => Sector(it),
        24 => Finding(it),
        25 => Instrument,
        26 => Lane(it),
        27 => Link(it),
    }
    Channel {
        1 => Trades,
        2 => AggTrades,
        3 => Book,
        4 => BookTop,
        5 => Quote,
        6 => DayStats,
        7 => Bars,
        8 => MarkPrice,
        9 => IndexPrice,
        10 => Funding,
        11 => OpenInterest,
        12 => Liquidations,
        13 => VolatilityIndex,
        14 => LongShortRatio,
        15 => Greeks,
        16 => Status,
        17 => Orders,
        18 => MinuteLine,
        19 => CapitalFlow,
        20 => CorporateActions,
        21 => Fundamentals,
        22 => Rankings,
        23 => Sectors,
        24 => Instruments,
        25 => Findings,
        26 => Link,
    }
    Side { 1 => Bid, 2 => Ask }
    TradeId { 1 => Num(number), 2 => Text(text) }
    ChecksumKind { 1 => Crc32Interleaved25, 2 => Crc32Digits10 { px_scale, qty_scale } }
    GapCause {
        1 => Sequence,
        2 => Checksum,
        3 => Crossed,
        4 => Disconnected,
        5 => Malformed,
        6 => Scale,
        7 => Overflow,
        8 => VenueReset,
        9 => Referee,
    }
    OrderAction { 1 => Add, 2 => Cancel, 3 => Fill }
    InstrumentKind { 1 => Spot, 2 => Perpetual, 3 => Future, 4 => Option, 5 => Index }
    Right { 1 => Call, 2 => Put }
    Status { 1 => Trading, 2 => PreOpen, 3 => Halted, 4 => Closed, 5 => Other(word) }
    Proof { 1 => Sequence, 2 => Checksum, 3 => None }
    LaneFact {
        1 => Asked { proof, quiet_ms },
        2 => Carried(link),
        3 => Acked,
        4 => Refused(why),
        5 => Syncing(why),
        6 => Repaired { from_seq, to_seq, events },
        7 => Unrepaired { from_seq, to_seq, why },
        8 => Dropped,
    }
    LinkFact {
        1 => Connecting { link, url },
        2 => Up { link },
        3 => Alive { link, last_frame, last_ping },
        4 => Down { link, why, retry_ms },
        5 => Clock { link, offset_ns, error_ns },
        6 => Malformed { link, what },
        7 => Unknown { link, what },
    }
}

impl Code for Flags {
    fn put(&self, out: &mut Vec<u8>) {
        self.bits().put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u16::take(bytes).map(Self::from_bits)
    }
}
