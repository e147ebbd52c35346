use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const REST: Duration = Duration::from_secs(1);

/// A folder, a scanner of it, and a clock.
struct Bed {
    folder: TempDir,
    scanner: Scanner,
}

impl Bed {
    fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let scanner = Scanner::new(folder.path(), REST);
        Bed { folder, scanner }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Looks when all files have been at rest for long.
    fn look(&mut self) -> Seen {
        self.scanner.look(SystemTime::now() + REST * 10)
    }

    /// Names of the objects, and of those the ones that are refused.
    fn objects(&self) -> Vec<String> {
        let objects = self.scanner.objects().into_iter();
        objects
            .map(|object| {
                let refused = if object.refusal().is_some() { "!" } else { "" };
                format!("{}{refused}", object.key())
            })
            .collect()
    }
}

fn namespace(name: &str) -> String {
    format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n")
}

fn policy(name: &str, action: &str) -> String {
    format!(
        "apiVersion: meshwall.io/v1alpha1\nkind: FirewallPolicy\nmetadata: {{name: {name}, \
         namespace: shop}}\nspec: {{ingress: [{{action: {action}}}]}}\n"
    )
}

#[test]
fn files_are_read_when_they_are_another() {
    let mut bed = Bed::new();
    bed.write("a.yaml", &namespace("a"));
    bed.write(
        "deep/er/b.json",
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b"}}"#,
    );
    bed.write(".hidden.yaml", &namespace("hidden"));
    bed.write("notes.txt", "none");
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), ["Namespace/a", "Namespace/b"]);
    assert_eq!(bed.look(), Seen::Same);
    bed.write("a.yaml", &namespace("other"));
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), ["Namespace/other", "Namespace/b"]);
    fs::remove_file(bed.path("a.yaml")).unwrap();
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), ["Namespace/b"]);
}

#[test]
fn an_empty_folder_is_one_without_objects() {
    let mut bed = Bed::new();
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), Vec::<String>::new());
    assert_eq!(bed.look(), Seen::Same);
}

#[test]
fn a_file_that_is_renamed_into_place_is_another() {
    let mut bed = Bed::new();
    bed.write("a.yaml", &namespace("aa"));
    assert_eq!(bed.look(), Seen::Other);
    bed.write(".a.yaml.new", &namespace("bb"));
    fs::rename(bed.path(".a.yaml.new"), bed.path("a.yaml")).unwrap();
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), ["Namespace/bb"]);
}

/// As the kubelet does it: the files are links through a link that is replaced.
#[test]
fn a_config_map_that_is_replaced_is_another() {
    let mut bed = Bed::new();
    bed.write("..2026_01/a.yaml", &namespace("aa"));
    bed.write("..2026_02/a.yaml", &namespace("bb"));
    symlink("..2026_01", bed.path("..data")).unwrap();
    symlink("..data/a.yaml", bed.path("a.yaml")).unwrap();
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), ["Namespace/aa"]);
    symlink("..2026_02", bed.path("..data_tmp")).unwrap();
    fs::rename(bed.path("..data_tmp"), bed.path("..data")).unwrap();
    fs::remove_dir_all(bed.path("..2026_01")).unwrap();
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), ["Namespace/bb"]);
}

#[test]
fn a_file_that_is_being_written_is_waited_for_and_so_are_the_others() {
    let mut bed = Bed::new();
    bed.write("a.yaml", &namespace("a"));
    let unrest = Seen::Unrest(bed.path("a.yaml"));
    assert_eq!(bed.scanner.look(SystemTime::now()), unrest);
    assert_eq!(bed.look(), Seen::Other);
    bed.write("a.yaml", &namespace("changed"));
    fs::remove_file(bed.path("a.yaml")).unwrap();
    bed.write("b.yaml", &namespace("b"));
    let unrest = Seen::Unrest(bed.path("b.yaml"));
    assert_eq!(bed.scanner.look(SystemTime::now()), unrest);
    assert_eq!(bed.objects(), ["Namespace/a"]);
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), ["Namespace/b"]);
}

#[test]
fn a_file_of_the_future_is_taken_as_it_is() {
    let mut bed = Bed::new();
    bed.write("a.yaml", &namespace("a"));
    assert_eq!(bed.scanner.look(SystemTime::now() - REST * 60), Seen::Other);
}

#[test]
fn what_cannot_be_understood_keeps_what_it_said() {
    let mut bed = Bed::new();
    bed.write("a.yaml", &policy("a", "Allow"));
    bed.write("b.yaml", &policy("b", "Allow"));
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.scanner.trouble(), None);
    bed.write("a.yaml", "{{");
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(
        bed.objects(),
        ["FirewallPolicy/shop/a", "FirewallPolicy/shop/b"]
    );
    let trouble = bed.scanner.trouble().unwrap();
    assert!(trouble.starts_with("a.yaml:"), "{trouble}");
    fs::write(bed.path("a.yaml"), [0xff, 0xfe]).unwrap();
    assert_eq!(bed.look(), Seen::Other);
    let trouble = bed.scanner.trouble().unwrap();
    assert!(trouble.starts_with("cannot read `a.yaml`"), "{trouble}");
    assert_eq!(bed.objects().len(), 2);
    bed.write("a.yaml", &policy("a", "Alow"));
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.scanner.trouble(), None);
    assert_eq!(
        bed.objects(),
        ["FirewallPolicy/shop/a!", "FirewallPolicy/shop/b"]
    );
}

#[test]
fn of_two_objects_of_a_name_the_first_counts_and_it_is_said() {
    let mut bed = Bed::new();
    bed.write("a.yaml", &policy("web", "Allow"));
    bed.write("b.yaml", &policy("web", "Alow"));
    assert_eq!(bed.look(), Seen::Other);
    assert_eq!(bed.objects(), ["FirewallPolicy/shop/web"]);
    let trouble = bed.scanner.trouble().unwrap();
    assert!(
        trouble.starts_with("`FirewallPolicy/shop/web` is in `"),
        "{trouble}"
    );
}

#[test]
fn a_folder_that_is_gone_keeps_what_it_said() {
    let mut bed = Bed::new();
    bed.write("in/a.yaml", &namespace("a"));
    bed.scanner = Scanner::new(&bed.path("in"), REST);
    assert_eq!(bed.look(), Seen::Other);
    fs::rename(bed.path("in"), bed.path("out")).unwrap();
    let Seen::Nothing(reason) = bed.look() else {
        panic!("the folder is gone");
    };
    assert!(reason.contains("No such file"), "{reason}");
    assert_eq!(bed.objects(), ["Namespace/a"]);
    fs::rename(bed.path("out"), bed.path("in")).unwrap();
    assert_eq!(bed.look(), Seen::Same);
}

#[test]
fn links_in_circles_end() {
    let mut bed = Bed::new();
    symlink(".", bed.path("again")).unwrap();
    let Seen::Nothing(reason) = bed.look() else {
        panic!("the links have no end");
    };
    assert!(
        reason.contains("within each other") || reason.contains("symbolic"),
        "{reason}"
    );
}

#[test]
fn a_link_to_nowhere_is_waited_for() {
    let mut bed = Bed::new();
    symlink("nowhere", bed.path("a.yaml")).unwrap();
    assert_eq!(bed.look(), Seen::Unrest(bed.path("a.yaml")));
}
