use super::*;
use proptest::prelude::*;

fn event(action: OrderAction, id: u64, side: Side, px: Option<i64>, qty: i64) -> Order {
    Order { id, side, px: px.map(Px), qty: Qty(qty), action, seq: None }
}

fn add(id: u64, side: Side, px: i64, qty: i64) -> Order {
    event(OrderAction::Add, id, side, Some(px), qty)
}

/// A bid of 5 at 10 and one of 7 at 10 behind it, an ask of 3 at 12.
fn small() -> OrderBook {
    let mut book = OrderBook::default();
    for order in [add(1, Side::Bid, 10, 5), add(2, Side::Bid, 10, 7), add(3, Side::Ask, 12, 3)] {
        book.apply(&order).unwrap();
    }
    book
}

fn ids(book: &OrderBook, side: Side, px: i64) -> Vec<u64> {
    book.queue(side, Px(px)).map(|order| order.id).collect()
}

#[test]
fn a_level_sums_its_orders_and_counts_them() {
    let book = small();
    assert_eq!(book.bids().collect::<Vec<_>>(), [OrderLevel { px: Px(10), qty: Qty(12), count: 2 }]);
    assert_eq!(book.asks().collect::<Vec<_>>(), [OrderLevel { px: Px(12), qty: Qty(3), count: 1 }]);
    assert_eq!((book.qty(Side::Bid), book.qty(Side::Ask), book.len()), (Qty(12), Qty(3), 3));
}

#[test]
fn what_is_left_of_an_order_keeps_its_place_and_a_new_order_goes_to_the_end() {
    let mut book = small();
    book.apply(&event(OrderAction::Fill, 1, Side::Bid, None, 4)).unwrap();
    book.apply(&add(4, Side::Bid, 10, 1)).unwrap();
    assert_eq!(ids(&book, Side::Bid, 10), [1, 2, 4]);
    book.apply(&event(OrderAction::Cancel, 1, Side::Bid, Some(10), 1)).unwrap();
    book.apply(&add(1, Side::Bid, 10, 9)).unwrap();
    assert_eq!(ids(&book, Side::Bid, 10), [2, 4, 1]);
}

#[test]
fn a_level_goes_with_its_last_order() {
    let mut book = small();
    book.apply(&event(OrderAction::Fill, 3, Side::Ask, None, 3)).unwrap();
    assert_eq!((book.asks().count(), book.qty(Side::Ask), book.order(3)), (0, Qty(0), None));
}

#[test]
fn a_bad_event_is_named_and_leaves_the_book_as_it_was() {
    use OrderAction::{Add, Cancel, Fill};
    let mut book = small();
    let max = i64::MAX;
    for (order, fault) in [
        (add(1, Side::Bid, 11, 1), OrderFault::Duplicate),
        (event(Add, 9, Side::Bid, None, 1), OrderFault::Unpriced),
        (add(9, Side::Bid, 10, 0), OrderFault::NotPositive(Qty(0))),
        (add(9, Side::Bid, 8, max), OrderFault::Overflow),
        (event(Cancel, 9, Side::Bid, Some(10), 1), OrderFault::Unknown),
        (event(Fill, 9, Side::Bid, None, 1), OrderFault::Unknown),
        (event(Fill, 2, Side::Ask, None, 1), OrderFault::OtherSide),
        (event(Fill, 2, Side::Bid, None, 8), OrderFault::TooMuch { have: Qty(7), want: Qty(8) }),
        (event(Fill, 2, Side::Bid, None, -1), OrderFault::NotPositive(Qty(-1))),
        (event(Cancel, 2, Side::Bid, Some(11), 1), OrderFault::OtherPrice { have: Px(10), want: Px(11) }),
    ] {
        let before = format!("{book:?}");
        assert_eq!(book.apply(&order), Err(BadOrder { id: order.id, fault }));
        assert_eq!(format!("{book:?}"), before, "{fault:?}");
    }
    let words = BadOrder { id: 2, fault: OrderFault::TooMuch { have: Qty(7), want: Qty(8) } }.to_string();
    assert_eq!(words, "order 2: 8 should leave, 7 is there");
}

#[test]
fn the_best_levels_come_first_on_both_sides() {
    let mut book = small();
    book.apply(&add(4, Side::Bid, 11, 1)).unwrap();
    book.apply(&add(5, Side::Ask, 13, 1)).unwrap();
    let level = |px, qty| Level { px: Px(px), qty: Qty(qty) };
    assert_eq!(book.levels(1), Levels::from_sides(&[level(11, 1)], &[level(12, 3)]));
    assert_eq!(
        book.levels(9),
        Levels::from_sides(&[level(11, 1), level(10, 12)], &[level(12, 3), level(13, 1)])
    );
}

/// The same book as a plain list of orders in the order in which they came.
#[derive(Default)]
struct Plain(Vec<Resting>);

impl Plain {
    /// Whether the event can be; then it is done.
    fn apply(&mut self, order: &Order) -> bool {
        let at = self.0.iter().position(|o| o.id == order.id);
        match (order.action, at) {
            (OrderAction::Add, None) if order.qty.0 > 0 => {
                let Some(px) = order.px else { return false };
                self.0.push(Resting { id: order.id, side: order.side, px, qty: order.qty });
            }
            (OrderAction::Cancel | OrderAction::Fill, Some(at)) => {
                let held = &mut self.0[at];
                let fits = held.side == order.side && order.px.is_none_or(|px| px == held.px);
                if !fits || order.qty.0 <= 0 || order.qty > held.qty {
                    return false;
                }
                held.qty.0 -= order.qty.0;
                if held.qty.0 == 0 {
                    self.0.remove(at);
                }
            }
            _ => return false,
        }
        true
    }

    fn levels(&self, side: Side) -> Vec<OrderLevel> {
        let mut by_px: BTreeMap<Px, OrderLevel> = BTreeMap::new();
        for order in self.0.iter().filter(|o| o.side == side) {
            let level = by_px.entry(order.px).or_insert(OrderLevel { px: order.px, qty: Qty(0), count: 0 });
            level.qty.0 += order.qty.0;
            level.count += 1;
        }
        let mut all: Vec<OrderLevel> = by_px.into_values().collect();
        if side == Side::Bid {
            all.reverse();
        }
        all
    }
}

fn any_event() -> impl Strategy<Value = Order> {
    let action = prop_oneof![Just(OrderAction::Add), Just(OrderAction::Cancel), Just(OrderAction::Fill)];
    let side = prop_oneof![Just(Side::Bid), Just(Side::Ask)];
    let px = proptest::option::weighted(0.7, 1_i64..6);
    (action, 0_u64..12, side, px, -1_i64..6)
        .prop_map(|(action, id, side, px, qty)| event(action, id, side, px, qty))
}

proptest! {
    #[test]
    fn any_events_good_and_bad_give_the_book_of_a_plain_list(
        events in proptest::collection::vec(any_event(), 1..400)
    ) {
        let (mut book, mut plain) = (OrderBook::default(), Plain::default());
        for order in events {
            let before = format!("{book:?}");
            let done = book.apply(&order);
            prop_assert_eq!(done.is_ok(), plain.apply(&order), "{:?}", order);
            if done.is_err() {
                prop_assert_eq!(format!("{:?}", book), before);
            }
            prop_assert_eq!(book.bids().collect::<Vec<_>>(), plain.levels(Side::Bid));
            prop_assert_eq!(book.asks().collect::<Vec<_>>(), plain.levels(Side::Ask));
            for side in [Side::Bid, Side::Ask] {
                let total: i64 = plain.0.iter().filter(|o| o.side == side).map(|o| o.qty.0).sum();
                prop_assert_eq!(book.qty(side), Qty(total));
                for level in plain.levels(side) {
                    let queue: Vec<Resting> = book.queue(side, level.px).collect();
                    let want: Vec<Resting> =
                        plain.0.iter().filter(|o| o.side == side && o.px == level.px).copied().collect();
                    prop_assert_eq!(queue, want);
                }
            }
            prop_assert_eq!(book.len(), plain.0.len());
        }
    }
}
