//! Rows whose columns are as wide as what is in them.

use std::io::{self, Write};

use anstyle::Style;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::style::DIM;

/// Characters of a version that are shown. Versions are hashes: so many tell them apart.
const VERSION: usize = 12;

/// What stands in a column.
pub(super) struct Cell {
    style: Style,
    text: String,
}

impl Cell {
    pub(super) fn new(style: Style, text: impl ToString) -> Cell {
        let text = text.to_string();
        Cell { style, text }
    }

    pub(super) fn plain(text: impl ToString) -> Cell {
        Cell::new(Style::new(), text)
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// A row, and what there is to say below it.
pub(super) struct Row<const COLUMNS: usize> {
    pub(super) cells: [Cell; COLUMNS],
    pub(super) notes: Vec<Cell>,
}

/// Writes rows below a head. The last column ends where its text ends.
pub(super) fn write<const COLUMNS: usize>(
    out: &mut impl Write,
    head: [&str; COLUMNS],
    rows: Vec<Row<COLUMNS>>,
) -> io::Result<()> {
    let head = Row {
        cells: head.map(|text| Cell::new(DIM, text)),
        notes: Vec::new(),
    };
    let rows: Vec<Row<COLUMNS>> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = cell.width().max(*width);
        }
    }
    for Row { cells, notes } in rows {
        let mut blank = 0;
        for (cell, width) in cells.iter().zip(widths) {
            // Spaces only before something, so that no line ends with them.
            if !cell.text.is_empty() {
                write!(
                    out,
                    "{:blank$}{}{}{:#}",
                    "", cell.style, cell.text, cell.style
                )?;
                blank = 0;
            }
            blank += width.saturating_sub(cell.width()) + 2;
        }
        writeln!(out)?;
        for note in notes {
            writeln!(out, "    {}{}{:#}", note.style, note.text, note.style)?;
        }
    }
    Ok(())
}

/// Enough of a version to tell it from others.
pub(super) fn short(version: impl ToString) -> String {
    version.to_string().chars().take(VERSION).collect()
}

/// A time as RFC 3339 has it, or as it came if there is no such date.
pub(super) fn date(seconds: u64) -> String {
    let date = i64::try_from(seconds).ok();
    let date = date.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let text = date.and_then(|date| date.format(&Rfc3339).ok());
    text.unwrap_or_else(|| seconds.to_string())
}
