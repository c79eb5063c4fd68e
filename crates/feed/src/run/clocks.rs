//! How far the venue's clock is from ours.

use super::Shared;
use super::listings::LINK;
use crate::clock;
use model::LinkFact;
use source::Request;
use std::sync::Arc;

/// How often the clock is asked for in a row; the quickest answer says most.
const ASKS: usize = 3;

/// Asks for the venue's clock and tells how far it is from ours: the venue's time less the middle between asking and
/// hearing, which is wrong by at most half of the time between them.
pub async fn ask(shared: Arc<Shared>) {
    let rest = shared.source.rest();
    let Some(Request { endpoint, path, weight }) = rest.time() else { return };
    let mut best: Option<(u64, i64)> = None;
    for _ in 0..ASKS {
        shared.client.may_ask(endpoint, weight).await;
        let asked = clock::now();
        let answer = shared.client.net.fetch(endpoint, &path).await;
        let heard = clock::now();
        let Ok(theirs) = rest.read_time(&answer.body) else { continue };
        if answer.status != 200 {
            continue;
        }
        let took = heard.0.saturating_sub(asked.0).max(0);
        let offset = theirs.0.saturating_sub(asked.0.saturating_add(took / 2));
        let error = took.unsigned_abs() / 2;
        if best.is_none_or(|(least, _)| error < least) {
            best = Some((error, offset));
        }
    }
    if let Some((error_ns, offset_ns)) = best {
        shared.link(LinkFact::Clock { link: LINK, offset_ns, error_ns }, clock::now());
    }
}
