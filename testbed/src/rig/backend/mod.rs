//! Backends that remember what reached them.
//!
//! A firewall is judged by what arrives behind it: a test asserts that a denied peer
//! caused no request, or not one byte, at the backend. So each backend counts, at the
//! socket, the connections it accepted and the bytes that came in and went out.
//!
//! A backend runs on the tokio runtime that it was started from and stops, with all its
//! connections, when it is dropped.

mod http;
mod tcp;
mod traffic;

pub use self::http::HttpBackend;
pub use self::tcp::{Speech, TcpBackend};
pub use self::traffic::{TimedOut, Traffic};

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use self::traffic::{Counted, Ledger};

/// An accepting socket on 127.0.0.1 with a task a connection; all end on drop.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    ledger: Ledger,
    task: JoinHandle<()>,
}

impl Server {
    async fn start<S, F>(serve: S) -> io::Result<Self>
    where
        S: Fn(Counted<TcpStream>, Ledger) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let ledger = Ledger::default();
        let task = tokio::spawn(accept(listener, ledger.clone(), serve));
        Ok(Self {
            address,
            ledger,
            task,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<S, F>(listener: TcpListener, ledger: Ledger, serve: S)
where
    S: Fn(Counted<TcpStream>, Ledger) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    // Dropped with this task when it is aborted, and aborts the connections in turn.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that was reset before it was accepted is no reason to stop.
                let Ok((stream, _)) = accepted else { continue };
                // A reply of the echo must not wait for the peer's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(Counted::new(stream, ledger.clone()), ledger.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
