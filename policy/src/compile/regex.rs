//! Regular expressions become automata when a policy is compiled: matching takes one step for
//! each byte, whatever the expression.

use regex_automata::dfa::{StartKind, dense};
use regex_automata::nfa::thompson;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, Look};

use super::Problem;

/// Upper bound of the size of one automaton in bytes.
const MAX_AUTOMATON_BYTES: usize = 256 << 10;

/// Upper bound of the memory that an expression takes on the way to its automaton, in bytes.
const MAX_NFA_BYTES: usize = 8 << 20;

/// The automaton that matches the whole of its input, in its sparse form and little-endian.
pub(super) fn automaton(regex: &str) -> Result<Vec<u8>, Problem> {
    let problem = |reason: String| Problem::Regex {
        regex: regex.to_owned(),
        reason,
    };
    // The anchors go around the parsed expression: text around its text could end up in it.
    let parsed = ParserBuilder::new().utf8(false).build().parse(regex);
    let parsed = parsed.map_err(|error| problem(reason(&error)))?;
    let whole = Hir::concat(vec![Hir::look(Look::Start), parsed, Hir::look(Look::End)]);
    let config = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(MAX_NFA_BYTES));
    let nfa = thompson::Compiler::new()
        .configure(config)
        .build_from_hir(&whole)
        .map_err(|error| problem(reason(&error)))?;
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .minimize(false)
        .dfa_size_limit(Some(4 * MAX_AUTOMATON_BYTES))
        .determinize_size_limit(Some(8 * MAX_AUTOMATON_BYTES));
    let automaton = dense::Builder::new()
        .configure(config)
        .build_from_nfa(&nfa)
        .map_err(|error| problem(reason(&error)))?;
    let bytes = automaton
        .to_sparse()
        .map_err(|error| problem(reason(&error)))?;
    let bytes = bytes.to_bytes_little_endian();
    if bytes.len() > MAX_AUTOMATON_BYTES {
        return Err(problem(format!(
            "needs {} bytes when compiled, more than {MAX_AUTOMATON_BYTES}; \
             `(?-u:...)` and smaller repetitions help",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// The innermost reason of a chain of errors, on one line.
fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    text.lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use regex_automata::dfa::{Automaton, sparse};
    use regex_automata::{Anchored, Input};

    use super::automaton;

    fn matches(regex: &str, text: &str) -> bool {
        let bytes = automaton(regex).unwrap();
        let (automaton, _) = sparse::DFA::from_bytes(&bytes).unwrap();
        let input = Input::new(text).anchored(Anchored::Yes);
        let found = automaton.try_search_fwd(&input).unwrap();
        found.is_some_and(|found| found.offset() == text.len())
    }

    #[test]
    fn the_whole_value_must_match() {
        assert!(matches("[0-9]+", "123"));
        assert!(!matches("[0-9]+", "123a"));
        assert!(!matches("[0-9]+", "a123"));
        assert!(matches("a|ab", "ab"));
        assert!(matches("", ""));
        assert!(!matches("", "a"));
        assert!(matches("(?x) a # no end", "a"));
        assert!(matches("(?i)prod", "PROD"));
    }

    #[test]
    fn what_cannot_be_compiled_is_refused_with_the_reason() {
        let refused = |regex: &str| automaton(regex).unwrap_err().to_string();
        assert_eq!(refused("("), "regular expression `(`: unclosed group");
        let large = refused(r"(?:\w{50}){50}");
        assert!(large.contains("exceed"), "{large}");
    }
}
