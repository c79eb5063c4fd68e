//! Our end of one connection: rounds of questions, each answered by one frame in the order in which they were asked.
//!
//! After any disorder the connection is given up, as answers cannot be set right again.

mod line;
mod manner;
mod read;
mod rounds;
mod stock;

use crate::codec::frame::AnswerFrame;
use crate::codec::{Answer, Query};
use line::{Heard, Line};
use manner::{How, Manner};
use model::ashare::{Phase, Section, calendar, local};
use model::{Channel, Date, InstrumentId, LaneFact, Proof, Ts};
use rounds::{KINDS, Kind, Rounds};
use source::{Action, Fault, Input, Options, Session, Shard, Want, What};
use std::collections::{BTreeMap, BTreeSet};
use stock::Stock;

/// How many instruments one connection carries: 25 questions for a round of quotes.
const STOCKS_MAX: usize = 2_000;
/// How often the server is told that we are there; it closes after about 60 s of silence.
const HEARTBEAT_MS: u64 = 30_000;
/// How often it is looked whether trading has begun or ended.
const LOOK_MS: u64 = 3_000;
/// The timer that looks after everything.
const TICK: u64 = 0;
/// A server's clock that is nearer to ours than this is ours: it tells whole seconds.
const CLOCK_MS: i64 = 2_000;

/// What is wanted, cut into what one connection carries.
pub fn shards(wants: &[Want], options: &Options) -> Vec<Shard> {
    let mut by_instrument: BTreeMap<InstrumentId, Vec<Want>> = BTreeMap::new();
    for want in wants.iter().filter(|want| crate::SPEC.channel(want.channel).is_some()) {
        if Stock::new(&want.instrument).is_some() {
            by_instrument.entry(want.instrument.id).or_default().push(want.clone());
        }
    }
    let all: Vec<Vec<Want>> = by_instrument.into_values().collect();
    let shard = |part: &[Vec<Want>]| Shard {
        endpoint: 0,
        path: Some(String::new()),
        wants: part.concat(),
        options: options.clone(),
    };
    all.chunks(STOCKS_MAX).map(shard).collect()
}

/// Our end of one connection.
pub struct TdxSession {
    /// False where it reads a recording.
    wanting: bool,
    open: bool,
    options: Options,
    stocks: Vec<Stock>,
    places: BTreeMap<crate::codec::Code, usize>,
    line: Line,
    rounds: Rounds,
    /// How this connection's server wants to be asked.
    manner: Manner,
    /// What it calls itself.
    server: String,
    /// The server's time less ours, in ns.
    ahead: i64,
    /// The trading day that the server told.
    day: Option<Date>,
    beat: Ts,
    /// Whether the server has said who it is.
    greeted: bool,
    /// Commands whose answers have more bytes than are known, each told once.
    longer: Vec<u16>,
}

impl TdxSession {
    /// A session for a shard; reads quotes alone where the shard wants nothing, as no other answer says of what it is.
    pub fn new(shard: &Shard) -> Self {
        let mut this = Self {
            wanting: !shard.wants.is_empty(),
            open: false,
            options: shard.options.clone(),
            stocks: Vec::new(),
            places: BTreeMap::new(),
            line: Line::default(),
            rounds: Rounds::default(),
            manner: Manner::default(),
            server: String::new(),
            ahead: 0,
            day: None,
            beat: Ts(0),
            greeted: false,
            longer: Vec::new(),
        };
        for want in &shard.wants {
            this.want(want);
        }
        this
    }

    fn want(&mut self, want: &Want) -> Option<usize> {
        let stock = Stock::new(&want.instrument)?;
        let place = *self.places.entry(stock.wire).or_insert(self.stocks.len());
        if place == self.stocks.len() {
            self.stocks.push(stock);
        }
        self.stocks.get_mut(place)?.add(want.channel);
        Some(place)
    }

    fn stock(&mut self, code: crate::codec::Code) -> Option<&mut Stock> {
        self.stocks.get_mut(*self.places.get(&code)?)
    }

    /// The server's time.
    fn there(&self, now: Ts) -> Ts {
        Ts(now.0.saturating_add(self.ahead))
    }

    /// The trading day that answers speak of.
    fn date(&self, now: Ts) -> Date {
        let there = self.there(now);
        self.day.or_else(|| calendar().trading_date(there)).unwrap_or_else(|| local(there).0)
    }
}

impl Session for TdxSession {
    fn on(&mut self, input: Input<'_>, now: Ts, out: &mut Vec<Action>) {
        match input {
            Input::Open => self.opened(now, out),
            Input::Frame { bytes, .. } => self.frame(bytes, now, out),
            Input::Reply { .. } => out.push(Action::Control("answer to a request that nobody reads")),
            Input::Wake { .. } | Input::Resync { .. } => {}
            Input::Define(instrument) => {
                let stocks = self.stocks.iter_mut();
                stocks
                    .filter(|stock| stock.instrument.id == instrument.id)
                    .for_each(|stock| stock.define(instrument));
            }
            Input::Subscribe(wants) => {
                for want in wants {
                    let place = self.want(want);
                    if let Some(stock) = place.and_then(|place| self.stocks.get(place)).filter(|_| self.open)
                    {
                        stock.fact(want.channel, asked(), now, out);
                        if let Some(refused) = self.refusal(want.channel) {
                            stock.fact(want.channel, refused, now, out);
                        }
                    }
                    self.rounds.again(want.channel);
                }
            }
            Input::Unsubscribe(wants) => {
                for want in wants {
                    let known =
                        self.stocks.iter_mut().find(|stock| stock.instrument.id == want.instrument.id);
                    if let Some(stock) = known
                        && stock.remove(want.channel)
                    {
                        stock.fact(want.channel, LaneFact::Dropped, now, out);
                    }
                }
            }
            Input::Closed => self.closed(),
        }
        if self.open && self.wanting {
            self.chores(now, out);
        }
    }
}

fn asked() -> LaneFact {
    LaneFact::Asked { proof: Proof::None, quiet_ms: None }
}

impl TdxSession {
    fn opened(&mut self, now: Ts, out: &mut Vec<Action>) {
        self.open = true;
        if !self.wanting {
            return;
        }
        for stock in &self.stocks {
            for channel in &stock.channels {
                stock.fact(*channel, asked(), now, out);
            }
        }
        self.beat = now;
        self.line.ask(Query::Hello(1), None);
    }

    fn closed(&mut self) {
        self.open = false;
        self.greeted = false;
        self.line = Line::default();
        self.rounds = Rounds::default();
        self.manner = Manner::default();
        for stock in &mut self.stocks {
            stock.lost();
        }
    }

    /// What is due: questions, heartbeats, and what follows where a server does not answer.
    fn chores(&mut self, now: Ts, out: &mut Vec<Action>) {
        if let Some((query, waited)) = self.line.overdue(now) {
            self.unanswered(&query, How::Late(waited), now, out);
            if !self.open {
                return;
            }
        }
        if self.greeted {
            if now.ms_since(self.beat) >= HEARTBEAT_MS.cast_signed() {
                self.beat = now;
                self.line.ask(Query::Heartbeat, None);
            }
            let trading = self.trading(now);
            for kind in KINDS {
                if self.rounds.due(kind, trading, now) && !self.line.asks(kind) {
                    self.rounds.begin(kind, trading, now);
                    self.ask_round(kind);
                }
            }
        }
        self.line.send(now, out);
        let next = self.line.overdue_at().into_iter().chain([self.beat.plus_ms(HEARTBEAT_MS)]);
        let rounds = KINDS.iter().filter_map(|kind| self.rounds.at(*kind, now)).filter(|_| self.greeted);
        // Where trading may begin, that is seen in time.
        let look = self.greeted.then(|| now.plus_ms(LOOK_MS));
        if let Some(at) = next.chain(rounds).chain(look).min() {
            out.push(Action::WakeAt { timer: TICK, at });
        }
    }

    /// Whether anything can change at the server. In a year whose trading days are not known it may at any time.
    fn trading(&self, now: Ts) -> bool {
        let sections: BTreeSet<Section> = self.stocks.iter().map(|stock| stock.code.section()).collect();
        let there = self.there(now);
        let moves = |section: Section| calendar().phase_at(section, there).is_none_or(Phase::moves);
        self.options.all_hours || sections.into_iter().any(moves)
    }

    fn frame(&mut self, bytes: &[u8], now: Ts, out: &mut Vec<Action>) {
        let Some((seq, command)) = AnswerFrame::names(bytes) else {
            out.push(Action::Malformed(source::Malformed { at: bytes.len(), what: What::Eof }));
            return;
        };
        if !self.wanting {
            self.recorded(bytes, command, now, out);
            return;
        }
        let asked = match self.line.answered(seq, command) {
            Heard::Answer(asked, passed) => {
                // Of a command that is answered for another code, the code is not known here.
                let command = asked.query.command();
                for passed in passed.iter().filter(|passed| passed.query.command() != command) {
                    self.unanswered(&passed.query, How::Passed, now, out);
                }
                asked
            }
            Heard::Late => return out.push(Action::Control("an answer that came too late")),
            Heard::Stranger if command == (Query::Refresh(Vec::new())).command() => {
                return out.push(Action::Control("a push that was not asked for"));
            }
            Heard::Stranger => {
                let why = format!(
                    "an answer to command {command:04x}, number {seq}, which is not the next one due"
                );
                return self.close(Fault::Protocol, why, out);
            }
        };
        match AnswerFrame::read(bytes) {
            Ok(frame) => self.body(&asked.query, &frame.body, now, out),
            Err(fault) => {
                out.push(Action::Malformed(fault));
                if !self.greeted {
                    self.give_up("a frame that cannot be read", out);
                }
            }
        }
    }

    fn body(&mut self, query: &Query, body: &[u8], now: Ts, out: &mut Vec<Action>) {
        let read = Answer::read(query, body);
        out.extend(read.faults.iter().map(|fault| Action::Malformed(*fault)));
        if read.left > 0 && !self.longer.contains(&query.command()) {
            self.longer.push(query.command());
            out.push(Action::Unknown(format!("{:04x}.tail", query.command())));
        }
        if read.faults.contains(&crate::codec::STUB)
            && let Some(stub) = body.first_chunk()
        {
            self.unanswered(query, How::Stub(*stub), now, out);
            return;
        }
        self.manner.silences = 0;
        match (query, read.answer) {
            (Query::Hello(_), Answer::Hello(hello)) if read.faults.is_empty() => self.greet(&hello, now, out),
            (Query::Hello(_), _) => {
                let head = crate::listing::hex(body.get(..8).unwrap_or(body));
                self.give_up(&format!("{} bytes that begin with {head}", body.len()), out);
            }
            (Query::Login(_), _) => {
                self.manner.tip = crate::codec::session::tip(body);
                out.push(Action::Control("login"));
            }
            (_, Answer::Heartbeat(day)) if read.faults.is_empty() => {
                out.push(Action::Control("heartbeat"));
                self.trading_day(day);
            }
            (_, answer) => self.data(query, answer, read.faults.is_empty(), now, out),
        }
    }

    fn greet(&mut self, hello: &crate::codec::session::Hello, now: Ts, out: &mut Vec<Action>) {
        self.greeted = true;
        self.server = hello.name.get();
        let (year, month, day, hour, minute, second) = hello.clock;
        let ms = ((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * 1000;
        let date = Date::new(i32::from(year), month, day);
        let there = date.map(|date| model::ashare::instant(date, ms));
        let apart = there.map(|there| there.0.saturating_sub(now.0));
        self.ahead = apart.filter(|apart| apart.abs() >= CLOCK_MS * 1_000_000).unwrap_or(0);
        out.push(Action::Control("greeting"));
        self.trading_day(hello.trading_day);
    }

    /// A new trading day begins everything anew.
    fn trading_day(&mut self, day: u32) {
        let Some(day) = Date::from_number(day).filter(|day| Some(*day) != self.day) else { return };
        if self.day.is_some() {
            self.stocks.iter_mut().for_each(Stock::new_day);
            self.rounds = Rounds::default();
        }
        self.day = Some(day);
    }
}

/// The kinds of rounds that carry a channel.
fn carries(kind: Kind, channel: Channel) -> bool {
    kind.channels().contains(&channel)
}
