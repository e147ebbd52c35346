//! Our server as a process of its own: `meshwall-bench-xds serve`.
//!
//! It prints its address, and then does what the lines of its standard input say until there are
//! no more. Every client has the view that its node names as its cluster.

use std::io::{BufRead, Write, stdin, stdout};
use std::sync::Arc;

use anyhow::{Context, Result};
use meshwall_xds_server::protocol::type_url::EXTENSION_CONFIG;
use meshwall_xds_server::protocol::{Node, Resource, ResourceName};
use meshwall_xds_server::{
    Authorizer, Change, Denied, Peer, Security, Server, Settings, ViewKey, any,
};

use crate::command::{Command, Content, PROGRAM, SHARED_VIEW, Sharing, client_view, shared_name};

struct ByCluster;

impl Authorizer for ByCluster {
    fn authorize(&self, _: &Peer, node: &Node) -> Result<ViewKey, Denied> {
        Ok(node.cluster.as_str().into())
    }
}

/// Serves until standard input ends.
///
/// Commands are read on the main thread: a thread that comes and goes would take with it what
/// `/proc` says of its processor time.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let server = Server::new(Settings::default(), Arc::new(ByCluster));
    let any_port = ([127, 0, 0, 1], 0).into();
    let address = runtime.block_on(server.listen(any_port, Security::Plaintext))?;
    say(&address.to_string())?;
    for line in stdin().lock().lines() {
        let done = obey(&server, line?.parse()?)?;
        say(&done.to_string())?;
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn obey(server: &Server, command: Command) -> Result<usize> {
    let changes = match command {
        Command::Streams => return Ok(server.stream_count()),
        Command::All { clients, content } => all(clients, content)?,
        Command::Names { count, content } => {
            let changes = (0..count).map(|index| named(index, content));
            changes.collect::<Result<_>>()?
        }
        Command::One { index, content } => vec![named(index, content)?],
    };
    Ok(server.publish(changes))
}

fn all(clients: usize, content: Content) -> Result<Vec<Change>> {
    let shared = resource(PROGRAM, 0, content)?;
    (0..clients)
        .map(|index| {
            let resource = match content.sharing {
                Sharing::One => shared.clone(),
                Sharing::Own => resource(PROGRAM, index, content)?,
            };
            Ok(set(&client_view(index), resource))
        })
        .collect()
}

fn named(index: usize, content: Content) -> Result<Change> {
    let resource = resource(&shared_name(index), index, content)?;
    Ok(set(SHARED_VIEW, resource))
}

fn set(view: &str, resource: Arc<Resource>) -> Change {
    Change::Set {
        view: view.into(),
        type_url: EXTENSION_CONFIG.into(),
        resource,
    }
}

fn resource(name: &str, owner: usize, content: Content) -> Result<Arc<Resource>> {
    let Content { version, bytes, .. } = content;
    let mut message = format!("{owner} {version} ").into_bytes();
    message.resize(bytes.max(message.len()), b'.');
    Ok(Arc::new(Resource {
        name: ResourceName::new(name).context("a name that cannot be one")?,
        version: version.to_string().as_str().into(),
        body: any(EXTENSION_CONFIG, &message),
        ttl: None,
        aliases: Vec::new(),
    }))
}
