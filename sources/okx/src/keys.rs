//! The keys of frames, for those that another connection may have brought already. Prices and levels are not looked at.

use crate::kind::Kind;
use model::TradeId;
use source::Scan;
use source::scan::{trade_id, whole};

/// What a frame is about, and what follows its `arg`; only in the form in which the venue writes it.
///
/// `{"arg":{"channel":"books","instId":"BTC-USDT"},…`
#[inline]
pub fn head(frame: &[u8]) -> Option<(Kind, &[u8], Scan<'_>)> {
    let mut scan = Scan::new(frame);
    scan.front(b"{\"arg\":{\"channel\":")?;
    let kind = Kind::of(scan.text()?);
    scan.front(b",\"instId\":")?;
    let inst = scan.text()?;
    scan.front(b"},")?;
    Some((kind, inst, scan))
}

/// `prevSeqId` and `seqId` of an update of a book, which stand behind its levels.
///
/// `"action":"update","data":[{"asks":[…],"bids":[…],"ts":"1760000000200","checksum":0,"prevSeqId":1000,"seqId":1007}]}`
#[inline]
pub fn update(mut row: Scan<'_>) -> Option<(u64, u64)> {
    row.front(b"\"action\":\"update\",\"data\":[{")?;
    row.back(b"}]}")?;
    let (mut prev, mut seq) = (None, None);
    while prev.is_none() || seq.is_none() {
        match row.last()? {
            (b"seqId", value) => seq = Some(whole(value)?),
            (b"prevSeqId", value) => prev = Some(whole(value)?),
            (b"ts" | b"checksum", _) => {}
            _ => return None,
        }
    }
    prev.zip(seq)
}

/// The id of the one trade of a frame; `None` where it has several.
///
/// `"data":[{"instId":"BTC-USDT","tradeId":"250000020","px":…}]}`
#[inline]
pub fn trade(mut row: Scan<'_>) -> Option<TradeId> {
    row.front(b"\"data\":[{\"instId\":")?;
    row.only_row(b"}]}")?;
    row.text()?;
    row.front(b",\"tradeId\":")?;
    trade_id(row.text()?)
}
