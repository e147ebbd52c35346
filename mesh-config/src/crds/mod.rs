//! Custom resource definitions of our kinds, written from the types that read them.
//!
//! `mesh-config/crds/` holds what [`all`] returns, for those who install; a test compares the two.
//! The schemas are those that the reader of documents holds a document against, as far as a
//! structural schema can say it (`structural.rs`). They never refuse what the reader takes, so that a
//! policy that passed `meshwall check` can be stored, and they refuse early what is of the wrong
//! type or misses a field.
//!
//! What a schema does not know it must not drop, either. An API server prunes unknown fields in
//! silence, before any admission webhook sees them, and a rule that lost the misspelt half of its
//! conditions permits more than its author wrote. So every mapping keeps unknown fields
//! (`x-kubernetes-preserve-unknown-fields`), and our reader refuses them in its own words. For the
//! same reason, what is optional is kept if it is null (docs/adr/0012).
//!
//! Rules of Kubernetes' expression language (`x-kubernetes-validations`) are left out: API servers
//! before 1.25 drop or refuse them, and what they could say is said by the reader.

pub mod status;
mod structural;

use meshwall_policy::document::types::{
    ClusterFirewallPolicySpec, FirewallPolicySpec, GROUP, MeshwallConfigSpec, Resource,
};
use serde_json::{Map, Value, json};

use self::status::Status;

/// Version of all kinds.
pub const VERSION: &str = "v1alpha1";

/// Category by which `kubectl get meshwall` lists objects of all kinds.
pub const CATEGORY: &str = "meshwall";

/// What stands above the definition in its file in `mesh-config/crds/`.
pub const FILE_HEADER: &str = "\
# Written from the types in policy/src/document/types; `meshwall crds` prints all definitions.
";

/// A custom resource definition (`apiextensions.k8s.io/v1`).
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Name of the kind in URLs, as in `firewallpolicies`.
    pub plural: &'static str,
    /// The object, as it is sent to an API server.
    pub object: Value,
}

impl Definition {
    /// Name of the file in `mesh-config/crds/`, and of what it is about.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{GROUP}_{}.yaml", self.plural)
    }

    /// The definition as a YAML document, without `---` in front.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        // A value of JSON can always be written.
        meshwall_policy::document::to_yaml(&self.object).unwrap_or_default()
    }
}

/// The definitions of all kinds.
#[must_use]
pub fn all() -> [Definition; 3] {
    [
        define::<FirewallPolicySpec>(&Names {
            plural: "firewallpolicies",
            singular: "firewallpolicy",
            short: "fwp",
            columns: &[MODE],
        }),
        define::<ClusterFirewallPolicySpec>(&Names {
            plural: "clusterfirewallpolicies",
            singular: "clusterfirewallpolicy",
            short: "cfwp",
            columns: &[TIER, PRIORITY, MODE],
        }),
        define::<MeshwallConfigSpec>(&Names {
            plural: "meshwallconfigs",
            singular: "meshwallconfig",
            short: "mwc",
            columns: &[TRUST_DOMAIN],
        }),
    ]
}

/// All definitions as one stream of YAML documents.
#[must_use]
pub fn to_yaml() -> String {
    let documents = all().map(|definition| format!("---\n{}", definition.to_yaml()));
    documents.concat()
}

/// What a kind is called, and what of it `kubectl get` shows before the columns of all kinds.
struct Names {
    plural: &'static str,
    singular: &'static str,
    short: &'static str,
    columns: &'static [Column],
}

/// A column of `kubectl get`.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    kind: &'static str,
    path: &'static str,
    /// Whether it takes `-o wide` to see it.
    wide: bool,
}

impl Column {
    const fn always(name: &'static str, kind: &'static str, path: &'static str) -> Column {
        Column {
            name,
            kind,
            path,
            wide: false,
        }
    }

    const fn wide(name: &'static str, kind: &'static str, path: &'static str) -> Column {
        Column {
            wide: true,
            ..Column::always(name, kind, path)
        }
    }

    fn to_json(self) -> Value {
        let mut column = json!({"name": self.name, "type": self.kind, "jsonPath": self.path});
        if let (true, Some(column)) = (self.wide, column.as_object_mut()) {
            column.insert("priority".to_owned(), json!(1));
        }
        column
    }
}

const TIER: Column = Column::always("Tier", "string", ".spec.tier");
const PRIORITY: Column = Column::always("Priority", "integer", ".spec.priority");
const TRUST_DOMAIN: Column = Column::always("Trust domain", "string", ".spec.trustDomain");
const MODE: Column = Column::always("Mode", "string", ".spec.mode");

/// What [`Status`] says, of every kind.
const STATUS_COLUMNS: [Column; 6] = [
    Column::always(
        "Accepted",
        "string",
        r#".status.conditions[?(@.type=="Accepted")].status"#,
    ),
    Column::always(
        "Programmed",
        "string",
        r#".status.conditions[?(@.type=="Programmed")].status"#,
    ),
    Column::wide("Proxies", "integer", ".status.proxies.selected"),
    Column::wide("At version", "integer", ".status.proxies.programmed"),
    Column::wide("Refused", "integer", ".status.proxies.refused"),
    Column::always("Age", "date", ".metadata.creationTimestamp"),
];

fn define<S: Resource>(names: &Names) -> Definition {
    let columns = names.columns.iter().chain(&STATUS_COLUMNS);
    let object = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{GROUP}", names.plural)},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": S::KIND,
                "listKind": format!("{}List", S::KIND),
                "plural": names.plural,
                "singular": names.singular,
                "shortNames": [names.short],
                "categories": [CATEGORY],
            },
            "scope": if S::NAMESPACED { "Namespaced" } else { "Cluster" },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": schema::<S>()},
                "subresources": {"status": {}},
                "additionalPrinterColumns":
                    columns.map(|column| column.to_json()).collect::<Vec<_>>(),
            }],
        },
    });
    Definition {
        plural: names.plural,
        object,
    }
}

/// The schema of the objects of a kind. API servers know `metadata` themselves, and refuse a schema
/// that says more of it than that it is there.
fn schema<S: Resource>() -> Value {
    let mut schema = structural::of(S::schema());
    let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return schema;
    };
    let text = |description: &str| json!({"description": description, "type": "string"});
    for (name, schema) in [
        ("apiVersion", text("Group and version of the object.")),
        ("kind", text("Kind of the object.")),
        ("metadata", json!({"type": "object"})),
        ("status", status_schema()),
    ] {
        fields.insert(name.to_owned(), schema);
    }
    let description = fields
        .get("spec")
        .and_then(|spec| spec.get("description"))
        .cloned();
    let mut described = Map::new();
    described.extend(description.map(|description| ("description".to_owned(), description)));
    if let Value::Object(schema) = schema {
        described.extend(schema);
    }
    // A kind without `metadata` in what it requires is still one that has a name.
    if let Some(Value::Array(required)) = described.get_mut("required") {
        required.retain(|name| name == "spec");
    }
    Value::Object(described)
}

fn status_schema() -> Value {
    structural::of(&meshwall_policy::document::schema::part::<Status>())
}
