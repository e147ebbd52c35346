//! The line of the source that a diagnostic is about, fit to be shown.

use meshwall_policy::document::Position;

/// Characters of a line that are shown. A line of machine-made JSON can have millions.
const WIDTH: usize = 120;

/// A line, and the part of it that is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Snippet {
    /// The line, without control characters, perhaps cut at both ends.
    pub(crate) line: String,
    /// Where the part begins, in characters of `line`.
    pub(crate) start: usize,
    /// How many characters it has, at least 1.
    pub(crate) length: usize,
}

impl Snippet {
    /// The line at a position; `None` if the text has no such line.
    pub(crate) fn of(text: &str, position: &Position) -> Option<Snippet> {
        let number = usize::try_from(position.line).ok()?.checked_sub(1)?;
        let line: Vec<char> = text.lines().nth(number)?.chars().collect();
        let start = usize::try_from(position.column).ok()?.saturating_sub(1);
        let start = start.min(line.len());
        let rest = line.get(start..).unwrap_or_default();
        let length = token(rest).max(1);
        let skipped = if start + length.min(WIDTH / 2) > WIDTH {
            start.saturating_sub(WIDTH / 4)
        } else {
            0
        };
        let mut shown = String::new();
        if skipped > 0 {
            shown.push('…');
        }
        let lead = shown.chars().count();
        let visible = line.iter().skip(skipped).take(WIDTH);
        shown.extend(visible.map(|c| if c.is_control() { ' ' } else { *c }));
        if line.len() > skipped + WIDTH {
            shown.push('…');
        }
        let start = start - skipped + lead;
        let room = (lead + WIDTH).saturating_sub(start);
        Some(Snippet {
            line: shown.trim_end().to_owned(),
            start,
            length: length.min(room).max(1),
        })
    }
}

/// Length of what begins here: a quoted text with its quotes, a key, or a plain value.
fn token(rest: &[char]) -> usize {
    if let Some(quote @ ('"' | '\'')) = rest.first() {
        let end = rest.iter().skip(1).position(|c| c == quote);
        return end.map_or(rest.len(), |end| end + 2);
    }
    let ends = |at: usize| {
        let next = rest.get(at + 1);
        match rest.get(at) {
            None | Some(',' | ']' | '}') => true,
            Some(':') => next.is_none_or(|c| c.is_whitespace()),
            Some(c) if c.is_whitespace() => true,
            Some(_) => false,
        }
    };
    // The bracket of a list or mapping stands for all of it.
    if matches!(rest.first(), Some('[' | '{')) {
        return 1;
    }
    (0..=rest.len()).find(|at| ends(*at)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, column: u32) -> (String, String) {
        let position = Position {
            source: "x".into(),
            line: 2,
            column,
        };
        let snippet = Snippet::of(&format!("first\n{line}\nlast"), &position).unwrap();
        let meant = snippet
            .line
            .chars()
            .skip(snippet.start)
            .take(snippet.length)
            .collect();
        (snippet.line, meant)
    }

    #[test]
    fn the_part_that_is_meant_is_marked() {
        for (line, column, meant) in [
            ("  form:", 3, "form"),
            ("- action: Alow # no", 11, "Alow"),
            ("paths: [\"/a b\", /c]", 9, "\"/a b\""),
            ("paths: [\"/a b\", /c]", 17, "/c"),
            ("a: spiffe://x/y", 4, "spiffe://x/y"),
            ("from: [{}]", 7, "["),
            ("a:", 9, ""),
        ] {
            assert_eq!(shown(line, column), (line.to_owned(), meant.to_owned()));
        }
    }

    #[test]
    fn a_long_line_is_cut_around_it() {
        let line = format!("{}wrong{}", "x ".repeat(10_000), " y".repeat(10_000));
        let (shown, meant) = shown(&line, 20_001);
        assert_eq!(meant, "wrong");
        assert!(shown.chars().count() <= WIDTH + 2);
        assert!(shown.starts_with('…') && shown.ends_with('…'));
    }

    #[test]
    fn a_line_cannot_steer_the_terminal() {
        assert_eq!(shown("a:\t\u{1b}[2J", 1).0, "a:  [2J");
    }
}
