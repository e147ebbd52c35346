//! A bundle, with what follows from it for every request.

use meshwall_filter_host::property::PropertyPath;
use meshwall_policy::bundle::Bundle;
use meshwall_policy::program::Needs;

use crate::observe::Counters;

/// Where, in dynamic metadata, `jwt_authn` leaves the claims of a verified token.
const JWT_METADATA: &str = "envoy.filters.http.jwt_authn";
/// The key that the listener tells `jwt_authn` to use (`payload_in_metadata`).
const JWT_PAYLOAD: &str = "payload";

/// What a plugin is used as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// HTTP filter, root id `http`.
    Http,
    /// Network filter, root id `network`.
    Network,
}

/// A bundle, and what follows from it for every request.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) bundle: Bundle,
    pub(crate) needs: Needs,
    /// Claims that the program looks at: their path, and the property that holds them.
    pub(crate) claims: Vec<(String, PropertyPath)>,
    pub(crate) counters: Counters,
}

impl Installed {
    pub(crate) fn new(bundle: Bundle) -> Installed {
        let claims = bundle
            .program
            .claims(bundle.direction)
            .filter_map(|claim| {
                let segments: Vec<&str> = std::iter::once(JWT_PAYLOAD)
                    .chain(claim.split('\0'))
                    .collect();
                // A path that cannot be a property is a claim that no token has.
                let property = PropertyPath::filter_metadata(JWT_METADATA, &segments).ok()?;
                Some((claim.to_owned(), property))
            })
            .collect();
        Installed {
            needs: bundle.program.needs(bundle.direction),
            claims,
            counters: Counters::new(bundle.program.rules()),
            bundle,
        }
    }

    /// What keeping it costs, in bytes.
    pub(crate) fn size(&self) -> usize {
        let Bundle { program, peers, .. } = &self.bundle;
        program.bytes().len() + peers.bytes().len()
    }
}
