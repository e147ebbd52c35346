use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn reflector() -> Reflector<&'static str> {
    Reflector::new(Backoff::new(SECOND, SECOND * 30))
}

fn page(version: &str, objects: &[&'static str], token: Option<&str>) -> Page<&'static str> {
    Page {
        objects: objects.to_vec(),
        version: version.to_owned(),
        token: token.map(str::to_owned),
    }
}

fn applied(version: &str, object: &'static str) -> Event<&'static str> {
    Event::Applied {
        version: version.to_owned(),
        object,
    }
}

fn list() -> Request {
    Request::List {
        limit: Some(PAGE),
        token: None,
    }
}

fn watch(version: &str) -> Request {
    Request::Watch {
        version: version.to_owned(),
    }
}

/// A reflector that has listed at version 10.
fn watching() -> Reflector<&'static str> {
    let mut reflector = reflector();
    assert_eq!(
        reflector.page(page("10", &["a"], None)).0,
        Told::All(vec!["a"])
    );
    assert_eq!(reflector.next(), watch("10"));
    reflector
}

#[test]
fn a_list_is_told_when_all_its_pages_are_here() {
    let mut reflector = reflector();
    assert_eq!(reflector.next(), list());
    let first = reflector.page(page("7", &["a", "b"], Some("next")));
    assert_eq!(first, (Told::Nothing, Duration::ZERO));
    let next = Request::List {
        limit: Some(PAGE),
        token: Some("next".to_owned()),
    };
    assert_eq!(reflector.next(), next);
    let last = reflector.page(page("7", &["c"], None));
    assert_eq!(last, (Told::All(vec!["a", "b", "c"]), Duration::ZERO));
    assert_eq!(reflector.next(), watch("7"));
}

#[test]
fn a_watch_goes_on_from_what_it_told() {
    let mut reflector = watching();
    assert_eq!(reflector.event(applied("11", "b")), Told::Applied("b"));
    let deleted = Event::Deleted {
        version: "12".to_owned(),
        object: "a",
    };
    assert_eq!(reflector.event(deleted), Told::Deleted("a"));
    assert!(reflector.ended(Duration::ZERO) <= SECOND);
    assert_eq!(reflector.next(), watch("12"));
    let bookmark = Event::Bookmark {
        version: "20".to_owned(),
    };
    assert_eq!(reflector.event(bookmark), Told::Nothing);
    assert!(reflector.failed(Failure::Other) > Duration::ZERO);
    assert_eq!(reflector.next(), watch("20"));
}

#[test]
fn a_version_that_is_gone_is_not_asked_for_again() {
    let mut reflector = watching();
    reflector.event(applied("11", "b"));
    assert!(reflector.failed(Failure::Gone) > Duration::ZERO);
    assert_eq!(reflector.next(), list());
    let (told, _) = reflector.page(page("30", &["b"], None));
    assert_eq!(told, Told::All(vec!["b"]));
    assert_eq!(reflector.next(), watch("30"));
}

#[test]
fn a_token_that_is_gone_begins_the_list_anew_and_then_without_pages() {
    let mut reflector = reflector();
    for limit in [Some(PAGE), Some(PAGE), None] {
        assert_eq!(reflector.next(), Request::List { limit, token: None });
        if limit.is_some() {
            reflector.page(page("7", &["a"], Some("next")));
            reflector.failed(Failure::Gone);
        }
    }
    let (told, _) = reflector.page(page("8", &["a", "b"], None));
    assert_eq!(told, Told::All(vec!["a", "b"]));
    reflector.failed(Failure::Gone);
    assert_eq!(reflector.next(), list());
}

#[test]
fn what_is_too_large_is_asked_for_in_smaller_pages() {
    let mut reflector = reflector();
    for limit in [PAGE, PAGE / 8, PAGE / 64, 1, 1] {
        let expected = Request::List {
            limit: Some(limit),
            token: None,
        };
        assert_eq!(reflector.next(), expected);
        reflector.failed(Failure::TooLarge);
    }
}

#[test]
fn a_watch_that_fails_again_and_again_ends_in_a_list() {
    for fail in [
        |reflector: &mut Reflector<_>| reflector.failed(Failure::Other),
        |reflector: &mut Reflector<_>| reflector.ended(Duration::ZERO),
    ] {
        let mut reflector = watching();
        for _ in 0..RESUMPTIONS {
            fail(&mut reflector);
            assert_eq!(reflector.next(), watch("10"));
        }
        assert!(fail(&mut reflector) > Duration::ZERO);
        assert_eq!(reflector.next(), list());
    }
    let mut reflector = watching();
    for _ in 0..10 {
        assert_eq!(reflector.ended(LONG), Duration::ZERO);
        assert_eq!(reflector.next(), watch("10"));
    }
}

#[test]
fn waits_grow_until_something_works() {
    let mut reflector = watching();
    let first = reflector.failed(Failure::Other);
    let second = reflector.failed(Failure::Other);
    assert!(first <= SECOND && second > SECOND / 2 && second <= SECOND * 2);
    reflector.event(applied("11", "b"));
    assert!(reflector.failed(Failure::Other) <= SECOND);
    let asked = reflector.failed(Failure::Busy(Some(SECOND * 50)));
    assert_eq!(asked, SECOND * 50);
    let asked = reflector.failed(Failure::Busy(Some(SECOND * 100)));
    assert_eq!(asked, LONGEST_ASKED);
}

#[test]
fn where_every_watch_fails_lists_become_rare() {
    for fail in [
        |reflector: &mut Reflector<_>| reflector.failed(Failure::Gone),
        |reflector: &mut Reflector<_>| reflector.failed(Failure::Other),
    ] {
        let mut reflector = watching();
        let mut last = Duration::ZERO;
        for version in 11..60 {
            last = fail(&mut reflector);
            if reflector.next() == list() {
                reflector.page(page(&version.to_string(), &["a"], None));
            }
        }
        assert!(last >= SECOND * 15, "{last:?}");
        reflector.ended(LONG);
        assert!(reflector.failed(Failure::Other) <= SECOND);
    }
}

#[test]
fn an_older_list_is_asked_for_again_but_not_for_ever() {
    let mut reflector = watching();
    reflector.failed(Failure::Gone);
    for _ in 0..STALE_LISTS {
        let (told, wait) = reflector.page(page("9", &["old"], None));
        assert_eq!(told, Told::Nothing);
        assert!(wait > Duration::ZERO);
        assert_eq!(reflector.next(), list());
    }
    let (told, _) = reflector.page(page("9", &["restored"], None));
    assert_eq!(told, Told::All(vec!["restored"]));
    // From here on, the old version counts.
    assert_eq!(reflector.event(applied("10", "b")), Told::Applied("b"));
}

#[test]
fn what_a_watch_repeats_is_told_again_and_what_is_older_is_not() {
    let mut reflector = watching();
    assert_eq!(reflector.event(applied("12", "b")), Told::Applied("b"));
    assert_eq!(reflector.event(applied("12", "b")), Told::Applied("b"));
    assert_eq!(reflector.event(applied("11", "older")), Told::Nothing);
    reflector.failed(Failure::Other);
    assert_eq!(reflector.next(), watch("12"));
}

#[test]
fn versions_that_are_no_numbers_are_taken_as_they_come() {
    let mut reflector = reflector();
    reflector.page(page("x", &["a"], None));
    assert_eq!(reflector.event(applied("y", "b")), Told::Applied("b"));
    assert_eq!(reflector.event(applied("w", "c")), Told::Applied("c"));
    reflector.ended(Duration::ZERO);
    assert_eq!(reflector.next(), watch("w"));
}

#[test]
fn a_kind_that_is_not_there_has_no_objects_and_may_come() {
    let mut reflector = watching();
    reflector.failed(Failure::Gone);
    let (told, wait) = reflector.absent();
    assert_eq!(told, Told::All(Vec::new()));
    assert!(wait > SECOND);
    assert_eq!(reflector.next(), list());
    let (told, _) = reflector.page(page("5", &["a"], None));
    assert_eq!(told, Told::All(vec!["a"]));
}
