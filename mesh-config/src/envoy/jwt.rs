//! Verification of tokens by Envoy, so that the firewall can decide on their claims.

use super::contract::JWT_CLAIMS;
use super::tree::{Tree, entry, extension, list, map};

/// Someone whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtIssuer {
    /// A name for the issuer within the configuration.
    pub name: String,
    /// The claim `iss` that its tokens have.
    pub issuer: String,
    /// Values of the claim `aud` of which a token must have one; any will do if there are
    /// none here.
    pub audiences: Vec<String>,
    /// Its public keys, a JSON Web Key Set (RFC 7517).
    pub jwks: String,
}

/// The filter that verifies tokens. It goes before the firewall.
pub(super) fn filter(issuers: &[JwtIssuer]) -> Tree {
    let providers = issuers
        .iter()
        .map(|issuer| entry(issuer.name.clone(), issuer.to_tree()));
    let any_of = issuers
        .iter()
        .map(|issuer| map([entry("provider_name", &issuer.name)]))
        .chain([map([entry("allow_missing", map([]))]).because(
            "A request without a token goes on without claims, and the firewall decides. One \
             with a token that does not verify ends here: 401.",
        )]);
    let requirement = map([entry(
        "requires_any",
        map([entry("requirements", list(any_of))]),
    )]);
    let rule = map([
        entry("match", map([entry("prefix", "/")])),
        entry("requires", requirement),
    ]);
    extension(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        [
            entry("providers", map(providers)),
            entry("rules", list([rule])),
        ],
    )
}

impl JwtIssuer {
    /// A `JwtProvider`.
    fn to_tree(&self) -> Tree {
        let audiences =
            (!self.audiences.is_empty()).then(|| entry("audiences", list(self.audiences.iter())));
        map([entry("issuer", &self.issuer)]).and(audiences).and([
            entry("local_jwks", map([entry("inline_string", &self.jwks)])),
            entry("forward", true).because("The application may want to see the token too."),
            entry("payload_in_metadata", JWT_CLAIMS)
                .because("Where the firewall finds the claims."),
        ])
    }
}
