//! An event as JSON.

mod company;

use crate::instrument::instrument_json;
use crate::instrument::status_name;
use crate::json::{boolean, decimal_json, int, key, level_json, number, or_null, string_json, time};
use model::{
    Bar, Body, DayStats, Decimal, Event, Finding, Flags, Funding, Gap, Greeks, Instrument, LaneFact, Level,
    Levels, LinkFact, LinkId, Liquidation, LongShortRatio, OpenInterest, Order, Quote, Side, Trade, TradeId,
    Ts,
};

/// Every kind of event, by the name that [`kind`] gives.
pub const KINDS: [&str; 27] = [
    "trade",
    "snapshot",
    "delta",
    "gap",
    "quote",
    "bar",
    "day_stats",
    "mark_price",
    "index_price",
    "funding",
    "open_interest",
    "liquidation",
    "volatility_index",
    "long_short_ratio",
    "greeks",
    "status",
    "order",
    "minute",
    "capital_flow",
    "corporate_action",
    "fundamentals",
    "ranking",
    "sector",
    "finding",
    "instrument",
    "lane",
    "link",
];

/// The name of a kind of event, as in the field `kind`.
pub const fn kind(body: &Body) -> &'static str {
    match body {
        Body::Trade(_) => "trade",
        Body::Snapshot(_) => "snapshot",
        Body::Delta(_) => "delta",
        Body::Gap(_) => "gap",
        Body::Quote(_) => "quote",
        Body::Bar(_) => "bar",
        Body::DayStats(_) => "day_stats",
        Body::MarkPrice(_) => "mark_price",
        Body::IndexPrice(_) => "index_price",
        Body::Funding(_) => "funding",
        Body::OpenInterest(_) => "open_interest",
        Body::Liquidation(_) => "liquidation",
        Body::VolatilityIndex(_) => "volatility_index",
        Body::LongShortRatio(_) => "long_short_ratio",
        Body::Greeks(_) => "greeks",
        Body::Status(_) => "status",
        Body::Order(_) => "order",
        Body::Minute(_) => "minute",
        Body::CapitalFlow(_) => "capital_flow",
        Body::CorporateAction(_) => "corporate_action",
        Body::Fundamentals(_) => "fundamentals",
        Body::Ranking(_) => "ranking",
        Body::Sector(_) => "sector",
        Body::Finding(_) => "finding",
        Body::Instrument => "instrument",
        Body::Lane(_) => "lane",
        Body::Link(_) => "link",
    }
}

/// Appends an event as one object on one line, without a line feed, as the crate's documentation says. `cursor` is the
/// event's epoch and number, `ts_pub` when it was published; a field whose value is not given is left out.
pub fn event_json(event: &Event, cursor: Option<(u64, u64)>, ts_pub: Option<Ts>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(kind(&event.body).as_bytes());
    out.extend_from_slice(b"\",\"source\":");
    string_json(event.source, out);
    out.extend_from_slice(key!("instrument"));
    string_json(&event.instrument.name, out);
    out.extend_from_slice(key!("symbol"));
    string_json(&event.instrument.symbol, out);
    out.extend_from_slice(b",\"channel\":\"");
    out.extend_from_slice(event.channel.name().as_bytes());
    out.extend_from_slice(b"\",\"ts_event\":");
    or_null(event.stamp.ts_event, out, time);
    out.extend_from_slice(key!("ts_recv"));
    time(event.stamp.ts_recv, out);
    if let Some(ts) = ts_pub {
        out.extend_from_slice(key!("ts_pub"));
        time(ts, out);
    }
    if let Some((epoch, number)) = cursor {
        out.extend_from_slice(key!("epoch"));
        int(epoch, out);
        out.extend_from_slice(key!("number"));
        int(number, out);
    }
    if !event.flags.is_empty() {
        flags(event.flags, out);
    }
    body(&event.body, &event.instrument, out);
    out.push(b'}');
}

fn flags(flags: Flags, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("flags"));
    let mut before = b'[';
    for (flag, name) in Flags::NAMES {
        if flags.has(flag) {
            out.push(before);
            string_json(name, out);
            before = b',';
        }
    }
    if before == b'[' {
        out.push(b'[');
    }
    out.push(b']');
}

fn body(body: &Body, instrument: &Instrument, out: &mut Vec<u8>) {
    match body {
        Body::Trade(t) => trade(t, instrument, out),
        Body::Snapshot(s) => book(s.seq, None, s.epoch, &s.levels, instrument, out),
        Body::Delta(d) => book(d.seq, d.prev_seq, d.epoch, &d.levels, instrument, out),
        Body::Gap(g) => gap(g, out),
        Body::Quote(q) => quote(*q, instrument, out),
        Body::Bar(b) => bar(b, out),
        Body::DayStats(s) => day_stats(s, out),
        Body::MarkPrice(px) | Body::IndexPrice(px) => {
            out.extend_from_slice(key!("px"));
            decimal_json(*px, out);
        }
        Body::Funding(f) => funding(f, out),
        Body::OpenInterest(o) => open_interest(o, out),
        Body::Liquidation(l) => liquidation(l, out),
        Body::VolatilityIndex(value) => {
            out.extend_from_slice(key!("value"));
            decimal_json(*value, out);
        }
        Body::LongShortRatio(ratio) => long_short_ratio(ratio, out),
        Body::Greeks(g) => greeks(g, out),
        Body::Status(status) => {
            out.extend_from_slice(key!("status"));
            string_json(status_name(status), out);
        }
        Body::Order(o) => order(*o, instrument, out),
        Body::Minute(m) => company::minute(m, out),
        Body::CapitalFlow(flow) => company::capital_flow(flow, out),
        Body::CorporateAction(action) => company::corporate_action(action, out),
        Body::Fundamentals(facts) => company::fundamentals(facts, out),
        Body::Ranking(list) => company::ranking(list, out),
        Body::Sector(s) => company::sector(s, out),
        Body::Finding(f) => finding(f, out),
        Body::Instrument => {
            out.extend_from_slice(key!("definition"));
            instrument_json(instrument, out);
        }
        Body::Lane(fact) => lane(fact, out),
        Body::Link(fact) => link(fact, out),
    }
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Bid => "buy",
        Side::Ask => "sell",
    }
}

fn trade(trade: &Trade, instrument: &Instrument, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("id"));
    match &trade.id {
        TradeId::Num(id) => {
            out.push(b'"');
            int(*id, out);
            out.push(b'"');
        }
        TradeId::Text(id) => string_json(id, out),
    }
    out.extend_from_slice(key!("px"));
    number(trade.px.0, instrument.px_scale, out);
    out.extend_from_slice(key!("qty"));
    number(trade.qty.0, instrument.qty_scale, out);
    out.extend_from_slice(key!("aggressor"));
    or_null(trade.aggressor.map(side_name), out, string_json);
    out.extend_from_slice(key!("count"));
    int(u64::from(trade.count), out);
}

fn order(order: Order, instrument: &Instrument, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"id\":\"");
    int(order.id, out);
    out.extend_from_slice(b"\",\"action\":");
    string_json(order.action.name(), out);
    out.extend_from_slice(key!("side"));
    string_json(side_name(order.side), out);
    out.extend_from_slice(key!("px"));
    or_null(order.px, out, |px, out| number(px.0, instrument.px_scale, out));
    out.extend_from_slice(key!("qty"));
    number(order.qty.0, instrument.qty_scale, out);
    out.extend_from_slice(key!("seq"));
    or_null(order.seq, out, int);
}

fn book(
    seq: Option<u64>,
    prev_seq: Option<u64>,
    epoch: u32,
    all: &Levels,
    instrument: &Instrument,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(key!("seq"));
    or_null(seq, out, int);
    out.extend_from_slice(key!("prev_seq"));
    or_null(prev_seq, out, int);
    out.extend_from_slice(key!("book_epoch"));
    int(u64::from(epoch), out);
    out.extend_from_slice(key!("bids"));
    levels(all.bids(), instrument, out);
    out.extend_from_slice(key!("asks"));
    levels(all.asks(), instrument, out);
}

fn levels(levels: &[Level], instrument: &Instrument, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, level) in levels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        level_json(*level, instrument, out);
    }
    out.push(b']');
}

fn gap(gap: &Gap, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("cause"));
    string_json(gap.cause.name(), out);
    out.extend_from_slice(key!("from_seq"));
    or_null(gap.from_seq, out, int);
    out.extend_from_slice(key!("to_seq"));
    or_null(gap.to_seq, out, int);
}

fn quote(quote: Quote, instrument: &Instrument, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("bid"));
    or_null(quote.bid, out, |level, out| level_json(level, instrument, out));
    out.extend_from_slice(key!("ask"));
    or_null(quote.ask, out, |level, out| level_json(level, instrument, out));
    out.extend_from_slice(key!("seq"));
    or_null(quote.seq, out, int);
}

fn bar(bar: &Bar, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("interval"));
    string_json(&bar.interval, out);
    out.extend_from_slice(key!("start"));
    time(bar.start, out);
    out.extend_from_slice(key!("open"));
    decimal_json(bar.open, out);
    out.extend_from_slice(key!("high"));
    decimal_json(bar.high, out);
    out.extend_from_slice(key!("low"));
    decimal_json(bar.low, out);
    out.extend_from_slice(key!("close"));
    decimal_json(bar.close, out);
    out.extend_from_slice(key!("volume"));
    decimal_json(bar.volume, out);
    out.extend_from_slice(key!("turnover"));
    or_null(bar.turnover, out, decimal_json);
    out.extend_from_slice(key!("trades"));
    or_null(bar.trades, out, int);
    out.extend_from_slice(key!("closed"));
    boolean(bar.closed, out);
}

fn day_stats(stats: &DayStats, out: &mut Vec<u8>) {
    let numbers: [(&[u8], Option<Decimal>); 7] = [
        (key!("open"), stats.open),
        (key!("high"), stats.high),
        (key!("low"), stats.low),
        (key!("last"), stats.last),
        (key!("last_qty"), stats.last_qty),
        (key!("volume"), stats.volume),
        (key!("turnover"), stats.turnover),
    ];
    for (key, value) in numbers {
        out.extend_from_slice(key);
        or_null(value, out, decimal_json);
    }
    out.extend_from_slice(key!("trades"));
    or_null(stats.trades, out, int);
    for (key, value) in [
        (key!("prev_close"), stats.prev_close),
        (key!("limit_up"), stats.limit_up),
        (key!("limit_down"), stats.limit_down),
        (key!("buy_volume"), stats.buy_volume),
        (key!("sell_volume"), stats.sell_volume),
    ] {
        if let Some(value) = value {
            out.extend_from_slice(key);
            decimal_json(value, out);
        }
    }
}

fn funding(funding: &Funding, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("rate"));
    decimal_json(funding.rate, out);
    out.extend_from_slice(key!("at"));
    or_null(funding.at, out, time);
    out.extend_from_slice(key!("next_rate"));
    or_null(funding.next_rate, out, decimal_json);
}

fn open_interest(interest: &OpenInterest, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("qty"));
    decimal_json(interest.qty, out);
    out.extend_from_slice(key!("value"));
    or_null(interest.value, out, decimal_json);
}

fn liquidation(liquidation: &Liquidation, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("side"));
    string_json(side_name(liquidation.side), out);
    out.extend_from_slice(key!("px"));
    decimal_json(liquidation.px, out);
    out.extend_from_slice(key!("qty"));
    decimal_json(liquidation.qty, out);
    out.extend_from_slice(key!("avg_px"));
    or_null(liquidation.avg_px, out, decimal_json);
}

fn long_short_ratio(ratio: &LongShortRatio, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("of"));
    string_json(&ratio.of, out);
    out.extend_from_slice(key!("interval"));
    string_json(&ratio.interval, out);
    for (name, value) in
        [(key!("ratio"), ratio.ratio), (key!("long"), ratio.long), (key!("short"), ratio.short)]
    {
        out.extend_from_slice(name);
        or_null(value, out, decimal_json);
    }
}

fn greeks(greeks: &Greeks, out: &mut Vec<u8>) {
    for (name, value) in [
        (key!("delta"), greeks.delta),
        (key!("gamma"), greeks.gamma),
        (key!("vega"), greeks.vega),
        (key!("theta"), greeks.theta),
        (key!("rho"), greeks.rho),
        (key!("mark_iv"), greeks.mark_iv),
        (key!("bid_iv"), greeks.bid_iv),
        (key!("ask_iv"), greeks.ask_iv),
        (key!("underlying"), greeks.underlying),
    ] {
        out.extend_from_slice(name);
        or_null(value, out, decimal_json);
    }
}

fn finding(finding: &Finding, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("check"));
    string_json(&finding.check, out);
    out.extend_from_slice(key!("about"));
    string_json(finding.channel.name(), out);
    out.extend_from_slice(key!("what"));
    string_json(&finding.what, out);
    out.extend_from_slice(key!("samples"));
    out.push(b'[');
    for (n, sample) in finding.samples.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        string_json(sample, out);
    }
    out.push(b']');
}

fn lane(fact: &LaneFact, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("fact"));
    match fact {
        LaneFact::Asked { proof, quiet_ms } => {
            out.extend_from_slice(b"\"asked\",\"proof\":");
            string_json(proof.name(), out);
            out.extend_from_slice(key!("quiet_ms"));
            or_null(quiet_ms.map(u64::from), out, int);
        }
        LaneFact::Carried(LinkId(link)) => {
            out.extend_from_slice(b"\"carried\",\"link\":");
            int(u64::from(*link), out);
        }
        LaneFact::Acked => out.extend_from_slice(b"\"acked\""),
        LaneFact::Refused(why) => {
            out.extend_from_slice(b"\"refused\",\"why\":");
            string_json(why, out);
        }
        LaneFact::Syncing(why) => {
            out.extend_from_slice(b"\"syncing\",\"why\":");
            string_json(why, out);
        }
        LaneFact::Repaired { from_seq, to_seq, events } => {
            out.extend_from_slice(b"\"repaired\"");
            seqs(*from_seq, *to_seq, out);
            out.extend_from_slice(key!("events"));
            int(*events, out);
        }
        LaneFact::Unrepaired { from_seq, to_seq, why } => {
            out.extend_from_slice(b"\"unrepaired\"");
            seqs(*from_seq, *to_seq, out);
            out.extend_from_slice(key!("why"));
            string_json(why, out);
        }
        LaneFact::Dropped => out.extend_from_slice(b"\"dropped\""),
    }
}

fn seqs(from: Option<u64>, to: Option<u64>, out: &mut Vec<u8>) {
    out.extend_from_slice(key!("from_seq"));
    or_null(from, out, int);
    out.extend_from_slice(key!("to_seq"));
    or_null(to, out, int);
}

fn link(fact: &LinkFact, out: &mut Vec<u8>) {
    let (name, id) = match fact {
        LinkFact::Connecting { link, .. } => ("connecting", link),
        LinkFact::Up { link } => ("up", link),
        LinkFact::Alive { link, .. } => ("alive", link),
        LinkFact::Down { link, .. } => ("down", link),
        LinkFact::Clock { link, .. } => ("clock", link),
        LinkFact::Malformed { link, .. } => ("malformed", link),
        LinkFact::Unknown { link, .. } => ("unknown", link),
    };
    out.extend_from_slice(key!("fact"));
    string_json(name, out);
    out.extend_from_slice(key!("link"));
    int(u64::from(id.0), out);
    match fact {
        LinkFact::Connecting { url, .. } => {
            out.extend_from_slice(key!("url"));
            string_json(url, out);
        }
        LinkFact::Up { .. } => {}
        LinkFact::Alive { last_frame, last_ping, .. } => {
            out.extend_from_slice(key!("last_frame"));
            or_null(*last_frame, out, time);
            out.extend_from_slice(key!("last_ping"));
            or_null(*last_ping, out, time);
        }
        LinkFact::Down { why, retry_ms, .. } => {
            out.extend_from_slice(key!("why"));
            string_json(why, out);
            out.extend_from_slice(key!("retry_ms"));
            or_null(*retry_ms, out, int);
        }
        LinkFact::Clock { offset_ns, error_ns, .. } => {
            out.extend_from_slice(key!("offset_ns"));
            decimal_json(Decimal::new(i128::from(*offset_ns), 0), out);
            out.extend_from_slice(key!("error_ns"));
            int(*error_ns, out);
        }
        LinkFact::Malformed { what, .. } | LinkFact::Unknown { what, .. } => {
            out.extend_from_slice(key!("what"));
            string_json(what, out);
        }
    }
}
