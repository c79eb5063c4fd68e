//! The nouns of the platform as JSON for the outside.
//!
//! An event is one object on one line. Rules that hold for all of it:
//!
//! * A price, quantity, rate or amount of money is a **string** with a plain decimal number: no exponent, no plus sign,
//!   no zeros at the end of a fraction, never rounded: `"64000.1"`, `"0.00000001"`, `"-0.0001"`, `"28000"`, `"0"`.
//! * A time is an **integer**, nanoseconds since 1970-01-01 UTC. It has 19 digits: a reader whose numbers are doubles
//!   (JavaScript) must parse it as a big integer to keep the last digits.
//! * Numbers of the venue (`seq`) and of the bus (`epoch`, `number`) are integers below 2^64.
//! * A field of a kind is always there; `null` says that the venue does not tell. Only fields marked "optional" may be
//!   left out.
//! * More fields may be added; a reader passes over those it does not know.
//!
//! # Envelope
//!
//! Every event begins with these fields, in this order:
//!
//! | field | type | meaning |
//! | --- | --- | --- |
//! | `kind` | string | what happened, see below |
//! | `source` | string | who told us: `binance` |
//! | `instrument` | string | canonical name: `BTC/USDT:USDT@okx` |
//! | `symbol` | string | the venue's spelling: `BTC-USDT-SWAP` |
//! | `channel` | string | the kind of data it came by: `trades`, `agg_trades`, `book`, `book_top`, `quote`, `day_stats`, `bars`, `mark_price`, `index_price`, `funding`, `open_interest`, `liquidations`, `volatility_index`, `long_short_ratio`, `greeks`, `status`, `orders`, `minute_line`, `capital_flow`, `corporate_actions`, `fundamentals`, `rankings`, `sectors`, `instruments`, `findings`, `link` |
//! | `ts_event` | time or null | the venue's time |
//! | `ts_recv` | time | our clock when the frame's last byte was read |
//! | `ts_pub` | time, optional | when the bus published it |
//! | `epoch`, `number` | integers, optional, together | the event's place in the sequence of all events: the cursor to resume from |
//! | `flags` | array of strings, optional | left out where empty; `derived` computed by us, `repaired` filled in later from history, `suspect` the book was crossed after this change, `bad_time` the venue's time is over a day from ours, `skewed` it is over a second after ours, `out_of_session`, `last_value` sent to a late reader from what was kept |
//!
//! # Kinds
//!
//! A *level* is `["price","quantity"]`.
//!
//! | kind | fields |
//! | --- | --- |
//! | `trade` | `id` string; `px`, `qty` decimals; `aggressor` `"buy"`, `"sell"` or null: the side that crossed the spread; `count` integer: how many prints the venue merged, 1 where none |
//! | `snapshot` | the whole book, replaces what was known: `seq` integer or null; `prev_seq` always null; `book_epoch` integer; `bids` levels from high to low; `asks` levels from low to high |
//! | `delta` | levels that changed, quantity `"0"` removes: `seq`, `prev_seq` integer or null; `book_epoch`; `bids`, `asks` levels in the order of the venue. It follows the event of its lane whose `seq` is its `prev_seq` |
//! | `gap` | continuity of the lane was lost, a snapshot follows before the next delta: `cause` one of `sequence`, `checksum`, `crossed`, `disconnected`, `malformed`, `scale`, `overflow`, `venue_reset`, `referee`; `from_seq`, `to_seq` integer or null |
//! | `quote` | `bid`, `ask` level or null; `seq` integer or null |
//! | `bar` | `interval` string (`1m`); `start` time; `open`, `high`, `low`, `close`, `volume` decimals; `turnover` decimal or null; `trades` integer or null; `closed` boolean |
//! | `day_stats` | `open`, `high`, `low`, `last`, `last_qty`, `volume`, `turnover` decimal or null; `trades` integer or null; of a stock, each optional: `prev_close`, `limit_up`, `limit_down`, `buy_volume`, `sell_volume` decimals |
//! | `mark_price`, `index_price` | `px` decimal |
//! | `funding` | `rate` decimal (`"0.0001"` is one basis point); `at` time or null; `next_rate` decimal or null |
//! | `open_interest` | `qty` decimal; `value` decimal or null, in quote currency |
//! | `liquidation` | `side` `"buy"` or `"sell"` of the forced order; `px`, `qty` decimals; `avg_px` decimal or null |
//! | `volatility_index` | `value` decimal, percent a year |
//! | `long_short_ratio` | `of` string: whose (`accounts`, `positions`, `top_accounts`, `top_positions`, `takers`); `interval` string; `ratio`, `long`, `short` decimal or null |
//! | `greeks` | `delta`, `gamma`, `vega`, `theta`, `rho`, `mark_iv`, `bid_iv`, `ask_iv`, `underlying` decimal or null |
//! | `status` | `status` string: `trading`, `pre_open`, `halted`, `closed`, or the venue's own word |
//! | `order` | `id` string; `action` `"add"`, `"cancel"` or `"fill"`; `side` `"buy"` or `"sell"`; `px` decimal or null; `qty` decimal; `seq` integer or null |
//! | `minute` | `start` time; `px` last price, `volume` of the minute; `avg_px` of the day so far, decimal or null |
//! | `capital_flow` | net money in since the day began by the size of orders: `main`, `very_large`, `large`, `medium`, `small` decimal or null |
//! | `corporate_action` | `what` string; `at` time: start of the day it is in force from; for one share `cash`, `bonus`, `rights`, `rights_px` decimal or null; `facts` object of decimals by name |
//! | `fundamentals` | `updated` time or null; `facts` object of decimals by name |
//! | `ranking` | `list` string; `rows`, best first: `name` of the instrument, `title`, `value` decimal or null, `rise` integer or null |
//! | `sector` | `of` `concept`, `industry`, `region`, `index`; `title`; `count` integer; `members`: names of instruments |
//! | `finding` | what a check of the data found: `check` string; `about` a channel; `what` in words; `samples` strings: frames that show it |
//! | `instrument` | `definition`: an instrument, see below |
//! | `lane` | what became of a subscription: `fact` and its fields, see below |
//! | `link` | what became of a connection: `fact` and its fields, see below |
//!
//! `book_epoch` counts the beginnings of a book: it grows with each snapshot after a gap.
//!
//! | `fact` of a lane | fields |
//! | --- | --- |
//! | `asked` | `proof` `"sequence"`, `"checksum"` or `"none"`; `quiet_ms` integer or null |
//! | `carried` | `link` integer |
//! | `acked`, `dropped` | |
//! | `refused`, `syncing` | `why` string |
//! | `repaired` | a hole was filled from history: `from_seq`, `to_seq` integer or null; `events` integer |
//! | `unrepaired` | a hole stays: `from_seq`, `to_seq` integer or null; `why` string |
//!
//! | `fact` of a link | fields, all with `link` integer |
//! | --- | --- |
//! | `connecting` | `url` string |
//! | `up` | |
//! | `alive` | `last_frame`, `last_ping` time or null |
//! | `down` | `why` string; `retry_ms` integer or null |
//! | `clock` | `offset_ns` decimal: the venue's time less ours; `error_ns` integer: by how much that may be wrong |
//! | `malformed`, `unknown` | `what` string |
//!
//! # Instrument
//!
//! | field | type | meaning |
//! | --- | --- | --- |
//! | `name` | string | canonical name |
//! | `title` | string, optional | the name for people: `贵州茅台` |
//! | `venue`, `product`, `symbol` | strings | where it trades; the venue's section, empty where it has none; the venue's spelling |
//! | `type` | string | `spot`, `perpetual`, `future`, `option`, `index` |
//! | `base`, `quote`, `settle` | strings | empty where unknown or not applicable |
//! | `expiry` | time or null | null for spot and perpetuals |
//! | `strike`, `right` | decimal or null; `"call"`, `"put"` or null | null unless an option |
//! | `px_scale`, `qty_scale` | integers | digits after the point that prices and quantities may have |
//! | `tick`, `lot`, `contract_size` | decimals or null | steps of price and quantity; what one contract is worth |
//! | `status` | string | `trading`, `pre_open`, `halted`, `closed`, or the venue's own word |
//! | `provisional` | boolean | true where no definition of the venue was seen |

mod event;
mod instrument;
mod json;

pub use event::{KINDS, event_json, kind};
pub use instrument::instrument_json;
pub use json::{decimal_json, level_json, string_json};
