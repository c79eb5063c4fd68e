//! `qingxi sim`: the simulators of all sources on real ports, or one that serves a recording.

use crate::error::{Error, Result};
use crate::sources::{SOURCES, named};
use crate::term::{Cell, Table};
use crate::topology::until_stopped;
use sim::{FrameFaults, Host, Playback, Recording};
use source::{Sim, SimSetup, Source};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tape::{Kind, Reader, Record};
use tokio::sync::watch;

/// Starts the simulators alone, for anybody's bot.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The same seed gives the same markets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this source.
    #[arg(long)]
    source: Option<String>,
    /// Instruments that each product lists.
    #[arg(long, default_value_t = 6)]
    instruments: usize,
    /// Level changes and trades in a second, of each source.
    #[arg(long, default_value_t = 400)]
    moves_per_s: u32,
    /// How long a connection may live, in ms, instead of the venue's own time.
    #[arg(long)]
    lifetime_ms: Option<u64>,
    /// The first port; the endpoints take it and those after it. 0 takes any that are free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Serves these recordings, in this order, instead of simulated markets; any format that `qingxi replay` reads.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    tape: Vec<PathBuf>,
    /// How much faster than it was a recording is served: `1x` to `1000x`.
    #[arg(long, default_value = "1x", value_parser = speed)]
    speed: f64,
    /// What goes wrong with the frames of a recording, in thousandths: `drop=4,repeat=4,swap=3,corrupt=2,cut=1`.
    #[arg(long, default_value = "", value_parser = faults)]
    faults: FrameFaults,
    /// Prints the addresses as JSON.
    #[arg(long)]
    json: bool,
}

fn speed(text: &str) -> std::result::Result<f64, String> {
    let number = text.trim_end_matches(['x', 'X']).parse::<f64>().ok();
    number
        .filter(|speed| (0.001..=1_000_000.0).contains(speed))
        .ok_or_else(|| format!("`{text}` is no speed; write 1x, 10x, 1000x"))
}

fn faults(text: &str) -> std::result::Result<FrameFaults, String> {
    let mut faults = FrameFaults::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let wrong =
            || format!("`{part}`: write drop, repeat, swap, corrupt or cut with thousandths, as drop=4");
        let (name, rate) = part.split_once('=').ok_or_else(wrong)?;
        let rate: u16 = rate.parse().ok().filter(|rate| *rate <= 1_000).ok_or_else(wrong)?;
        let slot = match name {
            "drop" => &mut faults.drop,
            "repeat" => &mut faults.repeat,
            "swap" => &mut faults.swap,
            "corrupt" => &mut faults.corrupt,
            "cut" => &mut faults.cut,
            _ => return Err(wrong()),
        };
        *slot = rate;
    }
    Ok(faults)
}

/// A simulator that is not on a port yet, and whose it is.
type Standing = (&'static dyn Source, Box<dyn Sim>);

/// One source's simulator.
pub struct Venue {
    /// Whose.
    pub source: &'static dyn Source,
    /// Where it is.
    pub host: Host,
    /// Ends it, and so does dropping it.
    stop: watch::Sender<bool>,
}

impl Venue {
    async fn start(source: &'static dyn Source, sim: Box<dyn Sim>, ports: &[u16]) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let host = Host::start(source, sim, ports, feed::clock::now, stopped).await?;
        Ok(Self { source, host, stop })
    }

    /// Cuts every connection; its ports answer no more.
    pub fn end(&self) {
        // Where nobody listens any more it has stopped already.
        _ = self.stop.send(true);
    }

    /// Starts it again where it was.
    ///
    /// # Errors
    /// Where a port is still taken.
    pub async fn again(&mut self, setup: &SimSetup) -> Result<()> {
        let ports: Vec<u16> = self.host.addrs.iter().map(|(_, addr)| addr.port()).collect();
        *self = Self::start(self.source, self.source.sim(setup), &ports).await?;
        Ok(())
    }
}

/// Starts the simulators of all sources, or of one. With a `port` the endpoints take it and those after it.
///
/// # Errors
/// Where a port cannot be had.
pub async fn venues(only: Option<&str>, setup: &SimSetup, port: u16) -> Result<Vec<Venue>> {
    let wanted = SOURCES.iter().copied().filter(|s| only.is_none_or(|name| s.spec().name == name));
    host(wanted.map(|source| (source, source.sim(setup))).collect(), port).await
}

/// The address of each endpoint, by source and name.
pub fn addresses(venues: &[Venue]) -> serde_json::Value {
    let of = |venue: &Venue| {
        let addrs = venue.host.addrs.iter().map(|(name, addr)| ((*name).to_owned(), addr.to_string().into()));
        (venue.source.spec().name.to_owned(), serde_json::Value::Object(addrs.collect()))
    };
    serde_json::Value::Object(venues.iter().map(of).collect())
}

async fn host(sims: Vec<Standing>, mut port: u16) -> Result<Vec<Venue>> {
    let mut all = Vec::new();
    for (source, sim) in sims {
        let count = source.spec().endpoints.len() as u16;
        let ports: Vec<u16> = (0..count).map(|n| if port == 0 { 0 } else { port + n }).collect();
        port += if port == 0 { 0 } else { count };
        all.push(Venue::start(source, sim, &ports).await?);
    }
    Ok(all)
}

/// Runs the simulators until they are told to stop.
///
/// # Errors
/// Where a port cannot be had, the source is unknown, or a recording cannot be read.
pub async fn run(args: Args) -> Result<u8> {
    if let Some(name) = args.source.as_deref().filter(|name| named(name).is_none()) {
        return Err(Error::UnknownSource { name: name.to_owned() });
    }
    let setup = SimSetup {
        seed: args.seed,
        start: feed::clock::now(),
        instruments: args.instruments,
        moves_per_s: if args.tape.is_empty() { args.moves_per_s } else { 0 },
        lifetime_ms: args.lifetime_ms,
        ..SimSetup::default()
    };
    let venues = if args.tape.is_empty() {
        venues(args.source.as_deref(), &setup, args.port).await?
    } else {
        host(recordings(&args, &setup)?, args.port).await?
    };
    if args.json {
        println!("{}", addresses(&venues));
    } else {
        let mut table = Table::new(&["source", "endpoint", "WebSocket", "REST", "instead of"]);
        for venue in &venues {
            for ((name, addr), spec) in venue.host.addrs.iter().zip(venue.source.spec().endpoints) {
                table.row(vec![
                    Cell::left(venue.source.spec().name),
                    Cell::left(name),
                    Cell::left(&format!("ws://{addr}")),
                    Cell::left(&format!("http://{addr}")),
                    Cell::left(spec.ws),
                ]);
            }
        }
        table.print();
        println!("paths, frames and limits are the venue's own; Ctrl-C stops");
    }
    until_stopped().await?;
    Ok(0)
}

/// The recordings, by whose they are.
fn recordings(args: &Args, setup: &SimSetup) -> Result<Vec<Standing>> {
    let forced = args.source.as_deref().and_then(named);
    let mut of_source: BTreeMap<&'static str, Vec<Record>> = BTreeMap::new();
    for path in &args.tape {
        let mut conns: BTreeMap<u32, &'static dyn Source> = BTreeMap::new();
        let mut replies = Vec::new();
        for record in Reader::open(path)? {
            let record = record?;
            let (url, frame): (Option<&str>, &[u8]) = match &record.kind {
                Kind::Connect { url } => (Some(url), &[]),
                Kind::Frame { bytes, .. } => (None, bytes),
                Kind::Reply { .. } => {
                    replies.push(record);
                    continue;
                }
                Kind::Header { .. } | Kind::Sent(_) | Kind::Line { .. } | Kind::Closed { .. } => continue,
            };
            let known = conns.get(&record.conn).copied().or(forced);
            let found = known.or_else(|| SOURCES.iter().copied().find(|s| s.recognises(url, frame)));
            if let Some(source) = found {
                conns.insert(record.conn, source);
                of_source.entry(source.spec().name).or_default().push(record);
            }
        }
        // Answers belong to whoever is asked for them.
        for records in of_source.values_mut() {
            records.extend(replies.iter().cloned());
        }
    }
    let playback = Playback { speed: args.speed, faults: args.faults, seed: args.seed };
    let mut all: Vec<Standing> = Vec::new();
    for (name, records) in of_source {
        let Some(source) = named(name) else { continue };
        let (recording, homeless) = Recording::new(source, setup, records.into_iter(), playback);
        if !args.json {
            let mut table = Table::new(&["subscription", "frames"]);
            for (key, frames) in recording.topics() {
                table.row(vec![Cell::left(key), Cell::right(frames)]);
            }
            println!("{name}: {homeless} frames belong to no subscription (acknowledgements, pongs)");
            table.print();
        }
        all.push((source, Box::new(recording)));
    }
    if all.is_empty() {
        return Err(Error::History("no source that is built in knows these recordings".to_owned()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_and_faults_are_read_as_people_write_them() {
        assert_eq!((speed("10x"), speed("0.5")), (Ok(10.0), Ok(0.5)));
        assert!(speed("fast").is_err() && speed("0x").is_err());
        let made = faults("drop=4,cut=1").unwrap();
        assert_eq!((made.drop, made.cut, made.swap), (4, 1, 0));
        assert!(faults("drop").unwrap_err().contains("drop=4") && faults("burn=1").is_err());
    }
}
