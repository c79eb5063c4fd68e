//! Bars of any length made from trades, on the columns of the files.

use super::Reader;
use super::ahead::Ahead;
use super::lane::{Lane, by_channel, moments};
use super::piece::{Decoded, Piece};
use crate::table::{Definitions, Table, mantissas};
use crate::{Error, Result, when};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, UInt32Type};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use bus::Published;
use hashbrown::HashMap;
use model::{
    Bar, Body, Channel, Decimal, Instrument, InstrumentId, Scale, Trade, Ts, ashare, parse_mantissa,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is read of a trade; of a file by one channel not by which.
const COLUMNS: [&str; 9] =
    ["channel", "flags", "ts_event", "ts_recv", "definition", "price", "quantity", "count", "exact"];
/// Trades of the calls of the Chinese stock exchanges, and what is told late of them, belong to bars that begin or end as
/// far from them as the break at noon is long.
const SHARES_NS: i64 = 2 * 3_600_000_000_000;

impl Reader {
    /// The bars of a length that begin from `from` on and before `to`, in the order of time, made from all trades of the
    /// instrument that are kept, by when they happened. Where an interval begins and which trades belong to it is as in
    /// live bars ([`engine::interval_of`]); one without a trade is left out. Open and close are those of the earliest and
    /// the latest trade by [`when`], of equal times by the order of the bus. All numbers are exact; `turnover` is `None`
    /// where it would not fit. `closed` says that something later than its end is known.
    ///
    /// They are of one source and one channel, so that nothing counts twice: single trades rather than merged ones, then
    /// the one of which there are more rows. Where the trades have holes, [`Reader::coverage`] says so.
    ///
    /// # Errors
    /// [`Error`] where log, catalogue or file does not read.
    pub fn bars(
        &self,
        source: Option<&str>,
        instrument: InstrumentId,
        length: Duration,
        from: Ts,
        to: Ts,
    ) -> Result<Vec<Bar>> {
        let Some(length) = i64::try_from(length.as_nanos()).ok().filter(|length| *length > 0) else {
            return Ok(Vec::new());
        };
        let wanted = |published: &Published| {
            published.event.instrument.id == instrument
                && matches!(published.event.body, Body::Trade(_))
                && source.is_none_or(|source| published.event.source == source)
        };
        let (state, fresh) = self.fresh(wanted, &[Table::Trades], &[instrument])?;
        let wider = length.saturating_add(SHARES_NS);
        let (first, last) = (Ts(from.0.saturating_sub(SHARES_NS)), Ts(to.0.saturating_add(wider)));
        let Some(lane) =
            Lane::best(&state, &fresh, Table::Trades, instrument, source, Channel::Trades, first..last)
        else {
            return Ok(Vec::new());
        };
        let mut making = Making::new(length, lane.channel, from, to);
        let mut pieces = Vec::new();
        for (file, run) in &lane.runs {
            making.latest = making.latest.max(run.to);
            if run.to >= first && run.from < last {
                pieces.extend(Piece::of(file, run));
            }
        }
        let reader = self.clone();
        let decode = move |piece: &Piece| {
            piece.decode(&reader, &places(piece), |definitions| {
                let shares = definitions.iter().any(|it| it.id == instrument && ashare::code(it).is_some());
                if shares { first..last } else { from..Ts(to.0.saturating_add(length)) }
            })
        };
        for decoded in Ahead::new(pieces, decode) {
            making.piece(&decoded?)?;
        }
        for published in &lane.fresh {
            let event = &published.event;
            if let Body::Trade(trade) = &event.body {
                making.latest = making.latest.max(when(event));
                making.trade(&event.instrument, when(event), trade);
            }
        }
        Ok(making.finish())
    }
}

/// A bar while it is made, of trades at the same scales.
#[derive(Clone, Debug)]
struct Part {
    /// The time and the [`Making::turn`] of the earliest trade.
    first: (i64, u64),
    /// Those of the latest.
    last: (i64, u64),
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: i128,
    /// At the sum of both scales; `None` where it does not fit.
    turnover: Option<i128>,
    trades: u64,
}

impl Part {
    const fn new(at: i64, turn: u64, px: i64) -> Self {
        let (volume, turnover, trades) = (0, Some(0), 0);
        Self {
            first: (at, turn),
            last: (at, turn),
            open: px,
            high: px,
            low: px,
            close: px,
            volume,
            turnover,
            trades,
        }
    }

    #[inline]
    fn add(&mut self, (at, turn): (i64, u64), px: i64, qty: i64, count: u32) {
        if at < self.first.0 {
            (self.first, self.open) = ((at, turn), px);
        }
        if at >= self.last.0 {
            (self.last, self.close) = ((at, turn), px);
        }
        self.high = self.high.max(px);
        self.low = self.low.min(px);
        self.volume += i128::from(qty);
        let money = i128::from(px) * i128::from(qty);
        self.turnover = self.turnover.and_then(|sum| sum.checked_add(money));
        self.trades += u64::from(count);
    }
}

/// Those of [`COLUMNS`] that are read of a piece.
fn places(piece: &Piece) -> Vec<usize> {
    let names = COLUMNS.iter().filter(|name| !(piece.one_channel && **name == "channel"));
    names.filter_map(|name| Table::Trades.place(name)).collect()
}

/// The scales of prices and quantities.
type Scales = (Scale, Scale);

/// Bars while they are made.
struct Making {
    length: i64,
    channel: Channel,
    from: Ts,
    to: Ts,
    /// The latest time of which something is known.
    latest: Ts,
    /// By start, with the end.
    parts: BTreeMap<(Ts, Scales), (Ts, Part)>,
    /// The bar of the last trade, which is not in `parts`.
    open: Option<(Ts, Scales, Ts, Part)>,
    /// How often the bar of the last trade was another than that of the one before.
    turn: u64,
    px: Vec<i64>,
    qty: Vec<i64>,
    at: Vec<i64>,
}

impl Making {
    fn new(length: i64, channel: Channel, from: Ts, to: Ts) -> Self {
        let (parts, latest) = (BTreeMap::new(), Ts(i64::MIN));
        let (px, qty, at) = (Vec::new(), Vec::new(), Vec::new());
        Self { length, channel, from, to, latest, parts, open: None, turn: 0, px, qty, at }
    }

    fn trade(&mut self, instrument: &Instrument, at: Ts, trade: &Trade) {
        self.add(instrument, [(at.0, trade.px.0, trade.qty.0, trade.count)].into_iter());
    }

    /// Adds trades at the scales of a definition: time, price, quantity and how many they stand for.
    fn add(&mut self, instrument: &Instrument, trades: impl Iterator<Item = (i64, i64, i64, u32)>) {
        let scales = (instrument.px_scale, instrument.qty_scale);
        // What does not belong to a bar: from when to when that is known.
        let mut nothing = 0..0;
        for (at, px, qty, count) in trades {
            if let Some((start, of, end, part)) = &mut self.open
                && start.0 <= at
                && at < end.0
                && *of == scales
            {
                part.add((at, self.turn), px, qty, count);
                continue;
            }
            if nothing.contains(&at) {
                continue;
            }
            let Some((start, end)) = engine::interval_of(instrument, self.length, Ts(at)) else { continue };
            if start < self.from || start >= self.to {
                nothing = start.0..end.0;
                continue;
            }
            self.store();
            self.turn += 1;
            let begun = self.parts.remove(&(start, scales));
            let (end, mut part) = begun.unwrap_or((end, Part::new(at, self.turn, px)));
            part.add((at, self.turn), px, qty, count);
            self.open = Some((start, scales, end, part));
        }
    }

    fn store(&mut self) {
        if let Some((start, scales, end, part)) = self.open.take() {
            self.parts.insert((start, scales), (end, part));
        }
    }

    fn piece(&mut self, decoded: &Decoded) -> Result<()> {
        let Decoded { path, batches, definitions } = decoded;
        let added = batches.iter().try_for_each(|batch| self.batch(batch, definitions));
        let what = || "its rows are no trades".to_owned();
        added.ok_or_else(|| Error::Damaged { path: path.clone(), what: what() })
    }

    /// Adds the trades of a batch of [`COLUMNS`]; `None` where one does not read.
    fn batch(&mut self, batch: &RecordBatch, definitions: &Definitions) -> Option<()> {
        let column = |name: &str| batch.column_by_name(name);
        let by = match column("channel") {
            Some(channels) => Some(by_channel(channels, self.channel)?),
            None => None,
        };
        let definition = column("definition")?.as_primitive_opt::<UInt32Type>()?.values();
        let prices = column("price")?.as_primitive_opt::<Float64Type>()?.values();
        let quantities = column("quantity")?.as_primitive_opt::<Float64Type>()?.values();
        let counts = column("count")?.as_primitive_opt::<UInt32Type>()?.values();
        let exact = column("exact")?;
        let mut at = std::mem::take(&mut self.at);
        moments(batch, &mut at)?;
        let (mut px, mut qty) = (std::mem::take(&mut self.px), std::mem::take(&mut self.qty));
        let mut start = 0;
        while let Some(place) = definition.get(start) {
            let same = definition.get(start..)?.iter().take_while(|it| *it == place).count();
            let rows = start..start + same;
            let instrument = definitions.get(*place)?;
            mantissas(prices.get(rows.clone())?, instrument.px_scale, &mut px);
            mantissas(quantities.get(rows.clone())?, instrument.qty_scale, &mut qty);
            if exact.null_count() < exact.len() {
                exactly(exact, rows.clone(), instrument, &mut px, &mut qty)?;
            }
            let trades = at.get(rows.clone())?.iter().zip(&px).zip(&qty).zip(counts.get(rows.clone())?);
            let trades = trades.map(|(((at, px), qty), count)| (*at, *px, *qty, *count));
            match &by {
                None => self.add(instrument, trades),
                Some(by) => {
                    let wanted = trades.zip(by.get(rows)?).filter_map(|(trade, by)| by.then_some(trade));
                    self.add(instrument, wanted);
                }
            }
            start += same;
        }
        (self.at, self.px, self.qty) = (at, px, qty);
        Some(())
    }

    fn finish(mut self) -> Vec<Bar> {
        self.store();
        let mut starts: BTreeMap<Ts, Vec<(Scales, Ts, Part)>> = BTreeMap::new();
        for ((start, scales), (end, part)) in std::mem::take(&mut self.parts) {
            starts.entry(start).or_default().push((scales, end, part));
        }
        starts.into_iter().map(|(start, parts)| self.bar(start, &parts)).collect()
    }

    fn bar(&self, start: Ts, parts: &[(Scales, Ts, Part)]) -> Bar {
        let px = |mantissa: i64, (px, _): Scales| Decimal::new(i128::from(mantissa), px);
        let first = parts.iter().min_by_key(|(_, _, part)| part.first);
        let last = parts.iter().max_by_key(|(_, _, part)| part.last);
        let high = parts.iter().map(|(scales, _, part)| px(part.high, *scales)).max();
        let low = parts.iter().map(|(scales, _, part)| px(part.low, *scales)).min();
        let volumes = parts.iter().map(|((_, qty), _, part)| Some((part.volume, *qty)));
        let turnovers = parts.iter().map(|((px, qty), _, part)| Some((part.turnover?, px + qty)));
        let trades = parts.iter().map(|(_, _, part)| part.trades).sum();
        let end = parts.iter().map(|(_, end, _)| *end).max().unwrap_or(start);
        Bar {
            interval: name(self.length).into(),
            start,
            open: first.map(|(scales, _, part)| px(part.open, *scales)).unwrap_or_default(),
            high: high.unwrap_or_default(),
            low: low.unwrap_or_default(),
            close: last.map(|(scales, _, part)| px(part.close, *scales)).unwrap_or_default(),
            volume: sum(volumes).unwrap_or_default(),
            turnover: sum(turnovers),
            trades: Some(trades).filter(|trades| *trades > 0),
            closed: self.latest >= end,
        }
    }
}

/// The sum of mantissas at different scales; `None` where one is not known, or it does not fit.
fn sum(numbers: impl Iterator<Item = Option<(i128, Scale)>> + Clone) -> Option<Decimal> {
    let scale = numbers.clone().flatten().map(|(_, scale)| scale).max()?;
    let at_scale =
        |(mantissa, of): (i128, Scale)| mantissa.checked_mul(10_i128.checked_pow(u32::from(scale - of))?);
    let sum =
        numbers.map(|number| at_scale(number?)).try_fold(0_i128, |sum, number| sum.checked_add(number?));
    sum.map(|sum| Decimal::new(sum, scale))
}

/// Prices and quantities that no double gives back, by their text.
fn exactly(
    exact: &ArrayRef,
    rows: std::ops::Range<usize>,
    instrument: &Instrument,
    px: &mut [i64],
    qty: &mut [i64],
) -> Option<()> {
    let texts = exact.as_dictionary_opt::<Int32Type>()?;
    let words = texts.values().as_string_opt::<i32>()?;
    let mut known: HashMap<i32, serde_json::Map<String, serde_json::Value>> = HashMap::new();
    for ((row, px), qty) in rows.zip(px).zip(qty) {
        if texts.keys().is_null(row) {
            continue;
        }
        let key = texts.keys().value(row);
        let numbers = match known.entry(key) {
            hashbrown::hash_map::Entry::Occupied(known) => known.into_mut(),
            hashbrown::hash_map::Entry::Vacant(place) => {
                place.insert(serde_json::from_str(words.value(usize::try_from(key).ok()?)).ok()?)
            }
        };
        let number = |name: &str| numbers.get(name)?.as_str();
        if let Some(text) = number("price") {
            *px = parse_mantissa(text.as_bytes(), instrument.px_scale).ok()?;
        }
        if let Some(text) = number("quantity") {
            *qty = parse_mantissa(text.as_bytes(), instrument.qty_scale).ok()?;
        }
    }
    Some(())
}

/// The name of a length in nanoseconds, in the largest unit of which it is a multiple: `1m`, `90s`, `1500ms`.
fn name(length: i64) -> String {
    const UNITS: [(&str, i64); 7] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let unit = UNITS.iter().find(|(_, unit)| length % unit == 0);
    unit.map(|(name, unit)| format!("{}{name}", length / unit)).unwrap_or_default()
}
