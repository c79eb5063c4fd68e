//! sim
use source::{Sim, SimAction, SimBook, SimControl, SimInput, SimSetup};
use model::Ts;
pub struct GateSim;
impl GateSim { pub fn new(_: &SimSetup) -> Self { Self } }
impl Sim for GateSim {
    fn on(&mut self, _: SimInput<'_>, _: Ts, _: &mut Vec<SimAction>) {}
    fn control(&mut self, _: SimControl, _: Ts, _: &mut Vec<SimAction>) {}
    fn books(&self) -> Vec<SimBook> { Vec::new() }
}
