//! The venue's end of the wire.

use source::{Sim, SimAction, SimBook, SimControl, SimInput, SimSetup};

/// The venue.
pub struct KrakenSim;

impl KrakenSim {
    /// Opens it.
    pub fn new(_setup: &SimSetup) -> Self {
        Self
    }
}

impl Sim for KrakenSim {
    fn on(&mut self, _: SimInput<'_>, _: model::Ts, _: &mut Vec<SimAction>) {}
    fn control(&mut self, _: SimControl, _: model::Ts, _: &mut Vec<SimAction>) {}
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
}
