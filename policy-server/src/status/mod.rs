//! The status of our objects: what the server made of each, and how far proxies have come.
//!
//! ```text
//! reports, published versions --+
//!                               +--> desired: what each status should say
//! streams: accepted, refused ---+       |
//!                                       v
//!                    ledger: what was written, and what is to be written now
//! ```
//!
//! The conditions are those of the Gateway API's policy attachment (GEP-713):
//!
//! | condition | | reason | |
//! |---|---|---|---|
//! | `Accepted` | True | `Accepted` | it is in force |
//! | | False | `Invalid` | it is wrong; the message says what, and what holds instead |
//! | | False | `Conflicted` | it contradicts another one, which is named |
//! | `Programmed` | True | `Programmed` | all connected proxies that it concerns enforce it |
//! | | False | `Pending` | some do not yet |
//! | | False | `Refused` | some refused it; the first is named, with its reason |
//! | | False | `ProgramFailed` | for some workloads no program can be made of it |
//! | | Unknown | `NoProxies` | it concerns no proxy that is connected |
//!
//! `Programmed` is there only as long as the object is accepted.
//!
//! Proxies are those that are connected to this replica.

mod desired;
mod election;
mod ledger;

pub use self::desired::{Claim, Desired, Proxy, Stage, desired, proxies};
pub use self::election::{Election, Held, Turn};
pub use self::ledger::{ACCEPTED, Ledger, Now, PROGRAMMED, Warning, Write};
