//! What holds for every question, as functions that panic if it does not. Tests and fuzz targets
//! call them.

use meshwall_policy::cases::Case;
use serde_json::{Map, Value};

use super::{Question, Request, Sidecar, World};
use crate::host::Module;

/// The module gives the library's answer. The first bytes of the data choose a world, its policies
/// and a question; the others are parts of a request that is asked as well.
pub fn module_agrees(module: &Module, data: &[u8]) {
    let Some((seed, rest)) = data.split_first_chunk::<4>() else {
        return;
    };
    let mut case = Case::generate(u64::from(u32::from_le_bytes(*seed)), 1);
    let Some(asked) = case.questions.pop() else {
        return;
    };
    let world = World {
        config: case.config,
        policies: case.policies,
        inventory: case.inventory,
    };
    let Ok(firewall) = world.firewall(&case.workload) else {
        return;
    };
    let plain = Question {
        workload: case.workload,
        direction: asked.direction,
        now: asked.now,
        principal: asked.principal,
        address: asked.address.to_canonical(),
        remote_address: None,
        port: asked.port,
        sni: asked.sni,
        request: None,
    };
    let mut parts = rest
        .split(|byte| *byte == 0xff)
        .map(String::from_utf8_lossy);
    let mut part = || parts.next().unwrap_or_default().into_owned();
    let (path, authority, value, other) = (part(), part(), part(), part());
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let with_request = Question {
        request: Some(Request {
            headers: vec![
                header(":method", "GET"),
                header(":path", &path),
                header(":authority", &authority),
                header("x-env", &value),
                header("x-env", &other),
            ],
            claims: Map::from_iter([("groups".to_owned(), Value::String(other))]),
        }),
        ..plain.clone()
    };
    let bundle = firewall.bundle(plain.direction);
    let sidecar = Sidecar::start(module, &bundle, plain.now);
    let sidecar =
        sidecar.unwrap_or_else(|error| unexpected(&format!("it does not start: {error}")));
    for question in [plain, with_request] {
        let answer = sidecar.ask(&question);
        let answer = answer.unwrap_or_else(|error| unexpected(&format!("{error}: {question:#?}")));
        assert_eq!(answer, firewall.ask(&question), "{question:#?}");
    }
}

#[expect(clippy::panic, reason = "a property that does not hold is a panic")]
fn unexpected(what: &str) -> ! {
    panic!("{what}")
}
