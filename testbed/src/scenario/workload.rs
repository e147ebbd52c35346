//! Finding the workload that a user means.
//!
//! Nobody types `payments-6d4f9c7b5c-x2x7k`. A workload is named by its pod or by what its pod's
//! name begins with before the part that a controller generated. Several pods may go by such a
//! name; that is fine as long as no policy could tell them apart, apart from their addresses.

use meshwall_policy::inventory::{Inventory, Labels, Workload};

use super::error::Reason;

/// Letters and digits of generated names: no vowels, so that they form no words (`SafeEncodeString`
/// in Kubernetes' apimachinery).
const GENERATED: &str = "bcdfghjklmnpqrstvwxz2456789";

/// Labels that controllers add to the pods that they make.
const GENERATED_LABELS: [&str; 9] = [
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-generation",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
];

/// How alike a name must be to be offered for another, from 0 to 1.
const ALIKE: f64 = 0.65;

/// The workload of this name, `namespace/name`.
///
/// # Errors
///
/// If there is no such workload, or the name stands for several that differ; and what might have
/// been meant.
pub fn find<'a>(
    inventory: &'a Inventory,
    name: &str,
) -> Result<&'a Workload, (Reason, Option<String>)> {
    let Some((namespace, base)) = name.split_once('/') else {
        return Err((Reason::NotAWorkload, None));
    };
    let in_namespace = || {
        let workloads = inventory.workloads.iter();
        workloads.filter(|workload| workload.namespace == namespace)
    };
    if let Some(pod) = in_namespace().find(|workload| workload.name == base) {
        return Ok(pod);
    }
    let mut meant: Vec<&Workload> = in_namespace()
        .filter(|workload| owner(&workload.name) == Some(base))
        .collect();
    meant.sort_by(|a, b| a.name.cmp(&b.name));
    match meant.split_first() {
        None => Err((Reason::UnknownWorkload, closest(inventory, name))),
        Some((first, others)) if others.iter().all(|other| alike(first, other)) => Ok(first),
        Some(_) => {
            let names = meant
                .iter()
                .map(|workload| qualified(workload, &workload.name));
            Err((Reason::AmbiguousWorkload(names.collect()), None))
        }
    }
}

/// `namespace/name` of a workload, by the name that people give it.
#[must_use]
pub fn shown(workload: &Workload) -> String {
    qualified(workload, short(&workload.name))
}

/// The name of a pod without what a controller generated.
pub(super) fn short(pod: &str) -> &str {
    owner(pod).unwrap_or(pod)
}

fn qualified(workload: &Workload, name: &str) -> String {
    format!("{}/{name}", workload.namespace)
}

/// Whether policies treat two pods of one namespace alike. Labels that a controller generated are
/// not what policies are written with.
fn alike(one: &Workload, other: &Workload) -> bool {
    let Workload {
        namespace: _,
        name: _,
        labels,
        service_account,
        trust_domain,
        addresses: _,
        ports,
    } = one;
    written(labels).eq(written(&other.labels))
        && *service_account == other.service_account
        && *trust_domain == other.trust_domain
        && *ports == other.ports
}

fn written(labels: &Labels) -> impl Iterator<Item = (&String, &String)> {
    labels
        .iter()
        .filter(|(key, _)| !GENERATED_LABELS.contains(&key.as_str()))
}

/// What made a pod, by the name that it gave the pod: `NAME-0` of a StatefulSet, `NAME-HASH-RANDOM`
/// of a Deployment, `NAME-RANDOM` of a DaemonSet or Job, `NAME-TIME-RANDOM` of a CronJob.
fn owner(pod: &str) -> Option<&str> {
    let (rest, last) = pod.rsplit_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let generated = |text: &str| text.chars().all(|c| GENERATED.contains(c));
    if last.len() == 5 && generated(last) {
        let made = rest.rsplit_once('-').filter(|(_, middle)| {
            (6..=10).contains(&middle.len()) && (generated(middle) || digits(middle))
        });
        return Some(made.map_or(rest, |(name, _)| name));
    }
    digits(last).then_some(rest)
}

/// The workload whose name is most like this one.
fn closest(inventory: &Inventory, name: &str) -> Option<String> {
    // Likeness is computed in time that grows with the product of the lengths.
    if name.len() > 128 {
        return None;
    }
    let names = inventory.workloads.iter().map(shown);
    names
        .map(|known| (strsim::normalized_damerau_levenshtein(name, &known), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(name: &str, label: &str) -> Workload {
        Workload {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            labels: [("app".to_owned(), label.to_owned())].into(),
            service_account: "default".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            addresses: Vec::new(),
            ports: Default::default(),
        }
    }

    fn found(names: &[(&str, &str)], name: &str) -> Result<String, (Reason, Option<String>)> {
        let inventory = Inventory {
            workloads: names
                .iter()
                .map(|(name, label)| workload(name, label))
                .collect(),
            ..Inventory::default()
        };
        find(&inventory, name).map(|workload| workload.name.clone())
    }

    #[test]
    fn generated_parts_of_names_are_told() {
        for (pod, expected) in [
            ("payments-6d4f9c7b5c-x2x7k", Some("payments")),
            ("payments-6d4f9c7b5c-x2x7k9", None),
            ("payments-db-0", Some("payments-db")),
            ("agent-x2x7k", Some("agent")),
            ("report-29384720-x2x7k", Some("report")),
            ("payments", None),
            ("payments-api", None),
            ("payments-v2", None),
        ] {
            assert_eq!(owner(pod), expected, "{pod}");
        }
    }

    #[test]
    fn a_pod_or_what_made_it() {
        let pods = [
            ("payments-6d4f9c7b5c-x2x7k", "payments"),
            ("payments-6d4f9c7b5c-zzzzz", "payments"),
            ("payments-db-0", "db"),
            ("web-6d4f9c7b5c-x2x7k", "web"),
            ("web-5d4f9c7b5c-x2x7k", "other"),
        ];
        for (name, expected) in [
            ("shop/payments", "payments-6d4f9c7b5c-x2x7k"),
            (
                "shop/payments-6d4f9c7b5c-zzzzz",
                "payments-6d4f9c7b5c-zzzzz",
            ),
            ("shop/payments-db", "payments-db-0"),
        ] {
            assert_eq!(found(&pods, name), Ok(expected.to_owned()));
        }
        let differ = ["shop/web-5d4f9c7b5c-x2x7k", "shop/web-6d4f9c7b5c-x2x7k"];
        let ambiguous = Reason::AmbiguousWorkload(differ.map(str::to_owned).into());
        assert_eq!(found(&pods, "shop/web"), Err((ambiguous, None)));
        assert_eq!(found(&pods, "payments"), Err((Reason::NotAWorkload, None)));
        let meant = Some("shop/payments".to_owned());
        assert_eq!(
            found(&pods, "shop/payment"),
            Err((Reason::UnknownWorkload, meant))
        );
        assert_eq!(
            found(&pods, "ops/console"),
            Err((Reason::UnknownWorkload, None))
        );
    }
}
