//! A filter in a proxy in memory, and policies to configure it with.

use std::collections::BTreeMap;
use std::net::IpAddr;

use meshwall_filter_host::fake::{HostCall, Proxy, SentReply};
use meshwall_filter_host::property::{PLUGIN_NAME, PLUGIN_ROOT_ID, Property};
use meshwall_filter_host::{
    Action, BufferKind, ContextId, Filter, MapKind, StreamKind, StreamToken,
};
use meshwall_firewall::Firewall;
use meshwall_policy::bundle;
use meshwall_policy::compile::{compile, peer_table};
use meshwall_policy::document::{Set, parse};
use meshwall_policy::inventory::{Inventory, Workload};
use meshwall_policy::spec::{Config, Direction, Policy};

pub(crate) const PEER_URI_SANS: Property<'static, Vec<u8>> =
    Property::from_encoded(b"filter_state\0meshwall.peer_uri_sans");
pub(crate) const PEER_ADDRESS: Property<'static, Vec<u8>> =
    Property::from_encoded(b"filter_state\0meshwall.peer_address");

pub(crate) const ROOT: ContextId = ContextId(1);
pub(crate) const FRONTEND: &str = "spiffe://cluster.local/ns/shop/sa/frontend";
pub(crate) const CONSOLE: &str = "spiffe://cluster.local/ns/ops/sa/console";

/// A policy of `ledger` with these ingress rules.
pub(crate) fn policy(rules: &str) -> String {
    format!(
        "apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {{name: ledger, namespace: shop}}
spec:
  ingress:{rules}"
    )
}

/// Permits `FRONTEND` to read below `/v1`.
pub(crate) fn frontend_reads() -> String {
    policy(
        "
  - name: read
    action: Allow
    from:
    - serviceAccounts: [frontend]
    operations:
    - paths: [/v1/*]
",
    )
}

/// What these documents mean for `ledger`. `FRONTEND` runs at 10.0.0.1.
pub(crate) fn bundle(documents: &str) -> Vec<u8> {
    bundle_for("ledger-0", documents)
}

pub(crate) fn bundle_for(pod: &str, documents: &str) -> Vec<u8> {
    let parsed = parse("policies", documents);
    assert_eq!(parsed.errors, []);
    let set = Set::from(parsed.documents);
    assert_eq!(set.errors, []);
    let policies: Vec<_> = set.policies.into_iter().map(|p| p.value).collect();
    let config = set.config.map(|config| config.value).unwrap_or_default();
    bundle_of(pod, Direction::Ingress, &config, &policies)
}

/// What these policies mean for `ledger` in one direction.
pub(crate) fn bundle_of(
    pod: &str,
    direction: Direction,
    config: &Config,
    policies: &[Policy],
) -> Vec<u8> {
    let workload = |name: &str, account: &str, address: [u8; 4]| Workload {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        labels: [("app".to_owned(), account.to_owned())].into(),
        service_account: account.to_owned(),
        trust_domain: "cluster.local".to_owned(),
        addresses: vec![IpAddr::from(address)],
        ports: BTreeMap::new(),
    };
    let ledger = workload(pod, "ledger", [10, 0, 0, 9]);
    let inventory = Inventory {
        namespaces: BTreeMap::new(),
        workloads: vec![
            ledger.clone(),
            workload("frontend-0", "frontend", [10, 0, 0, 1]),
        ],
    };
    let compiled = compile(config, policies, &inventory, &ledger).unwrap();
    let peers = peer_table(&compiled.sets, &inventory).unwrap();
    bundle::encode(direction, None, &compiled.program, &peers)
}

/// A filter with its proxy.
pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    filter: Firewall,
}

impl Rig {
    /// One without a policy.
    pub(crate) fn empty() -> Rig {
        Rig {
            proxy: Proxy::new(),
            filter: Firewall::new(),
        }
    }

    /// One that has this policy, as an HTTP filter.
    pub(crate) fn http(documents: &str) -> Rig {
        let mut rig = Rig::empty();
        assert!(rig.configure(ROOT, "http", &bundle(documents)));
        rig
    }

    /// One that has this policy, as a network filter.
    pub(crate) fn network(documents: &str) -> Rig {
        let mut rig = Rig::empty();
        assert!(rig.configure(ROOT, "network", &bundle(documents)));
        rig
    }

    pub(crate) fn configure(&mut self, root: ContextId, root_id: &str, bytes: &[u8]) -> bool {
        self.filter.on_context_create(&self.proxy, root, None);
        self.proxy.enter(root);
        self.proxy
            .stream(root)
            .property(PLUGIN_ROOT_ID, root_id)
            .property(PLUGIN_NAME, "meshwall.firewall")
            .buffer(BufferKind::PluginConfiguration, bytes);
        self.filter.on_configure(&self.proxy, root, bytes.len())
    }

    /// A request for a path by a peer that has these URI SANs.
    pub(crate) fn get(&mut self, context: u32, names: &str, path: &str) -> Action {
        self.request(context, names, &[(":method", "GET"), (":path", path)])
    }

    /// A request with this head.
    pub(crate) fn request(&mut self, context: u32, names: &str, head: &[(&str, &str)]) -> Action {
        let stream = self.proxy.stream(ContextId(context));
        stream
            .map(MapKind::RequestHeaders, head)
            .property(PEER_URI_SANS, names);
        let action = self.headers(ROOT, context);
        // Envoy shows the head of a request in this callback only.
        let none: [(&str, &str); 0] = [];
        self.proxy
            .stream(ContextId(context))
            .map(MapKind::RequestHeaders, &none);
        action
    }

    /// A request of a peer for `/v1/a` under another root context.
    pub(crate) fn get_under(&mut self, root: ContextId, context: u32, names: &str) -> Action {
        let head = [(":method", "GET"), (":path", "/v1/a")];
        self.proxy.end(ContextId(context));
        self.proxy
            .stream(ContextId(context))
            .map(MapKind::RequestHeaders, &head)
            .property(PEER_URI_SANS, names);
        self.headers(root, context)
    }

    /// The callback for a request whose stream is set up.
    pub(crate) fn headers(&mut self, root: ContextId, context: u32) -> Action {
        let context = ContextId(context);
        self.filter
            .on_context_create(&self.proxy, context, Some(root));
        self.proxy.enter(context);
        self.filter
            .on_request_headers(&self.proxy, context, 0, true)
    }

    /// A connection of a peer that has these URI SANs, up to its first data.
    pub(crate) fn connect(&mut self, context: u32, names: &str) -> Action {
        self.open(context, names);
        self.downstream_data(ContextId(context))
    }

    /// A connection of a peer that has these URI SANs, and says nothing.
    pub(crate) fn open(&mut self, context: u32, names: &str) {
        let context = ContextId(context);
        self.proxy.stream(context).property(PEER_URI_SANS, names);
        self.proxy.enter(context);
        self.filter
            .on_context_create(&self.proxy, context, Some(ROOT));
    }

    /// What was closed of a stream.
    pub(crate) fn closed(&self, context: u32) -> Vec<StreamKind> {
        self.proxy.stream(ContextId(context)).closed()
    }

    pub(crate) fn downstream_data(&mut self, context: ContextId) -> Action {
        self.proxy.enter(context);
        self.filter
            .on_downstream_data(&self.proxy, context, 1, false)
    }

    pub(crate) fn upstream_data(&mut self, context: ContextId) -> Action {
        self.proxy.enter(context);
        self.filter.on_upstream_data(&self.proxy, context, 1, false)
    }

    pub(crate) fn tick(&mut self, root: ContextId) {
        self.proxy.enter(root);
        self.filter.on_tick(&self.proxy, root);
    }

    pub(crate) fn grpc_receive(&mut self, root: ContextId, stream: StreamToken, message: &[u8]) {
        self.proxy.enter(root);
        self.proxy
            .stream(root)
            .buffer(BufferKind::GrpcMessage, message);
        self.filter
            .on_grpc_receive(&self.proxy, root, stream, message.len());
    }

    pub(crate) fn grpc_close(&mut self, root: ContextId, stream: StreamToken, status: u32) {
        self.proxy.enter(root);
        self.filter.on_grpc_close(&self.proxy, root, stream, status);
    }

    /// A connection of a peer under another root context, up to its first data.
    pub(crate) fn connect_under(&mut self, root: ContextId, context: u32, names: &str) -> Action {
        let context = ContextId(context);
        self.proxy.stream(context).property(PEER_URI_SANS, names);
        self.proxy.enter(context);
        self.filter
            .on_context_create(&self.proxy, context, Some(root));
        self.downstream_data(context)
    }

    pub(crate) fn delete(&mut self, context: ContextId) {
        self.proxy.enter(context);
        self.filter.on_delete(&self.proxy, context);
        self.proxy.end(context);
    }

    pub(crate) fn reply(&self, context: u32) -> Option<SentReply> {
        self.proxy.stream(ContextId(context)).reply()
    }

    /// The details of the reply to a request that was denied, none if it was not.
    pub(crate) fn details(&self, context: u32) -> Option<String> {
        let reply = self.reply(context)?;
        Some(String::from_utf8(reply.details).unwrap())
    }

    pub(crate) fn filter_state(&self, context: u32, key: &str) -> Option<String> {
        let value = self.proxy.stream(ContextId(context)).filter_state(key)?;
        Some(String::from_utf8(value).unwrap())
    }

    /// The calls to the proxy that `work` makes.
    pub(crate) fn calls_of(&mut self, work: impl FnOnce(&mut Rig)) -> BTreeMap<HostCall, u32> {
        self.proxy.reset_calls();
        work(self);
        self.proxy.calls()
    }
}
