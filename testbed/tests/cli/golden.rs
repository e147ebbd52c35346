//! Commands, and all that they print.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Ran, run};

#[test]
fn commands_print_what_they_printed() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/cases");
    compare(&cases, |folder| {
        transcripts(folder, |arguments| run(folder, arguments))
    });
}

/// Compares what is printed for each folder below this one with its `output`, or writes that.
pub(crate) fn compare(cases: &Path, print: impl Fn(&Path) -> String) {
    let bless = std::env::var_os("MESHWALL_BLESS").is_some();
    let mut folders: Vec<PathBuf> = fs::read_dir(cases)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let mut changed = Vec::new();
    for folder in folders {
        let printed = print(&folder);
        let golden = folder.join("output");
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if printed == expected {
            continue;
        }
        if bless {
            fs::write(&golden, &printed).unwrap();
        } else {
            changed.push(format!(
                "{}\n--- expected\n{expected}\n--- found\n{printed}",
                folder.display()
            ));
        }
    }
    assert!(
        changed.is_empty(),
        "{}\nMESHWALL_BLESS=1 accepts the change",
        changed.join("\n")
    );
}

/// What the `commands` of a folder print.
pub(crate) fn transcripts(folder: &Path, run: impl Fn(&[&str]) -> Ran) -> String {
    let commands = fs::read_to_string(folder.join("commands")).unwrap();
    let lines = commands.lines();
    lines.map(|line| transcript(line, &run)).collect()
}

fn transcript(line: &str, run: impl Fn(&[&str]) -> Ran) -> String {
    let arguments = words(line);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Ran {
        code,
        stdout,
        stderr,
    } = run(&arguments);
    let mut text = format!("$ meshwall {line}\n");
    for (name, printed) in [("stdout", stdout), ("stderr", stderr)] {
        if !printed.is_empty() {
            text.push_str(&format!("--- {name}\n{}", timeless(&printed)));
        }
    }
    text.push_str(&format!("--- exit {code}\n\n"));
    text
}

/// The words of a line; quotes hold spaces together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What is printed, without how long it took.
fn timeless(text: &str) -> String {
    text.lines()
        .map(|line| match line.rsplit_once(", in ") {
            Some((rest, took)) if took.ends_with(" s") => format!("{rest}, in TIME\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}
