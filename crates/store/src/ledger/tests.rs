use super::*;
use model::{
    Delta, Gap, Instrument, InstrumentKind, Levels, Proof, Px, Qty, Quote, Snapshot, Stamp, Trade, TradeId,
};
use std::sync::Arc;

mod after;
mod causes;
mod luck;

/// Builds what the bus would publish.
struct World {
    ledger: Ledger,
    epoch: u64,
    number: u64,
    ms: i64,
    instrument: Arc<Instrument>,
}

const LINK: LinkId = LinkId(1);
const ALL: (Ts, Ts) = (Ts(0), Ts(i64::MAX));

impl World {
    fn new() -> Self {
        let instrument = Arc::new(Instrument::provisional("v", "", "X", InstrumentKind::Spot));
        Self { ledger: Ledger::default(), epoch: 1_000, number: 0, ms: 1_000, instrument }
    }

    fn publish(&mut self, channel: Channel, flags: Flags, body: Body) {
        self.number += 1;
        let event = Event {
            source: "v",
            instrument: Arc::clone(&self.instrument),
            channel,
            flags,
            stamp: Stamp { ts_event: None, ts_recv: Ts::from_ms(self.ms) },
            body,
        };
        let cursor = Cursor { epoch: self.epoch, number: self.number };
        self.ledger.on(&Published { cursor, ts_pub: event.stamp.ts_recv, event });
    }

    fn at(&mut self, ms: i64) -> &mut Self {
        self.ms = ms;
        self
    }

    fn tell(&mut self, channel: Channel, body: Body) {
        self.publish(channel, Flags::NONE, body);
    }

    fn fact(&mut self, channel: Channel, fact: LaneFact) {
        self.tell(channel, Body::Lane(fact));
    }

    fn link(&mut self, fact: LinkFact) {
        self.tell(Channel::Link, Body::Link(fact));
    }

    fn up(&mut self) {
        self.link(LinkFact::Up { link: LINK });
    }

    fn down(&mut self) {
        self.link(LinkFact::Down { link: LINK, why: "lost".into(), retry_ms: Some(1) });
    }

    fn alive(&mut self, heard_ms: i64) {
        let last_frame = Some(Ts::from_ms(heard_ms));
        self.link(LinkFact::Alive { link: LINK, last_frame, last_ping: None });
    }

    fn ask(&mut self, channel: Channel, proof: Proof) {
        self.fact(channel, LaneFact::Carried(LINK));
        self.fact(channel, LaneFact::Asked { proof, quiet_ms: None });
        self.fact(channel, LaneFact::Acked);
    }

    fn trade(&mut self, id: u64) {
        let trade = Trade { id: TradeId::Num(id), px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
        self.tell(Channel::Trades, Body::Trade(trade));
    }

    fn quote(&mut self) {
        self.tell(Channel::Quote, Body::Quote(Quote { bid: None, ask: None, seq: None }));
    }

    fn snapshot(&mut self, seq: Option<u64>) {
        let levels = Levels::default();
        self.tell(Channel::Book, Body::Snapshot(Snapshot { seq, levels, checksum: None, epoch: 0 }));
    }

    fn delta(&mut self, prev_seq: u64, seq: u64) {
        let (prev_seq, seq, levels) = (Some(prev_seq), Some(seq), Levels::default());
        self.tell(Channel::Book, Body::Delta(Delta { prev_seq, seq, levels, checksum: None, epoch: 0 }));
    }

    fn gap(&mut self, channel: Channel, cause: GapCause, from_seq: Option<u64>, to_seq: Option<u64>) {
        self.tell(channel, Body::Gap(Gap { cause, from_seq, to_seq }));
    }

    fn again(&mut self, ms: i64) {
        (self.epoch, self.number, self.ms) = (ms.unsigned_abs(), 0, ms);
    }

    fn lose(&mut self, events: u64) {
        self.number += events;
        let lost = crate::log::Lost { epoch: self.epoch, from: 1, to: self.number, why: "slow".into() };
        self.ledger.found(&Found::Entry(Entry::Lost(lost)));
    }

    fn rows(&self, channel: Channel) -> Vec<Row> {
        let wanted = Wanted { channel: Some(channel), ..Wanted::default() };
        self.ledger.rows(&wanted, ALL.0, ALL.1)
    }

    /// The intervals of a lane, short: `gap(sequence) 1000-2000 10..13`.
    fn short(&self, channel: Channel) -> Vec<String> {
        self.rows(channel).iter().map(short).collect()
    }
}

fn short(row: &Row) -> String {
    let of = row.cause.or(row.proof).map_or(String::new(), |of| format!("({of})"));
    let seq = |seq: Option<u64>| seq.map_or(String::new(), |seq| seq.to_string());
    let seqs = match (row.from_seq, row.to_seq) {
        (None, None) => String::new(),
        (from, to) => format!(" {}..{}", seq(from), seq(to)),
    };
    let end = match row.end {
        Some("repaired") => format!(" repaired {}", row.events.unwrap_or_default()),
        Some("lost") => format!(" lost: {}", row.why.as_deref().unwrap_or_default()),
        _ => String::new(),
    };
    format!("{}{of} {}-{}{seqs}{end}", row.state, row.from_ts.as_ms(), row.to_ts.as_ms())
}

/// Trades 10 and 11 of a lane that counts, at 1,200 and 1,300 ms.
fn counted() -> World {
    let mut world = World::new();
    world.up();
    world.at(1_100).ask(Channel::Trades, Proof::Sequence);
    world.at(1_200).trade(10);
    world.at(1_300).trade(11);
    world
}
