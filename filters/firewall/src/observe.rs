//! What the filter lets the operator see: counters, and filter state for access logs.
//!
//! A permitted request costs one call, to its counter. What is denied, or would be if every
//! monitored policy were enforced, leaves its verdict and cause in filter state as well.
//!
//! Labels are part of a metric's name, `meshwall_requests_total;direction=ingress;verdict=deny;
//! policy=FirewallPolicy/shop/payments;rule=checkout`; the bootstrap's `stats_tags` take them
//! out. The name of a rule counts only what that rule decided.

use std::cell::RefCell;

use meshwall_filter_host::{Callback, Counter, CounterCache};
use meshwall_policy::decision::{Cause, CauseName, Decision, Outcome, Verdict};

use crate::Proxy;
use crate::connection::Missing;
use crate::installed::Role;
use crate::policies::Current;

/// Filter state: the verdict.
const VERDICT: &str = "meshwall.verdict";
/// Filter state: the cause of the verdict.
const CAUSE: &str = "meshwall.cause";
/// Filter state: the verdict and cause that would hold if every monitored policy were enforced,
/// if that is another verdict.
const WOULD_BE: &str = "meshwall.would_be";

/// Why something was refused without the engine's word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// There is no program.
    NoPolicy,
    /// The request has no readable header map.
    Headers,
    /// The policy has changed, and the request's head was too large to be kept.
    HeadNotKept,
    /// The listener does not say what the program asks for.
    Missing(Missing),
    /// A policy expires, and the proxy does not tell the time.
    Clock,
}

impl Refusal {
    /// Short name for details and counters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Refusal::NoPolicy => "no_policy",
            Refusal::Headers => "headers",
            Refusal::HeadNotKept => "head_not_kept",
            Refusal::Missing(missing) => missing.name(),
            Refusal::Clock => "clock",
        }
    }
}

/// The counters of one program, found by what decided.
#[derive(Debug)]
pub(crate) struct Counters {
    rules: RefCell<Vec<Option<Counter>>>,
    others: RefCell<Vec<(Outcome, Counter)>>,
}

impl Counters {
    pub(crate) fn new(rules: usize) -> Counters {
        Counters {
            rules: RefCell::new(vec![None; rules]),
            others: RefCell::default(),
        }
    }

    fn known(&self, outcome: Outcome) -> Option<Counter> {
        match outcome.cause {
            Cause::Rule(rule) => *self.rules.borrow().get(rule as usize)?,
            _ => {
                let others = self.others.borrow();
                others
                    .iter()
                    .find(|(known, _)| *known == outcome)
                    .map(|(_, counter)| *counter)
            }
        }
    }

    fn learn(&self, outcome: Outcome, counter: Counter) {
        match outcome.cause {
            Cause::Rule(rule) => {
                if let Some(known) = self.rules.borrow_mut().get_mut(rule as usize) {
                    *known = Some(counter);
                }
            }
            _ => self.others.borrow_mut().push((outcome, counter)),
        }
    }
}

/// Tells what happens.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    names: RefCell<CounterCache>,
}

impl Observer {
    /// A decision was made.
    pub(crate) fn decided<P: Proxy>(&self, proxy: &P, current: &Current, decision: &Decision) {
        let installed = &current.installed;
        let Decision {
            enforced,
            combined,
            identity_mismatch,
        } = *decision;
        let counter = installed.counters.known(enforced).or_else(|| {
            let name = format!("{}{}", total(current.role), labels(current, enforced));
            let counter = self.names.borrow_mut().counter(proxy, &name).ok()?;
            installed.counters.learn(enforced, counter);
            Some(counter)
        });
        if let Some(counter) = counter {
            let _ = proxy.increment_counter(counter, 1);
        }
        if identity_mismatch {
            self.count(proxy, "meshwall_identity_mismatch_total");
        }
        let differs = combined.verdict != enforced.verdict;
        if differs {
            self.count(
                proxy,
                &format!("meshwall_would_be_total{}", labels(current, combined)),
            );
        }
        if differs || enforced.verdict == Verdict::Deny {
            let program = &installed.bundle.program;
            let cause = program.cause(enforced.cause).to_string();
            explain(proxy, &enforced.verdict.to_string(), &cause);
            if differs {
                let would = format!("{} {}", combined.verdict, program.cause(combined.cause));
                let _ = proxy.set_filter_state(WOULD_BE, would.as_bytes());
            }
        }
    }

    /// Something was refused without the engine's word.
    pub(crate) fn failed<P: Proxy>(&self, proxy: &P, refusal: Refusal) {
        self.count(
            proxy,
            &format!("meshwall_faults_total;reason={}", refusal.name()),
        );
        let verdict = Verdict::Deny.to_string();
        explain(proxy, &verdict, &format!("fault/{}", refusal.name()));
    }

    /// A live stream was closed because the policy that holds now does not permit it.
    pub(crate) fn revoked<P: Proxy>(&self, proxy: &P, current: &Current, outcome: Outcome) {
        let labels = labels(current, outcome);
        self.count(proxy, &format!("meshwall_revoked_total{labels}"));
        let cause = current.installed.bundle.program.cause(outcome.cause);
        explain(proxy, &outcome.verdict.to_string(), &cause.to_string());
    }

    /// A callback panicked, and its stream was refused.
    pub(crate) fn panicked<P: Proxy>(&self, proxy: &P, callback: Callback) {
        self.count(proxy, &format!("meshwall_panics_total;reason={callback:?}"));
    }

    /// Something was permitted before there was a policy, as the operator wants it.
    pub(crate) fn permitted_until_first<P: Proxy>(&self, proxy: &P) {
        self.count(proxy, "meshwall_permitted_without_policy_total");
    }

    /// Something has happened between the filter and its policy server.
    pub(crate) fn delivery<P: Proxy>(&self, proxy: &P, event: &str) {
        self.count(proxy, &format!("meshwall_delivery_total;reason={event}"));
    }

    fn count<P: Proxy>(&self, proxy: &P, name: &str) {
        if let Ok(counter) = self.names.borrow_mut().counter(proxy, name) {
            let _ = proxy.increment_counter(counter, 1);
        }
    }
}

/// Leaves the verdict and its cause in filter state.
fn explain<P: Proxy>(proxy: &P, verdict: &str, cause: &str) {
    let _ = proxy.set_filter_state(VERDICT, verdict.as_bytes());
    let _ = proxy.set_filter_state(CAUSE, cause.as_bytes());
}

fn total(role: Role) -> &'static str {
    match role {
        Role::Http => "meshwall_requests_total",
        Role::Network => "meshwall_connections_total",
    }
}

fn labels(current: &Current, outcome: Outcome) -> String {
    let bundle = &current.installed.bundle;
    let (direction, verdict) = (bundle.direction, outcome.verdict);
    match bundle.program.cause(outcome.cause) {
        CauseName::Rule { document, rule } => {
            format!(";direction={direction};verdict={verdict};policy={document};rule={rule}")
        }
        other => format!(";direction={direction};verdict={verdict};reason={other}"),
    }
}
