//! stub
use model::Ts;
use source::*;
pub struct BitgetSim;
impl BitgetSim {
    pub fn new(_: &SimSetup) -> Self {
        Self
    }
}
impl Sim for BitgetSim {
    fn on(&mut self, _: SimInput<'_>, _: Ts, _: &mut Vec<SimAction>) {}
    fn control(&mut self, _: SimControl, _: Ts, _: &mut Vec<SimAction>) {}
    fn books(&self) -> Vec<SimBook> {
        Vec::new()
    }
}
