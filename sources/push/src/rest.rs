//! There are no requests; a name is known by itself.

use model::Instrument;
use model::ashare::{Code, instrument};
use source::Rest;

/// See the module.
pub struct PushRest;

impl Rest for PushRest {
    /// Any usual spelling of a code: `600519.SH`, `SH600519`, and `600519` where one exchange alone knows it.
    fn provisional(&self, _product: &str, symbol: &str) -> Option<Instrument> {
        Some(instrument(Code::parse(symbol).ok()?, ""))
    }
}
