//! Regular expressions become automata when a policy is compiled: matching takes one step for
//! each byte, whatever the expression.

use regex_automata::dfa::{StartKind, dense};
use regex_automata::util::syntax;

use super::Problem;

/// Upper bound of the size of one automaton in bytes.
const MAX_AUTOMATON_BYTES: usize = 256 << 10;

/// The automaton that matches the whole of its input, in its sparse form and little-endian.
pub(super) fn automaton(regex: &str) -> Result<Vec<u8>, Problem> {
    let problem = |reason: String| Problem::Regex {
        regex: regex.to_owned(),
        reason,
    };
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .minimize(false)
        .dfa_size_limit(Some(4 * MAX_AUTOMATON_BYTES))
        .determinize_size_limit(Some(8 * MAX_AUTOMATON_BYTES));
    let automaton = dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().utf8(false))
        .build(&format!(r"\A(?:{regex})\z"))
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
