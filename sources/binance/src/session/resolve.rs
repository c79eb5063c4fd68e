//! Where a payload goes whose stream was not seen before.

use super::BinanceSession;
use super::look::{Look, is_known_event};
use crate::parse::Result;
use crate::product::Product;
use crate::route::{Kind, Route};
use model::Channel;
use source::{Action, Cursor, What};

impl BinanceSession {
    /// Finds out where a payload goes whose stream was not seen before, or that names none. `None` where it goes nowhere;
    /// then it was passed over.
    #[cold]
    pub(super) fn resolve(
        &mut self,
        stream: &[u8],
        c: &mut Cursor<'_>,
        out: &mut Vec<Action>,
    ) -> Result<Option<Route>> {
        if self.streams.is_over(stream) {
            c.skip()?;
            out.push(Action::Control("stream_not_wanted"));
            return Ok(None);
        }
        let look = Look::at(c);
        if look.kind == b"serverShutdown" {
            c.skip()?;
            out.push(Action::Control("server_shutdown"));
            self.leaving = true;
            return Ok(None);
        }
        let named = Kind::of_stream(stream);
        let by_shape = || match (look.kind, look.has.sizes, look.has.last) {
            (b"", true, _) => Some(Kind::Quote),
            (b"", _, true) if stream.is_empty() => Some(Kind::Top),
            (e, ..) => Kind::of_event(e),
        };
        // A stream that a live connection did not ask for has a damaged name: the payload knows better.
        let kind = if self.wanting { by_shape().or(named) } else { named.or_else(by_shape) };
        let Some(kind) = kind else {
            c.skip()?;
            let name = if look.kind.is_empty() { stream } else { look.kind };
            if name.is_empty() {
                self.odd.note("frame", look.first, b"");
                out.push(Action::Control("frame_not_known"));
            } else if is_known_event(name) {
                out.push(Action::Control("event_not_used"));
            } else {
                self.odd.note("event", name, b"");
                out.push(Action::Control("event_not_known"));
            }
            return Ok(None);
        };
        let prefix = stream.split(|b| *b == b'@').next().unwrap_or_default().to_ascii_uppercase();
        let symbol = if look.symbol.is_empty() { prefix.as_slice() } else { look.symbol };
        if symbol.is_empty() {
            if look.kind.is_empty() && kind == Kind::Top {
                c.skip()?;
                out.push(Action::Control("book_without_symbol"));
                return Ok(None);
            }
            return Err(c.fault(What::Missing("s")));
        }
        let product = self.section(symbol, look.futures(), look.has.section);
        let Some(at) = self.table.place(product, symbol) else {
            c.skip()?;
            out.push(Action::Control("instrument_not_wanted"));
            return Ok(None);
        };
        let wants_top = || self.table.get(at).is_some_and(|listed| listed.wants(Channel::BookTop));
        if self.wanting && kind == Kind::Depth && product.futures && wants_top() {
            return Err(c.fault(What::Rule("a change of a book or best levels: the stream is not known")));
        }
        let route = Route { kind, at };
        if named.is_some() && !self.wanting {
            self.table.set_route(stream, route);
        }
        Ok(Some(route))
    }

    /// The section of a payload: the connection's, or in a recording what the payload shows.
    pub(super) fn section(
        &mut self,
        symbol: &[u8],
        futures: Option<bool>,
        section: Option<u64>,
    ) -> &'static Product {
        let by_symbol = || Product::of_futures(symbol, section);
        match self.product {
            Some(product) if self.wanting || !product.futures => return product,
            Some(_) => return by_symbol(),
            None => {}
        }
        let found = match futures {
            Some(true) => by_symbol(),
            Some(false) => Product::spot(),
            None if symbol.contains(&b'_') => by_symbol(),
            None => return self.guess.unwrap_or_else(Product::spot),
        };
        self.guess = Some(found);
        found
    }
}
