//! Eastmoney
mod fields;
mod lines;
mod quotes;
