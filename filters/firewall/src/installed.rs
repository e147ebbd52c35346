//! Programs in force, shared by everything in the virtual machine that they are for.
//!
//! A change of policy comes as a new root context. Streams of the old root context live on, so
//! they do not hold a program: they ask for the current one of their slot, which the old and the
//! new root context share.

use std::rc::Rc;

use meshwall_filter_host::property::PropertyPath;
use meshwall_filter_host::{ContextId, ContextMap};
use meshwall_policy::bundle::Bundle;
use meshwall_policy::program::Needs;
use meshwall_policy::spec::Direction;

use crate::observe::Counters;

/// Where, in dynamic metadata, `jwt_authn` leaves the claims of a verified token.
const JWT_METADATA: &str = "envoy.filters.http.jwt_authn";
/// The key that the listener tells `jwt_authn` to use (`payload_in_metadata`).
const JWT_PAYLOAD: &str = "payload";

/// What a plugin is used as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// HTTP filter, root id `http`.
    Http,
    /// Network filter, root id `network`.
    Network,
}

/// A bundle, and what follows from it for every request.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) bundle: Bundle,
    pub(crate) needs: Needs,
    /// Claims that the program looks at: their path, and the property that holds them.
    pub(crate) claims: Vec<(String, PropertyPath)>,
    pub(crate) counters: Counters,
}

impl Installed {
    pub(crate) fn new(bundle: Bundle) -> Installed {
        let claims = bundle
            .program
            .claims(bundle.direction)
            .filter_map(|claim| {
                let segments: Vec<&str> = std::iter::once(JWT_PAYLOAD)
                    .chain(claim.split('\0'))
                    .collect();
                // A path that cannot be a property is a claim that no token has.
                let property = PropertyPath::filter_metadata(JWT_METADATA, &segments).ok()?;
                Some((claim.to_owned(), property))
            })
            .collect();
        Installed {
            needs: bundle.program.needs(bundle.direction),
            claims,
            counters: Counters::new(bundle.program.rules()),
            bundle,
        }
    }
}

/// What tells one use of the filter from the others in the same virtual machine. A bundle
/// replaces another only if all of it is the same: the policy of one workload must never reach
/// the listener of another, whatever their plugins are called.
#[derive(Debug, Eq, PartialEq)]
struct Use {
    role: Role,
    plugin: Vec<u8>,
    direction: Direction,
    port: Option<u16>,
    workload: String,
}

/// The current program of one use of the filter.
#[derive(Debug)]
struct Slot {
    used_as: Use,
    generation: u32,
    installed: Rc<Installed>,
}

/// All programs in force.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    slots: Vec<Slot>,
    /// Which slot a root context belongs to.
    roots: ContextMap<usize>,
}

/// The program that holds for a stream now.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) role: Role,
    pub(crate) generation: u32,
    pub(crate) installed: Rc<Installed>,
}

impl Policies {
    /// Makes a bundle the current one of its plugin.
    pub(crate) fn install(
        &mut self,
        root: ContextId,
        role: Role,
        plugin: Vec<u8>,
        installed: Installed,
    ) {
        let Bundle {
            direction,
            port,
            program,
            peers: _,
        } = &installed.bundle;
        let workload = program.workload().to_owned();
        let used_as = Use {
            role,
            plugin,
            direction: *direction,
            port: *port,
            workload,
        };
        let installed = Rc::new(installed);
        let slot = match self.slots.iter().position(|slot| slot.used_as == used_as) {
            Some(at) => {
                if let Some(slot) = self.slots.get_mut(at) {
                    slot.generation = slot.generation.wrapping_add(1);
                    slot.installed = installed;
                }
                at
            }
            None => {
                self.slots.push(Slot {
                    used_as,
                    generation: 0,
                    installed,
                });
                self.slots.len() - 1
            }
        };
        self.roots.insert(root, slot);
    }

    /// The current program for the streams of a root context; `None` before the first bundle.
    pub(crate) fn current(&self, root: ContextId) -> Option<Current> {
        let slot = self.slots.get(*self.roots.get(root)?)?;
        Some(Current {
            role: slot.used_as.role,
            generation: slot.generation,
            installed: Rc::clone(&slot.installed),
        })
    }

    /// Whether two root contexts use the same slot.
    pub(crate) fn share(&self, one: ContextId, other: ContextId) -> bool {
        let slot = self.roots.get(one);
        slot.is_some() && slot == self.roots.get(other)
    }

    /// Forgets a root context.
    pub(crate) fn remove(&mut self, root: ContextId) {
        self.roots.remove(root);
    }
}
