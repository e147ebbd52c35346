//! A field of an object, with the way to it, so that an error can say where it is.
//!
//! Fields are read one by one rather than derived, because all errors of an object are reported
//! together, and in words that are not Rust's.

use std::net::IpAddr;

use meshwall_policy::document::{FieldPath, Positions};
use meshwall_policy::inventory::Labels;
use meshwall_policy::spec::ObjectRef;
use serde_json::Value;

use super::error::{Error, Reason};

/// Longest name of an object in bytes (RFC 1123 subdomain).
const MAX_NAME: usize = 253;

/// The errors of one object, as they are found.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<(FieldPath, Option<String>, Reason)>);

impl Findings {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, field: &Field<'_>, reason: Reason) {
        let value = field.value.and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        });
        self.0.push((field.path.clone(), value, reason));
    }

    /// The errors in the order of the source.
    pub(super) fn finish(self, object: &ObjectRef, positions: &Positions) -> Vec<Error> {
        let errors = self.0.into_iter().map(|(path, value, reason)| Error {
            object: object.clone(),
            position: positions.value(&path),
            path,
            value,
            reason,
        });
        let mut errors: Vec<Error> = errors.collect();
        errors.sort_by(|a, b| a.position.cmp(&b.position));
        errors
    }
}

/// A field that may be there or not. A `null` is not there, as in Kubernetes.
#[derive(Debug)]
pub(super) struct Field<'a> {
    path: FieldPath,
    value: Option<&'a Value>,
}

impl<'a> Field<'a> {
    pub(super) fn root(object: &'a Value) -> Field<'a> {
        Field {
            path: FieldPath::root(),
            value: Some(object),
        }
    }

    pub(super) fn field(&self, name: &str) -> Field<'a> {
        Field {
            path: self.path.clone().field(name),
            value: self
                .value
                .and_then(|value| value.get(name))
                .filter(|value| !value.is_null()),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.value.is_some()
    }

    /// Text; `None` if there is none.
    pub(super) fn text(&self, findings: &mut Findings) -> Option<&'a str> {
        self.read(Value::as_str, "text", findings)
    }

    /// A boolean; false if it is not there.
    pub(super) fn flag(&self, findings: &mut Findings) -> bool {
        self.read(Value::as_bool, "a boolean", findings)
            .unwrap_or_default()
    }

    /// The items of a list; none if it is not there.
    pub(super) fn items(&self, findings: &mut Findings) -> Vec<Field<'a>> {
        let items = self.read(Value::as_array, "a list", findings);
        let items = items.into_iter().flatten().enumerate();
        items
            .map(|(index, value)| Field {
                path: self.path.clone().index(index),
                value: Some(value),
            })
            .collect()
    }

    /// The texts of a mapping; none if it is not there.
    pub(super) fn texts(&self, findings: &mut Findings) -> Labels {
        let fields = self.read(Value::as_object, "a mapping", findings);
        let names = fields.into_iter().flat_map(|fields| fields.keys());
        names
            .filter_map(|name| {
                let text = self.field(name).text(findings)?;
                Some((name.clone(), text.to_owned()))
            })
            .collect()
    }

    /// The name of something; empty, and an error, if it is none. A name becomes a part of
    /// identities, so it must not contain what stands between their parts.
    pub(super) fn name(&self, findings: &mut Findings) -> &'a str {
        if !self.is_there() {
            findings.push(self, Reason::Missing);
            return "";
        }
        let is_name = |name: &&str| {
            let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
            (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(valid)
        };
        match self.text(findings) {
            Some(text) if is_name(&text) => text,
            Some(_) => {
                findings.push(self, Reason::NotAName);
                ""
            }
            None => "",
        }
    }

    /// An IP address; `None` if there is none.
    pub(super) fn address(&self, findings: &mut Findings) -> Option<IpAddr> {
        match self.text(findings)?.parse::<IpAddr>() {
            Ok(address) => Some(address.to_canonical()),
            Err(_) => {
                findings.push(self, Reason::NotAnAddress);
                None
            }
        }
    }

    /// A TCP port; `None` if there is none.
    pub(super) fn port(&self, findings: &mut Findings) -> Option<u16> {
        let number = self.read(Value::as_u64, "a whole number", findings)?;
        let port = u16::try_from(number).ok().filter(|port| *port > 0);
        if port.is_none() {
            findings.push(self, Reason::NotAPort);
        }
        port
    }

    fn read<T>(
        &self,
        read: impl Fn(&'a Value) -> Option<T>,
        expected: &'static str,
        findings: &mut Findings,
    ) -> Option<T> {
        let value = self.value?;
        let read = read(value);
        if read.is_none() {
            findings.push(self, Reason::WrongType { expected });
        }
        read
    }
}
