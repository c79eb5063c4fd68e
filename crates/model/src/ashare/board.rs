//! What a code stands for, and in which steps it trades.

use super::code::{Code, Market};
use crate::num::Decimal;

/// The part of an exchange that something is listed on; rules go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// Shares of the main boards of Shanghai and Shenzhen.
    Main,
    /// Shares and depositary receipts of STAR (科创板), Shanghai.
    Star,
    /// Shares of `ChiNext` (创业板), Shenzhen.
    ChiNext,
    /// Shares of the exchange in Beijing.
    Beijing,
    /// B shares, in US dollars at Shanghai and Hong Kong dollars at Shenzhen.
    B,
    /// Exchange-traded and listed open-end funds with the common price limit of 10 %.
    Fund,
    /// Funds that hold only shares with a price limit of 20 % and so have it too. The digits tell it for the STAR funds of
    /// Shanghai (588, 589) alone; who knows it of another fund names this board instead of the code's.
    GrowthFund,
    /// Funds of real estate.
    Reit,
    /// Convertible bonds.
    Convertible,
    /// Other bonds.
    Bond,
    /// Loans against bonds.
    Repo,
    /// Computed values: indices, statistics, boards of data vendors.
    Index,
    /// Digits that belong to none of these: rights, subscriptions, codes no longer given out.
    Other,
}

/// A board at its market: what sessions and price limits go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Section {
    /// Which exchange.
    pub market: Market,
    /// Which board of it.
    pub board: Board,
}

impl Section {
    /// The money that prices are in: `CNY`, for B shares `USD` or `HKD`.
    pub fn currency(self) -> &'static str {
        match (self.board, self.market) {
            (Board::B, Market::Sh) => "USD",
            (Board::B, _) => "HKD",
            _ => "CNY",
        }
    }

    /// The smallest step of price, in the money it trades in; `None` for what is not traded and for bonds, whose steps
    /// differ among themselves.
    pub fn tick(self) -> Option<Decimal> {
        match (self.board, self.market) {
            (Board::Main | Board::Star | Board::ChiNext | Board::Beijing, _) | (Board::B, Market::Sz) => {
                Some(Decimal::new(1, 2))
            }
            (Board::Fund | Board::GrowthFund | Board::Reit | Board::Convertible | Board::B, _) => {
                Some(Decimal::new(1, 3))
            }
            (Board::Bond | Board::Repo | Board::Index | Board::Other, _) => None,
        }
    }
}

impl Code {
    /// The board that the digits stand for at this market.
    pub fn section(self) -> Section {
        Section { market: self.market, board: Board::of(self) }
    }
}

impl Board {
    /// The board that a code's digits stand for.
    pub fn of(code: Code) -> Self {
        let head = code.number() / 1000;
        match code.market {
            Market::Sh => shanghai(head),
            Market::Sz => shenzhen(head),
            Market::Bj => match head {
                899 => Self::Index,
                // 920 since 2024, for all since 2025-10-09; before that 43, 83, 87 and 88.
                920..=929 | 430..=439 | 830..=839 | 870..=889 => Self::Beijing,
                810 | 820 | 821 => Self::Bond,
                _ => Self::Other,
            },
        }
    }

    /// How many shares or bonds are one 手, the unit in which most sources give volumes. It is 100 on STAR and in Beijing
    /// too, where orders need not be multiples of it; of an index it is 100 shares of its members.
    pub fn lot(self) -> u32 {
        match self {
            Self::Convertible | Self::Bond | Self::Repo => 10,
            _ => 100,
        }
    }

    /// The smallest order to buy, in shares or bonds; `None` for what is not traded.
    pub fn order_min(self) -> Option<u32> {
        match self {
            Self::Star => Some(200),
            Self::Index | Self::Other => None,
            _ => Some(self.lot()),
        }
    }

    /// The step above [`Board::order_min`] in which orders to buy grow. Odd rests may be sold, so single trades and sums
    /// need not be multiples of it.
    pub fn step(self) -> Option<u32> {
        match self {
            Self::Star | Self::Beijing => Some(1),
            _ => self.order_min(),
        }
    }

    /// Whether it is a share that is quoted in yuan.
    pub fn is_a_share(self) -> bool {
        matches!(self, Self::Main | Self::Star | Self::ChiNext | Self::Beijing)
    }
}

fn shanghai(head: u32) -> Board {
    match head {
        600 | 601 | 603 | 605 => Board::Main,
        688 | 689 => Board::Star,
        900 => Board::B,
        508 => Board::Reit,
        588 | 589 => Board::GrowthFund,
        500..=509 | 510..=519 | 520..=529 | 530..=539 | 550..=569 | 580..=587 => Board::Fund,
        110 | 111 | 113 | 118 => Board::Convertible,
        204 => Board::Repo,
        0 | 880 | 881 | 999 => Board::Index,
        10..=29 | 100..=199 => Board::Bond,
        _ => Board::Other,
    }
}

fn shenzhen(head: u32) -> Board {
    match head {
        0..=3 => Board::Main,
        300..=302 => Board::ChiNext,
        200 => Board::B,
        158..=169 => Board::Fund,
        180 => Board::Reit,
        123 | 127 | 128 => Board::Convertible,
        131 => Board::Repo,
        395 | 399 => Board::Index,
        100..=149 | 190..=199 => Board::Bond,
        _ => Board::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(text: &str) -> Board {
        Code::parse(text).unwrap().section().board
    }

    #[test]
    fn real_codes_stand_on_their_boards() {
        for (text, expected) in [
            ("600519", Board::Main),
            ("601398", Board::Main),
            ("605499", Board::Main),
            ("SZ000001", Board::Main),
            ("002594", Board::Main),
            ("001225", Board::Main),
            ("688981", Board::Star),
            ("689009", Board::Star),
            ("300750", Board::ChiNext),
            ("301269", Board::ChiNext),
            ("302132", Board::ChiNext),
            ("920118", Board::Beijing),
            ("832000", Board::Beijing),
            ("430047", Board::Beijing),
            ("870436", Board::Beijing),
            ("900901", Board::B),
            ("200002", Board::B),
            ("510300", Board::Fund),
            ("159915", Board::Fund),
            ("161725", Board::Fund),
            ("588000", Board::GrowthFund),
            ("508000", Board::Reit),
            ("180101", Board::Reit),
            ("113052", Board::Convertible),
            ("123123", Board::Convertible),
            ("204001", Board::Repo),
            ("131810", Board::Repo),
            ("SH000001", Board::Index),
            ("SH999999", Board::Index),
            ("399006", Board::Index),
            ("899050", Board::Index),
            ("SH019547", Board::Bond),
            ("810001", Board::Bond),
            ("SH777777", Board::Other),
        ] {
            assert_eq!(board(text), expected, "{text}");
        }
    }

    #[test]
    fn the_tick_of_every_code_fits_its_scale() {
        for market in Market::ALL {
            for number in (0..1_000_000).step_by(100) {
                let code = Code::from_number(market, number).unwrap();
                if let Some(tick) = code.section().tick() {
                    assert!(tick.mantissa_at(code.px_scale()).is_some_and(|tick| tick > 0), "{code}");
                }
            }
        }
    }

    #[test]
    fn orders_to_buy_start_and_grow_by_the_rules_of_the_board() {
        assert_eq!((Board::Main.order_min(), Board::Main.step()), (Some(100), Some(100)));
        assert_eq!((Board::Star.order_min(), Board::Star.step()), (Some(200), Some(1)));
        assert_eq!((Board::Beijing.order_min(), Board::Beijing.step()), (Some(100), Some(1)));
        assert_eq!((Board::Convertible.order_min(), Board::Convertible.lot()), (Some(10), 10));
        assert_eq!((Board::Index.order_min(), Board::Index.lot()), (None, 100));
    }
}
