//! The recorded page of the whole market. It stands in the folder `$QINGXI_RECORDINGS`; without it this test skips.
#![allow(clippy::unwrap_used, clippy::panic)]

use eastmoney::Eastmoney;
use model::{Body, Ts};
use source::{Action, Input, Shard, Source};

#[test]
fn the_whole_market_of_a_day_is_read_and_what_is_missing_is_told_apart_from_zero() {
    let Some(root) = std::env::var_os("QINGXI_RECORDINGS") else {
        println!("skipped: QINGXI_RECORDINGS is not set");
        return;
    };
    let path = std::path::PathBuf::from(root).join("ashare-web/eastmoney_clist_20230223.jsonp.zst");
    let body = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    assert!(Eastmoney.recognises(None, &body));
    let (mut session, mut out) = (Eastmoney.session(&Shard::default()), Vec::new());
    let path = "/api/qt/clist/get?pn=1&pz=6000&np=1&fltt=2&invt=2&fs=m:0+t:6";
    session.on(Input::Reply { tag: None, path, status: 200, retry_ms: None, body: &body }, Ts(0), &mut out);
    let stats = |action: &Action| match action {
        Action::Emit(event) => match &event.body {
            Body::DayStats(stats) => stats.as_ref().clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let all: Vec<_> = out.iter().map(stats).collect();
    assert_eq!(all.len(), 5_133);
    let missing = all.iter().filter(|s| s.last.is_none());
    assert!(missing.clone().all(|s| s.volume.is_none() && s.turnover.is_none()));
    // Nine were not listed yet.
    assert_eq!(missing.clone().filter(|s| s.prev_close.is_none()).count(), 9);
    assert_eq!(missing.count(), 215);
    assert!(all.iter().filter(|s| s.last.is_some()).all(|s| s.volume.is_some_and(|v| !v.is_zero())));
    assert_eq!(Eastmoney.define("/api/qt/clist/get?pn=1&fs=m:0", &body).unwrap().unwrap().len(), 5_133);
}
