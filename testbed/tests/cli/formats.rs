//! Output for other programs, and for terminals.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::{meshwall, run, shop};

const WRONG: &str = "\
apiVersion: meshwall.io/v1alpha1
kind: FirewallPolicy
metadata: {name: p, namespace: shop}
spec:
  ingress:
  - action: Alow
  - {action: Allow}
";

#[test]
fn sarif_has_what_the_standard_requires() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a b.yaml"), WRONG).unwrap();
    fs::write(folder.path().join("c.yaml"), WRONG.replace("Alow", "Allow")).unwrap();
    let ran = run(folder.path(), &["check", ".", "--format", "sarif"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "meshwall");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 2);
    for result in results {
        let level = result["level"].as_str().unwrap();
        assert!(["error", "warning", "note"].contains(&level));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(["a%20b.yaml", "c.yaml"].contains(&uri), "{uri}");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        assert!(place["region"]["startColumn"].as_u64().unwrap() >= 1);
    }
}

#[test]
fn json_says_the_same_as_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.yaml"), WRONG).unwrap();
    let ran = run(folder.path(), &["check", "p.yaml", "--format", "json"]);
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &log["summary"]["errors"]), (1, &Value::from(1)));
    let finding = &log["findings"][0];
    assert_eq!(finding["code"], "not-one-of");
    assert_eq!(finding["object"]["name"], "p");
    assert_eq!(finding["path"], "spec.ingress[0].action");
    assert_eq!(finding["position"]["line"], 6);
    assert_eq!(finding["help"], "did you mean `Allow`?");
}

#[test]
fn junit_counts_what_the_terminal_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("junit.xml");
    let arguments = ["test", "--native", ".", "--junit", file.to_str().unwrap()];
    let ran = run(&shop(), &arguments);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let xml = fs::read_to_string(file).unwrap();
    let passed = xml.matches("<testcase ").count();
    assert!(passed >= 40);
    assert!(ran.stdout.contains(&format!("\n{passed} passed, 0 failed")));
    assert!(xml.contains(&format!("<testsuites name=\"meshwall\" tests=\"{passed}\"")));
    assert_eq!(
        xml.matches("<testsuite ").count(),
        xml.matches("</testsuite>").count()
    );
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.yaml"), WRONG).unwrap();
    let coloured = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let mut command = meshwall(folder.path());
        command.args(["check", "p.yaml"]).args(arguments);
        command.envs(variable);
        command.output().unwrap().stdout.contains(&0x1b)
    };
    assert!(!coloured(&[], None), "the output is no terminal");
    assert!(coloured(&["--color", "always"], None));
    assert!(coloured(&["--color=always"], Some(("NO_COLOR", "1"))));
    assert!(!coloured(
        &["--color", "never"],
        Some(("CLICOLOR_FORCE", "1"))
    ));
    assert!(!coloured(&[], Some(("NO_COLOR", "1"))));
}

#[test]
fn every_shell_gets_its_completions_and_every_command_its_help() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(folder.path(), &["completions", shell]);
        assert_eq!(ran.code, 0, "{shell}");
        assert!(ran.stdout.contains("explain"), "{shell}");
    }
    for command in [
        "check",
        "test",
        "explain",
        "render",
        "crds",
        "status",
        "proxies",
        "program",
        "completions",
    ] {
        let ran = run(folder.path(), &[command, "--help"]);
        assert_eq!(ran.code, 0, "{command}");
        assert!(ran.stdout.contains("Usage: meshwall"), "{command}");
    }
}

#[test]
fn the_printed_definitions_are_those_that_are_checked_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mesh-config/crds");
    let ran = run(&folder, &["crds"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let printed: Vec<&str> = ran.stdout.split("---\n").skip(1).collect();
    assert_eq!(printed.len(), fs::read_dir(&folder).unwrap().count());
    for file in fs::read_dir(&folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let (comment, definition) = text.split_once('\n').unwrap();
        assert!(comment.starts_with("# "), "{comment}");
        assert!(printed.contains(&definition), "{text}");
    }
}

#[test]
fn standard_input_is_a_file() {
    use std::io::Write as _;
    use std::process::Stdio;

    let folder = tempfile::tempdir().unwrap();
    let mut child = meshwall(folder.path())
        .args(["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(WRONG.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("--> <stdin>:6:13"), "{text}");
}
