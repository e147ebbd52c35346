//! Identities: service accounts, SPIFFE ids, trust domains, namespaces.
//!
//! Ids are those of the SPIFFE standard (SPIFFE-ID, section 2): `spiffe://`, a trust domain of
//! lower-case letters, digits, `.`, `-` and `_`, and a path. A value that could be no part of an
//! id would match nothing, and is refused.

use super::super::error::quotable;
use super::super::reason::Form;
use super::strings::{Misplaced, Wildcard};
use super::{Fault, Suggestion, names};
use crate::spec::StringPattern;

const SCHEME: &str = "spiffe://";

/// Longest SPIFFE id in bytes (SPIFFE-ID, section 2.3).
const MAX_ID: usize = 2048;

/// Longest trust domain in bytes (SPIFFE-ID, section 2.3).
const MAX_TRUST_DOMAIN: usize = 255;

/// A pattern of SPIFFE ids.
pub(super) fn principal(text: &str) -> Result<StringPattern, Fault> {
    let fault = |why: &'static str| Fault::new(Form::Principal, why);
    if text.is_empty() {
        return Err(fault("it is empty").hint("for any identity write `*`"));
    }
    if text.len() > MAX_ID {
        return Err(fault("it is longer than 2,048 bytes"));
    }
    let wildcard = match Wildcard::parse(text) {
        Ok(wildcard) => wildcard,
        Err(Misplaced) => return Err(misplaced(text)),
    };
    match wildcard {
        Wildcard::Any => return Ok(StringPattern::NonEmpty),
        Wildcard::Suffix(suffix) => {
            if !suffix.bytes().all(|b| is_path_byte(b) || b == b'/') {
                return Err(fault("it has characters that a SPIFFE id cannot have"));
            }
            return Ok(StringPattern::Suffix(suffix.to_owned()));
        }
        Wildcard::Exact(_) | Wildcard::Prefix(_) => {}
    }
    let id = match wildcard.text().split_once("://") {
        Some(("spiffe", id)) => id,
        Some((scheme, id)) if scheme.eq_ignore_ascii_case("spiffe") => {
            let with = wildcard.write(&format!("{SCHEME}{id}"));
            return Err(fault("its scheme is not in lower case").replace(with));
        }
        Some(_) => return Err(fault("its scheme is not `spiffe://`")),
        None => wildcard.text(),
    };
    let (trust_domain, path) = match id.split_once('/') {
        Some((trust_domain, path)) => (trust_domain, Some(path)),
        None => (id, None),
    };
    let lower = trust_domain.to_ascii_lowercase();
    let is_part = lower.bytes().all(is_trust_domain_byte) && lower.len() <= MAX_TRUST_DOMAIN;
    let is_whole = path.is_some() || matches!(wildcard, Wildcard::Exact(_));
    if !is_part || is_whole && lower.is_empty() {
        return Err(fault(
            "what stands before the first `/` is not a trust domain",
        ));
    }
    if lower != trust_domain {
        let id = path.map_or(lower.clone(), |path| format!("{lower}/{path}"));
        let fault = fault("its trust domain is not in lower case");
        return Err(fault.replace(wildcard.write(&id)));
    }
    match (path, wildcard) {
        (None, Wildcard::Exact(_)) => {
            let fault = fault("it is a trust domain only");
            return Err(fault.replace(format!("{trust_domain}/*")));
        }
        (Some(path), Wildcard::Exact(_)) if path.ends_with('/') => {
            let fault = fault("its path has an empty segment");
            return Err(fault.replace(format!("{}*", wildcard.text())));
        }
        (Some(path), _) => path_of_id(path, matches!(wildcard, Wildcard::Exact(_)))?,
        (None, _) => {}
    }
    Ok(wildcard.with(format!("{SCHEME}{id}")))
}

/// Whether all ids that a pattern matches are of one trust domain.
pub(super) fn names_trust_domain(principal: &StringPattern) -> bool {
    match principal {
        StringPattern::Exact(_) => true,
        StringPattern::Prefix(id) => id.strip_prefix(SCHEME).is_some_and(|id| id.contains('/')),
        _ => false,
    }
}

/// Checks the path of an id, or its beginning.
fn path_of_id(path: &str, is_whole: bool) -> Result<(), Fault> {
    let fault = |why: &'static str| Fault::new(Form::Principal, why);
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_cut = !is_whole && segments.peek().is_none();
        if !segment.bytes().all(is_path_byte) {
            return Err(fault("it has characters that a SPIFFE id cannot have"));
        }
        if segment.is_empty() && !is_cut {
            return Err(fault("its path has an empty segment"));
        }
        if matches!(segment, "." | "..") && !is_cut {
            return Err(fault("its path has a segment `.` or `..`"));
        }
    }
    Ok(())
}

/// The fault of an id with a `*` in its midst, with what says the same where there is something.
fn misplaced(text: &str) -> Fault {
    let fault = Fault::new(Form::Principal, "`*` can stand only at one end");
    let id = text.strip_prefix(SCHEME).unwrap_or(text);
    let segments: Vec<&str> = id.split('/').collect();
    match segments.as_slice() {
        ["*", "ns", "*", "sa", account] if *account != "*" => {
            fault.replace(format!("*/sa/{account}"))
        }
        ["*", "ns", namespace, "sa", "*"] | ["*", "ns", namespace, "*"] if *namespace != "*" => {
            let namespace = quotable(namespace);
            fault.hint(format!("write `namespaces: [{namespace}]`"))
        }
        [trust_domain, "ns", "*", "sa", account] if *account != "*" && *trust_domain != "*" => {
            let trust_domain = quotable(trust_domain);
            let account = quotable(account);
            fault.hint(format!(
                "write `trustDomains: [{trust_domain}]` and `principals: [\"*/sa/{account}\"]`"
            ))
        }
        _ => fault,
    }
}

/// A trust domain.
pub(super) fn trust_domain(text: &str) -> Result<StringPattern, Fault> {
    let fault = |why: &'static str| Fault::new(Form::TrustDomain, why);
    if text.contains('*') {
        return Err(fault("it must be written out").hint("patterns go to `principals`"));
    }
    if let Some(id) = text.strip_prefix(SCHEME) {
        let trust_domain = id.split('/').next().unwrap_or_default();
        return Err(fault("it has no scheme and no path").replace(trust_domain));
    }
    let lower = text.to_ascii_lowercase();
    let valid = !lower.is_empty()
        && lower.len() <= MAX_TRUST_DOMAIN
        && lower.bytes().all(is_trust_domain_byte);
    if !valid {
        let why = "lower-case letters, digits, `.`, `-` and `_`, at most 255 characters";
        return Err(fault(why));
    }
    if lower != text {
        return Err(fault("it is not in lower case").replace(lower));
    }
    Ok(StringPattern::Exact(lower))
}

/// A pattern of namespaces.
pub(super) fn namespace(text: &str) -> Result<StringPattern, Fault> {
    let fault = |why: &'static str| Fault::new(Form::Namespace, why);
    let wildcard =
        Wildcard::parse(text).map_err(|Misplaced| fault("`*` can stand only at one end"))?;
    match wildcard {
        Wildcard::Any => return Ok(StringPattern::NonEmpty),
        Wildcard::Exact(name) => names::namespace(name)?,
        Wildcard::Prefix(part) | Wildcard::Suffix(part) => {
            let is_part = part.len() <= 63
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !is_part {
                return Err(fault(
                    "it has characters that the name of a namespace cannot have",
                ));
            }
        }
    }
    Ok(wildcard.with(wildcard.text()))
}

/// A service account, or all of a namespace, as `namespace/name` or `namespace/`.
pub(super) fn service_account(
    text: &str,
    own_namespace: Option<&str>,
) -> Result<StringPattern, Fault> {
    let fault = |why: &'static str| Fault::new(Form::ServiceAccount, why);
    if let Some(name) = text.strip_prefix("system:serviceaccount:") {
        let fault = fault("it is written as a user of the API server");
        return Err(fault.replace(name.replacen(':', "/", 1)));
    }
    if text.starts_with(SCHEME) || text.matches('/').count() > 1 {
        return Err(fault("it is a SPIFFE id").hint("ids are listed under `principals`"));
    }
    let Some((namespace, name)) = text.split_once('/') else {
        if text == "*" {
            let hint = own_namespace.map_or_else(
                || "for any identity write `principals: [\"*\"]`".to_owned(),
                |own| {
                    let own = quotable(own);
                    format!(
                        "for all of the namespace write `{own}/*`, for any identity \
                         `principals: [\"*\"]`"
                    )
                },
            );
            return Err(fault("it does not say of which namespace").hint(hint));
        }
        names::service_account(text)?;
        return match own_namespace {
            Some(own) => Ok(StringPattern::Exact(format!("{own}/{text}"))),
            None => Err(fault("it does not say of which namespace")
                .hint(format!("write `NAMESPACE/{text}`"))),
        };
    };
    if namespace.contains('*') {
        let name = quotable(name);
        let hint = format!("for one of any namespace write `principals: [\"*/sa/{name}\"]`");
        return Err(fault("its namespace must be written out").hint(hint));
    }
    names::namespace(namespace).map_err(|fault| match fault.suggestion {
        Some(Suggestion::Replace(namespace)) => Fault {
            suggestion: None,
            ..fault
        }
        .replace(format!("{namespace}/{name}")),
        _ => fault,
    })?;
    if name == "*" {
        return Ok(StringPattern::Prefix(format!("{namespace}/")));
    }
    if name.contains('*') {
        let fault = fault("it can be `*` only as a whole");
        return Err(fault.replace(format!("{namespace}/*")));
    }
    names::service_account(name)?;
    Ok(StringPattern::Exact(text.to_owned()))
}

fn is_trust_domain_byte(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
}

fn is_path_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_spiffe_ids() {
        let exact = |text: &str| StringPattern::Exact(text.to_owned());
        let prefix = |text: &str| StringPattern::Prefix(text.to_owned());
        let table = [
            (
                "cluster.local/ns/shop/sa/web",
                exact("spiffe://cluster.local/ns/shop/sa/web"),
            ),
            (
                "spiffe://cluster.local/ns/shop/sa/web",
                exact("spiffe://cluster.local/ns/shop/sa/web"),
            ),
            (
                "spiffe://partner.example/batch",
                exact("spiffe://partner.example/batch"),
            ),
            (
                "cluster.local/ns/shop/*",
                prefix("spiffe://cluster.local/ns/shop/"),
            ),
            ("cluster*", prefix("spiffe://cluster")),
            ("spiffe://*", prefix("spiffe://")),
            ("*/sa/web", StringPattern::Suffix("/sa/web".to_owned())),
            ("*", StringPattern::NonEmpty),
        ];
        for (text, expected) in table {
            assert_eq!(principal(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "cluster.local",
            "/ns/shop",
            "spiffe:///x",
            "https://a/b",
            "a/b/",
            "a//b",
            "a/./b",
            "a/../b",
            "a/b c",
            "a/%41",
            "A/b",
            "a/*/c",
            "*a*",
            "*:x",
        ] {
            assert!(principal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn accounts_have_a_namespace() {
        let exact = |text: &str| Ok(StringPattern::Exact(text.to_owned()));
        assert_eq!(service_account("web", Some("shop")), exact("shop/web"));
        assert_eq!(
            service_account("ops/web.v2", Some("shop")),
            exact("ops/web.v2")
        );
        assert_eq!(
            service_account("ops/*", None),
            Ok(StringPattern::Prefix("ops/".to_owned()))
        );
        for text in [
            "web", "*", "*/web", "ops/w*", "ops/", "/web", "a/b/c", "Ops/web", "",
        ] {
            assert!(service_account(text, None).is_err(), "{text}");
        }
    }
}
