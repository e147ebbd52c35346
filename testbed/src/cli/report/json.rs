//! Diagnostics for scripts.

use serde_json::{Value, json};

use super::{Counts, Diagnostic};

/// The format of this output. A field that is added does not change it.
const VERSION: u32 = 1;

/// All diagnostics and how many there are.
pub(crate) fn to_json(diagnostics: &[Diagnostic]) -> Value {
    let Counts {
        errors,
        warnings,
        notes,
    } = Counts::of(diagnostics);
    json!({
        "version": VERSION,
        "findings": diagnostics.iter().map(finding).collect::<Vec<_>>(),
        "summary": {"errors": errors, "warnings": warnings, "notes": notes},
    })
}

fn finding(diagnostic: &Diagnostic) -> Value {
    let Diagnostic {
        severity,
        code,
        object,
        path,
        message,
        help,
        position,
    } = diagnostic;
    let object = object.as_ref().map(
        |object| json!({"kind": object.kind, "namespace": object.namespace, "name": object.name}),
    );
    let position = position.as_ref().map(|position| {
        json!({
            "file": &*position.source,
            "line": position.line,
            "column": position.column,
        })
    });
    json!({
        "severity": severity.to_string(),
        "code": code,
        "object": object,
        "path": path.to_string(),
        "message": message,
        "help": help,
        "position": position,
    })
}
