//! `qingxi backfill --store`: what the ledger says is missing, read from the venues' histories and put where it belongs.

use super::backfill::{Args, hosts};
use super::target::filler;
use super::{adjust::How, shown};
use crate::error::{Error, Result};
use crate::replay::{RIGHT, WRONG};
use crate::sources::named;
use crate::term::{Cell, Table, paint};
use feed::Client;
use hashbrown::HashMap;
use indicatif::{ProgressBar, ProgressStyle};
use model::{Channel, Event, Instrument, InstrumentId, TradeId, Ts};
use serde_json::json;
use source::Past;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use store::Filler;
use store::ledger::{LaneName, Row, Wanted};

/// How far beyond a hole the history is asked, in ms: what it shares with what is kept shows that the two join. The times
/// of holes are those of receipt.
const BEYOND_MS: u64 = 60_000;

/// A stretch of a lane of which something is missing.
struct Hole {
    lane: LaneName,
    from: Ts,
    to: Ts,
    /// Why, in a word; `before` where the lane had not begun.
    cause: &'static str,
    /// The numbers on both sides of it.
    seqs: Option<(u64, u64)>,
}

/// What became of one.
struct Filled {
    hole: Hole,
    /// How many events are there now that were not there before.
    events: u64,
    /// What of it is no longer missing.
    repaired: Option<(Ts, Ts)>,
    /// Why not all of it is.
    why: Option<String>,
}

/// Fills the holes of the store in `dir` as far as the venues keep history; exit code 1 where some are left.
///
/// # Errors
/// Where the store is in use or refuses, or a source cannot be asked at all.
pub async fn run(args: &Args, dir: &Path) -> Result<u8> {
    if args.adjust != How::None {
        return Err(Error::History("--adjust shows bars in a file: it does not go with --store".to_owned()));
    }
    let channel = args.channel.as_deref().map(super::backfill::channel).transpose()?;
    let wanted = Wanted {
        source: args.source.as_deref().map(Into::into),
        exchange: None,
        instrument: args.instrument.as_deref().map(Into::into),
        channel,
    };
    let mut filler = filler(dir)?;
    let rows = filler.reader().coverage(&wanted, Ts(i64::MIN), Ts(i64::MAX))?;
    let holes = holes(&rows, args.from.unwrap_or(Ts(i64::MIN)), args.to.unwrap_or(Ts(i64::MAX)), args.since);
    let kept = filler.reader().instruments()?;
    let kept: HashMap<InstrumentId, Arc<Instrument>> = kept.into_iter().map(|it| (it.id, it)).collect();
    let mut clients: HashMap<&'static str, Client> = HashMap::new();
    let bar = progress(args.json, holes.len());
    let mut all = Vec::new();
    for hole in holes {
        bar.set_message(format!(
            "{} {} from {}",
            hole.lane.instrument,
            hole.lane.channel.name(),
            shown(hole.from)
        ));
        let name = hole.lane.source;
        let id = InstrumentId::of(&hole.lane.exchange, &hole.lane.product, &hole.lane.symbol);
        let filled = match (named(name), kept.get(&id)) {
            (Some(source), Some(instrument)) => {
                let client = match clients.entry(name) {
                    hashbrown::hash_map::Entry::Occupied(known) => known.into_mut(),
                    hashbrown::hash_map::Entry::Vacant(new) => {
                        new.insert(Client::new(source, &hosts(args, name)?)?)
                    }
                };
                fill(client, &mut filler, instrument, hole).await?
            }
            (None, _) => not(hole, format!("no source is called `{name}`")),
            (_, None) => not(hole, "its instrument is not known".to_owned()),
        };
        all.push(filled);
        bar.inc(1);
    }
    bar.finish_and_clear();
    filler.finish()?;
    Ok(report(&all, args.json))
}

fn not(hole: Hole, why: String) -> Filled {
    Filled { hole, events: 0, repaired: None, why: Some(why) }
}

/// The holes in lanes of trades, and with `since` the time before each lane began.
fn holes(rows: &[Row], from: Ts, to: Ts, since: Option<Ts>) -> Vec<Hole> {
    let mut holes: Vec<Hole> = Vec::new();
    let mut lane: Option<LaneName> = None;
    for row in rows {
        let Some(channel @ (Channel::Trades | Channel::AggTrades)) = Channel::parse(row.channel) else {
            continue;
        };
        let name = LaneName {
            source: row.source,
            exchange: row.exchange.clone(),
            product: row.product.clone(),
            symbol: row.symbol.clone(),
            instrument: row.instrument.clone(),
            channel,
        };
        let first = lane.as_ref() != Some(&name);
        lane = Some(name.clone());
        let begins = first && row.cause == Some("starting");
        if let Some(since) = since.filter(|since| first && *since < row.from_ts) {
            let lane = name.clone();
            let to = if begins { row.to_ts } else { row.from_ts };
            holes.push(Hole { lane, from: since, to, cause: "before", seqs: None });
        }
        // A lane begins by being asked for, which is no loss; and what still goes on has no end to be read to.
        let missing = row.state == "gap" && row.end != Some("repaired") && !row.open && !begins;
        if !missing || row.to_ts < from || row.from_ts >= to {
            continue;
        }
        let goes_on =
            |hole: &&mut Hole| hole.lane == name && hole.to == row.from_ts && hole.cause != "before";
        if let Some(hole) = holes.last_mut().filter(goes_on) {
            // Of holes in a row the first one has the number before, the last one the number after.
            hole.to = row.to_ts;
            hole.seqs = hole.seqs.map(|(before, _)| before).zip(row.to_seq);
            continue;
        }
        let seqs = row.from_seq.map(|before| (before, row.to_seq.unwrap_or(before)));
        let cause = row.cause.unwrap_or_default();
        holes.push(Hole { lane: name, from: row.from_ts, to: row.to_ts, cause, seqs });
    }
    for hole in &mut holes {
        // Where the number after it is not known the one before it stands in its place.
        hole.seqs = hole.seqs.filter(|(before, after)| after > before);
    }
    holes
}

/// What a history gave of a hole.
#[derive(Default)]
struct Seen {
    /// How many with numbers that are missing.
    numbered: u64,
    first: Option<Ts>,
    last: Option<Ts>,
}

impl Seen {
    fn on(&mut self, event: &Event, ids: Option<(u64, u64)>) -> bool {
        let at = store::when(event);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        let Some((from, to)) = ids else { return true };
        let missing = matches!(&event.body, model::Body::Trade(trade)
            if matches!(trade.id, TradeId::Num(id) if (from..=to).contains(&id)));
        self.numbered += u64::from(missing);
        missing
    }
}

/// Reads a hole from the venue's history. What came is kept in any case; that it is no longer missing is said of what the
/// answer shows: by numbers all of it or nothing, else from what it shares with what is kept before the hole, or its first
/// event, to what it shares with what is kept after it, or its last.
async fn fill(client: &Client, filler: &mut Filler, of: &Arc<Instrument>, hole: Hole) -> Result<Filled> {
    let Hole { lane, from, to, seqs, .. } = &hole;
    let ids = seqs.map(|(before, after)| (before + 1, after - 1));
    let mut seen = Seen::default();
    let mut read = Ok(());
    if ids.is_none_or(|(first, last)| first <= last) {
        let beyond = |ts: Ts, ms: i64| Ts(ts.0.saturating_add(ms * 1_000_000));
        let ms = i64::try_from(BEYOND_MS).unwrap_or_default();
        let before = if hole.cause == "before" { *from } else { beyond(*from, -ms) };
        let past = Past {
            source: lane.source,
            instrument: Arc::clone(of),
            channel: lane.channel,
            interval: String::new(),
            from: before,
            to: beyond(*to, ms).min(feed::clock::now()),
            ids,
        };
        let mut failed = None;
        read = client
            .past(past, |events, _| {
                let wanted = events.into_iter().filter(|event| seen.on(event, ids)).collect::<Vec<_>>();
                wanted.into_iter().try_for_each(|event| filler.put(event)).map_err(|error| {
                    let words = error.to_string();
                    failed = Some(error);
                    words
                })
            })
            .await;
        failed.map_or(Ok(()), Err)?;
    }
    let events = filler.file()?.taken;
    let (repaired, why) = verdict(&hole, ids, &seen, read.err());
    if let Some((begin, end)) = repaired.filter(|_| hole.cause != "before") {
        filler.repaired(lane, begin, end, events)?;
    }
    Ok(Filled { hole, events, repaired, why })
}

/// What of a hole is no longer missing, and why not all of it.
fn verdict(
    hole: &Hole,
    ids: Option<(u64, u64)>,
    seen: &Seen,
    failed: Option<String>,
) -> (Option<(Ts, Ts)>, Option<String>) {
    if let Some((first, last)) = ids {
        let left = (last + 1).saturating_sub(first).saturating_sub(seen.numbered);
        return match (left, failed) {
            (0, _) => (Some((hole.from, hole.to)), None),
            (_, Some(why)) => (None, Some(why)),
            (left, None) => (None, Some(format!("the venue's history lacks {left} of them"))),
        };
    }
    let Some((first, last)) = seen.first.zip(seen.last) else {
        return (
            None,
            Some(failed.unwrap_or_else(|| "the venue's history tells nothing of that time".to_owned())),
        );
    };
    let (begin, end) = (first.max(hole.from), last.min(hole.to));
    let part = (begin < end || hole.from == hole.to).then_some((begin, end));
    let whole = part == Some((hole.from, hole.to));
    let why = failed.or_else(|| {
        (!whole).then(|| format!("the venue's history tells of {} to {}", shown(first), shown(last)))
    });
    (part, why)
}

fn progress(quiet: bool, holes: usize) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta} {msg}");
    ProgressBar::new(holes as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn word(filled: &Filled) -> &'static str {
    match filled.repaired {
        Some(part) if part == (filled.hole.from, filled.hole.to) => "whole",
        Some(_) => "part",
        None => "none",
    }
}

fn report(all: &[Filled], json: bool) -> u8 {
    let whole = all.iter().filter(|filled| word(filled) == "whole").count();
    // How far back a venue's history goes is no loss.
    let left = all.iter().filter(|filled| word(filled) != "whole" && filled.hole.cause != "before").count();
    let code = if left == 0 { RIGHT } else { WRONG };
    let events: u64 = all.iter().map(|filled| filled.events).sum();
    if json {
        let rows: Vec<serde_json::Value> = all
            .iter()
            .map(|filled| {
                let Hole { lane, from, to, cause, .. } = &filled.hole;
                json!({ "source": lane.source, "instrument": lane.instrument, "channel": lane.channel.name(),
                    "from_ts": from.0, "to_ts": to.0, "cause": cause, "events": filled.events,
                    "repaired": word(filled), "why": filled.why })
            })
            .collect();
        println!("{}", json!({ "holes": rows, "whole": whole, "left": left, "events": events }));
        return code;
    }
    let mut table =
        Table::new(&["source", "instrument", "channel", "from", "to", "cause", "new events", "repaired"]);
    for filled in all {
        let Hole { lane, from, to, cause, .. } = &filled.hole;
        table.row(vec![
            Cell::left(lane.source),
            Cell::left(&lane.instrument),
            Cell::left(lane.channel.name()),
            Cell::left(&shown(*from)),
            Cell::left(&shown(*to)),
            Cell::left(cause),
            Cell::right(filled.events),
            Cell::left(word(filled)).coloured(if word(filled) == "whole" { "32" } else { "33" }),
        ]);
    }
    table.print();
    for filled in all {
        if let Some(why) = &filled.why {
            println!(
                "{} {} from {}: {why}",
                paint("left:", "33"),
                filled.hole.lane.instrument,
                shown(filled.hole.from)
            );
        }
    }
    println!("{whole} of {} holes are whole, {events} events are new", all.len());
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::Cursor;

    fn row(
        state: &'static str,
        cause: Option<&'static str>,
        times: (i64, i64),
        seqs: (Option<u64>, Option<u64>),
    ) -> Row {
        let cursor = Cursor { epoch: 1, number: 1 };
        Row {
            source: "source",
            exchange: "venue".into(),
            product: "".into(),
            symbol: "S".into(),
            instrument: "S@venue".into(),
            channel: "trades",
            state,
            proof: None,
            cause,
            from_ts: Ts(times.0),
            to_ts: Ts(times.1),
            from_cursor: cursor,
            to_cursor: cursor,
            from_seq: seqs.0,
            to_seq: seqs.1,
            end: (state == "gap").then_some("open"),
            end_ts: None,
            events: None,
            why: None,
            open: false,
        }
    }

    fn hole(times: (i64, i64), seqs: Option<(u64, u64)>) -> Hole {
        let lane = LaneName {
            source: "source",
            exchange: "venue".into(),
            product: "".into(),
            symbol: "S".into(),
            instrument: "S@venue".into(),
            channel: Channel::Trades,
        };
        Hole { lane, from: Ts(times.0), to: Ts(times.1), cause: "disconnected", seqs }
    }

    #[test]
    fn gaps_in_a_row_are_one_hole_and_the_beginning_of_a_lane_is_none() {
        let rows = [
            row("gap", Some("starting"), (0, 10), (None, Some(1))),
            row("complete", None, (10, 20), (Some(1), Some(5))),
            row("gap", Some("not_running"), (20, 50), (Some(5), None)),
            row("gap", Some("starting"), (50, 60), (None, Some(9))),
            row("complete", None, (60, 70), (Some(9), Some(9))),
            Row { end: Some("repaired"), ..row("gap", Some("sequence"), (70, 70), (Some(9), Some(11))) },
            row("unprovable", None, (70, 80), (None, None)),
            row("gap", Some("disconnected"), (80, 90), (None, None)),
            Row { open: true, ..row("gap", Some("disconnected"), (95, 99), (None, None)) },
        ];
        let short = |since: Option<Ts>| -> Vec<_> {
            let all = holes(&rows, Ts(i64::MIN), Ts(i64::MAX), since);
            all.iter().map(|hole| (hole.from.0, hole.to.0, hole.cause, hole.seqs)).collect()
        };
        let own = [(20, 60, "not_running", Some((5, 9))), (80, 90, "disconnected", None)];
        assert_eq!(short(None), own);
        assert_eq!(short(Some(Ts(-100))), [&[(-100, 10, "before", None)], &own[..]].concat());
        assert_eq!(holes(&rows, Ts(70), Ts(i64::MAX), None).len(), 1);
    }

    #[test]
    fn a_hole_by_numbers_is_whole_or_it_stays() {
        let hole = hole((100, 200), Some((5, 9)));
        let seen = |numbered| Seen { numbered, first: Some(Ts(0)), last: Some(Ts(300)) };
        assert_eq!(verdict(&hole, Some((6, 8)), &seen(3), None), (Some((Ts(100), Ts(200))), None));
        let (part, why) = verdict(&hole, Some((6, 8)), &seen(2), None);
        assert_eq!((part, why.as_deref()), (None, Some("the venue's history lacks 1 of them")));
        // Nothing is between 5 and 6.
        assert_eq!(verdict(&hole, Some((6, 5)), &Seen::default(), None).0, Some((Ts(100), Ts(200))));
    }

    #[test]
    fn a_hole_by_time_is_repaired_as_far_as_the_answer_reaches() {
        let hole = hole((100, 200), None);
        let of = |first, last, failed: Option<&str>| {
            let seen = Seen { numbered: 0, first: Some(Ts(first)), last: Some(Ts(last)) };
            let (part, why) = verdict(&hole, None, &seen, failed.map(str::to_owned));
            (part.map(|(from, to)| (from.0, to.0)), why.is_some())
        };
        assert_eq!(of(90, 210, None), (Some((100, 200)), false));
        assert_eq!(of(120, 210, None), (Some((120, 200)), true));
        assert_eq!(of(90, 180, Some("it broke")), (Some((100, 180)), true));
        assert_eq!(of(300, 400, None), (None, true));
        assert_eq!(verdict(&hole, None, &Seen::default(), None).0, None);
    }
}
