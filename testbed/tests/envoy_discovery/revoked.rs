//! A changed policy ends the connections and streams that it no longer permits, and leaves the
//! others alone.

use std::time::{Duration, Instant, SystemTime};

use meshwall_testbed::rig::backend::Traffic;
use meshwall_testbed::rig::client::{
    Client, Connection, End, Exchange, HttpConnection, Request, Streaming, Version,
};
use serde_json::json;

use crate::sidecar::{CANARY, CONSOLE, FRONTEND, GREETING, Peer, Published, SOON, policy};

const EVERYBODY: &str = "
- {name: all, action: Allow}
";
const FRONTEND_ONLY: &str = "
- {name: readers, action: Allow, from: [{serviceAccounts: [frontend]}]}
";

/// How long a stream may live that is no longer permitted.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// A response that goes on, with its connection.
struct Live {
    _connection: HttpConnection,
    stream: Streaming,
}

impl Live {
    async fn open(sidecar: &Published, peer: &Peer, version: Version, request: &Request) -> Live {
        let address = sidecar.envoy.listener("http").unwrap();
        let client = sidecar.mesh.client(peer);
        let mut connection = client.http(address, version).await.unwrap();
        let stream = connection.stream(request).await.unwrap();
        let mut live = Live {
            _connection: connection,
            stream,
        };
        live.assert_goes_on().await;
        live
    }

    async fn assert_goes_on(&mut self) {
        // A piece every 20 ms: this outlives the sweep that looks at each stream.
        for _ in 0..15 {
            assert!(self.stream.next().await.unwrap().is_some());
        }
    }

    /// Waits for the end, which must not look like an orderly one. Nothing may come any more
    /// when a stream has to be over; Envoy closes a connection of HTTP/1.1 a second later.
    async fn assert_is_cut(&mut self) {
        let start = Instant::now();
        let mut last = start;
        let end = loop {
            match self.stream.next().await {
                Ok(Some(_)) => last = Instant::now(),
                end => break end,
            }
        };
        assert!(last - start < REVOKED_WITHIN, "{:?}", last - start);
        assert!(
            start.elapsed() < 3 * REVOKED_WITHIN,
            "{:?}",
            start.elapsed()
        );
        assert!(end.is_err(), "ended in order");
    }
}

#[tokio::test]
async fn streams_of_every_version_are_cut_or_left_alone() {
    let sidecar = Published::start_with(EVERYBODY).await;
    let watch = Request::grpc("/shop.Ledger/Watch", b"");
    let requests = [
        (Version::Http1, Request::get("/stream")),
        (Version::Http2, Request::get("/stream")),
        (Version::Http2, watch),
    ];
    let (mut kept, mut cut) = (Vec::new(), Vec::new());
    for (version, request) in &requests {
        kept.push(Live::open(&sidecar, &FRONTEND, *version, request).await);
        cut.push(Live::open(&sidecar, &CONSOLE, *version, request).await);
    }
    sidecar.publish("2", FRONTEND_ONLY).await;
    for live in &mut cut {
        live.assert_is_cut().await;
    }
    for live in &mut kept {
        live.assert_goes_on().await;
    }
    let of_console = |entry: &serde_json::Value| entry["peer"] == CONSOLE.principal();
    let logged = sidecar
        .envoy
        .wait_for_access_log(SOON, of_console)
        .await
        .unwrap();
    assert_eq!(logged["cause"], "no_rule_matched/Namespace");
    let metrics = sidecar.envoy.prometheus().await.unwrap();
    let revoked = "meshwall_revoked_total{direction=\"ingress\",\
                   reason=\"no_rule_matched/Namespace\",verdict=\"deny\"} 3";
    assert!(metrics.lines().any(|line| line == revoked), "{metrics}");

    // They were permitted by a program two versions ago, and are still looked after.
    sidecar
        .publish("3", "\n- {name: nobody, action: Deny}\n")
        .await;
    for live in &mut kept {
        live.assert_is_cut().await;
    }
}

#[tokio::test]
async fn a_stream_is_judged_by_the_head_and_the_token_that_it_came_with() {
    let sidecar = Published::start_with(EVERYBODY).await;
    let with = |name: &str, value: String| Request::get("/stream").header(name, value);
    let bearer = |subject: &str| {
        let token = sidecar.issuer.sign(&json!({ "sub": subject })).unwrap();
        with("authorization", format!("Bearer {token}"))
    };
    let stays = [
        with("x-env", "prod".to_owned()),
        bearer("alice"),
        Request::get("/stream?kind=small"),
        Request::get("/stream").authority("api.shop"),
    ];
    let goes = [
        with("x-env", "test".to_owned()),
        bearer("bob"),
        Request::get("/stream?kind=big"),
        Request::get("/stream").authority("www.shop"),
    ];
    let (mut kept, mut cut) = (Vec::new(), Vec::new());
    for (stays, goes) in stays.iter().zip(&goes) {
        kept.push(Live::open(&sidecar, &FRONTEND, Version::Http2, stays).await);
        cut.push(Live::open(&sidecar, &FRONTEND, Version::Http2, goes).await);
    }
    let rules = "
- {name: env, action: Allow, operations: [{headers: [{name: x-env, values: [prod]}]}]}
- {name: subject, action: Allow, when: [{claim: sub, values: [alice]}]}
- {name: kind, action: Allow, operations: [{query: [{name: kind, values: [small]}]}]}
- {name: host, action: Allow, operations: [{hosts: [api.shop]}]}
";
    sidecar.publish("2", rules).await;
    for live in &mut cut {
        live.assert_is_cut().await;
    }
    for live in &mut kept {
        live.assert_goes_on().await;
    }
}

#[tokio::test]
async fn streams_of_one_connection_are_judged_one_by_one() {
    let sidecar = Published::start_with(EVERYBODY).await;
    let address = sidecar.envoy.listener("http").unwrap();
    let client = sidecar.mesh.client(&FRONTEND);
    let mut connection = client.http(address, Version::Http2).await.unwrap();
    let mut stays = connection.stream(&Request::get("/stream?a")).await.unwrap();
    let mut goes = connection.stream(&Request::get("/stream?b")).await.unwrap();
    assert!(stays.next().await.unwrap().is_some() && goes.next().await.unwrap().is_some());
    let rules = "
- {name: a, action: Allow, operations: [{query: [{name: a, present: true}]}]}
";
    sidecar.publish("2", rules).await;
    goes.ended().await.unwrap_err();
    for _ in 0..15 {
        assert!(stays.next().await.unwrap().is_some());
    }
    assert_eq!(
        connection.send(&Request::get("/?a")).await.unwrap().status,
        200
    );
}

async fn greeted(sidecar: &Published, client: &Client) -> Connection {
    let (connection, end) = sidecar.connect(client).await;
    assert_eq!(end, End::Received(GREETING.to_vec()));
    connection
}

async fn assert_echoes(connection: &mut Connection) {
    let exchange = Exchange {
        send: b"still there",
        expect: 11,
    };
    let end = connection.exchange(exchange).await;
    assert_eq!(end, End::Received(b"still there".to_vec()));
}

#[tokio::test]
async fn tcp_connections_are_cut_or_left_alone() {
    let sidecar = Published::start_with(EVERYBODY).await;
    let mesh = &sidecar.mesh;
    let frontend = mesh.client(&FRONTEND);
    // By identity, by labels, by address and by server name.
    let mut kept = greeted(&sidecar, &frontend.clone().sni("ledger.shop")).await;
    let mut cut = Vec::new();
    for client in [
        mesh.client(&CONSOLE).sni("ledger.shop"),
        mesh.client(&CANARY).sni("ledger.shop"),
        frontend
            .clone()
            .sni("ledger.shop")
            .from_address([127, 7, 7, 7]),
        frontend.clone().sni("payments.shop"),
    ] {
        cut.push(greeted(&sidecar, &client).await);
    }
    let rules = "
- name: readers
  action: Allow
  from:
  - serviceAccounts: [frontend]
    podSelector: {matchLabels: {tier: front}}
    ipBlocks: [127.0.1.1]
  when: [{sni: [ledger.shop]}]
";
    sidecar.publish("2", rules).await;
    let start = Instant::now();
    for connection in &mut cut {
        let end = connection.ended().await;
        assert!(end.is_ended(), "{end:?}");
    }
    let took = start.elapsed();
    assert!(took < REVOKED_WITHIN, "{took:?}");
    assert_echoes(&mut kept).await;
    let logged = sidecar
        .envoy
        .wait_for_access_log(SOON, |entry| entry["verdict"] == "deny")
        .await;
    assert_eq!(logged.unwrap()["cause"], "no_rule_matched/Namespace");
    assert_echoes(&mut kept).await;

    sidecar
        .publish("3", "\n- {name: nobody, action: Deny}\n")
        .await;
    let end = kept.ended().await;
    assert!(end.is_ended(), "{end:?}");
}

#[tokio::test]
async fn many_connections_are_cut_within_a_second() {
    // Each takes two of the 1,024 files that a process may have open on many machines.
    const EACH: usize = 150;
    let sidecar = Published::start_with(EVERYBODY).await;
    let [frontend, console] = [&FRONTEND, &CONSOLE].map(|peer| sidecar.mesh.client(peer));
    let (mut kept, mut cut) = (Vec::new(), Vec::new());
    for _ in 0..EACH {
        kept.push(greeted(&sidecar, &frontend).await);
        cut.push(greeted(&sidecar, &console).await);
    }
    sidecar.publish("2", FRONTEND_ONLY).await;
    let start = Instant::now();
    let only_kept = |traffic: &Traffic| traffic.open == EACH as u64;
    sidecar.raw.wait_until(SOON, only_kept).await.unwrap();
    let took = start.elapsed();
    assert!(took < REVOKED_WITHIN, "{took:?}");
    for connection in &mut cut {
        let end = connection.ended().await;
        assert!(end.is_ended(), "{end:?}");
    }
    for connection in &mut kept {
        assert_echoes(connection).await;
    }
}

#[tokio::test]
async fn what_a_policy_permits_ends_when_it_expires() {
    let sidecar = Published::start().await;
    let moment = SystemTime::now() + Duration::from_secs(3);
    let moment = time::OffsetDateTime::from(moment)
        .replace_nanosecond(0)
        .unwrap();
    let (date, clock) = (moment.date(), moment.time());
    let (hour, minute, second) = clock.as_hms();
    let expires = format!("{date}T{hour:02}:{minute:02}:{second:02}Z");
    let documents = policy(EVERYBODY).replace("spec:", &format!("spec:\n  expires: {expires}"));
    sidecar.publish_documents("1", &documents).await;
    let get = Request::get("/stream");
    let mut stream = Live::open(&sidecar, &FRONTEND, Version::Http2, &get).await;
    let mut connection = greeted(&sidecar, &sidecar.mesh.client(&FRONTEND)).await;
    // Live streams are looked at every 5 s.
    let end = stream.stream.ended().await;
    end.unwrap_err();
    assert!(time::OffsetDateTime::now_utc() >= moment);
    let end = connection.ended().await;
    assert!(end.is_ended(), "{end:?}");
    assert_eq!(sidecar.ask(&FRONTEND, Version::Http2).await, 403);
}
