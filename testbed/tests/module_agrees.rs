//! `firewall.wasm` gives the library's answers, in the host, to random questions.

#![cfg(test)]

use std::path::{Path, PathBuf};

use meshwall_policy::cases::Choices;
use meshwall_testbed::host::Module;
use meshwall_testbed::scenario::properties::module_agrees;

#[test]
fn random_questions_get_the_same_answers() {
    let named = std::env::var_os("MESHWALL_FIREWALL_WASM").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/firewall.wasm");
    let bytes = std::fs::read(named.unwrap_or(built)).unwrap();
    let module = Module::from_bytes(&bytes).unwrap();
    let mut choices = Choices::new(11);
    for _ in 0..1_000 {
        let mut data: Vec<u8> = (0..4).map(|_| choices.below(256) as u8).collect();
        for part in ["/v1/items", "api.example.com", "prod", "eu-prod"] {
            let mut part = part.as_bytes().to_vec();
            for _ in 0..choices.below(3) {
                let at = choices.below(part.len());
                part[at] = choices.below(255) as u8;
            }
            data.extend(part);
            data.push(0xff);
        }
        module_agrees(&module, &data);
    }
}
