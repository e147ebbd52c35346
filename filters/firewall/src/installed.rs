//! Programs in force, shared by everything in the virtual machine that they are for.
//!
//! A change of policy comes as a new root context. Streams of the old root context live on, so
//! they do not hold a program: they ask for the current one of their slot, which the old and the
//! new root context share.

use std::rc::Rc;

use meshwall_filter_host::ContextId;
use meshwall_filter_host::property::PropertyPath;
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
    /// The root contexts that belong to it, the newest last. The others only wait for their
    /// streams to end.
    roots: Vec<ContextId>,
    generation: u32,
    installed: Rc<Installed>,
}

/// All programs in force. There are as many as listeners that the filter stands in: few.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    slots: Vec<Slot>,
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
        match self.slots.iter_mut().find(|slot| slot.used_as == used_as) {
            Some(slot) => {
                slot.installed = installed;
                slot.generation = slot.generation.wrapping_add(1);
                slot.roots.retain(|known| *known != root);
                slot.roots.push(root);
            }
            None => {
                self.remove(root);
                self.slots.push(Slot {
                    used_as,
                    roots: vec![root],
                    generation: 0,
                    installed,
                });
            }
        }
    }

    /// The current program for the streams of a root context; `None` before the first bundle.
    pub(crate) fn current(&self, root: ContextId) -> Option<Current> {
        self.slot(root).map(|slot| Current {
            role: slot.used_as.role,
            generation: slot.generation,
            installed: Rc::clone(&slot.installed),
        })
    }

    /// Treats the current program as a new one, because the time changes what it says.
    pub(crate) fn renew(&mut self, root: ContextId) {
        let mut slots = self.slots.iter_mut();
        if let Some(slot) = slots.find(|slot| slot.roots.contains(&root)) {
            slot.generation = slot.generation.wrapping_add(1);
        }
    }

    /// Whether a root context is the newest of its slot, which looks after the others' streams.
    pub(crate) fn leads(&self, root: ContextId) -> bool {
        self.slot(root)
            .is_some_and(|slot| slot.roots.last() == Some(&root))
    }

    /// Whether two root contexts use the same slot.
    pub(crate) fn share(&self, one: ContextId, other: ContextId) -> bool {
        self.slot(one)
            .is_some_and(|slot| slot.roots.contains(&other))
    }

    /// Forgets a root context, and with the last one the program.
    pub(crate) fn remove(&mut self, root: ContextId) {
        for slot in &mut self.slots {
            slot.roots.retain(|known| *known != root);
        }
        self.slots.retain(|slot| !slot.roots.is_empty());
    }

    fn slot(&self, root: ContextId) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.roots.contains(&root))
    }
}
