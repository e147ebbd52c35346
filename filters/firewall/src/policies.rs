//! Programs in force, shared by everything in the virtual machine that they are for.
//!
//! A change of policy comes as a new root context. Streams of the old root context live on, so
//! they do not hold a program: they ask for the one of their slot, which the old and the new root
//! context share, and in which one of them leads.
//!
//! A change *back* comes without a word if anything of the old root context still lives: Envoy
//! finds it by its configuration, byte for byte, and uses it again. What the filter sees of it is
//! that the leader ends, if it has no streams, and that new streams begin under the old root
//! context. While a change spreads they may do that, too; but once one has begun under the new
//! one, or a second has passed, it means that the old one is in force again, and it leads.
//! Whoever publishes bundles can avoid all this by never publishing the same bytes again.
//!
//! Programs that a policy server delivers belong to the use, and all its root contexts have the
//! same. Such a use begins without a program.

use std::rc::Rc;
use std::time::Duration;

use meshwall_filter_host::ContextId;
use meshwall_policy::bundle::Bundle;
use meshwall_policy::spec::{DefaultAction, Direction};

use crate::installed::{Installed, Role};

/// Most that is kept of programs that are no longer in force, in bytes, the latest first. Going
/// back to one that is not kept leaves the slot without a program, and everything is refused.
const MAX_FORMER_BYTES: usize = 8 << 20;

/// Looking at silent connections must not keep policies from expiring: after so many times it is
/// their turn.
const LOOKS_PER_RENEWAL: u32 = 5;

/// What tells one use of the filter from the others in the same virtual machine. A bundle
/// replaces another only if all of it is the same: the policy of one workload must never reach
/// the listener of another, whatever their plugins are called.
#[derive(Debug, Eq, PartialEq)]
struct Use {
    role: Role,
    plugin: Vec<u8>,
    direction: Direction,
    port: Option<u16>,
    source: Source,
}

/// Where the programs of a use come from.
#[derive(Debug, Eq, PartialEq)]
enum Source {
    /// From the configuration of root contexts; they are for this workload.
    Configuration { workload: String },
    /// From the policy server of this cluster, which knows the workload of the proxy.
    Server { cluster: String },
}

/// A filter that waits for its programs.
#[derive(Debug)]
pub(crate) struct Expecting {
    pub(crate) role: Role,
    /// Name of the plugin.
    pub(crate) plugin: Vec<u8>,
    pub(crate) direction: Direction,
    /// Cluster of the policy server.
    pub(crate) cluster: String,
    /// What holds before the first program.
    pub(crate) until_first: DefaultAction,
}

/// A root context, with its program as long as that is kept.
#[derive(Debug)]
struct Root {
    context: ContextId,
    installed: Option<Rc<Installed>>,
}

/// One use of the filter.
#[derive(Debug)]
struct Slot {
    used_as: Use,
    /// The root contexts that belong to it. The last one leads.
    roots: Vec<Root>,
    /// What holds as long as there never was a program.
    until_first: DefaultAction,
    /// Changes with the program in force.
    generation: u32,
    /// Whether streams of another generation may be left to be decided again.
    sweep: Sweep,
    /// Whether the leader has taken over everywhere.
    settled: bool,
    /// Whether there may be connections on which nobody has spoken.
    silent: bool,
    /// How often those were looked at since the time was last considered.
    looks: u32,
}

/// Where deciding live streams again stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sweep {
    /// None are left.
    Done,
    /// It begins at this time, since the Unix epoch.
    Due(Duration),
    /// It is under way.
    Running,
}

/// All programs in force. There are as many slots as listeners that the filter stands in: few.
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

/// What is to be done at the next tick.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Task {
    /// Beginning to decide streams of another generation again, at this time since the Unix
    /// epoch.
    Begin(Duration),
    /// Going on with it.
    Sweep,
    /// Nothing; but by then the leader has taken over everywhere.
    Settle,
    /// Looking at connections on which nobody has spoken.
    Look,
    /// Deciding all streams again, because the time changes what the program says.
    Renew,
    /// Nothing, and no tick either.
    Rest,
}

impl Policies {
    /// Makes a bundle the current one of its plugin. Live streams are decided again at
    /// `sweep_at`, or earlier if that is still to be done for another change.
    pub(crate) fn install(
        &mut self,
        root: ContextId,
        role: Role,
        plugin: Vec<u8>,
        installed: Installed,
        sweep_at: Duration,
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
            source: Source::Configuration { workload },
        };
        self.leave(root);
        let root = Root {
            context: root,
            installed: Some(Rc::new(installed)),
        };
        match self.slots.iter_mut().find(|slot| slot.used_as == used_as) {
            Some(slot) => {
                slot.lead(root, sweep_at);
                slot.settled = false;
            }
            None => self
                .slots
                .push(Slot::new(used_as, root, DefaultAction::Deny)),
        }
        self.slots.retain(|slot| !slot.roots.is_empty());
    }

    /// Lets a root context wait for programs. What its use has is in force for it at once. Whether
    /// there is something.
    pub(crate) fn expect(&mut self, root: ContextId, expecting: Expecting) -> bool {
        let Expecting {
            role,
            plugin,
            direction,
            cluster,
            until_first,
        } = expecting;
        let used_as = Use {
            role,
            plugin,
            direction,
            port: None,
            source: Source::Server { cluster },
        };
        let known = self.slots.iter().find(|slot| slot.used_as == used_as);
        let leader = known.and_then(|slot| slot.roots.last());
        let installed = leader.and_then(|leader| leader.installed.clone());
        let has_program = installed.is_some();
        self.leave(root);
        let root = Root {
            context: root,
            installed,
        };
        match self.slots.iter_mut().find(|slot| slot.used_as == used_as) {
            Some(slot) => {
                slot.roots.push(root);
                slot.until_first = until_first;
                slot.settled = false;
            }
            None => self.slots.push(Slot::new(used_as, root, until_first)),
        }
        self.slots.retain(|slot| !slot.roots.is_empty());
        has_program
    }

    /// Puts a program that was delivered into force for the use of a root context.
    pub(crate) fn deliver(&mut self, root: ContextId, installed: Installed, sweep_at: Duration) {
        let Some(slot) = self.slot_mut(root) else {
            return;
        };
        let installed = Rc::new(installed);
        for root in &mut slot.roots {
            root.installed = Some(Rc::clone(&installed));
        }
        slot.change(sweep_at);
    }

    /// Whether what a root context has to decide is permitted for want of a program; if so, the
    /// generation.
    pub(crate) fn permits_until_first(&self, root: ContextId) -> Option<u32> {
        let slot = self.slot(root)?;
        let permits = slot.until_first == DefaultAction::Allow
            && slot.roots.iter().all(|root| root.installed.is_none());
        permits.then_some(slot.generation)
    }

    /// Whether a root context leads its use.
    pub(crate) fn leads(&self, root: ContextId) -> bool {
        self.slot(root)
            .is_some_and(|slot| slot.leader() == Some(root))
    }

    /// Takes a root context out of whatever use it has.
    fn leave(&mut self, root: ContextId) {
        for slot in &mut self.slots {
            slot.roots.retain(|known| known.context != root);
        }
    }

    /// A stream begins under a root context. True if that shows that an earlier program is back
    /// in force.
    pub(crate) fn stream_begins(
        &mut self,
        root: ContextId,
        sweep_at: impl FnOnce() -> Duration,
    ) -> bool {
        let Some(slot) = self.slot_mut(root) else {
            return false;
        };
        let at = slot.roots.iter().position(|known| known.context == root);
        let Some(at) = at.filter(|at| at + 1 < slot.roots.len()) else {
            slot.settled = true;
            return false;
        };
        if slot.settled {
            let root = slot.roots.remove(at);
            slot.lead(root, sweep_at());
        }
        slot.settled
    }

    /// A connection begins, on which nobody has spoken yet. The root context that is to look at
    /// it, unless one will anyway.
    pub(crate) fn is_silent(&mut self, root: ContextId) -> Option<ContextId> {
        let slot = self.slot_mut(root)?;
        let first = slot.used_as.role == Role::Network && !slot.silent;
        slot.silent |= first;
        slot.leader().filter(|_| first)
    }

    /// Connections on which nobody has spoken were looked at; some are left, or none. True if it
    /// is time to consider what the time changes.
    pub(crate) fn looked(&mut self, root: ContextId, some_left: bool) -> bool {
        let Some(slot) = self.slot_mut(root) else {
            return false;
        };
        slot.silent = some_left;
        slot.looks += 1;
        let renew = slot.looks >= LOOKS_PER_RENEWAL && slot.expires();
        if renew {
            slot.looks = 0;
        }
        renew
    }

    /// The program for the streams of a root context; `None` before the first bundle, and if it
    /// is not kept.
    pub(crate) fn current(&self, root: ContextId) -> Option<Current> {
        let slot = self.slot(root)?;
        let installed = slot.roots.last()?.installed.as_ref()?;
        Some(Current {
            role: slot.used_as.role,
            generation: slot.generation,
            installed: Rc::clone(installed),
        })
    }

    /// What the tick of a root context is for. Only the leader has anything to do; it looks
    /// after the streams of all.
    pub(crate) fn task(&self, root: ContextId) -> Task {
        let slot = self.slot(root);
        match slot.filter(|slot| slot.leader() == Some(root)) {
            None => Task::Rest,
            Some(slot) => match slot.sweep {
                Sweep::Due(time) => Task::Begin(time),
                Sweep::Running => Task::Sweep,
                Sweep::Done if !slot.settled => Task::Settle,
                Sweep::Done if slot.silent => Task::Look,
                Sweep::Done if slot.expires() => Task::Renew,
                Sweep::Done => Task::Rest,
            },
        }
    }

    /// Live streams are being decided again; some of another generation are left, or none.
    pub(crate) fn swept(&mut self, root: ContextId, some_left: bool) {
        if let Some(slot) = self.slot_mut(root) {
            slot.sweep = if some_left {
                Sweep::Running
            } else {
                Sweep::Done
            };
        }
    }

    /// The leader has taken over everywhere.
    pub(crate) fn settled(&mut self, root: ContextId) {
        if let Some(slot) = self.slot_mut(root) {
            slot.settled = true;
        }
    }

    /// Treats the current program as a new one.
    pub(crate) fn renew(&mut self, root: ContextId, sweep_at: Duration) {
        if let Some(slot) = self.slot_mut(root) {
            slot.change(sweep_at);
        }
    }

    /// Whether two root contexts use the same slot.
    pub(crate) fn share(&self, one: ContextId, other: ContextId) -> bool {
        self.slot(one).is_some_and(|slot| slot.has(other))
    }

    /// Forgets a root context, and with the last one the slot. If it led, the one before it does
    /// so now, which is returned.
    pub(crate) fn remove(
        &mut self,
        root: ContextId,
        sweep_at: impl FnOnce() -> Duration,
    ) -> Option<ContextId> {
        let slot = self.slot_mut(root)?;
        let led = slot.leader() == Some(root);
        slot.roots.retain(|known| known.context != root);
        let leader = slot.leader().filter(|_| led);
        if leader.is_some() {
            slot.change(sweep_at());
        }
        self.slots.retain(|slot| !slot.roots.is_empty());
        leader
    }

    fn slot(&self, root: ContextId) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.has(root))
    }

    fn slot_mut(&mut self, root: ContextId) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.has(root))
    }
}

impl Slot {
    fn new(used_as: Use, root: Root, until_first: DefaultAction) -> Slot {
        Slot {
            used_as,
            roots: vec![root],
            until_first,
            generation: 0,
            sweep: Sweep::Done,
            settled: true,
            silent: false,
            looks: 0,
        }
    }

    fn has(&self, root: ContextId) -> bool {
        self.roots.iter().any(|known| known.context == root)
    }

    fn leader(&self) -> Option<ContextId> {
        self.roots.last().map(|root| root.context)
    }

    fn expires(&self) -> bool {
        let installed = self.roots.last().and_then(|root| root.installed.as_ref());
        installed.is_some_and(|installed| installed.bundle.program.has_expiry())
    }

    /// Puts the program of a root context into force.
    fn lead(&mut self, root: Root, sweep_at: Duration) {
        self.roots.push(root);
        self.change(sweep_at);
        if let Source::Server { .. } = self.used_as.source {
            return;
        }
        let mut bytes = 0;
        for root in self.roots.iter_mut().rev().skip(1) {
            bytes += root.installed.as_deref().map_or(0, Installed::size);
            if bytes > MAX_FORMER_BYTES {
                root.installed = None;
            }
        }
    }

    fn change(&mut self, sweep_at: Duration) {
        self.generation = self.generation.wrapping_add(1);
        self.sweep = match self.sweep {
            Sweep::Done => Sweep::Due(sweep_at),
            Sweep::Due(earlier) => Sweep::Due(earlier.min(sweep_at)),
            Sweep::Running => Sweep::Due(Duration::ZERO),
        };
    }
}
