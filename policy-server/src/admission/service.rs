//! The webhook as a server.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use meshwall_policy::spec::{Config, Timestamp};
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::review::{Checker, Malformed, Review, Verdict, review};
use crate::telemetry::{Metrics, ReviewLabels};
use crate::web::tls::{CertificateError, CertificateFiles, Certificates};
use crate::web::{self, Handler, Limits, content, plain};

/// Where reviews are asked for.
pub const PATH: &str = "/validate";

/// An API server takes no larger request; a review holds an object twice, but etcd takes no more
/// than half of it for one.
const BODY_BYTES: usize = 3 * 1_024 * 1_024;

const LIMITS: Limits = Limits {
    connections: 128,
    requests: 64,
    body: BODY_BYTES,
    patience: Duration::from_secs(10),
    grace: Duration::from_secs(5),
};

struct Webhook<C> {
    config: Arc<C>,
    metrics: Arc<Metrics>,
}

/// Answers reviews over HTTPS until `stop` is there, and then what has begun. `config` is asked for
/// what holds for the mesh at each review.
///
/// # Errors
///
/// If the certificate cannot be used.
pub async fn serve<C>(
    listener: TcpListener,
    files: CertificateFiles,
    config: C,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) -> Result<(), CertificateError>
where
    C: Fn() -> Arc<Config> + Send + Sync + 'static,
{
    let certificates = Arc::new(Certificates::load(files)?);
    let webhook = Webhook {
        config: Arc::new(config),
        metrics,
    };
    let serving = web::serve(listener, Some(certificates.clone()), LIMITS, webhook, stop);
    tokio::select! {
        () = serving => {}
        () = certificates.watch() => {}
    }
    Ok(())
}

impl<C: Fn() -> Arc<Config> + Send + Sync + 'static> Handler for Webhook<C> {
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        if request.uri().path() != PATH {
            return plain(StatusCode::NOT_FOUND, "reviews are asked for at /validate");
        }
        if request.method() != Method::POST {
            return plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "reviews are asked for by POST",
            );
        }
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .map(|kind| kind.as_bytes());
        if !kind.is_some_and(|kind| kind.starts_with(b"application/json")) {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a review is JSON");
        }
        let config = Arc::clone(&self.config);
        let body = request.into_body();
        // A large policy takes milliseconds, which others on this thread should not wait.
        let reviewed = tokio::task::spawn_blocking(move || reviewed(&body, &config())).await;
        match reviewed {
            Ok(Ok(review)) => {
                self.count(match review.verdict {
                    Verdict::Allowed => "allowed",
                    Verdict::Refused => "refused",
                });
                tell(&review);
                let body = Bytes::from(review.body.to_string());
                content(StatusCode::OK, "application/json", body)
            }
            Ok(Err(malformed)) => {
                self.count("malformed");
                warn!(error = %malformed, "what came to the webhook is no review");
                plain(StatusCode::BAD_REQUEST, &malformed.to_string())
            }
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the review failed"),
        }
    }
}

impl<C> Webhook<C> {
    fn count(&self, verdict: &'static str) {
        let labels = ReviewLabels { verdict };
        self.metrics.reviews.get_or_create(&labels).inc();
    }
}

fn reviewed(body: &[u8], config: &Config) -> Result<Review, Malformed> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let now = Timestamp(seconds);
    review(body, &Checker { config, now })
}

/// What was refused is a fact for operators; what was wrong with it is for who wrote it.
fn tell(review: &Review) {
    if review.verdict == Verdict::Refused {
        let details = review.body.pointer("/response/status/details");
        let text = |field: &str| {
            let field = details.and_then(|details| details.get(field));
            field.and_then(|field| field.as_str()).unwrap_or_default()
        };
        info!(
            kind = text("kind"),
            name = text("name"),
            "an object was refused"
        );
    }
}
