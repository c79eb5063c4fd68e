//! REST beside the sessions.
use source::Rest;
/// REST of the venue.
pub struct HtxRest;
impl Rest for HtxRest {}
