//! Path templates, with the syntax and the meaning that Istio and Envoy give them.
//!
//! `{*}` stands for exactly one segment and `{**}` for any number of them. An operator is a whole
//! segment. There is at most one `{**}`, and only literal segments follow it. That is what Istio's
//! validation accepts (`CheckValidPathTemplate` in pkg/config/security); Envoy's `uri_template`
//! matcher turns it into a regular expression over the whole path, and its meaning, checked
//! against Envoy 1.40, is for normal paths:
//!
//! | template | matches | does not match |
//! |---|---|---|
//! | `/a/{*}` | `/a/b` | `/a`, `/a/`, `/a/b/`, `/a/b/c` |
//! | `/a/{*}/` | `/a/b/` | `/a/b` |
//! | `/a/{**}` | `/a/`, `/a/b`, `/a/b/`, `/a/b/c` | `/a` |
//! | `/{**}` | every path | |
//! | `/a/{**}/b` | `/a/x/b`, `/a/x/y/b` | `/a/b`, `/a/x/b/` |
//! | `/{**}/b` | `/a/b`, `/a/x/b` | `/b` |
//! | `/{**}/` | `/a/`, `/a/b/` | `/`, `/a` |
//!
//! Envoy's `{*}` and `{**}` take only octets that may stand in a URI as they are, and `%`; a normal
//! path has no others.

use std::fmt;

use super::pattern::{PatternFault, PatternKind, normalize_pattern};
use crate::spec::{PathTemplate, TemplateSegment};

const ONE: &str = "{*}";
const REST: &str = "{**}";

impl PathTemplate {
    /// Reads a template; `None` if the text has no braces and so is none.
    pub fn parse(text: &str) -> Result<Option<PathTemplate>, TemplateFault> {
        if !text.contains(['{', '}']) {
            return Ok(None);
        }
        let written = text.strip_prefix('/').ok_or(TemplateFault::Relative)?;
        let mut segments = Vec::new();
        let mut written = written.split('/').peekable();
        while let Some(segment) = written.next() {
            let is_last = written.peek().is_none();
            segments.push(match segment {
                ONE | REST if segments.contains(&TemplateSegment::Rest) => {
                    return Err(TemplateFault::AfterRest {
                        operator: segment.to_owned(),
                    });
                }
                ONE => TemplateSegment::One,
                REST => TemplateSegment::Rest,
                "" if is_last => TemplateSegment::Literal(String::new()),
                "" => return Err(TemplateFault::EmptySegment),
                segment => TemplateSegment::Literal(literal(segment)?),
            });
        }
        let template = PathTemplate { segments };
        let normal = template.to_string();
        if normal != text {
            return Err(TemplateFault::NotNormal { normal });
        }
        Ok(Some(template))
    }

    /// Whether a path in normal form matches.
    pub fn matches(&self, path: &[u8]) -> bool {
        matches(self.segments.iter().map(Segment::of), path)
    }

    /// Whether a path in normal form matches the template of this text, as
    /// [`Display`](fmt::Display) writes it.
    pub fn text_matches(template: &[u8], path: &[u8]) -> bool {
        let Some(segments) = template.strip_prefix(b"/") else {
            return false;
        };
        matches(
            segments.split(|byte| *byte == b'/').map(Segment::read),
            path,
        )
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| match segment {
            TemplateSegment::Literal(text) => write!(f, "/{text}"),
            TemplateSegment::One => write!(f, "/{ONE}"),
            TemplateSegment::Rest => write!(f, "/{REST}"),
        })
    }
}

/// A literal segment in normal form. No normal form has braces, so a literal is never taken for
/// an operator.
fn literal(segment: &str) -> Result<String, TemplateFault> {
    let fault = |fault: fn(String) -> TemplateFault| Err(fault(segment.to_owned()));
    if segment.contains(ONE) || segment.contains(REST) {
        return fault(|segment| TemplateFault::PartOfSegment { segment });
    }
    if segment.contains(['{', '}']) {
        return fault(|segment| TemplateFault::UnknownOperator { segment });
    }
    if segment.contains('*') {
        return fault(|segment| TemplateFault::Asterisk { segment });
    }
    let normal =
        normalize_pattern(PatternKind::Exact, &format!("/{segment}")).map_err(|fault| {
            TemplateFault::Literal {
                segment: segment.to_owned(),
                fault,
            }
        })?;
    Ok(normal.trim_start_matches('/').to_owned())
}

/// A segment of a template, to be matched.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Segment<'t> {
    Literal(&'t [u8]),
    One,
    Rest,
}

impl<'t> Segment<'t> {
    fn of(segment: &'t TemplateSegment) -> Segment<'t> {
        match segment {
            TemplateSegment::Literal(text) => Segment::Literal(text.as_bytes()),
            TemplateSegment::One => Segment::One,
            TemplateSegment::Rest => Segment::Rest,
        }
    }

    fn read(text: &'t [u8]) -> Segment<'t> {
        match text {
            b"{*}" => Segment::One,
            b"{**}" => Segment::Rest,
            text => Segment::Literal(text),
        }
    }

    fn matches(self, segment: &[u8]) -> bool {
        match self {
            Segment::Literal(text) => text == segment,
            Segment::One => !segment.is_empty(),
            Segment::Rest => true,
        }
    }
}

fn matches<'t>(mut template: impl DoubleEndedIterator<Item = Segment<'t>>, path: &[u8]) -> bool {
    let mut left = path.strip_prefix(b"/");
    loop {
        match (template.next(), left) {
            (None, left) => return left.is_none(),
            (Some(_), None) => return false,
            (Some(Segment::Rest), Some(rest)) => return ends_with(template, rest),
            (Some(wanted), Some(path)) => {
                let mut halves = path.splitn(2, |byte| *byte == b'/');
                if !wanted.matches(halves.next().unwrap_or_default()) {
                    return false;
                }
                left = halves.next();
            }
        }
    }
}

/// Whether what `{**}` begins with ends with the segments behind it, each after a slash.
fn ends_with<'t>(template: impl DoubleEndedIterator<Item = Segment<'t>>, mut left: &[u8]) -> bool {
    template.rev().all(|wanted| {
        let mut halves = left.rsplitn(2, |byte| *byte == b'/');
        let segment = halves.next().unwrap_or_default();
        let Some(rest) = halves.next() else {
            return false;
        };
        left = rest;
        wanted.matches(segment)
    })
}

/// Why a text with braces is no template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TemplateFault {
    /// It does not begin with `/`.
    Relative,
    /// Two slashes in a row.
    EmptySegment,
    /// An operator with something beside it in its segment.
    PartOfSegment {
        /// The segment.
        segment: String,
    },
    /// Braces around something else than `*` or `**`, or a lone brace.
    UnknownOperator {
        /// The segment.
        segment: String,
    },
    /// A `*` without braces.
    Asterisk {
        /// The segment.
        segment: String,
    },
    /// An operator behind `{**}`.
    AfterRest {
        /// The operator.
        operator: String,
    },
    /// A literal segment that no path has.
    Literal {
        /// The segment.
        segment: String,
        /// Why.
        fault: PatternFault,
    },
    /// A literal segment is not in normal form.
    NotNormal {
        /// The template with all segments in normal form.
        normal: String,
    },
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateFault::Relative => f.write_str("a path template begins with `/`"),
            TemplateFault::EmptySegment => f.write_str("no path has an empty segment (`//`)"),
            TemplateFault::PartOfSegment { segment } => {
                write!(
                    f,
                    "`{{*}}` and `{{**}}` stand for whole segments, not for part of `{segment}`"
                )
            }
            TemplateFault::UnknownOperator { segment } => {
                write!(
                    f,
                    "unknown operator `{segment}`: write `{{*}}` for one segment"
                )
            }
            TemplateFault::Asterisk { segment } => {
                write!(
                    f,
                    "`*` in `{segment}` has no meaning in a template: write `{{*}}` or `{{**}}`"
                )
            }
            TemplateFault::AfterRest { operator } => {
                write!(
                    f,
                    "`{operator}` follows `{{**}}`, which must be the last operator"
                )
            }
            TemplateFault::Literal { segment, fault } => write!(f, "segment `{segment}`: {fault}"),
            TemplateFault::NotNormal { normal } => {
                write!(f, "not in normal form: write `{normal}`")
            }
        }
    }
}

impl std::error::Error for TemplateFault {}
