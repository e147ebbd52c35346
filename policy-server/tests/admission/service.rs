//! The webhook over TLS, as an API server meets it.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meshwall_policy::spec::Config;
use meshwall_policy_server::admission::{self, CertificateError, CertificateFiles};
use meshwall_policy_server::telemetry::Metrics;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::{policy, review};

struct Served {
    address: SocketAddr,
    authority: CertificateDer<'static>,
    metrics: Arc<Metrics>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), CertificateError>>,
    _folder: tempfile::TempDir,
}

async fn start() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["webhook".to_owned()]).unwrap();
    let files = CertificateFiles {
        chain: folder.path().join("chain.pem"),
        key: folder.path().join("key.pem"),
    };
    fs::write(&files.chain, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new());
    let (stop, stopped) = oneshot::channel::<()>();
    let config = || Arc::new(Config::default());
    let counted = metrics.clone();
    let task = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        admission::serve(listener, files, config, counted, stopped).await
    });
    Served {
        address,
        authority: made.cert.der().clone(),
        metrics,
        stop,
        task,
        _folder: folder,
    }
}

impl Served {
    async fn connect(&self) -> http1::SendRequest<Full<Bytes>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("webhook").unwrap();
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "webhook")
            .header("content-type", kind)
            .body(Full::new(body.into()))
            .unwrap();
        let answer = self.connect().await.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn post(&self, body: &Value) -> (StatusCode, String) {
        let body = body.to_string().into_bytes();
        self.ask("POST", "/validate", "application/json", body)
            .await
    }
}

#[tokio::test]
async fn reviews_are_answered_and_counted() {
    let served = start().await;
    for (action, allowed) in [("Allow", true), ("Alow", false)] {
        let (status, body) = served.post(&review("CREATE", &policy(action))).await;
        assert_eq!(status, StatusCode::OK);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["response"]["allowed"], allowed);
    }
    let (status, body) = served.post(&policy("Allow")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("not AdmissionReview"), "{body}");
    let text = served.metrics.encode().unwrap();
    for verdict in ["allowed", "refused", "malformed"] {
        let sample = format!("meshwall_admission_reviews_total{{verdict=\"{verdict}\"}} 1\n");
        assert!(text.contains(&sample), "{text}");
    }
}

#[tokio::test]
async fn other_requests_are_refused_with_a_reason() {
    let served = start().await;
    let json = "application/json";
    for (method, path, kind, expected) in [
        ("POST", "/", json, StatusCode::NOT_FOUND),
        ("GET", "/validate", json, StatusCode::METHOD_NOT_ALLOWED),
        (
            "POST",
            "/validate",
            "text/plain",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        ("POST", "/validate", json, StatusCode::BAD_REQUEST),
    ] {
        let (status, body) = served.ask(method, path, kind, Vec::new()).await;
        assert_eq!(status, expected);
        assert!(body.len() > 5);
    }
    let large = vec![b' '; 3 * 1_024 * 1_024 + 1];
    let (status, _) = served.ask("POST", "/validate", json, large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_server_that_stops_takes_no_more_connections() {
    let served = start().await;
    // A connection that asks nothing does not keep the server.
    let idle = served.connect().await;
    let Served {
        address,
        stop,
        task,
        ..
    } = served;
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = CertificateFiles {
        chain: "/nowhere/chain.pem".into(),
        key: "/nowhere/key.pem".into(),
    };
    let config = || Arc::new(Config::default());
    let never = std::future::pending();
    let served = admission::serve(listener, files, config, Arc::default(), never).await;
    let error = served.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot use `/nowhere/chain.pem`: "),
        "{error}"
    );
}
