//! The rules that real data keep, held over seeds, boards and a whole day.

use super::*;
use model::Side;
use model::ashare::{Board, Phase};
use std::collections::BTreeSet;

const DAY: &str = "2026-11-20";

fn date(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn at(day: &str, hour: i64, minute: i64, second: i64) -> Ts {
    instant(date(day), ((hour * 60 + minute) * 60 + second) * 1000)
}

/// What must hold of one view, by itself.
fn check(one: &Listed, view: &View) {
    let code = one.code;
    let on_grid = |px: Px| px.0 % one.tick == 0 && px.0 > 0;
    let (low, high) = view.limits.unwrap_or((Px(1), Px(i64::MAX)));
    assert!(low <= high && on_grid(view.prev_close), "{code}: {view:?}");
    assert_eq!(view.last.is_some(), view.volume > 0, "{code}: a price means that something was traded");
    if let (Some(open), Some(top), Some(bottom), Some(last)) = (view.open, view.high, view.low, view.last) {
        assert!(low <= bottom && top <= high, "{code}: inside the limits");
        assert!((bottom..=top).contains(&open) && (bottom..=top).contains(&last), "{code}: inside the day");
        assert!([open, top, bottom, last].into_iter().all(on_grid), "{code}: on the grid");
        if !one.is_index() {
            let (least, most) = (bottom.0 * view.volume, top.0 * view.volume);
            assert!((least..=most).contains(&view.amount), "{code}: the average price is inside the day");
        }
    }
    assert_eq!(view.bought + view.sold, view.volume, "{code}");
    assert!(!view.halted || view.volume == 0 && view.bids.is_empty() && view.asks.is_empty());
    book(one, view);
}

fn book(one: &Listed, view: &View) {
    let code = one.code;
    let (low, high) = view.limits.unwrap_or((Px(1), Px(i64::MAX)));
    assert!(view.bids.windows(2).all(|pair| pair[0].px > pair[1].px), "{code}: {view:?}");
    assert!(view.asks.windows(2).all(|pair| pair[0].px < pair[1].px), "{code}: {view:?}");
    for level in view.bids.iter().chain(&view.asks) {
        assert!(level.qty.0 > 0 && level.px.0 % one.tick == 0 && (low..=high).contains(&level.px), "{code}");
    }
    assert!(view.bids.len() <= LEVELS && view.asks.len() <= LEVELS);
    if let (Some(bid), Some(ask)) = (view.bids.first(), view.asks.first()) {
        match view.auction {
            Some(auction) => assert!(bid == ask && bid.px == auction.px, "{code}: an auction has one price"),
            None => assert!(bid.px < ask.px, "{code}: {view:?}"),
        }
    }
    if let Some(last) = view.last.filter(|_| view.auction.is_none()) {
        assert!(last < high || view.asks.is_empty(), "{code}: at the upper limit nobody sells");
        assert!(
            last > low || view.limits.is_none() || view.bids.is_empty(),
            "{code}: at the lower nobody buys"
        );
    }
    let alive = view.phase != Phase::Closed && !view.halted && !one.is_index();
    assert!(!alive || !view.bids.is_empty() || !view.asks.is_empty(), "{code}: {view:?}");
}

/// What must hold from one view to a later one of the same day.
fn check_pair(one: &Listed, before: &View, after: &View) {
    let code = one.code;
    assert!(
        after.ts >= before.ts && after.volume >= before.volume && after.amount >= before.amount,
        "{code}"
    );
    assert_eq!(after.prev_close, before.prev_close, "{code}");
    if before.open.is_some() {
        assert_eq!(after.open, before.open, "{code}");
        assert!(after.high >= before.high && after.low <= before.low, "{code}");
    }
    let (volume, amount) = (after.volume - before.volume, after.amount - before.amount);
    if volume == 0 {
        assert!(amount == 0 && after.last == before.last && after.trades == before.trades, "{code}");
        return;
    }
    let moved = [before.phase, after.phase]
        .into_iter()
        .any(|phase| matches!(phase, Phase::Continuous | Phase::OpeningCallFirm | Phase::ClosingCall));
    assert!(moved, "{code}: nothing is traded from {:?} to {:?}", before.phase, after.phase);
    if !one.is_index() {
        let (low, high) = (after.low.unwrap().0, after.high.unwrap().0);
        assert!((low * volume..=high * volume).contains(&amount), "{code}");
    }
}

#[test]
fn whole_days_keep_the_rules_that_real_data_keep() {
    for seed in 0..12 {
        let mut market = Market::new(seed, date(DAY), 120);
        let listed = market.listed().to_vec();
        let mut last: Vec<Option<View>> = vec![None; listed.len()];
        let mut now = at(DAY, 9, 0, 0);
        while now < at(DAY, 15, 32, 0) {
            market.advance(now);
            for (index, one) in listed.iter().enumerate() {
                let view = market.view(index).unwrap();
                check(one, &view);
                assert!(view.ts <= now && view.date == date(DAY));
                if let Some(before) = &last[index] {
                    check_pair(one, before, &view);
                }
                last[index] = Some(view);
            }
            now = now.plus_ms(if seed == 0 { 3_000 } else { 31_000 });
        }
    }
}

#[test]
fn markets_made_alike_agree_however_they_were_advanced() {
    let mut steady = Market::new(5, date(DAY), 60);
    for minute in 0..120 {
        steady.advance(at(DAY, 9, 0, 0).plus_ms(minute * 60_000));
        for index in 0..steady.listed().len() {
            steady.view(index);
        }
    }
    let now = at(DAY, 11, 0, 2);
    let mut jumped = Market::new(5, date(DAY), 60);
    jumped.advance(now);
    steady.advance(now);
    let mut moved = 0;
    let mut other = Market::new(6, date(DAY), 60);
    other.advance(now);
    for index in 0..steady.listed().len() {
        assert_eq!(steady.view(index), jumped.view(index));
        moved += usize::from(other.view(index) != steady.view(index));
    }
    assert!(moved > 50, "another seed is another market");
    jumped.advance(at(DAY, 9, 30, 0));
    assert_eq!(jumped.now(), now, "time does not go back");
    // A market of fewer shares shows the same of those it has.
    let mut small = Market::new(5, date(DAY), 7);
    small.advance(now);
    for index in 0..7 {
        assert_eq!(small.view(index), steady.view(index));
    }
}

#[test]
fn minutes_prints_and_day_bars_sum_up_to_the_view() {
    let mut market = Market::new(2, date(DAY), 80);
    for now in [at(DAY, 9, 26, 0), at(DAY, 10, 7, 31), at(DAY, 12, 0, 0), at(DAY, 20, 0, 0)] {
        market.advance(now);
        for index in 0..market.listed().len() {
            let view = market.view(index).unwrap();
            let bars = market.minutes(index, date(DAY));
            let prints = market.prints(index, date(DAY));
            let in_day: Vec<&Print> = prints.iter().filter(|print| print.kind != Kind::AfterHours).collect();
            assert_eq!(bars.iter().map(|bar| bar.volume).sum::<i64>(), view.volume);
            assert_eq!(bars.iter().map(|bar| bar.amount).sum::<i64>(), view.amount);
            assert_eq!(in_day.iter().map(|print| print.qty).sum::<i64>(), view.volume);
            assert_eq!(prints.last().copied(), view.last_print);
            assert_eq!(bars.last().map(|bar| bar.close), view.last);
            assert_eq!(bars.iter().map(|bar| bar.high).max().filter(|_| !view.halted), view.high);
            let today = market.day_bars(index, 1).pop().filter(|bar| bar.start == instant(date(DAY), 0));
            assert_eq!(today.map(|bar| (bar.close, bar.volume)), view.last.map(|last| (last, view.volume)));
            assert!(bars.windows(2).all(|pair| pair[0].start < pair[1].start));
        }
    }
    let whole = (0..market.listed().len()).map(|index| market.minutes(index, date(DAY)).len());
    assert_eq!(whole.collect::<BTreeSet<_>>(), BTreeSet::from([0, MINUTES]));
}

#[test]
fn the_past_leads_to_today() {
    let mut market = Market::new(2, date(DAY), 60);
    market.advance(at(DAY, 10, 0, 0));
    for index in 0..market.listed().len() {
        let bars = market.day_bars(index, HISTORY_DAYS + 10);
        let ex = market.ex_rights(index);
        for pair in bars.windows(2) {
            let reference = ex.iter().find(|ex| instant(ex.date, 0) == pair[1].start);
            let before = reference.map_or(pair[0].close, |ex| ex.close);
            assert!(before == pair[0].close, "an ex-date starts from the close before");
            assert!(pair[0].low <= pair[0].close && pair[0].close <= pair[0].high && pair[0].volume > 0);
        }
        let day = local(bars[bars.len() / 2].start).0;
        let minutes = market.minutes(index, day);
        assert_eq!(minutes.iter().map(|bar| bar.volume).sum::<i64>(), bars[bars.len() / 2].volume);
        assert_eq!(minutes.last().map(|bar| bar.close), Some(bars[bars.len() / 2].close));
        let view = market.view(index).unwrap();
        let last = bars.iter().rev().find(|bar| bar.start < instant(date(DAY), 0));
        if let (Some(last), None) = (last, ex.last().filter(|ex| ex.date == date(DAY))) {
            assert!(view.prev_close == last.close || view.halted, "{:?}", market.listed()[index].code);
        }
        assert_eq!(market.prints(index, date("2026-11-21")), [], "no trading day");
    }
}

#[test]
fn one_day_follows_the_other() {
    let mut market = Market::new(9, date("2026-11-19"), 40);
    market.advance(at("2026-11-19", 16, 0, 0));
    let closes: Vec<Px> = (0..40)
        .map(|index| {
            let view = market.view(index).unwrap();
            view.last.unwrap_or(view.prev_close)
        })
        .collect();
    let minutes = market.minutes(0, date("2026-11-19"));
    market.advance(at(DAY, 8, 59, 0));
    assert_eq!(market.date(), date("2026-11-19"), "until 09:00 sources show the day before");
    market.advance(at(DAY, 9, 0, 0));
    for (index, close) in closes.into_iter().enumerate() {
        let view = market.view(index).unwrap();
        let ex = market.ex_rights(index).last().copied().filter(|ex| ex.date == date(DAY));
        assert_eq!(view.prev_close, ex.map_or(close, |ex| ex.reference));
        assert_eq!((view.date, view.last, view.phase), (date(DAY), None, Phase::Closed));
    }
    assert_eq!(market.minutes(0, date("2026-11-19")), minutes, "a day that is over stays as it was");
    // A jump over a week-end, and into a year whose closures are unknown.
    market.advance(at("2027-03-01", 10, 0, 0));
    let view = market.view(0).unwrap();
    assert_eq!((view.date, view.last.is_some()), (date("2027-03-01"), true));
}

#[test]
fn a_market_has_all_that_is_rare() {
    let mut market = Market::new(1, date(DAY), 600);
    market.advance(at(DAY, 14, 50, 0));
    let views: Vec<View> = (0..market.listed().len()).map(|index| market.view(index).unwrap()).collect();
    let shares = market.listed().iter().zip(&views).filter(|(one, _)| one.is_share());
    assert!(views.iter().filter(|view| view.halted).count() >= 5);
    let at_limit = |up: bool| {
        views
            .iter()
            .filter(|v| v.last.is_some() && v.last == v.limits.map(|(d, u)| if up { u } else { d }))
            .count()
    };
    assert!(at_limit(true) >= 5 && at_limit(false) >= 3);
    assert!(shares.clone().any(|(_, view)| view.limits.is_none()));
    let titles: Vec<String> = (0..600).map(|index| market.title(index).unwrap()).collect();
    for mark in ["N", "C", "XD", "ST", "*ST"] {
        assert!(titles.iter().any(|title| title.starts_with(mark)), "{mark}");
    }
    assert!(titles.iter().all(|title| title.chars().count() <= 5));
    for board in
        [Board::Main, Board::Star, Board::ChiNext, Board::Beijing, Board::Fund, Board::Convertible, Board::B]
    {
        assert!(market.listed().iter().any(|one| one.section.board == board), "{board:?}");
    }
    let odd =
        views.iter().zip(market.listed()).filter(|(view, one)| one.is_share() && view.volume % 100 != 0);
    assert!(odd.count() > 20, "sums need not be whole lots");
    let sectors = market.sectors();
    assert_eq!(
        sectors.iter().filter(|s| s.kind == SectorKind::Industry).map(|s| s.members.len()).sum::<usize>(),
        600
    );
    let hot = market.hot(100);
    assert!(
        hot.len() == 100 && hot.is_sorted_by(|a, b| a.heat >= b.heat) && hot.iter().any(|hot| hot.rise != 0)
    );
}

#[test]
fn call_auctions_are_told_slot_by_slot_and_end_in_their_match() {
    let mut market = Market::new(4, date(DAY), 3);
    market.advance(at(DAY, 9, 20, 1));
    assert_eq!(market.auctions(0, date(DAY)).len(), 101, "09:15:00 to 09:20:00");
    market.advance(at(DAY, 16, 0, 0));
    let rows = market.auctions(0, date(DAY));
    assert_eq!(rows.len(), 200 + 60, "09:15:00 to 09:24:57, and 14:57:00 to 14:59:57");
    let prints = market.prints(0, date(DAY));
    let opening = prints.first().unwrap();
    assert_eq!((opening.ts, opening.kind, opening.aggressor), (at(DAY, 9, 25, 0), Kind::Opening, None));
    assert!((opening.px.0 - rows[199].1.px.0).abs() <= 2 + opening.px.0 / 100);
    let closing = prints.iter().find(|print| print.kind == Kind::Closing).unwrap();
    assert_eq!(closing.ts, at(DAY, 15, 0, 0));
    assert!(prints.iter().any(|print| print.aggressor == Some(Side::Bid)));
    assert!(prints.iter().any(|print| print.aggressor == Some(Side::Ask)));
    let late = prints.iter().filter(|print| print.kind == Kind::AfterHours);
    assert!(
        late.clone().count() > 0
            && late.clone().all(|print| print.px == closing.px && print.ts > at(DAY, 15, 5, 0))
    );
    let view = market.view(0).unwrap();
    assert_eq!(view.after_hours.0, late.map(|print| print.qty).sum::<i64>());
}

#[test]
fn a_market_can_be_made_for_any_time() {
    for start in [Ts(0), Ts::from_ms(1_760_000_000_000), at("2027-06-01", 3, 0, 0)] {
        let (mut market, clock) = Market::of(&SimSetup { start, instruments: 40, ..SimSetup::default() });
        assert_eq!(market.now(), clock.start());
        assert_eq!(market.next_slot(), clock.start().plus_ms(3_000));
        assert_eq!(market.trading_days(5).last(), Some(&market.date()));
        assert_eq!(market.trading_days(5).len(), 5);
        for index in 0..market.listed().len() {
            let view = market.view(index).unwrap();
            check(&market.listed()[index].clone(), &view);
            assert_eq!((view.phase, view.ts), (Phase::Continuous, clock.start()));
        }
    }
}
