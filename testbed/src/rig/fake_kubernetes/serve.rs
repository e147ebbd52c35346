//! Connections, requests, and what is done about them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answer::{Cut, Failure, Reply, json_answer, stream_answer};
use super::fault::{Availability, Fault, Verb};
use super::path::{Target, parameters};
use super::selector::Selector;
use super::store::{Kind, merge};
use super::watch::Watching;
use super::{Seen, Shared, State};

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task when it is aborted, and aborts the connections in turn.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that was reset before it was accepted is no reason to stop.
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(move |request| serve(request, Arc::clone(&shared)));
                    // An error here is the client breaking off, or a fault that was asked for.
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers a request. An error closes the connection.
async fn serve(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Reply>, Cut> {
    available(&shared).await?;
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    if head.uri.path() == "/readyz" {
        return Ok(json_answer(200, &json!("ok")));
    }
    let Some(target) = Target::parse(head.uri.path()) else {
        let failure = Failure::new(404, "the server could not find the requested resource");
        return Ok(failure.answer());
    };
    let parameters = parameters(query);
    if head.method == Method::GET && target.name.is_none() {
        return collection(&shared, target, query, &parameters).await;
    }
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let body = if body.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_slice(&body)
    };
    let Ok(body) = body else {
        return Ok(Failure::new(400, "the body is not JSON").answer());
    };
    let apply = head
        .headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|name| name.as_bytes().starts_with(b"application/apply-patch"));
    let done = shared.change(|state| write(state, &head.method, &target, body, apply));
    Ok(match done {
        Ok((status, object)) => json_answer(status, &object),
        Err(failure) => failure.answer(),
    })
}

/// Waits while the server is frozen.
async fn available(shared: &Shared) -> Result<(), Cut> {
    let mut changed = shared.changed.subscribe();
    loop {
        match shared.state().faults.availability {
            Availability::Up => return Ok(()),
            Availability::Down => return Err(Cut),
            Availability::Frozen => {}
        }
        changed.changed().await.map_err(|_| Cut)?;
    }
}

/// Reads, writes or deletes one object.
fn write(
    state: &mut State,
    method: &Method,
    target: &Target,
    body: Value,
    apply: bool,
) -> Result<(u16, Arc<Value>), Failure> {
    let store = &mut state.store;
    let kind = store.kind(target)?;
    let ok = |object| Ok((200, object));
    match method.as_str() {
        "GET" => store.read(&kind, target).and_then(ok),
        "POST" => Ok((201, store.create(&kind, target, body)?)),
        "PUT" => store.replace(&kind, target, body).and_then(ok),
        "DELETE" => store.delete(&kind, target).and_then(ok),
        "PATCH" => match store.read(&kind, target) {
            Ok(current) => {
                let mut object = Value::clone(&current);
                merge(&mut object, body);
                store.replace(&kind, target, object).and_then(ok)
            }
            Err(_) if apply => Ok((201, store.create(&kind, target, body)?)),
            Err(missing) => Err(missing),
        },
        _ => Err(Failure::new(405, "the server does not allow this method")),
    }
}

/// Lists or watches objects.
async fn collection(
    shared: &Arc<Shared>,
    target: Target,
    query: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<Response<Reply>, Cut> {
    let watch = matches!(
        parameters.get("watch").map(String::as_str),
        Some("1" | "true")
    );
    let verb = if watch { Verb::Watch } else { Verb::List };
    let fault = shared.change(|state| {
        state.seen.push(Seen {
            verb: Some(verb),
            plural: target.plural.clone(),
            query: query.to_owned(),
        });
        state.faults.next(verb, &target.plural)
    });
    match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset) => return Err(Cut),
        Some(Fault::Status(status)) => {
            let message = format!("this is a fault that was asked for: {status}");
            return Ok(Failure::new(status, message).answer());
        }
        _ => {}
    }
    let found = {
        let state = shared.state();
        state.store.kind(&target).and_then(|kind| {
            let selector = Selector::parse(target.namespace, parameters);
            let selector = selector.map_err(|part| {
                Failure::new(400, format!("unable to parse requirement: {part}"))
            })?;
            Ok((kind, selector))
        })
    };
    let (kind, selector) = match found {
        Ok(found) => found,
        Err(failure) => return Ok(failure.answer()),
    };
    let number = |name: &str| {
        parameters
            .get(name)
            .and_then(|text| text.parse::<u64>().ok())
    };
    if watch {
        let watching = Watching {
            kind,
            selector,
            revision: number("resourceVersion").filter(|revision| *revision > 0),
            bookmarks: parameters
                .get("allowWatchBookmarks")
                .is_some_and(|value| value == "true"),
            timeout: number("timeoutSeconds").map(Duration::from_secs),
            fault,
        };
        return Ok(stream_answer(watching.start(Arc::clone(shared))));
    }
    let page = Page {
        limit: number("limit").filter(|limit| *limit > 0),
        from: parameters.get("continue"),
        stale: match fault {
            Some(Fault::Stale(revision)) => Some(revision),
            _ => None,
        },
    };
    Ok(match list(&shared.state(), &kind, &selector, &page) {
        Ok(list) => json_answer(200, &list),
        Err(failure) => failure.answer(),
    })
}

/// Which part of a list is asked for.
struct Page<'a> {
    limit: Option<u64>,
    from: Option<&'a String>,
    stale: Option<u64>,
}

fn list(
    state: &State,
    kind: &Kind,
    selector: &Selector,
    page: &Page<'_>,
) -> Result<Value, Failure> {
    // REVISION:OBJECTS, the objects that were listed already. The pages of a list are all of the
    // revision of the first.
    let (revision, skipped) = match page.from.map(|token| token.split_once(':')) {
        None => (page.stale.unwrap_or_else(|| state.store.revision()), 0),
        Some(parts) => parts
            .and_then(|(revision, skipped)| Some((revision.parse().ok()?, skipped.parse().ok()?)))
            .ok_or_else(|| Failure::new(400, "continue key is not valid"))?,
    };
    let objects = state.store.list(kind, selector, revision)?;
    let limit = page.limit.and_then(|limit| usize::try_from(limit).ok());
    let rest = objects.get(skipped..).unwrap_or_default();
    let items = rest.get(..limit.unwrap_or(rest.len())).unwrap_or(rest);
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    let remaining = rest.len() - items.len();
    if let (1.., Some(metadata)) = (remaining, metadata.as_object_mut()) {
        let token = format!("{revision}:{}", skipped + items.len());
        metadata.insert("continue".to_owned(), token.into());
        metadata.insert("remainingItemCount".to_owned(), remaining.into());
    }
    // What the items are is said once, except where the server does not know them from the start.
    let items = items.iter().map(|item| {
        let mut item = Value::clone(item);
        if let (false, Some(fields)) = (kind.custom, item.as_object_mut()) {
            fields.shift_remove("apiVersion");
            fields.shift_remove("kind");
        }
        item
    });
    Ok(json!({
        "kind": format!("{}List", kind.name),
        "apiVersion": kind.api_version(),
        "metadata": metadata,
        "items": items.collect::<Vec<_>>(),
    }))
}
