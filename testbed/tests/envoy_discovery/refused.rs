//! A bad program is refused, and the last good one stays.

use meshwall_mesh_config::envoy::Module;
use meshwall_testbed::rig::client::Version;

use crate::sidecar::{CONSOLE, FRONTEND, Published, bundle, module, policy};

const FRONTEND_ONLY: &str = "
- {name: readers, action: Allow, from: [{serviceAccounts: [frontend]}]}
";
const EVERYBODY: &str = "
- {name: all, action: Allow}
";

/// The frontend may and the console may not.
async fn assert_frontend_only(sidecar: &Published, what: &str) {
    for version in [Version::Http1, Version::Http2] {
        assert_eq!(sidecar.ask(&FRONTEND, version).await, 200, "{what}");
        assert_eq!(sidecar.ask(&CONSOLE, version).await, 403, "{what}");
    }
    assert!(sidecar.is_greeted(&FRONTEND).await, "{what}");
    assert!(!sidecar.is_greeted(&CONSOLE).await, "{what}");
}

#[tokio::test]
async fn programs_that_are_not_good_change_nothing() {
    let sidecar = Published::start_with(FRONTEND_ONLY).await;
    let good = bundle(&policy(EVERYBODY));
    let half = good.len() / 2;
    let mut newer = good.clone();
    newer[8] = 2;
    let mut flipped = good.clone();
    flipped[half] ^= 0x10;
    let bad: [(&str, &[u8]); 7] = [
        ("nothing", b""),
        (
            "garbage",
            b"MESHBNDLMESHBNDLMESHBNDLMESHBNDLMESHBNDLMESHBNDL",
        ),
        ("half of it", &good[..half]),
        ("all but the last byte", &good[..good.len() - 1]),
        ("a newer format", &newer),
        ("one bit", &flipped),
        (
            "a policy instead of a program",
            b"{\"kind\": \"FirewallPolicy\"}",
        ),
    ];
    for (what, program) in bad {
        sidecar.publish_bad(what, &module(), program).await;
        assert_frontend_only(&sidecar, what).await;
    }
    let log = sidecar.envoy.log().unwrap();
    for reason in [
        "configuration refused: not a Meshwall bundle",
        "configuration refused: bundle is damaged: its parts do not fill it",
        "configuration refused: bundle format 2 is unknown",
    ] {
        assert!(log.contains(reason), "{reason}");
    }
    // And what is good is taken, as if nothing had happened.
    sidecar.publish("good", EVERYBODY).await;
    assert_eq!(sidecar.ask(&CONSOLE, Version::Http2).await, 200);
}

#[tokio::test]
async fn modules_that_are_not_good_change_nothing() {
    let sidecar = Published::start_with(FRONTEND_ONLY).await;
    let bytes = std::fs::read(module().path).unwrap();
    for (what, content) in [
        ("garbage", &b"not a module"[..]),
        ("half", &bytes[..bytes.len() / 2]),
        ("empty", b""),
    ] {
        let file = sidecar.mesh.write(&format!("{what}.wasm"), content);
        let broken = Module {
            path: file,
            sha256: None,
        };
        let program = bundle(&policy(EVERYBODY));
        sidecar.publish_bad(what, &broken, &program).await;
        assert_frontend_only(&sidecar, what).await;
    }
}

#[tokio::test]
async fn a_bad_program_before_any_good_one_permits_nothing() {
    let sidecar = Published::start().await;
    sidecar.publish_bad("1", &module(), b"garbage").await;
    assert_eq!(sidecar.ask(&FRONTEND, Version::Http2).await, 403);
    assert!(!sidecar.is_greeted(&FRONTEND).await);
    sidecar.publish("2", FRONTEND_ONLY).await;
    assert_frontend_only(&sidecar, "good after bad").await;
}
