//! The claims of a question as those of a token.

use std::collections::BTreeMap;

use meshwall_policy::cases::OwnedRequest;
use serde_json::{Map, Value};

/// The claims, each at its path: one text, or a list where there are several. Empty text is in
/// a list, too: by itself it looks to a filter as if there were none.
pub(crate) fn claims(request: &OwnedRequest) -> Value {
    let mut values = BTreeMap::<&str, Vec<&str>>::new();
    for (path, value) in &request.claims {
        values.entry(path).or_default().push(value);
    }
    let mut claims = Map::new();
    for (path, values) in values {
        let value = match *values {
            [text] if !text.is_empty() => text.into(),
            _ => values.into(),
        };
        insert(&mut claims, path, value);
    }
    claims.into()
}

fn insert(claims: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('\0') else {
        claims.insert(path.to_owned(), value);
        return;
    };
    let inner = claims.entry(first).or_insert_with(|| Map::new().into());
    insert(inner.as_object_mut().unwrap(), rest, value);
}
