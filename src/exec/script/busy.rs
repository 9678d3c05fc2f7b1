//! While a script keeps the server busy: others are told so, and may end it.

use super::super::Executor;

/// What lets others have a turn in the middle of a script: opens their mail with [`Executor::open_busy`] and delivers.
pub trait Interlude: Send {
    /// One turn.
    fn turn(&mut self, executor: &mut Executor);
}

impl Executor {
    /// Gives others a turn, if there are any.
    pub(super) fn give_turn(&mut self) {
        if let Some(mut interlude) = self.interlude.take() {
            interlude.turn(self);
            self.interlude = Some(interlude);
        }
    }

    /// The script is over.
    pub(super) fn end_busy(&mut self) {}
}
