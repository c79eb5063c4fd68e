//! The venue's end of the wire.
use model::Ts;
use source::{Sim, SimAction, SimBook, SimControl, SimInput, SimSetup};
/// The venue.
pub struct HtxSim;
impl HtxSim {
    /// Opens it.
    pub fn new(_: &SimSetup) -> Self {
        Self
    }
}
impl Sim for HtxSim {
    fn on(&mut self, _: SimInput<'_>, _: Ts, _: &mut Vec<SimAction>) {}
    fn control(&mut self, _: SimControl, _: Ts, _: &mut Vec<SimAction>) {}
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
}
