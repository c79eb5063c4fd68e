//! Companies: dividends and changes of shares (`000f`), figures (`0010`), and what is told of them (`02cf`, `02d0`).

use super::query::Code;
use super::text::Text;
use super::walk::{Result, Walk};

/// Something that a company did with its shares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// Of what.
    pub code: Code,
    /// When, YYYYMMDD.
    pub date: u32,
    /// 1 dividend, bonus and rights; 2, 3, 5, 7 to 10 changes of shares; 6 new shares; 11, 12 splits and merges; 13, 14 warrants;
    /// 15 restructuring.
    pub category: u8,
    /// Of category 1: yuan per 10 shares, price of rights, bonus per 10, rights per 10. Of changes of shares: floating and
    /// total before, floating and total after, in units of 10 000.
    pub numbers: [f32; 4],
}

impl Change {
    fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.code.walk(walk)?;
        walk.u8(&mut 0)?;
        walk.u32(&mut self.date)?;
        walk.u8(&mut self.category)?;
        self.numbers.iter_mut().try_for_each(|number| walk.f32(number))
    }
}

/// What a code's company did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Of what.
    pub code: Code,
    /// Oldest first.
    pub all: Vec<Change>,
}

impl Changes {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.code.walk(walk)?;
        walk.counted(&mut self.all, |walk, change: &mut Change| change.walk(walk))
    }
}

/// Figures of a company: shares and money in units of 10 000, as the wire has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Finance {
    /// Of what.
    pub code: Code,
    /// Shares that float.
    pub float_shares: f32,
    /// The venue's number of the province.
    pub province: u16,
    /// The venue's number of the industry.
    pub industry: u16,
    /// When the figures were put there, YYYYMMDD.
    pub updated: u32,
    /// When it was listed, YYYYMMDD.
    pub listed: u32,
    /// In the order of [`FIGURES`].
    pub figures: [f32; FIGURES.len()],
}

/// The figures of [`Finance`], in the order of the wire. Shares and money are in units of 10 000; the number of
/// shareholders and what is told of one share are not.
pub const FIGURES: [&str; 30] = [
    "total_shares",
    "state_shares",
    "founder_shares",
    "legal_person_shares",
    "b_shares",
    "h_shares",
    "employee_shares",
    "total_assets",
    "current_assets",
    "fixed_assets",
    "intangible_assets",
    "shareholders",
    "current_liabilities",
    "long_liabilities",
    "capital_reserves",
    "net_assets",
    "revenue",
    "main_profit",
    "receivables",
    "operating_profit",
    "investment_income",
    "operating_cash_flow",
    "total_cash_flow",
    "inventory",
    "total_profit",
    "profit_after_tax",
    "net_profit",
    "undistributed_profit",
    "net_assets_per_share",
    "retained",
];

impl Finance {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.code.walk(walk)?;
        walk.f32(&mut self.float_shares)?;
        walk.u16(&mut self.province)?;
        walk.u16(&mut self.industry)?;
        walk.u32(&mut self.updated)?;
        walk.u32(&mut self.listed)?;
        self.figures.iter_mut().try_for_each(|figure| walk.f32(figure))
    }

    /// A figure by its name in [`FIGURES`].
    pub fn figure(&self, name: &str) -> Option<f32> {
        FIGURES.iter().position(|known| *known == name).and_then(|at| self.figures.get(at).copied())
    }
}

/// A title of what is told of a company, and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Title {
    /// The title.
    pub title: Text<64>,
    /// The file to ask for.
    pub file: Text<80>,
    /// From where on.
    pub start: u32,
    /// How many bytes.
    pub size: u32,
}

impl Title {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.title.walk(walk)?;
        self.file.walk(walk)?;
        walk.u32(&mut self.start)?;
        walk.u32(&mut self.size)
    }
}

/// A part of what is told of a company.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Of what.
    pub code: Code,
    /// Not understood.
    pub odd: u16,
    /// GBK.
    pub text: Vec<u8>,
}

impl Story {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.code.walk_wide(walk)?;
        walk.u16(&mut self.odd)?;
        let mut size = walk.count(self.text.len())?;
        walk.u16(&mut size)?;
        self.text.resize(usize::from(size), 0);
        walk.raw(&mut self.text)?;
        // A NUL ends the text, and is not counted with it.
        if walk.left() == Some(0) { Ok(()) } else { walk.u8(&mut 0) }
    }
}
