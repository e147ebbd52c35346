//! Scenarios: questions to the firewall of a world, asked of the library and of the module that is
//! shipped.
//!
//! Files hold documents ([`Documents`]). Policies and workloads make a [`World`]; what they mean
//! for one workload is its [`Firewall`]. A question is a connection or a request as that firewall
//! sees it ([`Question`]), and a scenario is a list of questions with the answers that are expected.
//!
//! The same [`Question`] goes two ways: [`Firewall::ask`] puts it to the engine natively, and
//! [`Sidecar::ask`] to `firewall.wasm` in the [host](crate::host). [`Runner`] puts it to both.

mod ask;
mod documents;
mod error;
mod files;
mod load;
mod lower;
mod module;
pub mod properties;
mod question;
pub mod reference;
mod run;
pub mod types;
mod workload;
mod world;

pub use self::ask::question;
pub use self::documents::{Documents, Problem};
pub use self::error::{Error, Reason, shown};
pub use self::files::{FileError, Source};
pub use self::load::{Files, Staged};
pub use self::lower::{Case, Expected, Scenario, timestamp};
pub(crate) use self::module::read_labels;
pub use self::module::{ModuleError, Sidecar};
pub use self::question::{Answer, Outcome, Question, Request};
pub use self::run::{Finding, Runner};
pub use self::workload::{find as find_workload, shown as workload_name};
pub use self::world::{Firewall, FirewallError, World};
