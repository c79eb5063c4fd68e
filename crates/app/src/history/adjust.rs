//! Bars across ex-dates, as a view of what was told: `qingxi backfill --adjust`.

use crate::error::{Error, Result};
use model::ashare::{Adjust, Adjuster, local};
use model::{Body, Channel, CorporateAction, Event, Instrument, SourceName, Ts};
use serde_json::{Map, Value, json};
use source::Past;

/// Which prices stand as they were traded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum How {
    /// All: nothing is adjusted.
    #[default]
    None,
    /// The latest: earlier ones are brought down to them (前复权).
    Forward,
    /// The earliest: later ones are brought up to them (后复权).
    Backward,
}

/// A view of the bars of one instrument.
pub struct View {
    how: Adjust,
    adjuster: Adjuster,
    actions: Vec<CorporateAction>,
    from: Ts,
    to: Ts,
}

impl View {
    /// Reads the corporate actions of an instrument; `None` where nothing is to be adjusted. Those that are in force only
    /// after `now` are left out.
    ///
    /// # Errors
    /// Where the source tells none, or cannot be read.
    pub async fn read(client: &feed::Client, how: How, bars: &Past, now: Ts) -> Result<Option<Self>> {
        let how = match how {
            How::None => return Ok(None),
            How::Forward => Adjust::Forward,
            How::Backward => Adjust::Backward,
        };
        if bars.channel != Channel::Bars {
            return Err(Error::History("--adjust is for bars".to_owned()));
        }
        let past = Past { channel: Channel::CorporateActions, from: Ts(0), to: now, ..bars.clone() };
        let mut actions = Vec::new();
        let take = |events: Vec<Event>, _| {
            actions.extend(events.into_iter().filter_map(|event| match event.body {
                Body::CorporateAction(action) => Some(*action),
                _ => None,
            }));
            Ok(())
        };
        let read = client.past(past, take).await;
        read.map_err(|why| {
            Error::History(format!("--adjust needs the corporate actions of {}: {why}", bars.instrument.name))
        })?;
        Ok(Some(Self::of(how, actions, bars.from, bars.to)))
    }

    /// A view of bars from `from` to before `to` by these actions.
    fn of(how: Adjust, mut actions: Vec<CorporateAction>, from: Ts, to: Ts) -> Self {
        actions.sort_by_key(|action| action.at);
        Self { how, adjuster: Adjuster::new(&actions), actions, from, to }
    }

    /// What it is called.
    pub const fn name(&self) -> &'static str {
        match self.how {
            Adjust::Forward => "forward",
            Adjust::Backward => "backward",
        }
    }

    /// Adjusts a bar.
    ///
    /// # Errors
    /// In words, where a number of it does not fit.
    pub fn seen(&self, mut event: Event) -> std::result::Result<Event, String> {
        if let Body::Bar(bar) = &mut event.body {
            let seen = self.adjuster.bar(bar, self.how);
            **bar = seen.ok_or_else(|| format!("an adjusted number does not fit: {bar:?}"))?;
        }
        Ok(event)
    }

    /// What the view is, for the head of its file: how, and by which ex-dates; and the splits that change prices too but whose
    /// ratio no source explains, so that they are not applied.
    pub fn head(&self, source: SourceName, instrument: &Instrument) -> Value {
        json!({ "adjusted": self.name(), "source": source, "symbol": &*instrument.name,
            "ex_dates": self.list(|action| self.adjuster.moves(action)),
            "not_applied": self.list(|action| &*action.what == "split") })
    }

    /// The actions that are kept and touch a bar of the view.
    fn list(&self, kept: impl Fn(&CorporateAction) -> bool) -> Vec<Value> {
        let touches = |action: &&CorporateAction| match self.how {
            Adjust::Forward => action.at > self.from,
            Adjust::Backward => action.at < self.to,
        };
        let row = |action: &CorporateAction| {
            let mut row = Map::new();
            row.insert("date".to_owned(), local(action.at).0.to_string().into());
            let own = [
                ("cash", action.cash),
                ("bonus", action.bonus),
                ("rights", action.rights),
                ("rights_px", action.rights_px),
            ];
            let own = own.into_iter().filter_map(|(name, number)| Some((name, number?)));
            for (name, number) in own.chain(action.facts.iter().copied()) {
                row.insert(name.to_owned(), number.to_string().into());
            }
            Value::Object(row)
        };
        self.actions.iter().filter(touches).filter(|action| kept(action)).map(row).collect()
    }
}
