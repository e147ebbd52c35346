//! Requests to the API server of one cluster, each with a limit on how long it may take.

use std::time::Duration;

use kube::core::Request;
use kube::core::params::{GetParams, ListParams, Patch, PatchParams, PostParams};
use meshwall_policy::document::types::API_VERSION;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::index::{Kind, ObjectKey};

/// By whom the fields are managed that are written here.
pub(super) const FIELD_MANAGER: &str = "meshwall-server";

/// Objects of a page of a list.
const PAGE: u32 = 500;

/// Why something was not done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Trouble {
    /// The server has answered that it does not do it.
    #[error("{what}: {message} (HTTP status {status})")]
    Refused {
        what: &'static str,
        status: u16,
        message: String,
    },
    /// There is no answer that makes sense.
    #[error("{what}: {message}")]
    Failed { what: &'static str, message: String },
}

impl Trouble {
    /// The HTTP status of the answer, if there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Trouble::Refused { status, .. } => Some(*status),
            Trouble::Failed { .. } => None,
        }
    }
}

/// A cluster that is written to.
#[derive(Clone)]
pub(super) struct Api {
    client: kube::Client,
    answer: Duration,
}

impl Api {
    pub(super) fn new(client: kube::Client, answer: Duration) -> Api {
        Api { client, answer }
    }

    /// The namespace that this server has in the cluster.
    pub(super) fn namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// An object of a collection; none if there is none.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        collection: &str,
        name: &str,
    ) -> Result<Option<T>, Trouble> {
        let request = Request::new(collection).get(name, &GetParams::default());
        match self.ask(what, request).await {
            Ok(object) => Ok(Some(object)),
            Err(trouble) if trouble.status() == Some(404) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) async fn create(
        &self,
        what: &'static str,
        collection: &str,
        object: &impl Serialize,
    ) -> Result<Value, Trouble> {
        let body = serde_json::to_vec(object).map_err(|error| failed(what, error))?;
        self.ask(what, Request::new(collection).create(&manager(), body))
            .await
    }

    pub(super) async fn replace(
        &self,
        what: &'static str,
        collection: &str,
        name: &str,
        object: &impl Serialize,
    ) -> Result<Value, Trouble> {
        let body = serde_json::to_vec(object).map_err(|error| failed(what, error))?;
        let request = Request::new(collection).replace(name, &manager(), body);
        self.ask(what, request).await
    }

    /// Changes the status of an object of ours, and gives the object.
    pub(super) async fn patch_status(
        &self,
        object: &ObjectKey,
        patch: &Value,
    ) -> Result<Value, Trouble> {
        let collection = collection(object.kind, object.namespace.as_deref());
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let request = Request::new(collection);
        let patch = Patch::Merge(patch);
        let request = request.patch_subresource("status", &object.name, &params, &patch);
        self.ask("cannot write a status", request).await
    }

    /// A page of the objects of a kind of ours, and where the next one begins.
    pub(super) async fn list(
        &self,
        kind: Kind,
        from: Option<String>,
    ) -> Result<(Vec<Value>, Option<String>), Trouble> {
        let params = ListParams {
            limit: Some(PAGE),
            continue_token: from,
            ..ListParams::default()
        };
        let request = Request::new(collection(kind, None)).list(&params);
        let mut list: Value = self
            .ask("cannot read what status there is", request)
            .await?;
        let next = list.pointer("/metadata/continue").and_then(Value::as_str);
        let next = next.filter(|next| !next.is_empty()).map(str::to_owned);
        let items = match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        Ok((items, next))
    }

    async fn ask<T: DeserializeOwned, E: std::fmt::Display>(
        &self,
        what: &'static str,
        request: Result<http::Request<Vec<u8>>, E>,
    ) -> Result<T, Trouble> {
        let request = request.map_err(|error| failed(what, error))?;
        let answer = tokio::time::timeout(self.answer, self.client.request(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Err(Trouble::Refused {
                what,
                status: status.code,
                message: status.message,
            }),
            Ok(Err(error)) => Err(failed(what, error)),
            Err(_) => Err(failed(what, format!("no answer within {:?}", self.answer))),
        }
    }
}

/// Path of the objects of a kind of ours, in one namespace or in all.
fn collection(kind: Kind, namespace: Option<&str>) -> String {
    let plural = format!("{}s", kind.as_str().to_ascii_lowercase()).replace("ys", "ies");
    match namespace {
        Some(namespace) => format!("/apis/{API_VERSION}/namespaces/{namespace}/{plural}"),
        None => format!("/apis/{API_VERSION}/{plural}"),
    }
}

fn manager() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

fn failed(what: &'static str, error: impl std::fmt::Display) -> Trouble {
    Trouble::Failed {
        what,
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use meshwall_mesh_config::crds;

    use super::*;

    #[test]
    fn statuses_are_written_where_the_definitions_put_them() {
        let defined =
            crds::all().map(|definition| format!("/apis/{API_VERSION}/{}", definition.plural));
        let mut defined = defined.to_vec();
        let mut written = Kind::POLICIES.map(|kind| collection(kind, None)).to_vec();
        defined.sort();
        written.sort();
        assert_eq!(written, defined);
    }
}
