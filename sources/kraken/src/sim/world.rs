//! The true markets: pairs and contracts, their books, trades and bars.

use crate::listing;
use crate::names;
use model::{Decimal, Instrument, Level, Px, Qty, Side, Ts, write_mantissa};
use source::SimSetup;
use source::market::{Coin, Listed, Market, Move, coins};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

/// How many trades of each instrument are kept for REST.
const TRADES_MAX: usize = 20_000;
/// How many minutes of bars are kept.
const MINUTES_MAX: usize = 10_000;
/// How many earlier books are kept for REST.
const PAST_MAX: usize = 24;
/// Where numbers of contracts' books begin.
const SEQ_START: u64 = 1_000;

/// A trade as it was.
#[derive(Clone, Copy, Debug)]
pub struct Print {
    pub id: u64,
    pub px: Px,
    pub qty: Qty,
    pub aggressor: Side,
    pub at: Ts,
}

impl Print {
    /// Every twentieth trade of a contract closes somebody's position.
    pub fn is_forced(&self) -> bool {
        self.id.is_multiple_of(20)
    }
}

/// Open, high, low and close, with what was traded.
#[derive(Clone, Copy, Debug)]
pub struct Minute {
    pub open: Px,
    pub high: Px,
    pub low: Px,
    pub close: Px,
    pub qty: i128,
    /// At the sum of both scales.
    pub turnover: i128,
    pub trades: u64,
}

/// Levels best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

/// What a market does not know of one of its instruments.
pub struct State {
    /// Of a contract's book.
    pub seq: u64,
    /// What subscribers of each depth hold.
    pub views: BTreeMap<usize, View>,
    pub trades: VecDeque<Print>,
    minutes: BTreeMap<i64, Minute>,
    /// Earlier books, the newest last.
    past: VecDeque<View>,
    /// The best levels as told last.
    pub best: (Option<Level>, Option<Level>),
}

/// One of the venue's two markets.
pub struct World {
    pub market: Market,
    pub states: Vec<State>,
    by_symbol: BTreeMap<String, usize>,
    /// The listing as REST answers it.
    pub listing: String,
    /// Rows of the channel `instrument`.
    pub rows: Vec<String>,
}

/// What one move of a market did.
pub struct Step {
    pub at: usize,
    pub moves: Vec<Move>,
    pub print: Option<Print>,
}

impl World {
    /// The market of pairs.
    pub fn spot(setup: &SimSetup) -> Self {
        let coins = coins(setup.instruments);
        let pairs: Vec<String> = coins.iter().map(pair).collect();
        let listing = format!(r#"{{"error":[],"result":{{{}}}}}"#, pairs.join(","));
        let rows = coins.iter().map(instrument_row).collect();
        Self::new(setup.seed, listing::SPOT, listing, rows, &coins, true)
    }

    /// The market of contracts.
    pub fn futures(setup: &SimSetup) -> Self {
        let coins = coins(setup.instruments);
        let rows: Vec<String> =
            coins.iter().enumerate().map(|(n, coin)| contract(n, coin, setup.start)).collect();
        let at = crate::time::write(setup.start, 3);
        let listing =
            format!(r#"{{"result":"success","instruments":[{}],"serverTime":"{at}"}}"#, rows.join(","));
        Self::new(setup.seed ^ 0x0066_7574, listing::FUTURES, listing, rows, &coins, false)
    }

    fn new(seed: u64, path: &str, listing: String, rows: Vec<String>, coins: &[Coin], spot: bool) -> Self {
        let defined = listing::read(path, listing.as_bytes()).unwrap_or_default();
        let mut listed = Vec::with_capacity(coins.len());
        for (n, coin) in coins.iter().enumerate() {
            let symbol = if spot { format!("{}/USD", coin.base) } else { product(n, coin, None) };
            let found = defined.iter().find(|i| i.symbol.starts_with(&*symbol));
            let Some(mut made) = found.cloned() else { continue };
            if spot {
                // Amounts move in lots that are larger than the smallest digit.
                made.lot = Some(Decimal::new(1, coin.qty_scale));
            }
            listed.push((Arc::new(made), coin.px));
        }
        let by_symbol = listed.iter().enumerate().map(|(at, (i, _))| (i.symbol.to_string(), at)).collect();
        let states = listed
            .iter()
            .map(|_| State {
                seq: SEQ_START,
                views: BTreeMap::new(),
                trades: VecDeque::new(),
                minutes: BTreeMap::new(),
                past: VecDeque::new(),
                best: (None, None),
            })
            .collect();
        Self { market: Market::new(seed, listed), states, by_symbol, listing, rows }
    }

    pub fn place(&self, symbol: &str) -> Option<usize> {
        self.by_symbol.get(symbol).copied()
    }

    pub fn listed(&self, at: usize) -> Option<&Listed> {
        self.market.listed().get(at)
    }

    pub fn instrument(&self, at: usize) -> Option<&Arc<Instrument>> {
        self.listed(at).map(|l| &l.instrument)
    }

    pub fn symbols(&self) -> impl Iterator<Item = (usize, &str)> {
        self.market.listed().iter().enumerate().map(|(at, l)| (at, &*l.instrument.symbol))
    }

    /// The best `depth` levels of each side.
    pub fn view(&self, at: usize, depth: usize) -> View {
        let Some(one) = self.listed(at) else { return View::default() };
        let level = |(px, qty): (&Px, &Qty)| Level { px: *px, qty: *qty };
        View {
            bids: one.bids.iter().rev().take(depth).map(level).collect(),
            asks: one.asks.iter().take(depth).map(level).collect(),
        }
    }

    /// The book of so many events ago, as far back as it is kept.
    pub fn earlier(&self, at: usize, events: usize) -> View {
        let past = self.states.get(at).map(|s| &s.past);
        let back = past.and_then(|past| {
            let last = past.len().checked_sub(events.clamp(1, PAST_MAX))?;
            past.get(last)
        });
        match back {
            Some(view) if events > 0 => view.clone(),
            _ => self.view(at, usize::MAX),
        }
    }

    /// Lets something happen at `now`.
    pub fn step(&mut self, now: Ts) -> Option<Step> {
        let mut moves = Vec::new();
        let at = self.market.step(&mut moves)?;
        let view = self.view(at, usize::MAX);
        let state = self.states.get_mut(at)?;
        if state.past.len() >= PAST_MAX {
            state.past.pop_front();
        }
        state.past.push_back(view);
        let print = moves.iter().find_map(|m| match *m {
            Move::Trade { id, px, qty, aggressor } => Some(Print { id, px, qty, aggressor, at: now }),
            Move::Level(..) => None,
        });
        if let Some(print) = print {
            state.take(print);
        }
        Some(Step { at, moves, print })
    }

    /// The bar of so many minutes that begins at `start`, as far as it is filled.
    pub fn bar(&self, at: usize, start: i64, minutes: i64) -> Option<Minute> {
        let all = self.states.get(at)?.minutes.range(start..start + minutes).map(|(_, bar)| *bar);
        all.reduce(|a, b| Minute {
            open: a.open,
            high: a.high.max(b.high),
            low: a.low.min(b.low),
            close: b.close,
            qty: a.qty + b.qty,
            turnover: a.turnover + b.turnover,
            trades: a.trades + b.trades,
        })
    }

    /// The minutes since 1970 at which bars of so many minutes begin that are kept.
    pub fn starts(&self, at: usize, minutes: i64) -> Vec<i64> {
        let Some(state) = self.states.get(at) else { return Vec::new() };
        let mut all: Vec<i64> = state.minutes.keys().map(|m| m.div_euclid(minutes) * minutes).collect();
        all.dedup();
        all
    }
}

impl State {
    fn take(&mut self, print: Print) {
        if self.trades.len() >= TRADES_MAX {
            self.trades.pop_front();
        }
        self.trades.push_back(print);
        let minute = print.at.as_ms().div_euclid(60_000);
        let bar = self.minutes.entry(minute).or_insert(Minute {
            open: print.px,
            high: print.px,
            low: print.px,
            close: print.px,
            qty: 0,
            turnover: 0,
            trades: 0,
        });
        (bar.high, bar.low, bar.close) = (bar.high.max(print.px), bar.low.min(print.px), print.px);
        bar.qty += i128::from(print.qty.0);
        bar.turnover += i128::from(print.qty.0) * i128::from(print.px.0);
        bar.trades += 1;
        if self.minutes.len() > MINUTES_MAX {
            self.minutes.pop_first();
        }
    }
}

fn decimals(mantissa: i64, scale: u8) -> String {
    let mut text = Vec::new();
    write_mantissa(mantissa, scale, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// How REST calls a coin: `XXBT` for `BTC`, plainly for all but the oldest.
pub fn asset(coin: &str) -> String {
    match coin {
        "BTC" | "ETH" | "XRP" | "LTC" | "DOGE" => format!("X{}", names::old_coin(coin)),
        other => other.to_owned(),
    }
}

/// The key of a pair in answers of REST.
pub fn key(base: &str) -> String {
    let asset = asset(base);
    if asset == base || base == "DOGE" {
        format!("{}USD", names::old_coin(base))
    } else {
        format!("{asset}ZUSD")
    }
}

/// `"XXBTZUSD":{…}`
fn pair(coin: &Coin) -> String {
    let (key, old) = (key(&coin.base), names::old_pair(&format!("{}/USD", coin.base)));
    let (base, alt) = (asset(&coin.base), old.replace('/', ""));
    let (px, tick) = (coin.px_scale, decimals(1, coin.px_scale));
    let fees = "[[0,0.4],[10000,0.35]]";
    let mut text =
        format!(r#""{key}":{{"altname":"{alt}","wsname":"{old}","aclass_base":"currency","base":"{base}","#);
    let _ = write!(
        text,
        r#""aclass_quote":"currency","quote":"ZUSD","lot":"unit","cost_decimals":5,"pair_decimals":{px},"lot_decimals":8,"lot_multiplier":1,"leverage_buy":[2,3],"leverage_sell":[2,3],"fees":{fees},"fees_maker":[[0,0.25],[10000,0.2]],"fee_volume_currency":"ZUSD","margin_call":80,"margin_stop":40,"ordermin":"{}","costmin":"0.5","tick_size":"{tick}","status":"online"}}"#,
        decimals(1, coin.qty_scale.min(4)),
    );
    text
}

/// A row of the channel `instrument`; the smallest quantity stands with an exponent, as the venue writes it.
fn instrument_row(coin: &Coin) -> String {
    let (base, px, tick) = (&coin.base, coin.px_scale, decimals(1, coin.px_scale));
    let least = decimals(1, coin.qty_scale.min(4));
    format!(
        r#"{{"symbol":"{base}/USD","base":"{base}","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":{px},"cost_precision":5,"marginable":true,"has_index":true,"cost_min":0.5,"margin_initial":0.2,"position_limit_long":300,"position_limit_short":240,"tick_size":{tick},"price_increment":{tick},"qty_min":{least}}}"#
    )
}

/// The symbol of a contract: most are perpetuals in dollars, every fourth an inverse one, every fourth a dated one.
fn product(n: usize, coin: &Coin, date: Option<&str>) -> String {
    let base = if coin.base == "BTC" { "XBT" } else { &coin.base };
    match n % 4 {
        2 => format!("PI_{base}USD"),
        3 => format!("FI_{base}USD_{}", date.unwrap_or_default()),
        _ => format!("PF_{base}USD"),
    }
}

fn contract(n: usize, coin: &Coin, start: Ts) -> String {
    // A quarter of a year later.
    let ends = crate::time::write(start.plus_ms(90 * 86_400_000), 3);
    let date: String = ends.get(2..10).unwrap_or_default().replace('-', "");
    let symbol = product(n, coin, Some(&date));
    let inverse = symbol.as_bytes().get(1) == Some(&b'I');
    let kind = if inverse { "futures_inverse" } else { "flexible_futures" };
    let digits = if inverse { 0 } else { coin.qty_scale };
    let (base, tick) = (&coin.base, decimals(1, coin.px_scale));
    let old = if base == "BTC" { "XBT" } else { base };
    let last = if n % 4 == 3 { format!(r#""lastTradingTime":"{ends}","#) } else { String::new() };
    format!(
        r#"{{"symbol":"{symbol}","type":"{kind}","underlying":"rr_{}usd",{last}"tickSize":{tick},"contractSize":1,"tradeable":true,"impactMidSize":1.00,"maxPositionSize":1000000.0,"openingDate":"2022-01-01T00:00:00.000Z","marginLevels":[{{"contracts":0,"initialMargin":0.02,"maintenanceMargin":0.01}}],"fundingRateCoefficient":8,"maxRelativeFundingRate":0.001,"contractValueTradePrecision":{digits},"postOnly":false,"feeScheduleUid":"5b755fea-c5b0-4307-a66e-b392cd5bd931","mtf":false,"base":"{base}","quote":"USD","pair":"{old}:USD","category":"","tags":[]}}"#,
        old.to_lowercase()
    )
}
