//! The archive on a bus: what it does when the disk refuses, and that what it says is exact.

use crate::sim_disk::SimDisk;
use crate::world::{Told, event, ts_pub};
use bus::{Bus, Cursor};
use metrics::Metrics;
use model::Ts;
use std::sync::Arc;
use store::log::Log;
use store::{Archive, Config};

const EPOCH: u64 = 1_000;

struct Running {
    disk: SimDisk,
    bus: Arc<Bus>,
    metrics: Arc<Metrics>,
    archive: Archive,
    published: u64,
}

impl Running {
    fn new(config: Config) -> Self {
        let disk = SimDisk::new(5);
        let (log, _) = Log::open(disk.again(), config.clone()).unwrap();
        let bus = Arc::new(Bus::new(bus::Config::default(), Ts::from_ms(1_000)));
        let metrics = Arc::new(Metrics::new());
        let archive = Archive::start(log, config, &bus, metrics.clone());
        Self { disk, bus, metrics, archive, published: 0 }
    }

    async fn publish(&mut self, count: u64) {
        for _ in 0..count {
            self.published += 1;
            let cursor = Cursor { epoch: EPOCH, number: self.published };
            self.bus.ready().await;
            assert_eq!(self.bus.publish(event(cursor), ts_pub(cursor)), cursor);
            tokio::task::yield_now().await;
        }
    }

    async fn all_acked(&self) {
        let all = Cursor { epoch: EPOCH, number: self.published };
        self.archive.acked().wait_for(|acked| acked.cursor == Some(all)).await.unwrap();
    }
}

#[tokio::test]
async fn every_event_of_the_bus_is_acknowledged_and_read_again() {
    let mut run = Running::new(Config::default());
    run.publish(3_000).await;
    run.all_acked().await;
    run.publish(500).await;
    let ended = run.archive.stop().await;
    assert_eq!((ended.acked.kept, ended.acked.lost, ended.refused), (3_500, 0, 0));
    let told = Told::by(run.disk.again());
    assert!(told.wrong.is_empty() && told.torn == 0, "{told:?}");
    assert_eq!(told.read[&EPOCH].len(), 3_500);
    assert_eq!(told.closed, Some(Cursor { epoch: EPOCH, number: 3_500 }));
}

#[tokio::test]
async fn while_the_disk_refuses_events_wait_and_none_is_lost_within_the_bound() {
    let mut run = Running::new(Config { retry_ms: 1, ..Config::default() });
    run.publish(100).await;
    run.all_acked().await;
    run.disk.state().fails = 0..u64::MAX;
    run.publish(100).await;
    while run.metrics.store.failures.get() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(run.metrics.store.failing.get(), 1);
    run.disk.state().fails = 0..0;
    run.all_acked().await;
    assert_eq!(run.metrics.store.failing.get(), 0);
    let ended = run.archive.stop().await;
    assert_eq!((ended.acked.kept, ended.acked.lost, ended.refused), (200, 0, 0));
    let told = Told::by(run.disk.again());
    assert!(told.wrong.is_empty() && told.lost.is_empty(), "{told:?}");
    assert_eq!(told.read[&EPOCH].len(), 200);
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_are_lost_and_the_log_says_exactly_which() {
    let mut run = Running::new(Config { retry_ms: 1, waiting_bytes_max: 64 << 10, ..Config::default() });
    run.publish(100).await;
    run.all_acked().await;
    run.disk.state().fails = 0..u64::MAX;
    run.publish(5_000).await;
    while run.metrics.store.lost.get() == 0 || run.metrics.store.failures.get() < 3 {
        tokio::task::yield_now().await;
    }
    run.disk.state().fails = 0..0;
    run.publish(10).await;
    run.all_acked().await;
    let ended = run.archive.stop().await;
    let told = Told::by(run.disk.again());
    assert!(told.wrong.is_empty(), "{:?}", told.wrong);
    let lost: u64 = told.lost.iter().map(|lost| lost.to - lost.from + 1).sum();
    assert!(lost > 1_000, "{:?}", told.lost);
    assert_eq!(lost, ended.acked.lost);
    assert_eq!(told.read[&EPOCH].len() as u64, 5_110 - lost);
    for number in 1..=5_110 {
        assert!(told.knows(Cursor { epoch: EPOCH, number }), "{number}: {:?}", told.lost);
    }
}

#[tokio::test]
async fn a_disk_that_refuses_to_the_end_is_counted() {
    let mut run = Running::new(Config { retry_ms: 60_000, ..Config::default() });
    run.publish(7).await;
    run.all_acked().await;
    run.disk.state().fails = 0..u64::MAX;
    run.publish(5).await;
    let ended = run.archive.stop().await;
    assert_eq!((ended.acked.kept, ended.refused), (7, 5));
}
