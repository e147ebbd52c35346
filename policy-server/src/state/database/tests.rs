//! Bits that flip: what is read is what was committed, or nothing.

use std::fs;

use serde_json::json;

use super::*;
use crate::state::record::{Key, Role};

fn key(name: &str) -> Key {
    Key {
        cluster: "west".into(),
        kind: "FirewallPolicy".into(),
        namespace: Some("shop".into()),
        name: name.into(),
        role: Role::Current,
    }
}

fn put(name: &str, number: u64) -> Change {
    Change::Put(Remembered {
        key: key(name),
        document: json!({"spec": {"number": number}}),
    })
}

/// Flips bits of an image, all of those that decide which commit is read, and others all over the
/// file: in what is used, and in what is not.
fn flip(image: &[u8], holds: &[Remembered]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    // Byte 9 says which of two commits is the newer one; these begin at byte 64.
    let decisive = 9 * 8..10 * 8;
    let header = (0..64).chain((64..320).step_by(3));
    let used = (320..image.len()).filter(|at| image[*at] != 0);
    let unused = (320..image.len()).filter(|at| image[*at] == 0);
    let rest = used.step_by(97).chain(unused.step_by(100_043));
    let bits = decisive.chain(header.chain(rest).map(|at| at * 8 + at % 8));
    let (mut noticed, mut harmless) = (0, 0);
    for bit in bits {
        let mut flipped = image.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, flipped).unwrap();
        match open(&path) {
            Ok((_, remembered)) => {
                assert_eq!(remembered, holds, "bit {bit}");
                harmless += 1;
            }
            Err(Fault::Damaged(_)) => noticed += 1,
            Err(fault) => panic!("bit {bit}: {fault}"),
        }
    }
    assert!(noticed > 20 && harmless > 0, "{noticed}, {harmless}");
}

/// A file as it is while it is open, as it is after, and what is in it.
fn images() -> (Vec<u8>, Vec<u8>, Vec<Remembered>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let database = create(&path).unwrap();
    for batch in 0..5 {
        let name = format!("p{batch}");
        commit(&database, &[put("a", batch), put(&name, batch)]).unwrap();
    }
    commit(&database, &[Change::Forget(key("p0"))]).unwrap();
    let left = fs::read(&path).unwrap();
    drop(database);
    let closed = fs::read(&path).unwrap();
    let (_, holds) = open(&path).unwrap();
    assert_eq!(holds.len(), 5);
    (left, closed, holds)
}

#[test]
fn a_bit_flips_in_a_file_that_was_closed() {
    let (_, closed, holds) = images();
    flip(&closed, &holds);
}

#[test]
fn a_bit_flips_in_a_file_of_which_the_process_is_gone() {
    let (left, _, holds) = images();
    flip(&left, &holds);
}
