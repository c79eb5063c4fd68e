//! Asks a source by REST within its limits.

use crate::clock;
use crate::error::Result;
use crate::limits::Limiter;
use crate::net::{Answer, Net};
use model::{Catalogue, Event, Instrument, Ts};
use source::{History, Past, Request, Source};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long nothing is asked after a 429 that does not say, in ms.
const TOO_MANY_MS: u64 = 10_000;
/// How long nothing is asked after a 418 that does not say, in ms.
const BANNED_MS: u64 = 120_000;
/// The most pages that a listing may have.
const PAGES_MAX: usize = 1_000;
/// How often a request of the past is tried.
const TRIES_MAX: u32 = 8;
/// The first wait between two tries, in ms; it doubles.
const RETRY_MS: u64 = 500;

/// REST of one source.
pub struct Client {
    pub(crate) source: &'static dyn Source,
    pub(crate) net: Net,
    /// How much may be asked, by endpoint.
    weights: Vec<Mutex<Limiter>>,
}

impl Client {
    /// REST of a source, with `hosts` in place of the endpoints that they name.
    ///
    /// # Errors
    /// A host or a proxy that is no address.
    pub fn new(source: &'static dyn Source, hosts: &BTreeMap<String, String>) -> Result<Self> {
        let spec = source.spec();
        let weights = spec.endpoints.iter().map(|e| Mutex::new(Limiter::new(e.weight))).collect();
        Ok(Self { source, net: Net::new(source, hosts)?, weights })
    }

    /// Waits until so much may be asked of the endpoint.
    pub(crate) async fn may_ask(&self, endpoint: usize, weight: u32) {
        wait(self.weights.get(endpoint), weight).await;
    }

    /// Asks within the endpoint's limits; where the venue says that it is too much, nothing is asked for a while.
    pub async fn fetch(&self, endpoint: usize, path: &str, weight: u32) -> Answer {
        self.may_ask(endpoint, weight).await;
        let answer = self.net.fetch(endpoint, path).await;
        let default_ms = if answer.status == 418 { BANNED_MS } else { TOO_MANY_MS };
        if matches!(answer.status, 418 | 429)
            && let Some(limiter) = self.weights.get(endpoint)
        {
            let until = clock::now().plus_ms(answer.retry_ms.unwrap_or(default_ms));
            limiter.lock().unwrap_or_else(PoisonError::into_inner).block(until);
        }
        answer
    }

    /// Everything that the source lists, and in words which lists could not be read and why.
    pub async fn catalogue(&self) -> (Catalogue, Vec<String>) {
        let mut catalogue = Catalogue::default();
        let fetch = |r: Request| async move { self.fetch(r.endpoint, &r.path, r.weight).await };
        let faults = read_listings(self.source, fetch, |instrument| {
            catalogue.put(&instrument);
        });
        let faults = faults.await;
        (catalogue, faults)
    }

    /// Reads a part of the past, page by page, and hands each to `take` with how far all has been handed out. A request
    /// that fails is made again with growing waits.
    ///
    /// # Errors
    /// In words: the venue keeps no such past, or a page could not be had.
    ///
    /// # Cancel safety
    /// What was handed out is complete up to the time that was handed out with it.
    pub async fn past(
        &self,
        past: Past,
        mut take: impl FnMut(Vec<Event>, Ts) -> std::result::Result<(), String>,
    ) -> std::result::Result<(), String> {
        let Some(mut history) = self.source.rest().history(past) else {
            return Err("the venue keeps no such history".to_owned());
        };
        while let Some(request) = history.request() {
            let events = self.page(history.as_mut(), request).await?;
            take(events, history.reached())?;
        }
        Ok(())
    }

    async fn page(
        &self,
        history: &mut dyn History,
        mut request: Request,
    ) -> std::result::Result<Vec<Event>, String> {
        let mut why = String::new();
        for tried in 0..TRIES_MAX {
            if tried > 0 {
                tokio::time::sleep(Duration::from_millis(RETRY_MS << tried)).await;
                request = history.request().unwrap_or(request);
            }
            let answer = self.fetch(request.endpoint, &request.path, request.weight).await;
            match answer.status {
                200 => match history.take(&answer.body, clock::now()) {
                    Ok(events) => return Ok(events),
                    Err(fault) => why = format!("{}: {fault}", request.path),
                },
                _ => why = format!("{}: {}", request.path, said(&answer)),
            }
        }
        Err(why)
    }
}

/// Asks for every page of every listing and hands on what is listed. Returns in words what could not be read, and why.
pub(crate) async fn read_listings<F: Future<Output = Answer>>(
    source: &dyn Source,
    fetch: impl Fn(Request) -> F,
    mut take: impl FnMut(Arc<Instrument>),
) -> Vec<String> {
    let mut faults = Vec::new();
    for first in source.listings() {
        let mut next = Some(first);
        let mut pages = 0;
        while let Some(request) = next.take() {
            let answer = fetch(request.clone()).await;
            let read = if answer.status == 200 { source.define(&request.path, &answer.body) } else { None };
            match read {
                Some(Ok(all)) => {
                    all.into_iter().map(Arc::new).for_each(&mut take);
                    pages += 1;
                    next = source.more(&request, &answer.body).filter(|_| pages < PAGES_MAX);
                }
                Some(Err(fault)) => faults.push(format!("{}: {fault}", request.path)),
                None => faults.push(format!("{}: {}", request.path, said(&answer))),
            }
        }
    }
    faults
}

/// What an answer that is no success says.
pub(crate) fn said(answer: &Answer) -> String {
    let begin = String::from_utf8_lossy(answer.body.get(..200).unwrap_or(&answer.body)).into_owned();
    format!("status {}: {begin}", answer.status)
}

/// Waits until the limiter allows `weight`.
pub(crate) async fn wait(limiter: Option<&Mutex<Limiter>>, weight: u32) {
    let Some(limiter) = limiter else { return };
    loop {
        let now = clock::now();
        let taken = limiter.lock().unwrap_or_else(PoisonError::into_inner).take(weight, now);
        let Err(at) = taken else { return };
        tokio::time::sleep(clock::until(at, now).max(Duration::from_millis(1))).await;
    }
}
