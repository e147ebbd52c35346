//! Text patterns within each other.

use crate::spec::{PathTemplate, StringPattern, TemplateSegment};

/// Whether every text that matches `narrow` matches `wide`.
pub(super) fn string_within(narrow: &StringPattern, wide: &StringPattern) -> bool {
    use StringPattern::{Exact, NonEmpty, Prefix, Regex, Suffix, Template};
    if narrow == wide {
        return true;
    }
    match (narrow, wide) {
        (Template(narrow), _) if only_prefix(narrow) => {
            string_within(&Prefix(literal_prefix(narrow)), wide)
        }
        (_, Template(wide)) if only_prefix(wide) => {
            string_within(narrow, &Prefix(literal_prefix(wide)))
        }
        (Exact(text) | Prefix(text) | Suffix(text), NonEmpty) => !text.is_empty(),
        (Template(_), NonEmpty) => true,
        (Exact(text) | Prefix(text), Prefix(beginning)) => text.starts_with(beginning),
        (Template(template), Prefix(beginning)) => {
            literal_prefix(template).starts_with(beginning.as_str())
        }
        (Exact(text) | Suffix(text), Suffix(end)) => text.ends_with(end),
        (Exact(text), Template(template)) => template.matches(text.as_bytes()),
        (NonEmpty | Regex(_) | Suffix(_), _) | (_, Exact(_) | Regex(_)) => false,
        (Prefix(_) | Template(_), Suffix(_) | Template(_)) => false,
    }
}

/// Whether a template matches exactly what begins with its literal segments and a slash.
fn only_prefix(template: &PathTemplate) -> bool {
    let Some((last, segments)) = template.segments.split_last() else {
        return false;
    };
    let is_literal = |segment: &TemplateSegment| matches!(segment, TemplateSegment::Literal(_));
    *last == TemplateSegment::Rest && segments.iter().all(is_literal)
}

/// What every path that matches a template begins with.
fn literal_prefix(template: &PathTemplate) -> String {
    let mut prefix = String::new();
    for segment in &template.segments {
        prefix.push('/');
        match segment {
            TemplateSegment::Literal(text) => prefix.push_str(text),
            TemplateSegment::One | TemplateSegment::Rest => return prefix,
        }
    }
    prefix
}
