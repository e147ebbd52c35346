//! What is remembered, and how it is written as bytes.
//!
//! | part | encoding |
//! |---|---|
//! | table | `current` or `last-good` |
//! | key | JSON: `[cluster, kind, namespace or null, name]` |
//! | value | XXH64 of table, key and document, little-endian; then the document as JSON |

use serde_json::Value;
use twox_hash::XxHash64;

/// Names what is remembered.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// Name of the cluster that has the object.
    pub cluster: String,
    /// Kind of the object.
    pub kind: String,
    /// Its namespace; `None` for a kind that is in none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Which of the object's documents this is.
    pub role: Role,
}

/// A policy is remembered twice if the document that the cluster has is wrong: then another one is
/// in force.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// The document that the cluster has.
    Current,
    /// The last one that was accepted, which stays in force.
    LastGood,
}

/// A document, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// What names it.
    pub key: Key,
    /// The object as it is read from a cluster.
    pub document: Value,
}

/// A part of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Remember this from now on, in place of what has the same key.
    Put(Remembered),
    /// Forget what has this key, if anything has.
    Forget(Key),
}

impl Role {
    const ALL: [Role; 2] = [Role::Current, Role::LastGood];

    fn table(self) -> &'static str {
        match self {
            Role::Current => "current",
            Role::LastGood => "last-good",
        }
    }
}

impl Key {
    /// Table, and key in the table.
    pub(super) fn encode(&self) -> (&'static str, String) {
        let Key {
            cluster,
            kind,
            namespace,
            name,
            role,
        } = self;
        let key = serde_json::json!([cluster, kind, namespace, name]);
        (role.table(), key.to_string())
    }

    fn decode(table: &str, key: &str) -> Option<Key> {
        let role = Role::ALL.into_iter().find(|role| role.table() == table)?;
        let (cluster, kind, namespace, name) = serde_json::from_str(key).ok()?;
        let key = Key {
            cluster,
            kind,
            namespace,
            name,
            role,
        };
        Some(key)
    }
}

impl Remembered {
    pub(super) fn read(table: &str, key: &str, value: &[u8]) -> Result<Remembered, &'static str> {
        let (checksum, document) = split(value).ok_or("a value is too short")?;
        if checksum != self::checksum(table, key, document) {
            return Err("the checksum of a value is wrong");
        }
        let remembered = Key::decode(table, key)
            .zip(serde_json::from_slice(document).ok())
            .map(|(key, document)| Remembered { key, document });
        remembered.ok_or("a value has another form than this version of Meshwall writes")
    }

    /// The value, with its checksum in front.
    pub(super) fn value(&self, table: &str, key: &str) -> Vec<u8> {
        let document = self.document.to_string();
        let checksum = checksum(table, key, document.as_bytes());
        let mut value = checksum.to_le_bytes().to_vec();
        value.extend_from_slice(document.as_bytes());
        value
    }
}

/// The checksum of a value that was written before.
pub(super) fn checksum_of(value: &[u8]) -> u64 {
    split(value).map_or(0, |(checksum, _)| checksum)
}

fn split(value: &[u8]) -> Option<(u64, &[u8])> {
    let (checksum, document) = value.split_first_chunk()?;
    Some((u64::from_le_bytes(*checksum), document))
}

fn checksum(table: &str, key: &str, document: &[u8]) -> u64 {
    // Neither a table nor a key has a zero byte in it: JSON writes that one in another way.
    let parts = [table.as_bytes(), b"\0", key.as_bytes(), b"\0", document];
    XxHash64::oneshot(0, &parts.concat())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn remembered() -> Remembered {
        Remembered {
            key: Key {
                cluster: "west/1".into(),
                kind: "FirewallPolicy".into(),
                namespace: None,
                name: "a\0\"b".into(),
                role: Role::LastGood,
            },
            document: json!({"spec": {"ingress": []}}),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = remembered();
        let (table, key) = written.key.encode();
        let value = written.value(table, &key);
        assert_eq!(Remembered::read(table, &key, &value), Ok(written));
    }

    #[test]
    fn the_checksum_is_over_all_parts() {
        let written = remembered();
        let (table, key) = written.key.encode();
        let mut value = written.value(table, &key);
        let other = Key {
            name: "other".into(),
            ..written.key
        };
        assert!(Remembered::read("current", &key, &value).is_err());
        assert!(Remembered::read(table, &other.encode().1, &value).is_err());
        *value.last_mut().unwrap() ^= 1;
        assert!(Remembered::read(table, &key, &value).is_err());
        assert!(Remembered::read(table, &key, &value[..7]).is_err());
    }
}
