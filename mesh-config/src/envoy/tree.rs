//! Configuration as a tree with comments: one source for the JSON that a program reads
//! and the YAML that a person reads.
//!
//! Keys keep the order in which they were written down, so that the YAML tells its story
//! in the order in which a person wants to hear it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Number, Value};

/// A value, with a comment that belongs above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) comment: Option<Cow<'static, str>>,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Boolean(bool),
    Number(u64),
    Text(Cow<'static, str>),
    List(Vec<Tree>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Cow<'static, str>,
    pub(super) value: Tree,
}

impl Tree {
    /// The same value with a comment: why it is what it is.
    pub(super) fn because(mut self, comment: impl Into<Cow<'static, str>>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// The same map with an entry added, if there is one.
    pub(super) fn and(mut self, entry: impl IntoIterator<Item = Entry>) -> Self {
        if let Content::Map(entries) = &mut self.content {
            entries.extend(entry);
        }
        self
    }

    /// The same extension with these entries added to its configuration.
    pub(super) fn and_config(mut self, added: impl IntoIterator<Item = Entry>) -> Self {
        if let Content::Map(entries) = &mut self.content
            && let Some(config) = entries.iter_mut().find(|entry| entry.key == "typed_config")
            && let Content::Map(entries) = &mut config.value.content
        {
            entries.extend(added);
        }
        self
    }

    /// Without the comments.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Boolean(value) => Value::Bool(*value),
            Content::Number(value) => Value::Number(Number::from(*value)),
            Content::Text(value) => Value::String(value.to_string()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.to_string(), entry.value.to_json()))
                .collect(),
        }
    }
}

impl Entry {
    /// The same entry with a comment: why the value is what it is.
    pub(super) fn because(self, comment: impl Into<Cow<'static, str>>) -> Self {
        Self {
            value: self.value.because(comment),
            ..self
        }
    }
}

impl From<Content> for Tree {
    fn from(content: Content) -> Self {
        Self {
            comment: None,
            content,
        }
    }
}

impl From<bool> for Tree {
    fn from(value: bool) -> Self {
        Content::Boolean(value).into()
    }
}

impl From<u32> for Tree {
    fn from(value: u32) -> Self {
        Content::Number(value.into()).into()
    }
}

impl From<&'static str> for Tree {
    fn from(value: &'static str) -> Self {
        Content::Text(value.into()).into()
    }
}

impl From<String> for Tree {
    fn from(value: String) -> Self {
        Content::Text(value.into()).into()
    }
}

impl From<&String> for Tree {
    fn from(value: &String) -> Self {
        value.clone().into()
    }
}

/// Envoy's files name paths as text; what is not UTF-8 cannot be named in them.
impl From<&Path> for Tree {
    fn from(value: &Path) -> Self {
        value.to_string_lossy().into_owned().into()
    }
}

/// An `envoy.config.core.v3.Address`.
impl From<SocketAddr> for Tree {
    fn from(value: SocketAddr) -> Self {
        let address = entry("address", value.ip().to_string());
        socket_address(address, value.port())
    }
}

/// An `envoy.config.core.v3.Address` of a host by name.
pub(super) fn named_address(host: &str, port: u16) -> Tree {
    socket_address(entry("address", host.to_owned()), port)
}

fn socket_address(address: Entry, port: u16) -> Tree {
    map([entry(
        "socket_address",
        map([address, entry("port_value", u32::from(port))]),
    )])
}

/// A map.
pub(super) fn map(entries: impl IntoIterator<Item = Entry>) -> Tree {
    Content::Map(entries.into_iter().collect()).into()
}

/// A list.
pub(super) fn list<T: Into<Tree>>(items: impl IntoIterator<Item = T>) -> Tree {
    Content::List(items.into_iter().map(Into::into).collect()).into()
}

/// A key with its value.
pub(super) fn entry(key: impl Into<Cow<'static, str>>, value: impl Into<Tree>) -> Entry {
    Entry {
        key: key.into(),
        value: value.into(),
    }
}

/// A message of a type that the field it stands in does not tell (`google.protobuf.Any`).
pub(super) fn any(message: &'static str, entries: impl IntoIterator<Item = Entry>) -> Tree {
    let url = format!("type.googleapis.com/{message}");
    map([entry("@type", url)]).and(entries)
}

/// An extension by name, with its configuration.
pub(super) fn extension(
    name: &'static str,
    message: &'static str,
    entries: impl IntoIterator<Item = Entry>,
) -> Tree {
    map([
        entry("name", name),
        entry("typed_config", any(message, entries)),
    ])
}
