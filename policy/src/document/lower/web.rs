//! The parts of HTTP requests: hosts, methods, paths, names of headers, gRPC.
//!
//! Rules compare bytes with normal forms ([`crate::path`], [`crate::text`]). A value in another
//! form would match nothing, and is refused with the normal form as suggestion.

use super::super::error::quotable;
use super::super::hints;
use super::super::reason::Form;
use super::Fault;
use super::strings::{Misplaced, Wildcard};
use crate::path::{PatternKind, TemplateFault, normalize_pattern};
use crate::spec::{PathTemplate, StringPattern};
use crate::text;

/// The methods of RFC 9110 and RFC 5789.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// A pattern of HTTP hosts.
pub(super) fn host(text: &str) -> Result<StringPattern, Fault> {
    let fault = |why: &'static str| Fault::new(Form::Host, why);
    if let Some((_, rest)) = text.split_once("://") {
        let name = rest.split(['/', '?', '#']).next().unwrap_or_default();
        return Err(fault("it has a scheme").replace(name));
    }
    if text.contains('/') {
        let hint = "paths are listed under `paths`";
        return Err(fault("it has a path").hint(hint));
    }
    let lower = text.to_ascii_lowercase();
    let wildcard =
        Wildcard::parse(&lower).map_err(|Misplaced| fault("`*` can stand only at one end"))?;
    let name = wildcard.text();
    if name.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(fault("an IPv6 address stands in brackets").replace(format!("[{name}]")));
    }
    match wildcard {
        Wildcard::Any => return Ok(StringPattern::NonEmpty),
        Wildcard::Exact(name) => {
            let mut out = Vec::new();
            if name.strip_prefix('.').is_some_and(|rest| !rest.is_empty()) {
                return Err(fault("it begins with a dot").replace(format!("*{name}")));
            }
            let normal = text::host::normalize(name.as_bytes(), &mut out)
                .map_err(|fault| Fault::new(Form::Host, fault.to_string()))?;
            let normal_name = String::from_utf8_lossy(normal.name).into_owned();
            if normal.port.is_some() {
                let why = "it has a port, and ports are listed under `ports`";
                return Err(fault(why).replace(normal_name));
            }
            if normal_name != name {
                return Err(fault("it is not in normal form").replace(normal_name));
            }
        }
        Wildcard::Prefix(part) | Wildcard::Suffix(part) => part_of_host(part, wildcard)?,
    }
    Ok(wildcard.with(name))
}

/// Checks the beginning or the end of a host.
fn part_of_host(part: &str, wildcard: Wildcard<'_>) -> Result<(), Fault> {
    let fault = |why: &'static str| Fault::new(Form::Host, why);
    if !part.is_ascii() {
        return Err(fault("host is not ASCII: the `xn--` form is needed"));
    }
    if let Some((name, port)) = part.split_once(':')
        && matches!(wildcard, Wildcard::Suffix(_))
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        let why = "it has a port, and ports are listed under `ports`";
        return Err(fault(why).replace(wildcard.write(name)));
    }
    let is_host =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'[' | b']');
    if !part.bytes().all(is_host) {
        return Err(fault("host contains a character that no host name has"));
    }
    if part.contains("..") || part == "." {
        return Err(fault("host contains an empty label (`..`)"));
    }
    if matches!(wildcard, Wildcard::Suffix(_)) && part.ends_with('.') {
        let name = part.trim_end_matches('.');
        return Err(fault("it is not in normal form").replace(wildcard.write(name)));
    }
    if matches!(wildcard, Wildcard::Prefix(_)) && part.starts_with('.') {
        return Err(fault("it begins with a dot"));
    }
    Ok(())
}

/// A pattern of server names of TLS, which are never addresses (RFC 6066, section 3).
pub(super) fn server_name(text: &str) -> Result<StringPattern, Fault> {
    let pattern = host(text)?;
    let is_address = match &pattern {
        StringPattern::Exact(name) => {
            name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok()
        }
        _ => false,
    };
    if is_address {
        return Err(Fault::new(
            Form::Host,
            "TLS clients do not ask for addresses by server name",
        ));
    }
    Ok(pattern)
}

/// A pattern of HTTP methods.
pub(super) fn method(text: &str) -> Result<StringPattern, Fault> {
    let fault = |why: &'static str| Fault::new(Form::Method, why);
    if text.is_empty() {
        return Err(fault("it is empty").hint("for any method remove the field"));
    }
    let wildcard =
        Wildcard::parse(text).map_err(|Misplaced| fault("`*` can stand only at one end"))?;
    if !wildcard.text().bytes().all(is_token) {
        return Err(fault("it has characters that a method cannot have"));
    }
    if let Wildcard::Exact(method) = wildcard
        && !METHODS.contains(&method)
    {
        let upper = method.to_ascii_uppercase();
        if METHODS.contains(&upper.as_str()) {
            return Err(fault("methods are in upper case").replace(upper));
        }
        let is_upper = upper == method;
        if let Some(close) = hints::closest(method, METHODS.into_iter()).filter(|_| !is_upper) {
            return Err(fault("methods are in upper case").replace(close));
        }
    }
    Ok(wildcard.with(wildcard.text()))
}

/// A pattern of paths, or a path template.
pub(super) fn path(text: &str) -> Result<StringPattern, Fault> {
    let fault = |why: &'static str| Fault::new(Form::Path, why);
    if text.is_empty() {
        return Err(fault("it is empty").hint("for any path remove the field"));
    }
    if text.contains('?') {
        return Err(fault("it has a query").hint("queries are matched by `query`"));
    }
    match PathTemplate::parse(text) {
        Ok(Some(template)) => return Ok(StringPattern::Template(template)),
        Ok(None) => {}
        Err(error) => return Err(template_fault(text, &error)),
    }
    let wildcard = match Wildcard::parse(text) {
        Ok(wildcard) => wildcard,
        Err(Misplaced) => {
            let fault = fault("`*` can stand only at one end");
            return Err(match as_template(text) {
                Some(template) => fault.replace(template),
                None => fault,
            });
        }
    };
    let kind = match wildcard {
        Wildcard::Any => return Ok(StringPattern::NonEmpty),
        Wildcard::Exact(_) => PatternKind::Exact,
        Wildcard::Prefix(_) => PatternKind::Prefix,
        Wildcard::Suffix(_) => PatternKind::Suffix,
    };
    let literal = wildcard.text();
    if kind != PatternKind::Suffix && !literal.starts_with('/') {
        let fault = fault("it does not begin with `/`");
        let slashed = wildcard.write(&format!("/{literal}"));
        let usable = !literal.contains("://") && path(&slashed).is_ok();
        return Err(if usable {
            fault.replace(slashed)
        } else {
            fault
        });
    }
    let normal = normalize_pattern(kind, literal)
        .map_err(|fault| Fault::new(Form::Path, quotable_words(&fault.to_string())))?;
    if normal != literal {
        return Err(fault("it is not in normal form").replace(wildcard.write(&normal)));
    }
    Ok(wildcard.with(literal))
}

/// What a path with `*` between slashes was meant to be.
fn as_template(text: &str) -> Option<String> {
    let segments = text.split('/').map(|segment| match segment {
        "*" => "{*}",
        "**" => "{**}",
        literal => literal,
    });
    let template = segments.collect::<Vec<_>>().join("/");
    matches!(PathTemplate::parse(&template), Ok(Some(_))).then_some(template)
}

fn template_fault(text: &str, error: &TemplateFault) -> Fault {
    let fault = |why: &'static str| Fault::new(Form::Path, why);
    match error {
        TemplateFault::NotNormal { normal } => fault("it is not in normal form").replace(normal),
        TemplateFault::Relative => {
            let slashed = format!("/{text}");
            let usable = matches!(PathTemplate::parse(&slashed), Ok(Some(_)));
            let fault = fault("a path template begins with `/`");
            if usable {
                fault.replace(slashed)
            } else {
                fault
            }
        }
        TemplateFault::UnknownOperator { .. } => {
            let why = "`{*}` stands for one segment and `{**}` for the rest; there are no other \
                       operators";
            let segments = text.split('/').map(|segment| {
                let is_named = segment.starts_with('{')
                    && segment.ends_with('}')
                    && segment.matches(['{', '}']).count() == 2;
                if is_named && segment != "{**}" {
                    "{*}"
                } else {
                    segment
                }
            });
            let template = segments.collect::<Vec<_>>().join("/");
            let usable = matches!(PathTemplate::parse(&template), Ok(Some(_)));
            if usable {
                fault(why).replace(template)
            } else {
                fault(why)
            }
        }
        TemplateFault::Asterisk { .. } => match as_template(text) {
            Some(template) => fault("`*` in a template stands in braces").replace(template),
            None => fault("`*` in a template stands in braces, for a whole segment"),
        },
        _ => Fault::new(Form::Path, quotable_words(&error.to_string())),
    }
}

/// A reason that may repeat what a user wrote, word by word printable.
fn quotable_words(reason: &str) -> String {
    reason
        .split(' ')
        .map(quotable)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The name of a header, in lower case.
pub(super) fn header_name(name: &str) -> Result<String, Fault> {
    let fault = |why: &'static str| Fault::new(Form::HeaderName, why);
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "" => Err(fault("it is empty")),
        ":method" => Err(fault("it is a pseudo-header").hint("use `methods`")),
        ":path" => Err(fault("it is a pseudo-header").hint("use `paths` and `query`")),
        ":authority" => Err(fault("it is a pseudo-header").hint("use `hosts`")),
        "host" => Err(fault("proxies turn it into `:authority`").hint("use `hosts`")),
        _ if lower.starts_with(':') => Err(fault("it is a pseudo-header")),
        _ if !lower.bytes().all(is_token) => Err(fault(
            "it has characters that the name of a header cannot have",
        )),
        _ => Ok(lower),
    }
}

/// Checks the name of a query parameter.
pub(super) fn query_name(name: &str) -> Result<(), Fault> {
    let fault = |why: &'static str| Fault::new(Form::QueryName, why);
    if name.is_empty() {
        return Err(fault("it is empty"));
    }
    if name.chars().any(char::is_control) {
        return Err(fault("it has control characters"));
    }
    Ok(())
}

/// Checks the full name of a gRPC service: identifiers of protobuf with dots between them.
pub(super) fn grpc_service(name: &str) -> Result<(), Fault> {
    let fault = |why: &'static str| Fault::new(Form::GrpcService, why);
    if let Some((service, method)) = name.trim_start_matches('/').split_once('/') {
        let method = quotable(method);
        let service = quotable(service);
        return Err(fault("it is a path").hint(format!(
            "write `service: {service}` and `methods: [{method}]`"
        )));
    }
    if name.contains('*') {
        return Err(
            fault("it must be written out").hint("for patterns use `paths`, as in `/shop.*`")
        );
    }
    if name.split('.').all(is_identifier) {
        return Ok(());
    }
    Err(fault(
        "names of letters, digits and `_`, with a `.` between them, as in `shop.Payments`",
    ))
}

/// Checks the name of a gRPC method: an identifier of protobuf.
pub(super) fn grpc_method(name: &str) -> Result<(), Fault> {
    let fault = |why: &'static str| Fault::new(Form::GrpcMethod, why);
    if name == "*" {
        return Err(fault("it must be written out").hint("for all methods remove the field"));
    }
    if is_identifier(name) {
        return Ok(());
    }
    Err(fault(
        "letters, digits and `_`, with a letter or `_` in front",
    ))
}

fn is_identifier(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}
