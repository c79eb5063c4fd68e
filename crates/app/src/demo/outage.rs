//! A source that is away for a while.

use crate::error::{Error, Result};
use crate::simulate::Venue;
use crate::sources::named;
use source::SimSetup;
use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is tried to have the ports back.
const RETRY: Duration = Duration::from_millis(100);
/// How often until that is an error.
const TRIES: usize = 50;

/// Whose simulator is away, and when, from the start on.
#[derive(Clone, Debug)]
pub struct Outage {
    source: String,
    from: Duration,
    to: Duration,
}

impl FromStr for Outage {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong =
            || format!("`{text}` is no outage; write a source and seconds from the start, as NAME:20-50");
        let (source, times) = text.split_once(':').ok_or_else(wrong)?;
        let (from, to) = times.split_once('-').ok_or_else(wrong)?;
        let seconds =
            |text: &str| text.trim_end_matches('s').parse().map(Duration::from_secs).map_err(|_| wrong());
        let (from, to) = (seconds(from)?, seconds(to)?);
        if from >= to {
            return Err(wrong());
        }
        Ok(Self { source: source.to_owned(), from, to })
    }
}

impl Outage {
    /// Whether there is such a source.
    ///
    /// # Errors
    /// Where there is none.
    pub fn check(&self) -> Result<()> {
        let unknown = || Error::UnknownSource { name: self.source.clone() };
        named(&self.source).map(|_| ()).ok_or_else(unknown)
    }
}

/// Lets every outage happen, and then waits for ever.
pub async fn suffer(
    outages: &[Outage],
    venues: &mut [Venue],
    setup: &SimSetup,
    json: bool,
) -> Result<Infallible> {
    let start = Instant::now();
    let mut turns: Vec<(Duration, &str, bool)> = Vec::new();
    for outage in outages {
        turns.extend([(outage.from, outage.source.as_str(), false), (outage.to, &outage.source, true)]);
    }
    turns.sort_unstable();
    for (at, name, back) in turns {
        tokio::time::sleep_until(start + at).await;
        let Some(venue) = venues.iter_mut().find(|venue| venue.source.spec().name == name) else { continue };
        if back {
            again(venue, setup).await?;
        } else {
            venue.end();
        }
        if !json {
            eprintln!("{:>4} s: {name} is {}", at.as_secs(), if back { "back" } else { "away" });
        }
    }
    std::future::pending().await
}

/// Starts a simulator again; the sockets that it had may take a moment to close.
async fn again(venue: &mut Venue, setup: &SimSetup) -> Result<()> {
    let mut tried = 0;
    loop {
        match venue.again(setup).await {
            Err(_) if tried < TRIES => tokio::time::sleep(RETRY).await,
            done => return done,
        }
        tried += 1;
    }
}
