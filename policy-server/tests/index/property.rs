//! After any sequence of events, in any batches, what is published is what would be made from the
//! beginning.

use std::collections::{BTreeMap, BTreeSet};

use meshwall_policy_server::index::{
    ContentVersion, Enforced, Index, Kind, Standing, Update, WorkloadKey,
};

use super::model::{self, Expected, Model};
use super::support::{cluster, listed, mesh, object};
use super::world::{Event, World};

/// What a proxy has been given, and what it has left.
#[derive(Default)]
struct Proxy {
    enforced: Option<Enforced>,
    left: BTreeSet<(ContentVersion, u64)>,
}

#[derive(Default)]
struct Proxies(BTreeMap<WorkloadKey, Proxy>);

impl Proxies {
    fn take(&mut self, update: &Update) {
        for key in &update.removed {
            assert!(self.0.remove(key).is_some(), "{key} was not there");
        }
        for (key, enforced) in &update.changed {
            let proxy = self.0.entry(key.clone()).or_default();
            if let Some(before) = proxy.enforced.take() {
                assert_ne!(
                    before.version(),
                    enforced.version(),
                    "{key} has not changed"
                );
                proxy.left.insert((before.version(), before.edition));
            }
            let bytes = (enforced.version(), enforced.edition);
            assert!(
                !proxy.left.contains(&bytes),
                "{key} gets the same bytes again"
            );
            proxy.enforced = Some(enforced.clone());
        }
    }

    fn enforced(&self) -> Expected {
        let proxies = self.0.iter();
        proxies
            .filter_map(|(key, proxy)| {
                let Enforced { program, peers, .. } = proxy.enforced.as_ref()?;
                Some((
                    key.clone(),
                    (program.bytes().to_vec(), peers.bytes().to_vec()),
                ))
            })
            .collect()
    }
}

fn tell(index: &mut Index, event: &Event) -> bool {
    match event {
        Event::Apply(at, value) => index.apply(&cluster(at), object(value)),
        Event::Delete(at, key) => index.delete(&cluster(at), key),
        Event::Reset(at, kind, values) => {
            let objects: Vec<_> = values.iter().map(object).collect();
            index.reset(&cluster(at), *kind, objects)
        }
    }
}

fn standing(standing: &Standing) -> model::Standing {
    match standing {
        Standing::Accepted => model::Standing::Accepted,
        Standing::Repeated => model::Standing::Repeated,
        Standing::Refused { .. } => model::Standing::Refused,
        Standing::Conflicted { .. } => model::Standing::Conflicted,
    }
}

/// Compares what is enforced, in words that show where it differs.
fn assert_same(found: &Expected, expected: &Expected, context: &str) {
    for key in found.keys().chain(expected.keys()) {
        let (found, expected) = (found.get(key), expected.get(key));
        assert_eq!(found.is_some(), expected.is_some(), "{context}: {key}");
        if let (Some(found), Some(expected)) = (found, expected) {
            assert!(found.0 == expected.0, "{context}: program of {key}");
            assert!(found.1 == expected.1, "{context}: peers of {key}");
        }
    }
}

/// Lets a world change, and compares after each batch of events.
fn run(seed: u64, batches: usize) -> usize {
    let mut world = World::new(seed);
    let mut index = listed(world.names());
    let mut model = Model::new(world.names());
    let mut proxies = Proxies::default();
    let mut compiled = 0;
    for batch in 0..batches {
        let mut events = Vec::new();
        let mut changed = false;
        for _ in 0..=world.choices.below(6) {
            let event = world.event();
            changed |= tell(&mut index, &event);
            model.take(&event);
            events.push(event);
        }
        let context = format!("seed {seed}, batch {batch}: {events:?}");
        let standings = model.settle();
        let expected = model.expected();
        let update = index.update();
        compiled += update.work.compiled;
        if !changed {
            let silent = update.changed.is_empty() && update.removed.is_empty();
            assert!(silent && update.reports.is_empty(), "{context}");
        }
        proxies.take(&update);
        assert_same(&proxies.enforced(), &expected, &context);
        for (key, enforced) in &expected {
            let found = index.enforced(key).unwrap();
            assert_eq!(**found.program.bytes(), *enforced.0, "{context}");
        }
        let reports = index.reports();
        let found: BTreeMap<_, _> = reports
            .map(|report| (report.definition.clone(), standing(&report.standing)))
            .collect();
        assert_eq!(found, standings, "{context}");
        let nothing = index.update();
        assert_eq!(nothing.work, Default::default(), "{context}");
    }
    compiled
}

#[test]
fn what_is_published_is_what_would_be_made_from_the_beginning() {
    let compiled: usize = (0..40).map(|seed| run(seed, 25)).sum();
    assert!(compiled > 1_000, "{compiled} programs");
}

#[test]
#[ignore = "takes minutes; run it with --release after a change of the index"]
fn what_is_published_is_what_would_be_made_from_the_beginning_at_length() {
    for seed in 1_000..3_000 {
        run(seed, 60);
    }
}

/// Replicas learn of the same world in their own order, and come to the same.
#[test]
fn the_order_in_which_a_world_is_told_does_not_matter() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.event();
        }
        let names = world.names();
        let mut results = Vec::new();
        for _ in 0..3 {
            let mut index = Index::new(mesh(names));
            let mut lists: Vec<_> = names
                .iter()
                .flat_map(|name| Kind::ALL.map(|kind| (*name, kind)))
                .collect();
            for at in (1..lists.len()).rev() {
                lists.swap(at, world.choices.below(at + 1));
            }
            for (name, kind) in lists {
                let mut objects: Vec<_> = world.of(name, kind).iter().map(object).collect();
                for at in (1..objects.len()).rev() {
                    objects.swap(at, world.choices.below(at + 1));
                }
                index.reset(&cluster(name), kind, objects);
            }
            let mut update = index.update();
            update.changed.sort_by(|(a, _), (b, _)| a.cmp(b));
            let versions: Vec<_> = update
                .changed
                .iter()
                .map(|(key, enforced)| (key.clone(), enforced.version()))
                .collect();
            results.push((versions, update.reports));
        }
        assert_eq!(results[0], results[1], "seed {seed}");
        assert_eq!(results[0], results[2], "seed {seed}");
    }
}
