//! Reviews and their verdicts.

use meshwall_policy::document;
use meshwall_policy::spec::{Config, Timestamp};
use meshwall_policy_server::admission::{self, Checker, MAX_WARNING_BYTES};
use serde_json::{Value, json};

use crate::{policy, review};

fn ask(review: &Value) -> Result<Value, String> {
    let checker = Checker {
        config: &Config::default(),
        now: Timestamp(1_795_575_845),
    };
    let answer = admission::review(review.to_string().as_bytes(), &checker);
    let mut answer = answer.map_err(|malformed| malformed.to_string())?.body;
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(answer["response"]["uid"], "u-1");
    Ok(answer["response"].take())
}

fn allowed(review: &Value) -> bool {
    ask(review).unwrap()["allowed"].as_bool().unwrap()
}

#[test]
fn a_policy_that_is_right_is_allowed_without_a_word() {
    for operation in ["CREATE", "UPDATE"] {
        let response = ask(&review(operation, &policy("Allow"))).unwrap();
        assert_eq!(response, json!({"uid": "u-1", "allowed": true}));
    }
}

#[test]
fn a_refusal_has_every_error_in_the_words_of_the_parser() {
    let mut wrong = policy("Alow");
    wrong["spec"]["mode"] = "Off".into();
    wrong["spec"]["surplus"] = 1.into();
    let response = ask(&review("CREATE", &wrong)).unwrap();
    assert_eq!(response["allowed"], false);
    let status = &response["status"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&422.into(), &"Invalid".into())
    );
    assert_eq!(status["details"]["kind"], "FirewallPolicy");
    assert_eq!(status["details"]["name"], "p");

    let errors = document::from_value(wrong).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(status["message"], lines.join("\n"));
    let causes = status["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 3);
    for (cause, line) in causes.iter().zip(&lines) {
        let (field, message) = (
            cause["field"].as_str().unwrap(),
            cause["message"].as_str().unwrap(),
        );
        assert!(
            line.ends_with(&format!("{field}: {message}")),
            "{line} / {message}"
        );
    }
    let action = causes
        .iter()
        .find(|cause| cause["field"] == "spec.ingress[0].action");
    assert_eq!(action.unwrap()["reason"], "FieldValueNotSupported");
}

#[test]
fn what_does_not_compile_is_refused() {
    let mut large = policy("Deny");
    let regex = r"(?:\w{50}){50}";
    large["spec"]["ingress"][0]["operations"] =
        json!([{"ports": ["http"], "headers": [{"name": "x-ticket", "regex": regex}]}]);
    let response = ask(&review("CREATE", &large)).unwrap();
    assert_eq!(response["allowed"], false, "{response}");
    assert_eq!(
        response["status"]["details"]["causes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn lints_are_warnings_and_short() {
    let mut open = policy("Allow");
    open["spec"]["ingress"][0]
        .as_object_mut()
        .unwrap()
        .remove("from");
    let again = open["spec"]["ingress"][0].clone();
    let rules = open["spec"]["ingress"].as_array_mut().unwrap();
    rules.push(again);
    rules[1]["name"] = "again-".repeat(10).trim_end_matches('-').into();
    let response = ask(&review("CREATE", &open)).unwrap();
    assert_eq!(response["allowed"], true, "{response}");
    let warnings = response["warnings"].as_array().unwrap();
    assert!(!warnings.is_empty());
    for warning in warnings {
        let warning = warning.as_str().unwrap();
        assert!(warning.len() <= MAX_WARNING_BYTES, "{warning}");
        assert!(warning.starts_with("spec."), "{warning}");
    }
}

#[test]
fn what_writes_no_policy_passes() {
    let wrong = policy("Alow");
    let mut deletion = review("DELETE", &wrong);
    deletion["request"]["oldObject"] = deletion["request"]["object"].take();
    assert!(allowed(&deletion));
    let mut status = review("UPDATE", &wrong);
    status["request"]["subResource"] = "status".into();
    assert!(allowed(&status));
}

#[test]
fn a_wrong_object_can_be_made_right_and_be_released_but_not_be_changed_otherwise() {
    let wrong = policy("Alow");
    let update = |old: &Value, new: &Value| {
        let mut review = review("UPDATE", new);
        review["request"]["oldObject"] = old.clone();
        ask(&review).unwrap()
    };
    assert_eq!(update(&wrong, &policy("Allow"))["allowed"], true);

    let mut labelled = wrong.clone();
    labelled["metadata"]["labels"] = json!({"team": "a"});
    let response = update(&wrong, &labelled);
    assert_eq!(response["allowed"], true);
    assert_eq!(
        response["warnings"].as_array().unwrap().len(),
        1,
        "{response}"
    );

    let mut other = wrong.clone();
    other["spec"]["ingress"][0]["action"] = "Denny".into();
    assert_eq!(update(&wrong, &other)["allowed"], false);
    assert_eq!(update(&policy("Allow"), &wrong)["allowed"], false);
    other["metadata"]["deletionTimestamp"] = "2026-11-25T03:04:05Z".into();
    assert_eq!(update(&wrong, &other)["allowed"], true);
}

#[test]
fn other_kinds_pass_with_a_warning_and_ours_in_another_version_do_not() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    let response = ask(&review("CREATE", &pod)).unwrap();
    assert_eq!(response["allowed"], true);
    let warning = "not checked: Pod is no kind of meshwall.io; ask about those only";
    assert_eq!(response["warnings"], json!([warning]));

    let mut newer = policy("Allow");
    newer["apiVersion"] = "meshwall.io/v2".into();
    assert!(!allowed(&review("CREATE", &newer)));
}

#[test]
fn what_is_no_review_is_malformed() {
    let checker = Checker {
        config: &Config::default(),
        now: Timestamp(0),
    };
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\u{0}",
        r#"{"kind":"AdmissionReview"}"#,
    ] {
        assert!(
            admission::review(body.as_bytes(), &checker).is_err(),
            "{body}"
        );
    }
    let without = |change: &dyn Fn(&mut Value)| {
        let mut review = review("CREATE", &policy("Allow"));
        change(&mut review);
        ask(&review).unwrap_err()
    };
    assert!(
        without(&|review| review["apiVersion"] = "admission.k8s.io/v1beta1".into())
            .contains("v1beta1")
    );
    for field in ["uid", "operation", "object"] {
        let error = without(&|review| review["request"][field] = Value::Null);
        assert!(error.contains(field), "{error}");
    }
    assert_eq!(
        without(&|review| review["request"] = 1.into()),
        "the review has no request"
    );
}
