//! Files that are not as they were written. Each is read as it was committed, or set aside.

use std::fs;
use std::path::Path;

use meshwall_policy_server::state::{Remembered, Store};
use redb::{Database, TableDefinition};

use crate::support::{ASIDE, document, forget, now, open, put, remembered};

/// What a file became of.
#[derive(Debug, PartialEq)]
enum Outcome {
    AsCommitted,
    SetAside(String),
}

/// Two images of a state: of a store that was closed, and of one whose process is gone; and what
/// both hold.
struct Images {
    closed: Vec<u8>,
    left: Vec<u8>,
    holds: Vec<Remembered>,
}

fn images() -> Images {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.redb");
    let mut opened = open(folder.path());
    for batch in 0..5 {
        let name = format!("p{batch}");
        opened
            .store
            .commit(&[put("a", batch), put(&name, batch)])
            .unwrap();
    }
    opened.store.commit(&[forget("p0")]).unwrap();
    let left = fs::read(&file).unwrap();
    drop(opened.store);
    Images {
        closed: fs::read(&file).unwrap(),
        left,
        holds: remembered(folder.path()),
    }
}

/// Opens a folder with this file in it.
fn outcome(image: &[u8], holds: &[Remembered], what: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.redb"), image).unwrap();
    let mut opened = open(folder.path());
    let Some(damage) = opened.damage else {
        assert_eq!(opened.remembered, holds, "{what}");
        return Outcome::AsCommitted;
    };
    assert_eq!(opened.remembered, [], "{what}");
    assert_eq!(damage.set_aside, folder.path().join(ASIDE), "{what}");
    let kept = fs::metadata(&damage.set_aside).unwrap();
    assert!(kept.len() > 0 || image.is_empty(), "{what}");
    // The server goes on.
    opened.store.commit(&[put("new", 1)]).unwrap();
    drop(opened.store);
    assert_eq!(remembered(folder.path()), [document("new", 1)], "{what}");
    Outcome::SetAside(damage.reason)
}

#[test]
fn images_that_are_not_damaged_are_read() {
    let Images {
        closed,
        left,
        holds,
    } = images();
    assert_eq!(holds.len(), 5);
    assert_eq!(outcome(&closed, &holds, "closed"), Outcome::AsCommitted);
    assert_eq!(outcome(&left, &holds, "left"), Outcome::AsCommitted);
}

/// More of them, and what each does to the database, are among its own tests.
#[test]
fn a_bit_that_flips_is_noticed_or_does_not_matter() {
    let Images {
        closed,
        left,
        holds,
    } = images();
    for (name, image) in [("closed", closed), ("left", left)] {
        let mut noticed = 0;
        for at in (0..40).chain((320..image.len()).filter(|at| image[*at] != 0).step_by(499)) {
            let mut flipped = image.clone();
            flipped[at] ^= 1 << (at % 8);
            let found = outcome(&flipped, &holds, &format!("{name}, byte {at}"));
            noticed += u32::from(found != Outcome::AsCommitted);
        }
        assert!(noticed > 10, "{noticed}");
    }
}

#[test]
fn a_file_that_was_cut_is_set_aside() {
    let Images {
        closed,
        left,
        holds,
    } = images();
    for (name, image) in [("closed", closed), ("left", left)] {
        let short = [0, 1, 8, 9, 63, 64, 200, 319, 320, 4_095, 4_096, 4_097];
        let all = (1..20).map(|part| image.len() * part / 20);
        let last = [image.len() - 4_096, image.len() - 1];
        for length in short.into_iter().chain(all).chain(last) {
            let what = format!("{name}, {length} of {} bytes", image.len());
            let found = outcome(&image[..length], &holds, &what);
            assert!(matches!(found, Outcome::SetAside(_)), "{what}");
        }
    }
}

#[test]
fn a_file_that_is_something_else_is_set_aside() {
    let reason = |image: &[u8]| match outcome(image, &[], "something else") {
        Outcome::SetAside(reason) => reason,
        Outcome::AsCommitted => panic!("it was read"),
    };
    assert_eq!(reason(b"apiVersion: v1\nkind: List\n"), "it is no database");
    assert_eq!(reason(&[0; 100_000]), "it is no database");
    assert_eq!(reason(&[0xa5; 100_000]), "it is no database");

    let made = |make: &dyn Fn(&Database)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        make(&Database::create(&path).unwrap());
        fs::read(path).unwrap()
    };
    assert_eq!(reason(&made(&|_| {})), "another program wrote it");
    let seal = |format| {
        made(&move |database| {
            let table: TableDefinition<'_, &str, u64> =
                TableDefinition::new("meshwall.io/policy-server/state");
            let transaction = database.begin_write().unwrap();
            let mut seal = transaction.open_table(table).unwrap();
            seal.insert("format", format).unwrap();
            drop(seal);
            transaction.commit().unwrap();
        })
    };
    assert_eq!(
        reason(&seal(2)),
        "it has format 2, and this version of Meshwall reads format 1"
    );
    assert_eq!(reason(&seal(1)), "its seal is incomplete");
}

type Entries<'a> = redb::Table<'a, (&'static str, &'static str), &'static [u8]>;

/// The database is whole; what is in it is not what was committed.
#[test]
fn entries_that_were_tampered_with_are_noticed() {
    const ENTRIES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("entries");
    let Images { closed, holds, .. } = images();
    let tampered = |change: &dyn Fn(&mut Entries<'_>)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, &closed).unwrap();
        let database = Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        change(&mut transaction.open_table(ENTRIES).unwrap());
        transaction.commit().unwrap();
        drop(database);
        outcome(&fs::read(path).unwrap(), &holds, "tampered")
    };
    let aside = |reason: &str| Outcome::SetAside(reason.to_owned());
    let key = ("current", r#"["west","FirewallPolicy","shop","p1"]"#);
    let missing = tampered(&|entries| {
        assert!(entries.remove(key).unwrap().is_some());
    });
    assert_eq!(
        missing,
        aside("its entries are not those of its last batch")
    );
    let short = tampered(&|entries| {
        entries.insert(key, b"short".as_slice()).unwrap();
    });
    assert_eq!(short, aside("a value is too short"));
    let other = tampered(&|entries| {
        entries.insert(key, b"12345678{}".as_slice()).unwrap();
    });
    assert_eq!(other, aside("the checksum of a value is wrong"));
}

#[test]
fn what_was_set_aside_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.redb");
    let aside = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    for text in ["first", "second", "third"] {
        fs::write(&file, text).unwrap();
        let damage = open(folder.path()).damage.unwrap();
        assert_eq!(fs::read_to_string(damage.set_aside).unwrap(), text);
        fs::remove_file(&file).unwrap();
    }
    assert_eq!(aside(ASIDE), "first");
    assert_eq!(aside(&format!("{ASIDE}-2")), "second");
    assert_eq!(aside(&format!("{ASIDE}-3")), "third");
}

#[test]
fn the_error_names_the_file_and_the_reason() {
    let folder = Path::new("/var/lib/meshwall");
    let damage = meshwall_policy_server::state::Damage {
        file: folder.join("state.redb"),
        set_aside: folder.join(ASIDE),
        reason: "it is no database".into(),
    };
    assert_eq!(
        damage.to_string(),
        "the state in `/var/lib/meshwall/state.redb` cannot be used: it is no database; it was \
         set aside as `/var/lib/meshwall/state.redb.damaged-20261125T030405Z`, and nothing is \
         remembered"
    );
    let file = folder.join("absent").join("\0");
    assert!(Store::open(&file, now()).is_err());
}
