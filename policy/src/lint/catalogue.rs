//! The lints: their names, what they mean, and where each finds something.

use std::fmt::Write as _;

use super::Severity;

/// What can be found.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "`explanation` is the documentation")]
pub enum Lint {
    DoesNotCompile,
    ShadowedRule,
    DuplicateRule,
    RedundantRule,
    AllowsEveryone,
    PathWithoutSubpaths,
    RegexMatchesEmpty,
    SelectsNothing,
    PeerSelectsNothing,
    UnknowablePeer,
    NoTrustedProxies,
    UnknownPort,
    HttpOnTcp,
    HttpInsideTls,
    Expired,
    ExpiresSoon,
}

/// What is to be said of a lint.
struct Entry {
    code: &'static str,
    severity: Severity,
    explanation: &'static str,
    /// The `spec` of a FirewallPolicy of the namespace `shop`, in YAML.
    example: &'static str,
}

impl Lint {
    /// All lints, in the order of the documentation.
    pub const ALL: [Lint; 16] = [
        Lint::DoesNotCompile,
        Lint::ShadowedRule,
        Lint::DuplicateRule,
        Lint::RedundantRule,
        Lint::AllowsEveryone,
        Lint::PathWithoutSubpaths,
        Lint::RegexMatchesEmpty,
        Lint::SelectsNothing,
        Lint::PeerSelectsNothing,
        Lint::UnknowablePeer,
        Lint::NoTrustedProxies,
        Lint::UnknownPort,
        Lint::HttpOnTcp,
        Lint::HttpInsideTls,
        Lint::Expired,
        Lint::ExpiresSoon,
    ];

    /// Stable name, for machines and for looking it up.
    pub fn code(self) -> &'static str {
        self.entry().code
    }

    /// How grave it is.
    pub fn severity(self) -> Severity {
        self.entry().severity
    }

    /// What it means and why it matters.
    pub fn explanation(self) -> &'static str {
        self.entry().explanation
    }

    /// The `spec` of a FirewallPolicy in which it is found, in YAML.
    pub fn example(self) -> &'static str {
        self.entry().example
    }

    fn entry(self) -> Entry {
        match self {
            Lint::DoesNotCompile => Entry {
                code: "does-not-compile",
                severity: Severity::Error,
                explanation: "The policy is well-formed and exceeds a limit of programs, or has a \
                              regular expression that is too large when compiled. It cannot be \
                              enforced.",
                example: r#"
ingress:
- name: tickets
  action: Deny
  operations:
  - ports: [http]
    headers:
    - {name: x-ticket, regex: '(?:\w{50}){50}'}
"#,
            },
            Lint::ShadowedRule => Entry {
                code: "shadowed-rule",
                severity: Severity::Warning,
                explanation: "Whatever the rule matches is decided by another one first, so the \
                              rule never decides. In the tiers Admin and Baseline that is an \
                              earlier rule; for a rule of a FirewallPolicy, one of tier Admin; for \
                              an Allow rule of a FirewallPolicy also any Deny rule, in whatever \
                              policy.",
                example: "
ingress:
- name: no-batch
  action: Deny
  from:
  - namespaces: [batch]
- name: nightly-job
  action: Allow
  from:
  - serviceAccounts: [batch/analytics]
",
            },
            Lint::DuplicateRule => Entry {
                code: "duplicate-rule",
                severity: Severity::Warning,
                explanation: "Two rules of FirewallPolicies have the same action and match the \
                              same. Whoever changes one of them will wonder why nothing changes.",
                example: "
ingress:
- name: checkout
  action: Allow
  from:
  - serviceAccounts: [checkout]
- name: checkout-again
  action: Allow
  from:
  - serviceAccounts: [shop/checkout]
",
            },
            Lint::RedundantRule => Entry {
                code: "redundant-rule",
                severity: Severity::Note,
                explanation: "A rule of a FirewallPolicy matches only what another one with the \
                              same action matches, too. Removing it would change no verdict: if \
                              the wider rule is meant, this one misleads its readers; if this one \
                              is, the other is too wide.",
                example: "
ingress:
- name: shop
  action: Allow
  from:
  - namespaces: [shop]
- name: checkout-reads
  action: Allow
  from:
  - serviceAccounts: [checkout]
  operations:
  - {ports: [http], methods: [GET]}
",
            },
            Lint::AllowsEveryone => Entry {
                code: "allows-everyone",
                severity: Severity::Warning,
                explanation: "The rule permits everyone everything, also peers without an \
                              identity. As soon as it applies, no other Allow rule matters. A \
                              default is better written in the tier Baseline, where it is asked \
                              last, or as `defaultAction`.",
                example: "
ingress:
- name: everyone
  action: Allow
  from:
  - ipBlocks: [0.0.0.0/0, \"::/0\"]
",
            },
            Lint::PathWithoutSubpaths => Entry {
                code: "path-without-subpaths",
                severity: Severity::Note,
                explanation: "A Deny rule names an exact path and not what is below it. Many \
                              servers serve `/admin/` and `/admin/users` by the handler of \
                              `/admin`.",
                example: "
ingress:
- name: no-admin
  action: Deny
  operations:
  - {ports: [http], paths: [/admin]}
",
            },
            Lint::RegexMatchesEmpty => Entry {
                code: "regex-matches-empty",
                severity: Severity::Note,
                explanation: "A regular expression matches the empty text, as `.*` does, and so \
                              asks for little more than that the header, parameter or claim is \
                              there.",
                example: "
ingress:
- name: versions
  action: Allow
  from:
  - serviceAccounts: [checkout]
  operations:
  - ports: [http]
    headers:
    - {name: x-api-version, regex: '(v[0-9]+)?'}
",
            },
            Lint::SelectsNothing => Entry {
                code: "selects-nothing",
                severity: Severity::Warning,
                explanation: "No workload of the inventory is protected by the policy. A selector \
                              with a slip of the pen leaves the workload that was meant without \
                              the policy.",
                example: "
selector:
  matchLabels: {app: payment}
ingress:
- name: checkout
  action: Allow
  from:
  - serviceAccounts: [checkout]
",
            },
            Lint::PeerSelectsNothing => Entry {
                code: "peer-selects-nothing",
                severity: Severity::Warning,
                explanation: "No workload of the inventory is selected as a peer: none has the \
                              labels, runs as the service account or is in the namespace. Often a \
                              name is misspelt or its namespace is missing: `console` is an \
                              account of the policy's own namespace, another one's is written \
                              `ops/console`.",
                example: "
ingress:
- name: console
  action: Allow
  from:
  - serviceAccounts: [console]
",
            },
            Lint::UnknowablePeer => Entry {
                code: "unknowable-peer",
                severity: Severity::Warning,
                explanation: "Labels, and on egress identities, are those of the workload that \
                              the inventory of this mesh knows at an address. A peer that asks for \
                              them and for the trust domain of another mesh matches nobody. On \
                              ingress name `serviceAccounts` or `principals`, which a certificate \
                              proves; on egress `ipBlocks`.",
                example: "
ingress:
- name: console-of-a-partner
  action: Allow
  from:
  - trustDomains: [partner.example]
    namespaces: [ops]
    podSelector:
      matchLabels: {role: console}
",
            },
            Lint::NoTrustedProxies => Entry {
                code: "no-trusted-proxies",
                severity: Severity::Warning,
                explanation: "A peer has `remoteIpBlocks`, and the mesh trusts no proxy to tell \
                              the address of a client (`trustedProxies` of MeshwallConfig is 0). \
                              So the address of the direct peer is compared, which behind a \
                              gateway is the gateway's.",
                example: "
ingress:
- name: scanners
  action: Deny
  from:
  - remoteIpBlocks: [198.51.100.0/24]
",
            },
            Lint::UnknownPort => Entry {
                code: "unknown-port",
                severity: Severity::Warning,
                explanation: "No workload that the policy protects, or on egress no workload at \
                              all, gives a port this name, so the operation matches nothing.",
                example: "
ingress:
- name: checkout
  action: Allow
  from:
  - serviceAccounts: [checkout]
  operations:
  - ports: [htpp]
",
            },
            Lint::HttpOnTcp => Entry {
                code: "http-on-tcp",
                severity: Severity::Warning,
                explanation: "The rule asks for HTTP on a port that by its name speaks another \
                              protocol. There, an Allow rule never matches, and a Deny rule \
                              matches whatever the HTTP fields say. An Allow rule is reported if \
                              it reaches such ports only.",
                example: "
ingress:
- name: checkout
  action: Allow
  from:
  - serviceAccounts: [checkout]
  operations:
  - {ports: [tcp-admin], methods: [GET]}
",
            },
            Lint::HttpInsideTls => Entry {
                code: "http-inside-tls",
                severity: Severity::Note,
                explanation: "The rule asks for HTTP on the way out to ports such as 443, where a \
                              workload usually speaks TLS itself. The proxy then sees the server \
                              name and nothing of HTTP: compare the server name, or let the \
                              workload speak plain HTTP and the proxy encrypt.",
                example: "
egress:
- name: card-network
  action: Allow
  to:
  - ipBlocks: [192.0.2.0/24]
  operations:
  - {ports: [443], hosts: [api.cards.example]}
",
            },
            Lint::Expired => Entry {
                code: "expired",
                severity: Severity::Warning,
                explanation: "The policy has expired and counts as absent, also for the other \
                              lints. What it allowed is denied again, what it denied may be \
                              allowed.",
                example: "
expires: 2026-01-01T00:00:00Z
ingress:
- name: checkout
  action: Allow
  from:
  - serviceAccounts: [checkout]
",
            },
            Lint::ExpiresSoon => Entry {
                code: "expires-soon",
                severity: Severity::Note,
                explanation: "The policy expires within seven days. From then on it counts as \
                              absent, in running filters too, without anything being sent.",
                example: "
expires: 2026-06-18T00:00:00Z
ingress:
- name: checkout
  action: Allow
  from:
  - serviceAccounts: [checkout]
",
            },
        }
    }
}

const INTRODUCTION: &str = "\
# Lints

What `meshwall check` finds in policies that are valid and cannot be meant. A finding is certain;
where the answer depends on what is not known, nothing is said. What is to be known of workloads
comes from an inventory, and lints that need one are silent without it.

An error makes the check fail, a warning only with `--deny-warnings`, a note never.
";

/// The reference of the lints, as Markdown.
pub fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    out.push_str("\n| Lint | Severity |\n|---|---|\n");
    for lint in Lint::ALL {
        let (code, severity) = (lint.code(), lint.severity());
        let _ = writeln!(out, "| [`{code}`](#{code}) | {severity} |");
    }
    for lint in Lint::ALL {
        let _ = write!(out, "\n## {}\n\n", lint.code());
        wrapped(&mut out, lint.explanation());
        let _ = write!(out, "\n```yaml{}```\n", lint.example());
    }
    out
}

/// Appends a paragraph in lines of at most 100 characters.
fn wrapped(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > 100 {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += word.len();
    }
    out.push('\n');
}
