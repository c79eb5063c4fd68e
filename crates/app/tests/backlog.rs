//! A venue that pushes a whole market and lets go of clients who do not read, and a platform in which nobody takes anything.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use bus::{Bus, Filter, Item, Policy};
use feed::{Context, Desk, SourceConfig, run_source};
use metrics::{Metrics, Source};
use model::{Body, GapCause, InstrumentId, LinkFact};
use push::sim::{Habits, PushSim};
use sim::Host;
use source::{SimControl, SimSetup};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

const STOCKS: usize = 2_000;
/// More than this unsent, and the venue lets a client go.
const BACKLOG_MAX: usize = 1_000_000;
/// More than sockets themselves hold.
const PUSHED: u64 = 25_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_market_is_read_though_nobody_downstream_takes_anything() {
    let source = app::sources::named("push").unwrap();
    let (stop, shutdown) = watch::channel(false);
    let start = feed::clock::now();
    let setup = SimSetup { start, instruments: STOCKS, speed: 25, ..SimSetup::default() };
    let habits = Habits { burst: true, backlog_bytes_max: BACKLOG_MAX, ..Habits::default() };
    let venue = Box::new(PushSim::with(&setup, habits));
    let host = Host::start(source, venue, &[], feed::clock::now, shutdown.clone()).await.unwrap();
    let login = host.login.clone().unwrap();
    let bus = Arc::new(Bus::new(bus::Config::default(), start));
    let mut reader = bus.subscribe(Filter::all(), Policy::Lossless { queue_max: 50 }, None);
    let (metrics, desk) = (Arc::new(Metrics::new()), Arc::new(Desk::open(None).unwrap()));
    let engine = engine::Config::default();
    let (told, numbers) = (Arc::clone(&bus), Arc::clone(&metrics));
    let context = Context { bus: told, metrics: numbers, engine, tape: None, desk, seed: 1, shutdown };
    let config = SourceConfig {
        name: "push".to_owned(),
        instruments: vec!["*".to_owned()],
        channels: vec!["day_stats".to_owned(), "book_top".to_owned()],
        hosts: host.addrs.iter().map(|(name, addr)| ((*name).to_owned(), format!("tcp://{addr}"))).collect(),
        all_hours: true,
        login_key: login.key.into(),
        login_secret: login.secret.into(),
        drift: false,
        ..SourceConfig::default()
    };
    let task = tokio::spawn(async move { run_source(source, &config, context).await });

    let read = metrics.feed.bytes.get_or_create(&Source { source: "push" }).clone();
    let pushed = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while read.get() < PUSHED {
            looks.tick().await;
        }
    };
    timeout(Duration::from_mins(2), pushed).await.expect("a market's worth of bytes is read");
    host.control(SimControl::Pause(true)).await;

    // By lane: whether what was told last is a gap.
    let mut lanes: BTreeMap<(InstrumentId, &str), bool> = BTreeMap::new();
    let mut gaps = 0;
    let reading = async {
        while gaps < STOCKS || lanes.values().any(|gap| *gap) {
            let mut items = Vec::new();
            reader.read(&mut items, 100).await;
            for item in items {
                let Item::Event { published, .. } = item else { panic!("a lossless reader misses nothing") };
                let event = &published.event;
                let key = (event.instrument.id, event.channel.name());
                match &event.body {
                    Body::DayStats(_) | Body::Snapshot(_) => _ = lanes.insert(key, false),
                    Body::Gap(gap) => {
                        assert_eq!(gap.cause, GapCause::Overflow);
                        gaps += 1;
                        lanes.insert(key, true);
                    }
                    Body::Link(LinkFact::Down { why, .. }) => panic!("the connection was lost: {why}"),
                    _ => {}
                }
            }
        }
    };
    timeout(Duration::from_mins(1), reading).await.expect("every lane ends in its newest state");
    stop.send(true).unwrap();
    timeout(Duration::from_secs(10), task).await.expect("it stops").unwrap().unwrap();
}
