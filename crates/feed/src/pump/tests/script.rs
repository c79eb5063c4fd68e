//! A source whose frames say what its session does.

use model::{
    Body, Channel, Checksum, ChecksumKind, Delta, Event, Flags, GapCause, Instrument, InstrumentKind,
    LaneFact, Level, Levels, Px, Qty, Snapshot, Stamp, Trade, TradeId, Ts,
};
use source::{
    Action, ChannelSpec, Endpoint, Fault, Input, Malformed, Mark, Named, Options, Rate, Request, Session,
    Shard, Sim, SimSetup, Source, Spec, Want, What,
};
use std::sync::Arc;

/// A source whose frames say what the session does.
pub struct Script;

static SPEC: Spec = Spec {
    name: "script",
    docs: "",
    endpoints: &[Endpoint {
        name: "main",
        ws: "wss://script",
        rest: "https://script",
        connects: Rate { max: 10, per_ms: 1_000 },
        sends: Rate { max: 2, per_ms: 1_000 },
        weight: Rate { max: 10, per_ms: 1_000 },
        heartbeat_ms: 30_000,
        lifetime_ms: None,
    }],
    channels: &[
        ChannelSpec { channel: Channel::Book, proof: model::Proof::Sequence, quiet_ms: None },
        ChannelSpec { channel: Channel::Trades, proof: model::Proof::Sequence, quiet_ms: None },
    ],
    frame_bytes_max: 1_000,
};

pub fn instrument() -> Arc<Instrument> {
    Arc::new(Instrument::provisional("script", "", "X", InstrumentKind::Spot))
}

fn event(channel: Channel, body: Body, now: Ts) -> Event {
    let stamp = Stamp { ts_event: None, ts_recv: now };
    Event { source: "script", instrument: instrument(), channel, flags: Flags::NONE, stamp, body }
}

struct ScriptSession {
    live: bool,
}

impl Session for ScriptSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        let fact = |channel, fact| Action::Emit(event(channel, Body::Lane(fact), now));
        let asked = LaneFact::Asked { proof: model::Proof::Sequence, quiet_ms: None };
        match input {
            Input::Open => out.extend([Action::Send(b"hello".to_vec()), fact(Channel::Book, asked)]),
            Input::Closed | Input::Resync { .. } => {
                if self.live && matches!(input, Input::Closed) {
                    let gap = model::Gap { cause: GapCause::Disconnected, from_seq: None, to_seq: None };
                    out.push(Action::Emit(event(Channel::Book, Body::Gap(gap), now)));
                }
                self.live = false;
            }
            Input::Frame { bytes, .. } => {
                let text = std::str::from_utf8(bytes).unwrap();
                let words: Vec<&str> = text.split(' ').collect();
                let n = |at: usize| words[at].parse::<u64>().unwrap();
                let px = |px: u64| Level { px: Px(px as i64), qty: Qty(1) };
                if words.last() == Some(&"loud") {
                    out.push(Action::Unknown(format!("read {text}")));
                }
                match words[0] {
                    "ack" => out.push(fact(Channel::Book, LaneFact::Acked)),
                    "trade" => {
                        let id = TradeId::Num(n(1));
                        let trade = Trade { id, px: Px(1), qty: Qty(1), aggressor: None, count: 1 };
                        out.push(Action::Emit(event(Channel::Trades, Body::Trade(trade), now)));
                    }
                    "snap" => {
                        self.live = true;
                        let levels = Levels::from_sides(&[px(n(1))], &[]);
                        let body = Snapshot { seq: Some(n(1)), levels, checksum: None, epoch: 0 };
                        out.push(Action::Emit(event(Channel::Book, Body::Snapshot(body), now)));
                    }
                    // What a damaged frame does: its checksum is another's, or it sells below what is bid.
                    "delta" | "wrong" | "cross" => {
                        let (prev_seq, seq) = (Some(n(1)), Some(n(2)));
                        let asks = if words[0] == "cross" { vec![px(1)] } else { Vec::new() };
                        let levels = Levels::from_sides(&[px(n(2))], &asks);
                        let wrong = Checksum { kind: ChecksumKind::Crc32Interleaved25, value: 1 };
                        let checksum = (words[0] == "wrong").then_some(wrong);
                        let body = Delta { prev_seq, seq, levels, checksum, epoch: 0 };
                        out.push(Action::Emit(event(Channel::Book, Body::Delta(body), now)));
                    }
                    "close" => {
                        let fault = match words[1] {
                            "planned" => Fault::Planned,
                            "stale" => Fault::Stale,
                            "refused" => Fault::Refused,
                            _ => Fault::Protocol,
                        };
                        out.push(Action::Close { fault, why: "told to".to_owned() });
                    }
                    "wake" => out.push(Action::WakeAt { timer: 7, at: now.plus_ms(n(1)) }),
                    "send" => (0..n(1)).for_each(|_| out.push(Action::Send(b"x".to_vec()))),
                    "fetch" => out.push(Action::Fetch { tag: n(1), path: "/book".to_owned(), weight: 1 }),
                    _ => out.push(Action::Malformed(Malformed { at: 0, what: What::Eof })),
                }
            }
            Input::Wake { timer } => out.push(Action::Unknown(format!("woken {timer}"))),
            Input::Reply { tag, .. } => out.push(Action::Unknown(format!("reply {tag:?}"))),
            Input::Define(_) | Input::Subscribe(_) | Input::Unsubscribe(_) => {}
        }
    }

    fn pass_over(&mut self, frame: &[u8], _: bool, _: Ts, told: &mut dyn FnMut(Mark) -> bool) -> bool {
        let words: Vec<&str> = std::str::from_utf8(frame).unwrap().split(' ').collect();
        let n = |at: usize| words[at].parse::<u64>().unwrap();
        let (channel, of) = match words[..] {
            ["delta", _, _, "loud"] => (Channel::Book, Named::Delta { prev_seq: n(1), seq: n(2) }),
            ["trade", _, "loud"] => (Channel::Trades, Named::Trade(TradeId::Num(n(1)))),
            _ => return false,
        };
        told(Mark { instrument: instrument().id, channel, of })
    }
}

impl Source for Script {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }
    fn listings(&self) -> Vec<Request> {
        Vec::new()
    }
    fn define(&self, _: &str, _: &[u8]) -> Option<Result<Vec<Instrument>, Malformed>> {
        None
    }
    fn shards(&self, _: &[Want], _: &Options) -> Vec<Shard> {
        Vec::new()
    }
    fn session(&self, _: &Shard) -> Box<dyn Session> {
        Box::new(ScriptSession { live: false })
    }
    fn sim(&self, _: &SimSetup) -> Box<dyn Sim> {
        unreachable!("no test asks for it")
    }
    fn recognises(&self, _: Option<&str>, _: &[u8]) -> bool {
        false
    }
}
