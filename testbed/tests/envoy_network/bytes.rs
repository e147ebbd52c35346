//! Which bytes pass: all of a permitted peer, and none of a denied one in either direction.

use meshwall_testbed::rig::backend::{Speech, Traffic};
use meshwall_testbed::rig::client::{Client, End, Exchange};

use crate::sidecar::{CONSOLE, FRONTEND, SOON, TcpSidecar, policy};

const FRONTEND_ONLY: &str = "
- {name: front, action: Allow, from: [{serviceAccounts: [frontend]}]}
";
const GREETING: &[u8] = b"220 ledger ready\r\n";

fn speeches() -> [Speech; 2] {
    [Speech::ClientFirst, Speech::ServerFirst(GREETING.to_vec())]
}

#[tokio::test]
async fn a_permitted_peer_and_the_workload_hear_each_other() {
    for speech in speeches() {
        let sidecar = TcpSidecar::start(&policy(FRONTEND_ONLY), speech.clone()).await;
        let frontend = sidecar.mesh.client(&FRONTEND);
        let mut connection = frontend.open(sidecar.address, &[]).await.unwrap();
        if let Speech::ServerFirst(greeting) = speech {
            // The peer says nothing until it is greeted.
            let expect = greeting.len();
            let greeted = connection.exchange(Exchange { send: b"", expect }).await;
            assert_eq!(greeted, End::Received(greeting));
        }
        for round in 0..3 {
            let send = format!("round {round}").into_bytes();
            let expect = send.len();
            let echoed = connection
                .exchange(Exchange {
                    send: &send,
                    expect,
                })
                .await;
            assert_eq!(echoed, End::Received(send));
        }
        connection.finish().await.unwrap();
        assert_eq!(connection.ended().await, End::Closed(Vec::new()));
    }
}

#[tokio::test]
async fn a_denied_peer_hears_nothing_and_is_not_heard() {
    for speech in speeches() {
        let sidecar = TcpSidecar::start(&policy(FRONTEND_ONLY), speech.clone()).await;
        let console = sidecar.mesh.client(&CONSOLE);
        let much = vec![b'x'; 200_000];
        for send in [&b""[..], b"hello", &much] {
            if send.is_empty() && speech == Speech::ClientFirst {
                continue;
            }
            let end = console
                .exchange(sidecar.address, Exchange { send, expect: 1 })
                .await;
            let end = end.unwrap();
            assert!(
                end.is_ended() && end.received().is_empty(),
                "{speech:?}: {end:?}"
            );
        }
        let traffic = sidecar.quiet().await;
        assert_eq!(traffic.bytes_in, 0, "{speech:?}");
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_decided_all_the_same() {
    let sidecar = TcpSidecar::start(&policy(FRONTEND_ONLY), Speech::ClientFirst).await;
    let mesh = &sidecar.mesh;
    let mut permitted = mesh
        .client(&FRONTEND)
        .open(sidecar.address, &[])
        .await
        .unwrap();
    let mut denied = Vec::new();
    for _ in 0..20 {
        denied.push(
            mesh.client(&CONSOLE)
                .open(sidecar.address, &[])
                .await
                .unwrap(),
        );
    }
    // The workload sees that somebody is there, and nothing else, and not for long.
    let all_are_there = |traffic: &Traffic| traffic.connections == 21;
    sidecar
        .backend
        .wait_until(SOON, all_are_there)
        .await
        .unwrap();
    let one_is_left = |traffic: &Traffic| traffic.open == 1;
    sidecar.backend.wait_until(SOON, one_is_left).await.unwrap();
    for connection in &mut denied {
        let end = connection.ended().await;
        assert!(end.is_ended() && end.received().is_empty(), "{end:?}");
    }
    let end = permitted
        .exchange(Exchange {
            send: b"hi",
            expect: 2,
        })
        .await;
    assert_eq!(end, End::Received(b"hi".to_vec()));
}

#[tokio::test]
async fn more_than_the_early_data_passes_whole() {
    let sidecar = TcpSidecar::start(&policy(FRONTEND_ONLY), Speech::ClientFirst).await;
    let frontend = sidecar.mesh.client(&FRONTEND);
    let send: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut connection = frontend.open(sidecar.address, &[]).await.unwrap();
    for part in send.chunks(60_000) {
        let expect = part.len();
        let echoed = connection.exchange(Exchange { send: part, expect }).await;
        assert_eq!(echoed.received(), part);
    }
    assert_eq!(sidecar.backend.traffic().bytes_in, 300_000);
}

#[tokio::test]
async fn peers_side_by_side_do_not_mix() {
    let documents = policy(FRONTEND_ONLY);
    let sidecar = TcpSidecar::start(&documents, Speech::ServerFirst(GREETING.to_vec())).await;
    let exchange = Exchange {
        send: b"ping",
        expect: GREETING.len() + 4,
    };
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..60 {
        let peer = if number % 2 == 0 { &FRONTEND } else { &CONSOLE };
        let (client, address): (Client, _) = (sidecar.mesh.client(peer), sidecar.address);
        asking.spawn(async move { (number, client.exchange(address, exchange).await.unwrap()) });
    }
    while let Some(asked) = asking.join_next().await {
        let (number, end) = asked.unwrap();
        let expected: &[u8] = if number % 2 == 0 {
            b"220 ledger ready\r\nping"
        } else {
            b""
        };
        assert_eq!(end.received(), expected, "{number}: {end:?}");
    }
    assert_eq!(sidecar.quiet().await.bytes_in, 30 * 4);
}

#[tokio::test]
async fn without_tls_an_address_is_all_there_is() {
    for speech in speeches() {
        let rules = "
- {name: block, action: Allow, from: [{ipBlocks: [127.0.1.0/24]}]}
- {name: identified, action: Allow, from: [{principals: ['*']}]}
";
        let sidecar = TcpSidecar::start_with(&policy(rules), speech.clone(), |_, listener| {
            listener.tls = None;
        })
        .await;
        let near = Client::plaintext().from_address(FRONTEND.address());
        let far = Client::plaintext().from_address(CONSOLE.address());
        let greeting: &[u8] = if speech == Speech::ClientFirst {
            b""
        } else {
            GREETING
        };
        let exchange = Exchange {
            send: b"hi",
            expect: greeting.len() + 2,
        };
        let end = near.exchange(sidecar.address, exchange).await.unwrap();
        assert_eq!(end, End::Received([greeting, b"hi"].concat()));
        let before = sidecar.quiet().await;
        let end = far.exchange(sidecar.address, exchange).await.unwrap();
        assert!(end.is_ended() && end.received().is_empty(), "{end:?}");
        assert_eq!(sidecar.quiet().await.bytes_in, before.bytes_in);
    }
}

impl TcpSidecar {
    /// The traffic at the backend once all connections are over.
    pub(crate) async fn quiet(&self) -> Traffic {
        let over = |traffic: &Traffic| traffic.open == 0;
        self.backend.wait_until(SOON, over).await.unwrap()
    }
}
