//! Diagnostics for people: the line of the source with the place marked.

use std::collections::HashMap;
use std::io::{self, Write};

use meshwall_testbed::scenario::Source;

use super::snippet::Snippet;
use super::{Diagnostic, Severity};
use crate::cli::style::{BAD, BOLD, FRAME, INFO, WARN};

/// The texts that positions point into, by their names.
#[derive(Default)]
pub(crate) struct Texts<'a>(HashMap<&'a str, &'a str>);

impl<'a> Texts<'a> {
    pub(crate) fn of(sources: impl IntoIterator<Item = &'a Source>) -> Texts<'a> {
        let sources = sources.into_iter();
        Texts(
            sources
                .map(|source| (&*source.name, &*source.text))
                .collect(),
        )
    }
}

/// Writes diagnostics, an empty line after each.
pub(crate) fn write_all(
    out: &mut impl Write,
    diagnostics: &[Diagnostic],
    texts: &Texts<'_>,
) -> io::Result<()> {
    diagnostics
        .iter()
        .try_for_each(|diagnostic| write_one(out, diagnostic, texts))
}

fn write_one(out: &mut impl Write, diagnostic: &Diagnostic, texts: &Texts<'_>) -> io::Result<()> {
    let Diagnostic {
        severity,
        code,
        help,
        position,
        ..
    } = diagnostic;
    let colour = match severity {
        Severity::Error => BAD,
        Severity::Warning => WARN,
        Severity::Note => INFO,
    };
    let headline = diagnostic.headline();
    writeln!(
        out,
        "{colour}{severity}[{code}]{colour:#}{BOLD}: {headline}{BOLD:#}"
    )?;
    let mut margin = 1;
    if let Some(position) = position {
        let number = position.line.to_string();
        margin = number.len();
        writeln!(out, "{:margin$}{FRAME}-->{FRAME:#} {position}", "")?;
        let text = texts.0.get(&*position.source);
        if let Some(snippet) = text.and_then(|text| Snippet::of(text, position)) {
            let (line, indent) = (&snippet.line, snippet.start);
            let carets = "^".repeat(snippet.length);
            writeln!(out, "{:margin$} {FRAME}|{FRAME:#}", "")?;
            writeln!(out, "{FRAME}{number} |{FRAME:#} {line}")?;
            writeln!(
                out,
                "{:margin$} {FRAME}|{FRAME:#} {:indent$}{colour}{carets}{colour:#}",
                "", ""
            )?;
        }
    }
    if let Some(help) = help {
        writeln!(
            out,
            "{:margin$} {FRAME}={FRAME:#} {BOLD}help{BOLD:#}: {help}",
            ""
        )?;
    }
    writeln!(out)
}
