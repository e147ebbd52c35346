//! An admission review: an object in, a verdict out.
//!
//! The form is `admission.k8s.io/v1` AdmissionReview. What passes without a look:
//!
//! - deletions, connections, and subresources such as `status`: no policy is written by them;
//! - an update that leaves alone what the object says, so that labels and finalizers of a wrong
//!   object can still be changed, and an update of an object that is being deleted;
//! - an object of another group, with a warning: only a wrong webhook configuration asks about it,
//!   and to refuse it would stop others for our mistake.

use std::fmt;

use meshwall_policy::document::types::GROUP;
use meshwall_policy::document::{self, Document, Reason};
use meshwall_policy::lint::{Finding, Mesh, Severity, lint};
use meshwall_policy::spec::{Config, Policy, Timestamp};
use serde_json::{Map, Value, json};

/// Bytes of a warning: Kubernetes asks for no more than 120, and cuts what is longer than 256.
pub const MAX_WARNING_BYTES: usize = 120;

/// Warnings of one review: API servers drop what is beyond 4,096 bytes.
const MAX_WARNINGS: usize = 20;

/// What a document is held against.
#[derive(Clone, Copy, Debug)]
pub struct Checker<'a> {
    /// What holds for the mesh.
    pub config: &'a Config,
    /// The time.
    pub now: Timestamp,
}

/// What was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The object may be stored.
    Allowed,
    /// The object is wrong.
    Refused,
}

/// The answer to a review.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// In short.
    pub verdict: Verdict,
    /// The AdmissionReview with the response.
    pub body: Value,
}

/// What is no admission review.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// Something that is wrong, as Kubernetes tells it.
struct Cause {
    /// In one word for machines, as Kubernetes has them.
    reason: &'static str,
    field: String,
    message: String,
    /// With the object, as `meshwall check` says it.
    line: String,
}

/// What was found.
#[derive(Default)]
struct Found {
    causes: Vec<Cause>,
    warnings: Vec<String>,
}

/// Answers an AdmissionReview.
///
/// # Errors
///
/// If it is none, or none of version v1.
pub fn review(body: &[u8], checker: &Checker<'_>) -> Result<Review, Malformed> {
    let mut review: Value = serde_json::from_slice(body)
        .map_err(|error| Malformed(format!("the body is not JSON: {error}")))?;
    let text = |field: &str| {
        review
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if (api_version, kind) != ("admission.k8s.io/v1", "AdmissionReview") {
        return Err(Malformed(format!(
            "the body is `{}` of `{}`, and not AdmissionReview of admission.k8s.io/v1",
            shortened(kind, MAX_WARNING_BYTES),
            shortened(api_version, MAX_WARNING_BYTES)
        )));
    }
    let Some(Value::Object(mut request)) = review.get_mut("request").map(Value::take) else {
        return Err(Malformed("the review has no request".to_owned()));
    };
    let uid = match request.get("uid").and_then(Value::as_str) {
        Some(uid) if !uid.is_empty() => uid.to_owned(),
        _ => return Err(Malformed("the request has no uid".to_owned())),
    };
    let found = match request.get("operation").and_then(Value::as_str) {
        Some("CREATE" | "UPDATE") => judge(&mut request, checker)?,
        Some("DELETE" | "CONNECT") => Found::default(),
        _ => return Err(Malformed("the request has no known operation".to_owned())),
    };
    Ok(answer(&uid, &request, found))
}

fn judge(request: &mut Map<String, Value>, checker: &Checker<'_>) -> Result<Found, Malformed> {
    let subresource = request.get("subResource").and_then(Value::as_str);
    if subresource.is_some_and(|name| !name.is_empty()) {
        return Ok(Found::default());
    }
    let object = match request.get_mut("object").map(Value::take) {
        Some(object @ Value::Object(_)) => object,
        _ => return Err(Malformed("the request has no object".to_owned())),
    };
    let is_leaving = object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|timestamp| !timestamp.is_null());
    let old = request.get("oldObject").filter(|old| old.is_object());
    let is_same = old.is_some_and(|old| says(old) == says(&object));
    let mut found = check(object, checker);
    if is_same || is_leaving {
        let causes = std::mem::take(&mut found.causes);
        let warnings = causes.into_iter().map(|cause| cause.line);
        found.warnings.splice(..0, warnings);
    }
    Ok(found)
}

/// What an object says: all of it but its metadata and its status.
fn says(object: &Value) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    let mut fields: Vec<_> = fields
        .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"))
        .collect();
    fields.sort_by_key(|(name, _)| name.as_str());
    fields
}

fn check(object: Value, checker: &Checker<'_>) -> Found {
    let lowered = match document::from_value(object) {
        Ok(Document::FirewallPolicy(located)) => located.lower().map(Some),
        Ok(Document::ClusterFirewallPolicy(located)) => located.lower().map(Some),
        Ok(Document::MeshwallConfig(located)) => located.lower().map(|_| None),
        Ok(Document::Other(other)) => {
            let kind = shortened(&other.kind, 40);
            let warning =
                format!("not checked: {kind} is no kind of {GROUP}; ask about those only");
            return Found {
                warnings: vec![warning],
                ..Found::default()
            };
        }
        Err(errors) => Err(errors),
    };
    match lowered {
        Ok(Some(policy)) => lints(policy, checker),
        Ok(None) => Found::default(),
        Err(errors) => Found {
            causes: errors.iter().map(Cause::from).collect(),
            ..Found::default()
        },
    }
}

/// What can be said of a policy by itself. Notes are left to `meshwall check`.
fn lints(policy: Policy, checker: &Checker<'_>) -> Found {
    let findings = lint(&Mesh {
        config: checker.config,
        policies: &[policy],
        inventory: None,
        now: checker.now,
    });
    let mut found = Found::default();
    for finding in findings {
        match finding.lint.severity() {
            Severity::Error => found.causes.push(Cause::from(&finding)),
            Severity::Warning => {
                let Finding { path, message, .. } = &finding;
                found.warnings.push(format!("{path}: {message}"));
            }
            Severity::Note => {}
        }
    }
    found
}

impl From<&document::Error> for Cause {
    fn from(error: &document::Error) -> Cause {
        let bare = document::Error {
            object: None,
            path: document::FieldPath::root(),
            ..error.clone()
        };
        Cause {
            reason: match *error.reason {
                Reason::Missing => "FieldValueRequired",
                Reason::NotOneOf(_) => "FieldValueNotSupported",
                Reason::DuplicateField(_) | Reason::Repeated => "FieldValueDuplicate",
                _ => "FieldValueInvalid",
            },
            field: error.path.to_string(),
            message: bare.to_string(),
            line: error.to_string(),
        }
    }
}

impl From<&Finding> for Cause {
    fn from(finding: &Finding) -> Cause {
        let Finding {
            object,
            path,
            message,
            ..
        } = finding;
        Cause {
            reason: "FieldValueInvalid",
            field: path.to_string(),
            message: message.clone(),
            line: format!("{object}: {path}: {message}"),
        }
    }
}

fn answer(uid: &str, request: &Map<String, Value>, found: Found) -> Review {
    let Found { causes, warnings } = found;
    let verdict = if causes.is_empty() {
        Verdict::Allowed
    } else {
        Verdict::Refused
    };
    let mut response = json!({"uid": uid, "allowed": causes.is_empty()});
    if let Some(fields) = response.as_object_mut() {
        if !causes.is_empty() {
            fields.insert("status".to_owned(), status(request, &causes));
        }
        if !warnings.is_empty() {
            let warnings = warnings.iter().take(MAX_WARNINGS);
            let warnings = warnings.map(|warning| shortened(warning, MAX_WARNING_BYTES));
            fields.insert("warnings".to_owned(), warnings.collect());
        }
    }
    let body = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": response,
    });
    Review { verdict, body }
}

/// The status that whoever wrote the object gets; `kubectl` prints the causes, one a line.
fn status(request: &Map<String, Value>, causes: &[Cause]) -> Value {
    let kind = |field: &str| request.get("kind").and_then(|kind| kind.get(field));
    let lines: Vec<&str> = causes.iter().map(|cause| cause.line.as_str()).collect();
    let causes = causes.iter().map(
        |cause| json!({"reason": cause.reason, "field": cause.field, "message": cause.message}),
    );
    json!({
        "status": "Failure",
        "code": 422,
        "reason": "Invalid",
        "message": lines.join("\n"),
        "details": {
            "name": request.get("name"),
            "group": kind("group"),
            "kind": kind("kind"),
            "causes": causes.collect::<Vec<_>>(),
        },
    })
}

/// A text of so many bytes at most.
fn shortened(text: &str, limit: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub(MARK.len()));
    format!("{}{MARK}", text.get(..end).unwrap_or_default())
}
