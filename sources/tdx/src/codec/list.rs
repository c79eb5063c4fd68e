//! What a market lists.

use super::text::Text;
use super::walk::{Result, Walk};
use source::What;

/// A line of the list, `044d`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Listed<const NAME: usize = 16> {
    /// Six digits.
    pub code: Text<6>,
    /// How many shares a board lot has.
    pub lot: u16,
    /// What it is called, perhaps cut inside a character.
    pub name: Text<NAME>,
    /// What the venue's ratio of volumes is counted from.
    pub volume_base: f32,
    /// Digits after the point of prices in quotes and minutes.
    pub decimals: u8,
    /// The close before, in yuan.
    pub prev_close: f32,
    /// Not understood.
    pub odd: [u16; 2],
}

/// A line of the list, `0450`, which has less room for names and no Beijing.
pub type ListedOld = Listed<8>;

impl<const NAME: usize> Listed<NAME> {
    pub(super) fn walk(&mut self, walk: &mut impl Walk) -> Result {
        self.code.walk(walk)?;
        walk.u16(&mut self.lot)?;
        self.name.walk(walk)?;
        walk.f32(&mut self.volume_base)?;
        walk.u8(&mut self.decimals)?;
        if self.decimals > 8 {
            return Err(walk.fault(What::Rule("a price with more than eight digits after the point")));
        }
        walk.f32(&mut self.prev_close)?;
        let [a, b] = &mut self.odd;
        walk.u16(a)?;
        walk.u16(b)
    }
}
