//! The log under kills, losses of power, disks that refuse, and flipped bits.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

mod archive;
mod backup;
mod bars;
mod books;
mod catalogue;
mod cold;
mod cold_s3;
mod crash;
mod damage;
mod fault_disk;
mod faults;
mod files;
mod fill;
mod joined;
mod power;
mod scan;
mod sim_disk;
mod sql;
mod world;
