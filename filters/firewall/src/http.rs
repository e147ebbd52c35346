//! Decides on requests.

use meshwall_filter_host::{Action, ContextId, GrpcStatus, HeaderMap, LocalReply, MapKind};
use meshwall_policy::attributes::Request;
use meshwall_policy::decide::{self, Scratch};
use meshwall_policy::decision::{Decision, Verdict};
use meshwall_policy::spec::Timestamp;

use crate::claims::Claims;
use crate::connection::Connection;
use crate::installed::Installed;
use crate::observe::Refusal;
use crate::policies::Current;
use crate::streams::State;
use crate::{Firewall, Proxy};

impl Firewall {
    pub(crate) fn decide_request<P: Proxy>(&mut self, proxy: &P, context: ContextId) -> Action {
        let root = self.streams.get(context).map(|stream| stream.root);
        let Some(current) = root.and_then(|root| self.policies.current(root)) else {
            if let Some(generation) = root.and_then(|root| self.policies.permits_until_first(root))
            {
                self.observer.permitted_until_first(proxy);
                self.streams
                    .settle(context, State::Permitted { generation });
                if let Ok(head) = proxy.header_map(MapKind::RequestHeaders) {
                    self.streams.keep(context, head);
                }
                return Action::Continue;
            }
            self.observer.failed(proxy, Refusal::NoPolicy);
            self.refuse(proxy, context, None, "meshwall_fault[no_policy]");
            return Action::Pause;
        };
        let decided = proxy
            .header_map(MapKind::RequestHeaders)
            .map_err(|_| Refusal::Headers)
            .and_then(|head| {
                let decision = request(proxy, &current, &head, &mut self.scratch)?;
                Ok((decision, head))
            });
        let (decision, head) = match decided {
            Ok(decided) => decided,
            Err(refusal) => {
                self.observer.failed(proxy, refusal);
                let details = format!("meshwall_fault[{}]", refusal.name());
                self.refuse(proxy, context, Some(&current.installed), &details);
                return Action::Pause;
            }
        };
        self.observer.decided(proxy, &current, &decision);
        match decision.enforced.verdict {
            Verdict::Allow => {
                let generation = current.generation;
                self.streams
                    .settle(context, State::Permitted { generation });
                self.streams.keep(context, head);
                Action::Continue
            }
            Verdict::Deny => {
                let cause = current
                    .installed
                    .bundle
                    .program
                    .cause(decision.enforced.cause);
                let details = format!("meshwall_denied[{cause}]");
                self.refuse(proxy, context, Some(&current.installed), &details);
                Action::Pause
            }
        }
    }

    /// Answers in place of the workload. The client learns that it was denied, and no more.
    fn refuse<P: Proxy>(
        &mut self,
        proxy: &P,
        context: ContextId,
        installed: Option<&Installed>,
        details: &str,
    ) {
        self.streams.settle(context, State::Refused);
        let denial = installed.map(|installed| installed.bundle.program.denial());
        let (status, body) = denial
            .map(|denial| (denial.status, denial.body))
            .unwrap_or((403, String::new()));
        let reply = LocalReply {
            details: details.as_bytes(),
            body: body.as_bytes(),
            grpc_status: Some(GrpcStatus::PERMISSION_DENIED),
            ..LocalReply::new(status)
        };
        if proxy.send_local_reply(&reply).is_err() {
            let _ = proxy.close_stream(meshwall_filter_host::StreamKind::Request);
        }
    }
}

/// Decides on the request of the effective context, which has this head.
pub(crate) fn request<P: Proxy>(
    proxy: &P,
    current: &Current,
    head: &HeaderMap,
    scratch: &mut Scratch,
) -> Result<Decision, Refusal> {
    let Current {
        role, installed, ..
    } = current;
    let Installed { bundle, .. } = &**installed;
    let headers: Vec<(&[u8], &[u8])> = head.iter().collect();
    let pseudo = |name: &[u8]| {
        headers
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    };
    // A request always has a method; without one, this is not the header map.
    let method = pseudo(b":method").ok_or(Refusal::Headers)?;
    let connection = Connection::read(proxy, *role, installed).map_err(Refusal::Missing)?;
    let claims = Claims::read(proxy, installed);
    let claims = claims.values();
    let request = Request {
        method,
        authority: pseudo(b":authority").unwrap_or_default(),
        path: pseudo(b":path").unwrap_or_default(),
        headers: &headers,
        claims: &claims,
    };
    let now = now(proxy, installed)?;
    let attributes = connection.attributes(bundle.direction, now, Some(request));
    Ok(decide::decide(
        &bundle.program,
        &bundle.peers,
        &attributes,
        scratch,
    ))
}

/// The time, if a policy expires; it costs a call.
pub(crate) fn now<P: Proxy>(proxy: &P, installed: &Installed) -> Result<Timestamp, Refusal> {
    if !installed.bundle.program.has_expiry() {
        return Ok(Timestamp(0));
    }
    let now = proxy.now().map_err(|_| Refusal::Clock)?;
    i64::try_from(now.as_secs())
        .map(Timestamp)
        .map_err(|_| Refusal::Clock)
}
