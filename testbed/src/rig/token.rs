//! Tokens (JWT) of an issuer, and the keys to verify them with.
//!
//! Signed with ES256 (RFC 7518, section 3.4), in the compact form of RFC 7515.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A key could not be made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot make or use a key for tokens")]
pub struct KeyError;

/// Someone who signs tokens.
#[derive(Debug)]
pub struct TokenIssuer {
    issuer: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl TokenIssuer {
    /// An issuer with a fresh key; `issuer` is the claim `iss` of its tokens.
    ///
    /// # Errors
    ///
    /// If no key can be made.
    pub fn new(issuer: impl Into<String>) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| KeyError)?;
        let key =
            EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).map_err(|_| KeyError)?;
        Ok(Self {
            issuer: issuer.into(),
            key,
            random,
        })
    }

    /// The claim `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its public key as a JSON Web Key Set (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> String {
        // SEC 1, section 2.3.3: 4, then 32 bytes of each coordinate.
        let point = self.key.public_key().as_ref();
        let coordinate = |from: usize| {
            BASE64URL.encode(point.get(from..from.saturating_add(32)).unwrap_or_default())
        };
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "rig",
            "x": coordinate(1), "y": coordinate(33),
        });
        json!({ "keys": [key] }).to_string()
    }

    /// A token with these claims, an object, to which `iss` is added unless it is there.
    ///
    /// # Errors
    ///
    /// If the key cannot be used.
    pub fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        let mut claims = claims.clone();
        if let Some(claims) = claims.as_object_mut() {
            claims
                .entry("iss")
                .or_insert_with(|| self.issuer.clone().into());
        }
        let header = json!({ "alg": "ES256", "kid": "rig", "typ": "JWT" });
        let part = |value: &Value| BASE64URL.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self
            .key
            .sign(&self.random, signed.as_bytes())
            .map_err(|_| KeyError)?;
        Ok(format!("{signed}.{}", BASE64URL.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_issuer_unless_told_otherwise() {
        let issuer = TokenIssuer::new("https://issuer.example").unwrap();
        for (claims, expected) in [
            (
                json!({ "sub": "a" }),
                json!({ "sub": "a", "iss": "https://issuer.example" }),
            ),
            (json!({ "iss": "b" }), json!({ "iss": "b" })),
        ] {
            let token = issuer.sign(&claims).unwrap();
            let payload = token.split('.').nth(1).unwrap();
            let payload = BASE64URL.decode(payload).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), expected);
        }
    }
}
