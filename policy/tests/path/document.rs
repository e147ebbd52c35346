//! The examples of docs/path-normal-form.md.

use meshwall_policy::path::{self, Fault};
use meshwall_policy::spec::PathTemplate;

const DOCUMENT: &str = include_str!("../../../docs/path-normal-form.md");

/// The rows of the tables with this heading; each cell as its pieces of code.
fn rows(heading: &str) -> Vec<Vec<Vec<&'static str>>> {
    let mut rows = Vec::new();
    let mut wanted = false;
    for line in DOCUMENT.lines() {
        match line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix(" |"))
        {
            None if line.starts_with("|--") => {}
            None => wanted = false,
            Some(row) if row == heading => wanted = true,
            Some(row) if wanted => {
                let code = |cell: &'static str| cell.split('`').skip(1).step_by(2).collect();
                rows.push(row.split(" | ").map(code).collect());
            }
            Some(_) => {}
        }
    }
    rows
}

#[test]
fn normal_forms_are_as_documented() {
    let rows = rows("sent | normal form");
    for row in &rows {
        let [sent, expected] = &row[..] else {
            panic!("{row:?}")
        };
        let mut out = Vec::new();
        let found = match path::normalize(sent[0].as_bytes(), &mut out) {
            Ok(target) => str::from_utf8(target.path).unwrap(),
            Err(fault) => fault.name(),
        };
        assert_eq!(found, expected[0], "{sent:?}");
    }
    assert!(rows.len() > 40);
    for fault in Fault::ALL {
        let is_shown = rows.iter().any(|row| row[1][0] == fault.name());
        assert!(
            is_shown || matches!(fault, Fault::TooLong | Fault::Empty | Fault::Space),
            "{fault:?}"
        );
    }
}

#[test]
fn templates_match_as_documented() {
    let rows = rows("template | matches | does not match");
    for row in &rows {
        let [template, matched, others] = &row[..] else {
            panic!("{row:?}")
        };
        let template = PathTemplate::parse(template[0]).unwrap().unwrap();
        for (path, expected) in matched
            .iter()
            .map(|path| (path, true))
            .chain(others.iter().map(|path| (path, false)))
        {
            assert_eq!(
                template.matches(path.as_bytes()),
                expected,
                "{template} {path}"
            );
        }
    }
    assert_eq!(rows.len(), 6);
}
