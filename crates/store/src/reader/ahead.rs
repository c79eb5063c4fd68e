//! Work on several threads whose results come in order.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// More threads than this gain little: one reads what they make.
const THREADS_MAX: usize = 4;

/// The results of pieces of work, in the order of the pieces. Each thread is at most one result ahead; those that are left
/// end when it is dropped.
pub(super) struct Ahead<R> {
    threads: Vec<(Receiver<R>, JoinHandle<()>)>,
    /// How many results were taken, and of how many.
    taken: usize,
    pieces: usize,
}

impl<R: Send + 'static> Ahead<R> {
    pub fn new<P: Send + Sync + 'static>(
        pieces: Vec<P>,
        work: impl Fn(&P) -> R + Send + Sync + 'static,
    ) -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = cores.min(THREADS_MAX).min(pieces.len());
        let work = Arc::new((pieces, work));
        let threads = (0..count).map(|first| {
            let (done, results) = sync_channel(1);
            let work = Arc::clone(&work);
            let thread = thread::spawn(move || {
                let (pieces, work) = &*work;
                // It ends early where nobody wants the rest.
                let _ = pieces.iter().skip(first).step_by(count).try_for_each(|piece| done.send(work(piece)));
            });
            (results, thread)
        });
        Self { threads: threads.collect(), taken: 0, pieces: work.0.len() }
    }
}

impl<R> Iterator for Ahead<R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        if self.taken == self.pieces {
            return None;
        }
        let place = self.taken % self.threads.len();
        self.taken += 1;
        let result = self.threads.get(place)?.0.recv();
        // A thread that is gone before its work is done has panicked.
        Some(result.unwrap_or_else(|_| match self.threads.swap_remove(place).1.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => unreachable!("a thread sends a result for each of its pieces"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_pieces() {
        for count in 0..50_u64 {
            let told: Vec<u64> = Ahead::new((0..count).collect(), |piece| piece * 2).collect();
            assert_eq!(told, (0..count).map(|piece| piece * 2).collect::<Vec<_>>());
        }
        assert_eq!(Ahead::new(vec![(); 1_000], |()| 1).take(3).count(), 3);
    }

    #[test]
    #[should_panic(expected = "the seventh")]
    fn a_panic_of_a_thread_is_that_of_the_one_who_asked() {
        Ahead::new((0..9).collect(), |piece| assert!(*piece != 7, "the seventh")).count();
    }
}
