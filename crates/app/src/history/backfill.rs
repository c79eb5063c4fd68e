//! `qingxi backfill`: reads the past of an instrument by REST, within the venue's limits. Stopped at any instant it goes
//! on where it was when it is started again. With `--store` it reads what the ledger of a store says is missing.

use super::adjust::{How, View};
use super::{Output, instant, repair, shown};
use crate::config;
use crate::error::{Error, Result};
use crate::sources::named;
use crate::term::paint;
use indicatif::{ProgressBar, ProgressStyle};
use model::{Catalogue, Channel, Instrument, Lookup, Ts};
use serde::{Deserialize, Serialize};
use source::Past;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads the past of an instrument by REST; or with `--store` what the ledger of a store says is missing of its trades.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Of which source.
    #[arg(long, required_unless_present = "store")]
    pub source: Option<String>,
    /// Which instrument, by any common spelling; with `--store` by its canonical name or the venue's symbol.
    #[arg(long, required_unless_present = "store")]
    pub instrument: Option<String>,
    /// `trades`, `agg_trades`, `bars` or `corporate_actions`.
    #[arg(long, required_unless_present = "store")]
    pub channel: Option<String>,
    /// From here on: 2026-11-20, 2026-11-20T12:00:00Z, or milliseconds since 1970.
    #[arg(long, value_parser = instant, required_unless_present = "store")]
    pub from: Option<Ts>,
    /// To before here; now where left out.
    #[arg(long, value_parser = instant)]
    pub to: Option<Ts>,
    /// Fills what is missing in this folder, as in `store.dir`, and notes in its ledger what was repaired. Of all sources,
    /// instruments and times that are not narrowed by the options. No platform may use the folder meanwhile.
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    store: Option<PathBuf>,
    /// With `--store`: also reads the time from here on before each lane began.
    #[arg(long, value_parser = instant, requires = "store")]
    pub since: Option<Ts>,
    /// The interval of bars.
    #[arg(long, default_value = "1m")]
    interval: String,
    /// Shows bars of Chinese stocks across ex-dates, by the corporate actions that the same source tells now. What was told stays
    /// as it is: the view goes into a file of its own, whose first line names the ex-dates, and each bar says `adjusted`.
    #[arg(long, value_enum, default_value_t)]
    pub adjust: How,
    /// The folder that events are written to, in a file for each source, instrument and channel.
    #[arg(long, default_value = "qingxi-data/history")]
    out: PathBuf,
    /// The config; its `hosts` of the source are in force.
    #[arg(short, long, env = "QINGXI_CONFIG")]
    config: Option<PathBuf>,
    /// An endpoint that is to be found elsewhere: `spot=http://127.0.0.1:9000`; several times for several.
    #[arg(long = "host", value_name = "ENDPOINT=URL")]
    hosts: Vec<String>,
    /// Prints the result as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The source, which is told where there is no store.
    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or_default()
    }

    /// As [`Args::source`].
    fn instrument(&self) -> &str {
        self.instrument.as_deref().unwrap_or_default()
    }

    /// As [`Args::source`].
    fn from(&self) -> Ts {
        self.from.unwrap_or_default()
    }
}

/// How far a file is.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
struct Progress {
    /// From where it begins, in ns.
    from: i64,
    /// Up to where all is there, in ns.
    reached: i64,
    /// How long the file is then.
    bytes: u64,
    events: u64,
    /// The head of a view; one by other ex-dates is begun anew.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    view: String,
}

/// Runs the command.
///
/// # Errors
/// Where source, instrument or channel are not to be had, or the venue or the disk refuse.
pub async fn run(args: Args) -> Result<u8> {
    match &args.store {
        Some(dir) => repair::run(&args, dir).await,
        None => past(&args).await,
    }
}

/// Reads the past of one instrument into a file.
async fn past(args: &Args) -> Result<u8> {
    let Some(source) = named(args.source()) else {
        return Err(Error::UnknownSource { name: args.source().to_owned() });
    };
    let channel = channel(args.channel.as_deref().unwrap_or_default())?;
    let client = feed::Client::new(source, &hosts(args, args.source())?)?;
    let (catalogue, faults) = client.catalogue().await;
    let instrument = find(args, &catalogue, &faults)?;
    let now = feed::clock::now();
    let to = args.to.unwrap_or(now);
    let mut past = Past {
        source: source.spec().name,
        instrument: Arc::clone(&instrument),
        channel,
        interval: args.interval.clone(),
        from: args.from(),
        to,
        ids: None,
    };
    let view = View::read(&client, args.adjust, &past, now).await?;
    let head = view.as_ref().map(|view| view.head(past.source, &instrument).to_string()).unwrap_or_default();
    let path = file(args, channel, &instrument, view.as_ref());
    let beside = path.with_extension("progress");
    let before = std::fs::read(&beside).ok().and_then(|text| serde_json::from_slice::<Progress>(&text).ok());
    let before = before.filter(|p| p.from == args.from().0 && p.view == head);
    let fresh = Progress { from: args.from().0, reached: args.from().0, bytes: 0, events: 0, view: head };
    let resumed = before.is_some();
    let mut progress = before.unwrap_or(fresh);
    let mut output = Output::open(&path, progress.bytes)?;
    output.events = progress.events;
    if let Some(view) = &view {
        output.seen = view.name().to_owned();
        if progress.bytes == 0 {
            output.head(&progress.view)?;
        }
    }
    let bar = bar(args, to);
    bar.set_position(position(args, Ts(progress.reached)));
    past.from = Ts(progress.reached);
    let mut failed = None;
    let read = client
        .past(past, |events, reached| {
            let kept = keep(&mut output, &mut progress, seen(view.as_ref(), events)?, reached, &beside);
            bar.set_position(position(args, reached));
            bar.set_message(format!("{} events, at {}", output.events, shown(reached)));
            kept.map_err(|error| {
                let words = error.to_string();
                failed = Some(error);
                words
            })
        })
        .await;
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(error);
    }
    if let Err(why) = read {
        let at = shown(Ts(progress.reached));
        return Err(Error::History(format!(
            "{why}; {} events up to {at} are in {}, and the same command goes on from there",
            output.events,
            path.display()
        )));
    }
    keep(&mut output, &mut progress, Vec::new(), to, &beside)?;
    report(args, &instrument, &path, &output, resumed, &progress.view);
    Ok(0)
}

/// The channel of a name, of those that have a past.
///
/// # Errors
/// What there is.
pub fn channel(text: &str) -> Result<Channel> {
    let offered = [Channel::Trades, Channel::AggTrades, Channel::Bars, Channel::CorporateActions];
    Channel::parse(text).filter(|channel| offered.contains(channel)).ok_or_else(|| {
        Error::History(format!("`{text}` is none of {}", offered.map(Channel::name).join(", ")))
    })
}

/// What is written of the events: themselves, or how a view shows them.
fn seen(view: Option<&View>, events: Vec<model::Event>) -> std::result::Result<Vec<model::Event>, String> {
    match view {
        Some(view) => events.into_iter().map(|event| view.seen(event)).collect(),
        None => Ok(events),
    }
}

/// The instrument that is meant; `faults` are the lists that could not be read.
fn find(args: &Args, catalogue: &Catalogue, faults: &[String]) -> Result<Arc<Instrument>> {
    // All that is listed is the source's own, on whichever venue it trades.
    let words = match catalogue.find_where(args.instrument(), |_| true) {
        Lookup::Found(instrument) => return Ok(instrument),
        Lookup::Ambiguous(names) => format!("`{}` may mean {}", args.instrument(), names.join(", ")),
        Lookup::Unknown => {
            faults.iter().fold(format!("{} lists no `{}`", args.source(), args.instrument()), |words, why| {
                format!("{words}\n  not read: {why}")
            })
        }
    };
    Err(Error::History(words))
}

/// Writes events, and then that they are there.
fn keep(
    output: &mut Output,
    progress: &mut Progress,
    events: Vec<model::Event>,
    reached: Ts,
    beside: &Path,
) -> Result<()> {
    for event in events {
        output.put(event)?;
    }
    output.sync()?;
    progress.reached = reached.0;
    (progress.bytes, progress.events) = (output.bytes, output.events);
    let new = beside.with_extension("progress-new");
    let text = serde_json::to_vec(progress).unwrap_or_default();
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, beside));
    written.map_err(|source| Error::Write { path: beside.to_owned(), source })
}

/// Where the endpoints of a source are to be found, by config and options.
///
/// # Errors
/// Where the config or an option is none.
pub fn hosts(args: &Args, source: &str) -> Result<BTreeMap<String, String>> {
    let config = config::load(args.config.as_deref())?;
    let of_source = config.sources.into_iter().find(|s| s.name == source);
    let mut hosts = of_source.map(|s| s.hosts).unwrap_or_default();
    for text in &args.hosts {
        let (name, url) = text
            .split_once('=')
            .ok_or_else(|| Error::History(format!("`--host {text}`: wanted is ENDPOINT=URL")))?;
        hosts.insert(name.to_owned(), url.to_owned());
    }
    Ok(hosts)
}

/// `<out>/<source>/<product>_<symbol>.<channel>[.<interval>][.<view>].jsonl`, without what file systems dislike.
fn file(args: &Args, channel: Channel, instrument: &Instrument, view: Option<&View>) -> PathBuf {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' }).collect()
    };
    let product = if instrument.product.is_empty() { "" } else { &format!("{}_", instrument.product) };
    let interval = if channel == Channel::Bars { format!(".{}", args.interval) } else { String::new() };
    let view = view.map(|view| format!(".{}", view.name())).unwrap_or_default();
    let symbol = plain(&instrument.symbol);
    let name = format!("{}{symbol}.{}{interval}{view}.jsonl", plain(product), channel.name());
    args.out.join(args.source()).join(name)
}

fn bar(args: &Args, to: Ts) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(position(args, to));
    let style = ProgressStyle::with_template("{wide_bar} {percent}% {eta} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn position(args: &Args, reached: Ts) -> u64 {
    reached.ms_since(args.from()).max(0).unsigned_abs()
}

fn report(args: &Args, instrument: &Instrument, path: &Path, output: &Output, resumed: bool, view: &str) {
    let view: Option<serde_json::Value> = serde_json::from_str(view).ok();
    if args.json {
        println!(
            "{}",
            serde_json::json!({ "instrument": &*instrument.name, "events": output.events, "bytes": output.bytes,
                "file": path.display().to_string(), "resumed": resumed, "view": view })
        );
        return;
    }
    let resumed = if resumed { " (gone on from an earlier run)" } else { "" };
    println!(
        "{} {} events of {} in {}{resumed}",
        paint("done:", "32"),
        output.events,
        instrument.name,
        path.display()
    );
    if let Some(view) = view {
        let dates = |key: &str| {
            let rows = view.get(key).and_then(serde_json::Value::as_array);
            let dates = rows.into_iter().flatten().filter_map(|row| row.get("date")?.as_str());
            dates.collect::<Vec<_>>().join(", ")
        };
        let by = dates("ex_dates");
        println!("adjusted {} by the ex-dates: {}", output.seen, if by.is_empty() { "none" } else { &by });
        let left = dates("not_applied");
        if !left.is_empty() {
            println!("not adjusted for the splits of {left}, whose ratio the source does not explain");
        }
    }
}
