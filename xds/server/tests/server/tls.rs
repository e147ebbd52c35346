//! TLS: who gets in, and certificates that change.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use meshwall_xds_server::{ListenError, Security, Server, TlsFiles};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tonic::Code;

use crate::client::{Delta, Kind, connect_tls, subscribe, tls};
use crate::pki::{Authority, Identity, write};
use crate::world::{server, set, settings, until, within};

/// A server whose files are in a folder, and its authority, which signs clients as well.
async fn mutual() -> (Server, SocketAddr, Authority, TempDir) {
    let authority = Authority::new("mesh");
    let folder = TempDir::new().unwrap();
    let files = write(folder.path(), &authority.issue(&[]), &authority);
    let (server, address) = server(settings(), Security::Tls(files)).await;
    server.publish([set("n", "a", "1")]);
    (server, address, authority, folder)
}

/// Opens a stream as node `n`, or tells why not.
async fn open(
    address: SocketAddr,
    servers: &Authority,
    identity: Option<&Identity>,
) -> Result<Delta, String> {
    let channel = connect_tls(address, tls(servers, identity)).await;
    let channel = channel.map_err(|e| e.to_string())?;
    let stream = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"])).await;
    stream.map_err(|status| format!("{:?}", status.code()))
}

#[tokio::test]
async fn the_node_is_bound_to_the_certificate() {
    let (server, address, authority, _folder) = mutual().await;
    let good = authority.issue(&["spiffe://test/n"]);
    let mut stream = open(address, &authority, Some(&good)).await.unwrap();
    assert_eq!(stream.accept().await, "a=1");

    for uris in [
        &["spiffe://test/other"][..],
        &[],
        &["spiffe://test/n", "spiffe://test/other"],
        &["spiffe://test/other", "spiffe://test/n"],
    ] {
        let identity = authority.issue(uris);
        let refused = open(address, &authority, Some(&identity)).await.err();
        assert_eq!(refused, Some(format!("{:?}", Code::PermissionDenied)));
    }
    assert_eq!(server.counters().streams_denied, 4);
    assert_eq!(server.counters().streams, 1);
}

#[tokio::test]
async fn only_valid_certificates_of_the_authority_get_in() {
    let (server, address, authority, _folder) = mutual().await;
    let foreign = Authority::new("mesh").issue(&["spiffe://test/n"]);
    let expired = authority.issue_expired(&["spiffe://test/n"]);
    for identity in [None, Some(&foreign), Some(&expired)] {
        assert!(open(address, &authority, identity).await.is_err());
    }
    until(|| server.counters().handshakes_failed == 3).await;
    assert_eq!(server.counters().streams, 0);
}

#[tokio::test]
async fn plaintext_and_silence_do_not_get_in() {
    let (server, address, _authority, _folder) = mutual().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    if let Ok(channel) = within(channel.connect()).await {
        let opened = Delta::open(&channel, Kind::Ads, subscribe("n", &["a"])).await;
        assert!(opened.is_err());
    }
    until(|| server.counters().handshakes_failed >= 1).await;
    let before = server.counters().handshakes_failed;
    let _silent = TcpStream::connect(address).await.unwrap();
    until(|| server.counters().handshakes_failed > before).await;
    assert_eq!(server.counters().streams, 0);
}

#[tokio::test]
async fn without_authorities_clients_have_no_identity() {
    let authority = Authority::new("mesh");
    let folder = TempDir::new().unwrap();
    let mut files = write(folder.path(), &authority.issue(&[]), &authority);
    files.client_authorities = None;
    let (server, address) = server(settings(), Security::Tls(files)).await;
    server.publish([set("n", "a", "1")]);
    let mut stream = open(address, &authority, None).await.unwrap();
    assert_eq!(stream.accept().await, "a=1");
}

/// The certificate that the server shows.
async fn shown(address: SocketAddr, servers: &Authority, identity: &Identity) -> Vec<u8> {
    let socket = TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(tls(servers, Some(identity)));
    let stream = within(connector.connect(name, socket)).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn der(identity: &Identity) -> Vec<u8> {
    let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
    der.unwrap().to_vec()
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_live_streams_stay() {
    let (server, address, authority, folder) = mutual().await;
    let client = authority.issue(&["spiffe://test/n"]);
    let mut stream = open(address, &authority, Some(&client)).await.unwrap();
    stream.accept().await;

    let renewed = authority.issue(&[]);
    write(folder.path(), &renewed, &authority);
    // The key and the certificate are read together or, in between, refused.
    until(|| server.counters().certificates_reloaded > 0).await;
    assert_eq!(shown(address, &authority, &client).await, der(&renewed));
    server.publish([set("n", "a", "2")]);
    assert_eq!(stream.accept().await, "a=2");
}

#[tokio::test]
async fn a_bad_file_leaves_the_last_good_one() {
    let (server, address, authority, folder) = mutual().await;
    let client = authority.issue(&["spiffe://test/n"]);
    let before = shown(address, &authority, &client).await;
    let other_key = authority.issue(&[]).key;
    let bad: [(&str, &str); 5] = [
        ("tls.crt", "no certificate"),
        ("tls.crt", ""),
        ("tls.key", "no key"),
        ("tls.key", &other_key),
        ("ca.crt", ""),
    ];
    for (index, (file, content)) in bad.into_iter().enumerate() {
        let path = folder.path().join(file);
        let good = fs::read(&path).unwrap();
        replace(&path, content.as_bytes());
        until(|| server.counters().certificates_refused == index as u64 + 1).await;
        assert_eq!(shown(address, &authority, &client).await, before, "{file}");
        replace(&path, &good);
        until(|| server.counters().certificates_reloaded == index as u64 + 1).await;
    }
    // One that is gone is no different.
    fs::remove_file(folder.path().join("tls.key")).unwrap();
    until(|| server.counters().certificates_refused == bad.len() as u64 + 1).await;
    assert_eq!(shown(address, &authority, &client).await, before);
}

/// Replaces a file at once, as those do who renew certificates.
fn replace(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(&new, path).unwrap();
}

#[tokio::test]
async fn a_new_authority_is_taken_up() {
    let (server, address, authority, folder) = mutual().await;
    let old = authority.issue(&["spiffe://test/n"]);
    let next = Authority::new("next");
    let new = next.issue(&["spiffe://test/n"]);
    assert!(open(address, &authority, Some(&new)).await.is_err());
    replace(&folder.path().join("ca.crt"), next.certificate.as_bytes());
    until(|| server.counters().certificates_reloaded == 1).await;
    assert!(open(address, &authority, Some(&new)).await.is_ok());
    assert!(open(address, &authority, Some(&old)).await.is_err());
}

#[tokio::test]
async fn a_server_without_usable_files_does_not_start() {
    let authority = Authority::new("mesh");
    let folder = TempDir::new().unwrap();
    let good = write(folder.path(), &authority.issue(&[]), &authority);
    let server = Server::new(settings(), crate::world::authorizer());
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let missing = TlsFiles {
        key: folder.path().join("missing"),
        ..good.clone()
    };
    let refused = server.listen(any_port, Security::Tls(missing)).await;
    let Err(ListenError::Tls(error)) = refused else {
        panic!("no such file");
    };
    assert!(error.to_string().contains("missing"));
    let swapped = TlsFiles {
        key: good.certificate.clone(),
        ..good
    };
    let refused = server.listen(any_port, Security::Tls(swapped)).await;
    assert!(matches!(refused, Err(ListenError::Tls(_))));
}
