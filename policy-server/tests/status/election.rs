//! Who holds the lease.

use std::time::{Duration, Instant};

use meshwall_policy_server::status::{Election, Held, Turn};

const LASTS: Duration = Duration::from_secs(15);

#[test]
fn a_lease_is_taken_over_when_it_has_not_changed_for_as_long_as_it_lasts() {
    // Seconds, holder and version of the lease, what to do.
    let cases = [
        (0, None, Turn::Create),
        (1, Some(("a", "1")), Turn::Renew),
        (2, Some(("b", "2")), Turn::Wait),
        // It was renewed: the time begins again.
        (10, Some(("b", "3")), Turn::Wait),
        (24, Some(("b", "3")), Turn::Wait),
        (25, Some(("b", "3")), Turn::Take),
        // Somebody else was faster.
        (26, Some(("c", "4")), Turn::Wait),
        // It was given back.
        (27, Some(("", "5")), Turn::Take),
        (28, Some(("a", "6")), Turn::Renew),
        // It was deleted.
        (29, None, Turn::Create),
    ];
    let start = Instant::now();
    let mut election = Election::new("a".to_owned(), LASTS);
    for (second, lease, expected) in cases {
        let held = lease.map(|(holder, version): (&str, &str)| Held {
            holder: holder.to_owned(),
            version: version.to_owned(),
        });
        let now = start + Duration::from_secs(second);
        assert_eq!(election.turn(held.as_ref(), now), expected, "at {second}");
    }
}
