//! The venue's end of the wire.

use model::Ts;
use source::{Sim, SimAction, SimBook, SimControl, SimInput, SimSetup};

/// The venue.
pub struct OkxSim;

impl OkxSim {
    /// Opens it.
    pub fn new(_setup: &SimSetup) -> Self {
        Self
    }
}

impl Sim for OkxSim {
    fn on(&mut self, _input: SimInput<'_>, _now: Ts, _out: &mut Vec<SimAction>) {}
    fn control(&mut self, _control: SimControl, _now: Ts, _out: &mut Vec<SimAction>) {}
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
}
