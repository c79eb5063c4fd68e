//! A book of single orders: who waits at which price, and in which order.
//!
//! It is built from the orders themselves, as Level-2 feeds tell them, not from levels. Nothing is matched here: an order
//! that would trade on entry waits like any other until its fills are told.

use hashbrown::HashMap;
use model::{Level, Levels, Order, OrderAction, Px, Qty, Side};
use std::collections::BTreeMap;
use std::fmt;

/// The single orders of one instrument. Those of one price wait in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct OrderBook {
    orders: HashMap<u64, Entry>,
    bids: Queues,
    asks: Queues,
    /// How many orders have entered; gives each its place in the queue of its price.
    entered: u64,
}

/// Where an order waits.
#[derive(Clone, Copy, Debug)]
struct Entry {
    side: Side,
    px: Px,
    qty: Qty,
    place: u64,
}

/// The orders of one side, by price.
#[derive(Clone, Debug, Default)]
struct Queues {
    by_px: BTreeMap<Px, Queue>,
    /// The sum of all quantities.
    qty: Qty,
}

/// The orders of one price.
#[derive(Clone, Debug, Default)]
struct Queue {
    /// The sum of their quantities.
    qty: Qty,
    /// Their numbers, by the place at which they came.
    ids: BTreeMap<u64, u64>,
}

/// An order that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// The exchange's number.
    pub id: u64,
    /// Which side.
    pub side: Side,
    /// Its limit.
    pub px: Px,
    /// What is left of it.
    pub qty: Qty,
}

/// A price with what waits there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLevel {
    /// Price.
    pub px: Px,
    /// Summed quantity.
    pub qty: Qty,
    /// How many orders.
    pub count: usize,
}

/// Why an order event cannot be: which order, and what is wrong. The book is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOrder {
    /// The exchange's number of the order.
    pub id: u64,
    /// What is wrong.
    pub fault: OrderFault,
}

/// What is wrong with an order event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderFault {
    /// An order of this number waits already.
    Duplicate,
    /// No order of this number waits.
    Unknown,
    /// More leaves than there is.
    TooMuch {
        /// What is there.
        have: Qty,
        /// What should leave.
        want: Qty,
    },
    /// The quantity is zero or below.
    NotPositive(Qty),
    /// It enters without a price, and so has no place to wait.
    Unpriced,
    /// The order waits on the other side.
    OtherSide,
    /// The order waits at another price.
    OtherPrice {
        /// Where it waits.
        have: Px,
        /// What the event says.
        want: Px,
    },
    /// The quantities of its side add up to more than can be counted.
    Overflow,
}

impl fmt::Display for BadOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {}: ", self.id)?;
        match self.fault {
            OrderFault::Duplicate => f.write_str("an order of this number waits already"),
            OrderFault::Unknown => f.write_str("no order of this number waits"),
            OrderFault::TooMuch { have, want } => write!(f, "{} should leave, {} is there", want.0, have.0),
            OrderFault::NotPositive(qty) => write!(f, "its quantity is {}", qty.0),
            OrderFault::Unpriced => f.write_str("it enters without a price"),
            OrderFault::OtherSide => f.write_str("it waits on the other side"),
            OrderFault::OtherPrice { have, want } => write!(f, "it waits at {}, not at {}", have.0, want.0),
            OrderFault::Overflow => f.write_str("the quantities of its side cannot be added up"),
        }
    }
}

impl OrderBook {
    /// Applies an event. A cancel or a fill may name only a part of the order; the rest keeps its place.
    ///
    /// # Errors
    /// [`BadOrder`] where the event cannot be; the book is as it was.
    pub fn apply(&mut self, order: &Order) -> Result<(), BadOrder> {
        let done = match order.action {
            OrderAction::Add => self.add(order),
            OrderAction::Cancel | OrderAction::Fill => self.take(order),
        };
        done.map_err(|fault| BadOrder { id: order.id, fault })
    }

    fn add(&mut self, order: &Order) -> Result<(), OrderFault> {
        let Order { id, side, qty, .. } = *order;
        positive(qty)?;
        let px = order.px.ok_or(OrderFault::Unpriced)?;
        if self.orders.contains_key(&id) {
            return Err(OrderFault::Duplicate);
        }
        let place = self.entered;
        let queues = self.side_mut(side);
        // A queue holds no more than its side, so one check is enough for both.
        queues.qty = Qty(queues.qty.0.checked_add(qty.0).ok_or(OrderFault::Overflow)?);
        let queue = queues.by_px.entry(px).or_default();
        queue.qty.0 += qty.0;
        queue.ids.insert(place, id);
        self.orders.insert(id, Entry { side, px, qty, place });
        self.entered += 1;
        Ok(())
    }

    fn take(&mut self, order: &Order) -> Result<(), OrderFault> {
        let want = order.qty;
        positive(want)?;
        let entry = self.orders.get_mut(&order.id).ok_or(OrderFault::Unknown)?;
        if entry.side != order.side {
            return Err(OrderFault::OtherSide);
        }
        if let Some(px) = order.px.filter(|px| *px != entry.px) {
            return Err(OrderFault::OtherPrice { have: entry.px, want: px });
        }
        if entry.qty < want {
            return Err(OrderFault::TooMuch { have: entry.qty, want });
        }
        entry.qty.0 -= want.0;
        let Entry { px, qty: left, place, .. } = *entry;
        let queues = self.side_mut(order.side);
        queues.qty.0 -= want.0;
        if let Some(queue) = queues.by_px.get_mut(&px) {
            queue.qty.0 -= want.0;
            if left.0 == 0 {
                queue.ids.remove(&place);
            }
            if queue.ids.is_empty() {
                queues.by_px.remove(&px);
            }
        }
        if left.0 == 0 {
            self.orders.remove(&order.id);
        }
        Ok(())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many orders wait.
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether no order waits.
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// An order that waits.
    pub fn order(&self, id: u64) -> Option<Resting> {
        self.orders.get(&id).map(|entry| entry.resting(id))
    }

    /// The orders that wait at a price, first come first.
    pub fn queue(&self, side: Side, px: Px) -> impl Iterator<Item = Resting> + '_ {
        let ids = self.side(side).by_px.get(&px).into_iter().flat_map(|queue| queue.ids.values());
        ids.filter_map(|id| self.order(*id))
    }

    /// The summed quantity of a side.
    pub fn qty(&self, side: Side) -> Qty {
        self.side(side).qty
    }

    /// The bids by price, best first.
    pub fn bids(&self) -> impl Iterator<Item = OrderLevel> + '_ {
        self.bids.by_px.iter().rev().map(level)
    }

    /// The asks by price, best first.
    pub fn asks(&self) -> impl Iterator<Item = OrderLevel> + '_ {
        self.asks.by_px.iter().map(level)
    }

    /// The best `depth` levels of both sides, best first.
    pub fn levels(&self, depth: usize) -> Levels {
        let plain = |level: OrderLevel| Level { px: level.px, qty: level.qty };
        let mut all: Vec<Level> = self.bids().take(depth).map(plain).collect();
        let bids = all.len();
        all.extend(self.asks().take(depth).map(plain));
        Levels::new(all, bids)
    }

    fn side(&self, side: Side) -> &Queues {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Queues {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

impl Entry {
    fn resting(&self, id: u64) -> Resting {
        Resting { id, side: self.side, px: self.px, qty: self.qty }
    }
}

fn positive(qty: Qty) -> Result<(), OrderFault> {
    if qty.0 > 0 { Ok(()) } else { Err(OrderFault::NotPositive(qty)) }
}

fn level((px, queue): (&Px, &Queue)) -> OrderLevel {
    OrderLevel { px: *px, qty: queue.qty, count: queue.ids.len() }
}

#[cfg(test)]
mod tests;
