//! Results as JUnit XML, which continuous integration systems read.
//!
//! There is no standard; this is the common core that Jenkins, GitLab and GitHub actions take:
//! `testsuites`, `testsuite`, `testcase`, `failure`, `error`, times in seconds.

use std::fmt::Write as _;

use meshwall_testbed::scenario::Finding;

use super::output::{answered, expected};
use super::{Result, Suite};

/// The whole file.
pub(super) fn write(suites: &[Suite]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let results = || suites.iter().flat_map(|suite| &suite.results);
    let _ = writeln!(out, "<testsuites name=\"meshwall\"{}>", counts(results()));
    for suite in suites {
        let name = escape(&suite.name);
        let file = escape(&suite.file);
        let counts = counts(suite.results.iter());
        let _ = writeln!(out, "  <testsuite name=\"{name}\" file=\"{file}\"{counts}>");
        for result in &suite.results {
            case(&mut out, suite, result);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn counts<'a>(results: impl Iterator<Item = &'a Result>) -> String {
    let (mut tests, mut failures, mut errors, mut seconds) = (0, 0, 0, 0.0);
    for result in results {
        tests += 1;
        seconds += result.took.as_secs_f64();
        match &result.finding {
            Finding::Passed => {}
            Finding::Failed(_) => failures += 1,
            Finding::Differs { .. } | Finding::NoFirewall(_) | Finding::NoAnswer(_) => errors += 1,
        }
    }
    format!(
        " tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\" \
         time=\"{seconds:.6}\""
    )
}

fn case(out: &mut String, suite: &Suite, result: &Result) {
    let Result {
        case,
        finding,
        took,
    } = result;
    let (class, name, seconds) = (escape(&suite.name), escape(&case.name), took.as_secs_f64());
    let _ = write!(
        out,
        "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.6}\""
    );
    let (element, message) = match finding {
        Finding::Passed => {
            out.push_str("/>\n");
            return;
        }
        Finding::Failed(answer) => (
            "failure",
            format!(
                "expected {}, answered {}",
                expected(&case.expected),
                answered(answer)
            ),
        ),
        Finding::Differs { library, module } => (
            "error",
            format!(
                "the library says {}, the module says {}",
                answered(library),
                answered(module)
            ),
        ),
        Finding::NoFirewall(error) => ("error", error.to_string()),
        Finding::NoAnswer(error) => ("error", error.to_string()),
    };
    let place = case.position.as_ref().map(ToString::to_string);
    let place = escape(&place.unwrap_or_default());
    let message = escape(&message);
    let _ = writeln!(
        out,
        ">\n      <{element} message=\"{message}\">{place}</{element}>\n    </testcase>"
    );
}

/// Text within an attribute or element (XML 1.0, sections 2.2 and 2.4). Characters that XML does
/// not have become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_stays_within_its_element() {
        assert_eq!(
            escape("a<b> & \"c\" 'd'\n\u{1b}é"),
            "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;&#10;\u{fffd}é"
        );
    }
}
