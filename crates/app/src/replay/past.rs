//! `qingxi replay --from-store`: what is kept, published again on a bus, as lines or served like live.

use super::{Args, RIGHT, WRONG, create};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::term::paint;
use crate::topology::{Platform, print_where, until_stopped};
use bus::{Bus, Cursor, Filter, Item, Policy, Published};
use model::Ts;
use serve::{Played, play};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Query, Reader};

/// How many events are taken from the bus at once, and how many may wait.
const READ_MAX: usize = 4_096;

/// Replays the folder `dir` and gives the exit code: 1 where a part of it did not read.
///
/// # Errors
/// Where the folder does not read, a port cannot be had or an output cannot be written.
pub async fn run(args: &Args, dir: &Path) -> Result<u8> {
    let reader = Reader::open(dir)?;
    let mut query = args.part.query(&reader, args.source.as_deref())?;
    let mut instruments = reader.instruments()?;
    if !query.instruments.is_empty() {
        instruments.retain(|instrument| query.instruments.contains(&instrument.id));
    }
    // So that their books are told as they stood at the start.
    query.instruments = instruments.iter().map(|instrument| instrument.id).collect();
    if instruments.is_empty() {
        return Err(Error::History(format!("nothing is kept in `{}`", dir.display())));
    }
    let begin = begin(&reader, &query)?;
    if args.serve.is_some() {
        // Ages and states of lanes are those of then.
        feed::clock::set(begin);
        let platform = platform(args).await?;
        for instrument in &instruments {
            platform.bus.publish(serve::definition(instrument), begin);
        }
        return serve_past(platform, reader, query, args).await;
    }
    let bus = Arc::new(Bus::new(bus::Config::default(), begin));
    let played = write(reader, query, args, bus).await?;
    if args.events.as_deref().is_some_and(|path| path.as_os_str() != "-") {
        tell(played, args.json);
    }
    Ok(code(played))
}

/// When the replay begins: the instant that is asked for, or that of the first event.
fn begin(reader: &Reader, query: &Query) -> Result<Ts> {
    if query.from > Ts(i64::MIN) {
        return Ok(query.from);
    }
    let first = reader.timeline(query.clone())?.find_map(std::result::Result::ok);
    Ok(first.map_or_else(feed::clock::now, |(at, _)| at))
}

/// A platform without sources that keeps nothing.
async fn platform(args: &Args) -> Result<Platform> {
    let mut config = Config { sources: Vec::new(), ..Config::default() };
    if let Some(addr) = args.serve {
        (config.serve.bind, config.serve.http_port) = (addr.ip(), addr.port());
    }
    (config.serve.metrics_port, config.serve.probe_port) = (0, 0);
    config.run.subscriptions = PathBuf::new();
    Platform::start(config).await
}

async fn serve_past(platform: Platform, reader: Reader, query: Query, args: &Args) -> Result<u8> {
    print_where(&platform, None, args.json);
    let replayed = async {
        let played = play(reader, query, args.speed, &platform.bus).await?;
        tell(played, args.json);
        if !args.json {
            println!("what was replayed last is served until Ctrl-C");
        }
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        stopped = until_stopped() => stopped?,
        failed = replayed => failed?,
    }
    platform.stop().await;
    Ok(RIGHT)
}

/// Writes what is replayed as the lines of the stream.
async fn write(reader: Reader, query: Query, args: &Args, bus: Arc<Bus>) -> Result<Played> {
    let (path, mut out) = create(args.events.as_deref().unwrap_or(Path::new("-")))?;
    let mut lines = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: READ_MAX }, None);
    let (speed, mut items, mut text) = (args.speed, Vec::new(), Vec::new());
    let mut playing = tokio::spawn(async move { play(reader, query, speed, &bus).await });
    let played = loop {
        let ended = tokio::select! {
            biased;
            () = lines.read(&mut items, READ_MAX) => None,
            played = &mut playing => Some(played),
        };
        let mut more = true;
        while more {
            text.clear();
            items.drain(..).for_each(|item| line(&item, &mut text));
            let written = out.write_all(&text).and_then(|()| out.flush());
            written.map_err(|source| Error::Write { path: path.clone(), source })?;
            more = ended.is_some() && lines.try_read(&mut items, READ_MAX);
        }
        match ended {
            None => {}
            Some(Ok(played)) => break played?,
            Some(Err(ended)) => std::panic::resume_unwind(ended.into_panic()),
        }
    };
    Ok(played)
}

fn line(item: &Item, text: &mut Vec<u8>) {
    // Of those that are read without loss nothing is skipped.
    let Item::Event { published, .. } = item else { return };
    let Published { cursor: Cursor { epoch, number }, ts_pub, event } = &**published;
    wire::event_json(event, Some((*epoch, *number)), Some(*ts_pub), text);
    text.push(b'\n');
}

fn code(played: Played) -> u8 {
    if played.faults > 0 { WRONG } else { RIGHT }
}

fn tell(Played { events, faults }: Played, json: bool) {
    if json {
        println!("{}", serde_json::json!({ "events": events, "faults": faults }));
        return;
    }
    let lost = if faults > 0 { format!("; {faults} parts did not read") } else { String::new() };
    println!("{} {events} events{lost}", paint("replayed:", "32"));
}
