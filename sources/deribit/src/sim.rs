use model::*;
use source::*;
pub struct DeribitSim;
impl DeribitSim {
    pub fn new(_: &SimSetup) -> Self {
        Self
    }
}
impl Sim for DeribitSim {
    fn on(&mut self, _: SimInput<'_>, _: Ts, _: &mut Vec<SimAction>) {}
    fn control(&mut self, _: SimControl, _: Ts, _: &mut Vec<SimAction>) {}
    fn books(&self) -> Vec<SimBook> {
        vec![]
    }
}
