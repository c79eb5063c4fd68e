//! Luck that is the same for the same words, in whatever order things are asked for.

/// A generator (splitmix64) that begins at a hash of what it is for.
#[derive(Clone, Debug)]
pub(super) struct Luck(u64);

impl Luck {
    pub(super) fn of(words: [u64; 4]) -> Self {
        let mut this = Self(0);
        for word in words {
            this.0 ^= word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            this.0 = this.next();
        }
        this
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `n - 1`; 0 where `n` is not positive.
    pub(super) fn below(&mut self, n: i64) -> i64 {
        let n = u128::from(n.max(1).unsigned_abs());
        i64::try_from((u128::from(self.next()) * n) >> 64).unwrap_or(0)
    }

    /// `-n` to `n`.
    pub(super) fn around(&mut self, n: i64) -> i64 {
        self.below(2 * n + 1) - n
    }

    /// True so many times in a thousand.
    pub(super) fn permille(&mut self, n: i64) -> bool {
        self.below(1000) < n
    }
}
