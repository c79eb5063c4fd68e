//! The continuity rule of one Advanced Trade connection. Pure: numbers in, a verdict out.
//!
//! `sequence_num` counts every frame of a connection by one, over all channels, acknowledgements and heartbeats included.
//! The books themselves carry no number: a hole in the count is a hole in any of them. The Exchange feed numbers nothing
//! that a book could be held against.

/// How far behind a frame may come and still be a late one; further back the venue counts anew.
const LATE_MAX: u64 = 64;

/// What a frame's number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It follows the one before, or is the first.
    Next,
    /// Frames between were lost; this one counts.
    Hole {
        /// How many.
        lost: u64,
    },
    /// It was counted or given up already: pass over it.
    Late,
    /// The venue counts anew; this one counts.
    Restart,
}

/// The count of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    next: Option<u64>,
}

impl Count {
    /// As on a new connection.
    pub const fn reset(&mut self) {
        self.next = None;
    }

    /// Takes the number of a frame.
    #[inline]
    pub const fn on(&mut self, number: u64) -> Step {
        let step = match self.next {
            None => Step::Next,
            Some(next) if number == next => Step::Next,
            Some(next) if number > next => Step::Hole { lost: number - next },
            Some(next) if next - number <= LATE_MAX && (number > 0 || next == 1) => return Step::Late,
            Some(_) => Step::Restart,
        };
        self.next = Some(number.saturating_add(1));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_tells_holes_repeats_and_new_beginnings() {
        type Row = (&'static str, &'static [u64], &'static [Step]);
        let table: &[Row] = &[
            ("in order", &[0, 1, 2, 3], &[Step::Next; 4]),
            ("a cold start", &[917, 918], &[Step::Next, Step::Next]),
            ("a hole", &[1, 2, 3, 5], &[Step::Next, Step::Next, Step::Next, Step::Hole { lost: 1 }]),
            ("after a hole", &[1, 5, 6], &[Step::Next, Step::Hole { lost: 3 }, Step::Next]),
            ("a repeat", &[1, 2, 2, 3], &[Step::Next, Step::Next, Step::Late, Step::Next]),
            ("two swapped", &[1, 3, 2, 4], &[Step::Next, Step::Hole { lost: 1 }, Step::Late, Step::Next]),
            ("the first repeated", &[0, 0, 1], &[Step::Next, Step::Late, Step::Next]),
            ("from nought again", &[7, 8, 0, 1], &[Step::Next, Step::Next, Step::Restart, Step::Next]),
            ("far back", &[1_000, 3, 4], &[Step::Next, Step::Restart, Step::Next]),
        ];
        for (name, numbers, steps) in table {
            let mut count = Count::default();
            let told: Vec<Step> = numbers.iter().map(|n| count.on(*n)).collect();
            assert_eq!(told, *steps, "{name}");
        }
    }

    #[test]
    fn a_new_connection_begins_anywhere() {
        let mut count = Count::default();
        count.on(41);
        count.reset();
        assert_eq!((count.on(7), count.on(8)), (Step::Next, Step::Next));
        assert_eq!((count.on(u64::MAX), count.on(u64::MAX)), (Step::Hole { lost: u64::MAX - 9 }, Step::Next));
    }
}
