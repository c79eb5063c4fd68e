//! `qingxi demo`: the simulators of all sources on real ports, and the whole platform on them.

mod outage;

use crate::config::Config;
use crate::error::Result;
use crate::simulate::{Venue, addresses, venues};
use crate::term::{Cell, Table, paint};
use crate::topology::{Platform, print_where, until_stopped};
use bus::{BookState, Bus};
use indicatif::{ProgressBar, ProgressStyle};
use model::{Channel, Ts};
use outage::Outage;
use source::{SimBook, SimControl, SimSetup};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long what was sent may take to arrive once the markets stand still.
const SETTLE: Duration = Duration::from_secs(20);
/// How often the line that shows the demo moving is drawn anew.
const REFRESH: Duration = Duration::from_millis(500);

/// Starts the simulators of every source and the whole platform on them.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The same seed gives the same markets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stops by itself after this long (`60s`, `5m`), with a summary; exit code 0 only if every book equals its
    /// simulator's.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    lasts: Option<Duration>,
    /// Instruments that each product lists.
    #[arg(long, default_value_t = 6)]
    instruments: usize,
    /// Level changes and trades in a second, of each source.
    #[arg(long, default_value_t = 400)]
    moves_per_s: u32,
    /// Lets it be this time when it begins, for the platform and for the markets: `2026-11-20T10:00:00+08:00` shows Chinese
    /// stocks in the middle of a session at any hour.
    #[arg(long, value_name = "TIME", value_parser = crate::history::instant)]
    at: Option<Ts>,
    /// Takes a source's simulator away for a while, in seconds from the start: `NAME:20-50`. May be given more than once.
    #[arg(long, value_name = "SOURCE:FROM-TO")]
    outage: Vec<Outage>,
    /// Keeps the raw frames as tapes in this folder.
    #[arg(long, value_name = "DIR")]
    tape: Option<PathBuf>,
    /// Keeps every event in the log of this folder.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The port of page, REST and stream; metrics and probes take any that is free. 0 takes any.
    #[arg(long, default_value_t = 50061)]
    port: u16,
    /// Prints where to look and the summary as JSON lines.
    #[arg(long)]
    json: bool,
}

/// `60s`, `5m`, `2h` or plain seconds.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match text.get(digits.len()..) {
        Some("s" | "") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        _ => return Err("write seconds, minutes or hours as `60s`, `5m`, `2h`".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is no number"))?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// The platform's config for these venues: every instrument that they list, on every channel.
async fn config(args: &Args, venues: &[Venue]) -> Config {
    let mut config = Config { sources: Vec::new(), ..Config::default() };
    (config.serve.http_port, config.serve.metrics_port, config.serve.probe_port) = (args.port, 0, 0);
    config.run.subscriptions = PathBuf::new();
    if let Some(dir) = &args.tape {
        config.run.record = true;
        config.tape.dir.clone_from(dir);
    }
    config.store.dir = args.store.clone().unwrap_or_default();
    for venue in venues {
        let spec = venue.source.spec();
        let books = venue.host.books().await.into_iter().map(|book| book.instrument.name.to_string());
        let mut instruments: Vec<String> = books.collect();
        // Where no whole books are told, all that is listed.
        if instruments.is_empty() {
            instruments.push("*".to_owned());
        }
        let login = venue.host.login.clone();
        let (login_key, login_secret) =
            login.map_or_else(Default::default, |login| (login.key, login.secret));
        let channels = spec.channels.iter().map(|c| c.channel).filter(|c| *c != Channel::Instruments);
        config.sources.push(feed::SourceConfig {
            name: spec.name.to_owned(),
            instruments,
            all_hours: true,
            channels: channels.map(|c| c.name().to_owned()).collect(),
            hosts: venue
                .host
                .addrs
                .iter()
                .map(|(name, addr)| ((*name).to_owned(), format!("http://{addr}")))
                .collect(),
            login_key: login_key.into(),
            login_secret: login_secret.into(),
            ..feed::SourceConfig::default()
        });
    }
    config
}

/// Runs the demo.
///
/// # Errors
/// Where a port cannot be had.
pub async fn run(args: Args) -> Result<u8> {
    for outage in &args.outage {
        outage.check()?;
    }
    if let Some(at) = args.at {
        feed::clock::set(at);
    }
    let setup = SimSetup {
        seed: args.seed,
        start: feed::clock::now(),
        instruments: args.instruments,
        moves_per_s: args.moves_per_s,
        ..SimSetup::default()
    };
    let mut venues = venues(None, &setup, 0).await?;
    let config = config(&args, &venues).await;
    // What a venue lists later is not asked for.
    let asked: BTreeSet<String> = config.sources.iter().flat_map(|s| s.instruments.iter().cloned()).collect();
    let platform = Platform::start(config).await?;
    print_where(&platform, Some(&addresses(&venues)), args.json);
    if !args.json {
        for venue in &venues {
            let addrs: Vec<String> =
                venue.host.addrs.iter().map(|(name, addr)| format!("{name} {addr}")).collect();
            println!("  {:<16} simulated: {}", venue.source.spec().name, addrs.join(", "));
        }
        println!(
            "{}",
            args.lasts.map_or("Ctrl-C stops it.".to_owned(), |d| format!(
                "It stops by itself after {} s.",
                d.as_secs()
            ))
        );
    }
    tokio::select! {
        done = until_stopped() => done?,
        () = show(&platform.bus, args.lasts, args.json) => {}
        failed = outage::suffer(&args.outage, &mut venues, &setup, args.json) => match failed? {},
    }
    let code = match args.lasts {
        None => 0,
        Some(_) => sum_up(&platform.bus, &venues, &asked, args.json).await,
    };
    platform.stop().await;
    Ok(code)
}

/// Shows the platform moving, on a terminal; returns after `lasts`.
async fn show(bus: &Bus, lasts: Option<Duration>, json: bool) {
    let start = Instant::now();
    let bar = if json || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new_spinner()
    };
    let style = ProgressStyle::with_template("{spinner:.green} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let mut last = bus.cursor().number;
    loop {
        let left = lasts.map(|lasts| lasts.saturating_sub(start.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            break;
        }
        tokio::time::sleep(left.map_or(REFRESH, |left| left.min(REFRESH))).await;
        let number = bus.cursor().number;
        let per_s = (number - last) as f64 / REFRESH.as_secs_f64();
        last = number;
        let views = bus.lane_views();
        let live =
            views.iter().filter(|v| v.channel == Channel::Book && v.book == Some(BookState::Live)).count();
        bar.set_message(format!(
            "{number} events, {per_s:.0} a second, {live} books live, {} lanes",
            views.len()
        ));
        bar.tick();
    }
    bar.finish_and_clear();
}

/// Lets the markets stand still, waits until everything has arrived, and holds every book against the true one.
async fn sum_up(bus: &Bus, venues: &[Venue], asked: &BTreeSet<String>, json: bool) -> u8 {
    for venue in venues {
        venue.host.control(SimControl::Pause(true)).await;
    }
    let deadline = Instant::now() + SETTLE;
    let mut wrong = Vec::new();
    loop {
        wrong.clear();
        for venue in venues {
            let truths = venue.host.books().await;
            let truths = truths.iter().filter(|truth| asked.contains(&*truth.instrument.name));
            wrong.extend(truths.filter_map(|truth| difference(bus, truth)));
        }
        if wrong.is_empty() || Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let views = bus.lane_views();
    let gaps: u64 = views.iter().map(|v| v.gaps).sum();
    let events = bus.cursor().number;
    let books = views.iter().filter(|v| v.channel == Channel::Book).count();
    if json {
        let summary =
            serde_json::json!({ "events": events, "books": books, "gaps": gaps, "differences": wrong });
        println!("{summary}");
        return u8::from(!wrong.is_empty() || books == 0);
    }
    let mut table = Table::new(&["source", "lanes", "events", "gaps", "books"]);
    for venue in venues {
        let name = venue.source.spec().name;
        let of = || views.iter().filter(|v| v.source == name);
        let live = of().filter(|v| v.channel == Channel::Book && v.book == Some(BookState::Live)).count();
        table.row(vec![
            Cell::left(name),
            Cell::right(of().count()),
            Cell::right(of().map(|v| v.events).sum::<u64>()),
            Cell::count_bad(of().map(|v| v.gaps).sum()),
            Cell::right(format!("{live} live")),
        ]);
    }
    table.print();
    for line in &wrong {
        println!("{} {line}", paint("different:", "31"));
    }
    if wrong.is_empty() && books > 0 {
        println!("{}", paint(&format!("all {books} books equal those of their simulators"), "32"));
    }
    u8::from(!wrong.is_empty() || books == 0)
}

/// How a book differs from the true one; `None` where it does not.
fn difference(bus: &Bus, truth: &SimBook) -> Option<String> {
    let name = &truth.instrument.name;
    let Some(view) = bus.book(truth.instrument.id, Channel::Book, usize::MAX) else {
        return Some(format!("{name}: no book has come"));
    };
    if view.state != BookState::Live {
        return Some(format!("{name}: the book is {}", view.state.name()));
    }
    if view.seq.is_some() && view.seq != truth.seq {
        return Some(format!("{name}: stands at {:?}, the true book at {:?}", view.seq, truth.seq));
    }
    let equal = truth.has(&view.instrument, view.levels.bids(), view.levels.asks());
    (!equal).then(|| format!("{name}: the levels differ at {:?}", view.seq))
}
