//! Programs that were cut or changed on their way: each is refused, and the last good one stays.

use std::ops::Range;

use meshwall_policy::cases::Choices;
use meshwall_testbed::rig::client::Version;

use crate::sidecar::{CONSOLE, FRONTEND, Published, bundle, module, policy};
use crate::vm;

const FRONTEND_ONLY: &str = "
- {name: readers, action: Allow, from: [{serviceAccounts: [frontend]}]}
";
const EVERYBODY: &str = "
- {name: labelled, action: Allow, from: [{podSelector: {}}]}
- {name: all, action: Allow}
";
/// Where the port of the listener is. With another one, a bundle is a good one for another
/// listener.
const PORT: Range<usize> = 14..16;
/// Where the edition is. It means nothing to a filter, so another one is as good.
const EDITION: Range<usize> = 24..40;

#[tokio::test]
async fn a_damaged_program_changes_nothing() {
    let sidecar = Published::start_with(FRONTEND_ONLY).await;
    let before = vm::state(&sidecar.envoy).await;
    let good = bundle(&policy(EVERYBODY));
    let mut choices = Choices::new(7);
    for number in 0..60 {
        let mut damaged = good.clone();
        let at = choices.below(good.len());
        let what = match number % 3 {
            0 => {
                damaged.truncate(at);
                format!("the first {at} bytes")
            }
            1 if !PORT.contains(&at) && !EDITION.contains(&at) => {
                damaged[at] ^= 1 << choices.below(8);
                format!("byte {at}")
            }
            _ => {
                damaged.splice(at..at, std::iter::repeat_n(0xff, 1 + choices.below(64)));
                format!("more at byte {at}")
            }
        };
        sidecar
            .publish_bad(&format!("bad {number}"), &module(), &damaged)
            .await;
        assert_eq!(sidecar.ask(&FRONTEND, Version::Http2).await, 200, "{what}");
        assert_eq!(sidecar.ask(&CONSOLE, Version::Http2).await, 403, "{what}");
    }
    assert!(sidecar.is_greeted(&FRONTEND).await);
    assert!(!sidecar.is_greeted(&CONSOLE).await);
    let after = vm::state(&sidecar.envoy).await;
    let changed = before
        .iter()
        .filter(|(name, value)| after.get(*name) != Some(*value));
    // Envoy tries each program in a virtual machine that it throws away.
    let changed: Vec<_> = changed.map(|(name, _)| name.as_str()).collect();
    assert_eq!(changed, ["wasm.envoy.wasm.runtime.v8.created"]);
}
