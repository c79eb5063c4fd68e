pub struct DeribitRest;
impl source::Rest for DeribitRest {}
