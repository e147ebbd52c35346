//! Starting an etcd and an API server, and waiting for both.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Api, Error, Programs};
use crate::rig::client::Client;
use crate::rig::pki::{Authority, Identity, Leaf};
use crate::rig::process::{Process, read_text};

const ETCD: &str = "etcd";
const API_SERVER: &str = "kube-apiserver";

/// Time between two looks at something that is not announced.
const POLL: Duration = Duration::from_millis(20);

/// How often another port is tried, if someone else took the one that was free.
const ATTEMPTS: usize = 3;

/// The user that may do everything.
const ADMIN: &str = "admin";

/// How to start an API server.
#[derive(Debug, Clone)]
pub struct Launch {
    programs: Programs,
    users: Vec<String>,
    timeout: Duration,
}

impl Launch {
    /// No users but the administrator, 60 s to become ready.
    #[must_use]
    pub fn new(programs: &Programs) -> Self {
        Self {
            programs: programs.clone(),
            users: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// The same with another user, who may do what roles say.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.users.push(name.into());
        self
    }

    /// Starts etcd and the API server, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If one of them does not start, ends, or is not ready in time; its log is in the error.
    pub async fn start(&self) -> Result<Kubernetes, Error> {
        let deadline = Instant::now() + self.timeout;
        let folder = tempfile::Builder::new()
            .prefix("meshwall-kubernetes-")
            .tempdir()
            .map_err(|source| Error::File {
                path: std::env::temp_dir(),
                source,
            })?;
        let authority = Authority::new("kubernetes.test")?;
        let leaf = Leaf::anonymous().dns_name("localhost");
        self.write_files(folder.path(), &authority.issue(&leaf)?)?;
        let client = Client::tls(&[&authority])
            .map_err(|source| Error::Request {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                source,
            })?
            .timeout(Duration::from_secs(30));

        let mut etcd = self.start_etcd(folder.path())?;
        let storage = self
            .wait(&mut etcd, deadline, async |log| etcd_address(log))
            .await?;
        let mut attempt = 1;
        loop {
            let port = free_port().map_err(Error::Port)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let api = Api::new(client.clone(), address, token(ADMIN));
            match self.serve(folder.path(), storage, &api, deadline).await {
                Err(Error::Ended { log, .. })
                    if attempt < ATTEMPTS && log.contains("address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
                Ok(server) => {
                    return Ok(Kubernetes {
                        server,
                        _etcd: etcd,
                        launch: self.clone(),
                        storage,
                        address,
                        authority,
                        client,
                        folder,
                    });
                }
            }
        }
    }

    /// Starts the API server where `api` will find it, and waits until it is ready.
    async fn serve(
        &self,
        folder: &Path,
        storage: SocketAddr,
        api: &Api,
        deadline: Instant,
    ) -> Result<Server, Error> {
        let mut server = self.start_server(folder, storage, api.address().port())?;
        self.wait(&mut server, deadline, async |_| is_ready(api).await)
            .await?;
        Ok(server)
    }

    fn write_files(&self, folder: &Path, identity: &Identity) -> Result<(), Error> {
        identity.write_to(folder, "server")?;
        let mut tokens = format!("{},{ADMIN},{ADMIN},system:masters\n", token(ADMIN));
        for user in &self.users {
            tokens.push_str(&format!("{},{user},{user}\n", token(user)));
        }
        let path = folder.join("tokens.csv");
        fs::write(&path, tokens).map_err(|source| Error::File { path, source })
    }

    fn start_etcd(&self, folder: &Path) -> Result<Server, Error> {
        let mut command = Command::new(self.programs.etcd());
        // Its own ports are in its log. A test bed's data need not survive a crash.
        let url = "http://127.0.0.1:0";
        command
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args(["--listen-client-urls", url, "--advertise-client-urls", url])
            .args(["--listen-peer-urls", url])
            .args(["--initial-advertise-peer-urls", url])
            .args(["--initial-cluster", "default=http://127.0.0.1:0"])
            .args(["--heartbeat-interval", "20", "--election-timeout", "200"])
            .args(["--enable-grpc-gateway=false", "--unsafe-no-fsync"])
            .args(["--logger", "zap", "--log-outputs", "stderr"]);
        Server::start(ETCD, command, folder)
    }

    fn start_server(&self, folder: &Path, etcd: SocketAddr, port: u16) -> Result<Server, Error> {
        let mut command = Command::new(self.programs.api_server());
        command
            .arg(format!("--etcd-servers=http://{etcd}"))
            .arg(format!("--secure-port={port}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .args([
                "--tls-cert-file=server.pem",
                "--tls-private-key-file=server.key",
            ])
            .args(["--cert-dir=certificates", "--token-auth-file=tokens.csv"])
            .args(["--authorization-mode=RBAC", "--anonymous-auth=false"])
            .args([
                "--api-audiences=api",
                "--service-account-key-file=server.pem",
            ])
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg("--service-account-signing-key-file=server.key")
            .args([
                "--service-cluster-ip-range=10.0.0.0/24",
                "--profiling=false",
            ])
            .arg("--disable-admission-plugins=ServiceAccount");
        Server::start(API_SERVER, command, folder)
    }

    /// Asks until there is an answer, the process ends, or the time is over.
    async fn wait<T>(
        &self,
        server: &mut Server,
        deadline: Instant,
        ask: impl AsyncFn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        loop {
            let status = server.process.status();
            let log = server.log()?;
            let program = server.name;
            if let Some(status) = status {
                let log = tail(&log);
                return Err(Error::Ended {
                    program,
                    status,
                    log,
                });
            }
            if let Some(answer) = ask(&log).await {
                return Ok(answer);
            }
            if Instant::now() >= deadline {
                let (within, log) = (self.timeout, tail(&log));
                return Err(Error::TimedOut {
                    program,
                    within,
                    log,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// A running API server. It and its etcd are killed, and their files are removed, on drop.
#[derive(Debug)]
pub struct Kubernetes {
    // Dropped in this order: first the processes, then the folder that they write to.
    server: Server,
    _etcd: Server,
    launch: Launch,
    storage: SocketAddr,
    address: SocketAddr,
    authority: Authority,
    client: Client,
    folder: TempDir,
}

impl Kubernetes {
    /// Where the server listens, with TLS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's URL, by the name that its certificate has.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The authority that vouches for the server's certificate.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The token of a user that was named at the launch.
    #[must_use]
    pub fn token(&self, user: &str) -> String {
        token(user)
    }

    /// The administrator, who may do everything.
    #[must_use]
    pub fn admin(&self) -> Api {
        self.user(ADMIN)
    }

    /// A user that was named at the launch.
    #[must_use]
    pub fn user(&self, name: &str) -> Api {
        Api::new(self.client.clone(), self.address, token(name))
    }

    /// A file, in kubectl's format, by which a client finds the server as this user; it goes with
    /// the server.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn kubeconfig(&self, user: &str) -> Result<PathBuf, Error> {
        let write = |name: String, text: &str| {
            let path = self.folder.path().join(name);
            match fs::write(&path, text) {
                Ok(()) => Ok(path),
                Err(source) => Err(Error::File { path, source }),
            }
        };
        let authority = write("authority.pem".to_owned(), self.authority.pem())?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "rig",
                "cluster": {"server": self.url(), "certificate-authority": authority},
            }],
            "users": [{"name": user, "user": {"token": token(user)}}],
            "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": user}}],
            "current-context": "rig",
        });
        write(format!("kubeconfig-{user}.json"), &config.to_string())
    }

    /// Kills the API server, and starts another with the same data in its place. It remembers
    /// nothing of what happened before.
    ///
    /// # Errors
    ///
    /// As for [`Launch::start`].
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.server.process.kill();
        let deadline = Instant::now() + self.launch.timeout;
        let (folder, api) = (self.folder.path(), self.admin());
        self.server = self
            .launch
            .serve(folder, self.storage, &api, deadline)
            .await?;
        Ok(())
    }

    /// The number of the API server's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.process.id()
    }

    /// What the API server has logged until now.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn log(&self) -> Result<String, Error> {
        self.server.log()
    }
}

/// One of the two processes, and where it writes.
#[derive(Debug)]
struct Server {
    name: &'static str,
    process: Process,
    log: PathBuf,
}

impl Server {
    fn start(name: &'static str, mut command: Command, folder: &Path) -> Result<Self, Error> {
        let path = folder.join(name).with_extension("log");
        let log = File::create(&path).map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let process = Process::start(&mut command).map_err(|source| Error::Run {
            path: PathBuf::from(command.get_program()),
            source,
        })?;
        Ok(Self {
            name,
            process,
            log: path,
        })
    }

    fn log(&self) -> Result<String, Error> {
        read_text(&self.log).map_err(|source| Error::File {
            path: self.log.clone(),
            source,
        })
    }
}

/// Where etcd takes clients: it says so in its log once it does.
fn etcd_address(log: &str) -> Option<SocketAddr> {
    let mut entries = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    entries.find_map(|entry: Value| {
        let message = entry.get("msg")?.as_str()?;
        let serving = message.starts_with("serving client traffic");
        serving.then(|| entry.get("address")?.as_str()?.parse().ok())?
    })
}

/// Ready is a server that has made what it makes of itself: it does that once it listens.
async fn is_ready(api: &Api) -> Option<()> {
    api.get("/readyz").await.ok()?;
    api.get("/api/v1/namespaces/default").await.ok()?;
    Some(())
}

fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The token of a user. It is good for one server on loopback.
fn token(user: &str) -> String {
    format!("token-of-{user}")
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}
