//! A running Envoy.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Binary, CpuTime, Error, admin, tail};
use crate::rig::process::{Process, read_text};

/// Time between two looks at something that Envoy does not announce.
const POLL: Duration = Duration::from_millis(10);

/// How to start an Envoy.
#[derive(Debug, Clone)]
pub struct Launch {
    binary: Binary,
    concurrency: u32,
    log_level: String,
    component_log_level: String,
    timeout: Duration,
}

impl Launch {
    /// One worker thread, log level `info`, 30 s to become ready.
    #[must_use]
    pub fn new(binary: &Binary) -> Self {
        Self {
            binary: binary.clone(),
            concurrency: 1,
            log_level: "info".into(),
            component_log_level: String::new(),
            timeout: Duration::from_secs(30),
        }
    }

    /// The same with this number of worker threads.
    #[must_use]
    pub fn concurrency(self, workers: u32) -> Self {
        Self {
            concurrency: workers,
            ..self
        }
    }

    /// The same with another log level, and with exceptions such as `wasm:debug,rbac:trace`.
    #[must_use]
    pub fn log_level(self, level: impl Into<String>, exceptions: impl Into<String>) -> Self {
        Self {
            log_level: level.into(),
            component_log_level: exceptions.into(),
            ..self
        }
    }

    /// The same with another time to become ready.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Starts Envoy and waits until it is ready and all static listeners are active.
    ///
    /// # Errors
    ///
    /// If it does not start, ends, or is not ready in time; its log is in the error.
    pub async fn start(&self, config: &Value) -> Result<Envoy, Error> {
        let folder = tempfile::Builder::new()
            .prefix("meshwall-envoy-")
            .tempdir()
            .map_err(|source| Error::File {
                path: std::env::temp_dir(),
                source,
            })?;
        let mut files = Files::new(folder);
        fs::write(&files.config, with_admin(config).to_string()).map_err(|source| Error::File {
            path: files.config.clone(),
            source,
        })?;
        let process = self.spawn(&files)?;
        let mut starting = Starting {
            process,
            files: &mut files,
        };
        let ready = tokio::time::timeout(self.timeout, starting.ready(config)).await;
        let process = starting.process;
        let (admin, listeners) = match ready {
            Ok(ready) => ready?,
            Err(_) => {
                let log = tail(&read(&files.log).unwrap_or_default());
                let what = "start and listen".to_owned();
                return Err(Error::TimedOut {
                    what,
                    within: self.timeout,
                    log,
                });
            }
        };
        Ok(Envoy {
            process,
            files,
            admin,
            listeners,
        })
    }

    fn spawn(&self, files: &Files) -> Result<Process, Error> {
        let create = |path: &Path| {
            File::create(path).map_err(|source| Error::File {
                path: path.to_path_buf(),
                source,
            })
        };
        let mut command = Command::new(self.binary.path());
        command
            // Shared memory for hot restarts would tie all Envoys of a machine together.
            .arg("--disable-hot-restart")
            .arg("--config-path")
            .arg(&files.config)
            .arg("--admin-address-path")
            .arg(&files.admin_address)
            .args(["--concurrency", &self.concurrency.to_string()])
            .args(["--log-level", &self.log_level])
            .args(["--file-flush-interval-msec", "20"])
            .stdin(Stdio::null())
            .stdout(create(&files.output)?)
            .stderr(create(&files.log)?);
        if !self.component_log_level.is_empty() {
            command.args(["--component-log-level", &self.component_log_level]);
        }
        let path = self.binary.path().to_path_buf();
        Process::start(&mut command).map_err(|source| Error::Run { path, source })
    }
}

/// An Envoy between its start and its first connection.
struct Starting<'a> {
    process: Process,
    files: &'a mut Files,
}

impl Starting<'_> {
    async fn ready(
        &mut self,
        config: &Value,
    ) -> Result<(SocketAddr, BTreeMap<String, SocketAddr>), Error> {
        let expected = static_listeners(config);
        loop {
            if let Some(status) = self.process.status() {
                let log = tail(&read(&self.files.log)?);
                return Err(Error::Ended { status, log });
            }
            if let Some(admin) = self.admin_address()
                && admin::ask(admin, "GET", "/ready").await.is_ok()
            {
                let listeners = admin::listeners(admin).await?;
                if expected.iter().all(|name| listeners.contains_key(*name)) {
                    return Ok((admin, listeners));
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn admin_address(&self) -> Option<SocketAddr> {
        read(&self.files.admin_address).ok()?.trim().parse().ok()
    }
}

/// A running Envoy. It is killed, and its files are removed, on drop.
#[derive(Debug)]
pub struct Envoy {
    // Dropped in this order: first the process, then the folder that it writes to.
    process: Process,
    files: Files,
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
}

impl Envoy {
    /// Where the listener `name` takes connections.
    ///
    /// # Errors
    ///
    /// [`Error::NoListener`].
    pub fn listener(&self, name: &str) -> Result<SocketAddr, Error> {
        let address = self.listeners.get(name).copied();
        address.ok_or_else(|| Error::NoListener {
            name: name.to_owned(),
        })
    }

    /// Where the admin interface is.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The exit status, if Envoy has ended.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.process.status()
    }

    /// Processor time until now.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn cpu_time(&self) -> Result<CpuTime, Error> {
        CpuTime::of(self.pid())
    }

    /// Everything that Envoy has logged until now; the filters' own log lines are in it.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn log(&self) -> Result<String, Error> {
        read(&self.files.log)
    }

    /// What was written to standard output as lines of JSON: access logs by
    /// `envoy.access_loggers.stdout`. An entry arrives up to 20 ms after its request.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn access_log(&self) -> Result<Vec<Value>, Error> {
        let output = read(&self.files.output)?;
        // A line that is still being written is not JSON yet.
        Ok(output
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Waits until the log contains `text`.
    ///
    /// # Errors
    ///
    /// If it does not `within` that time.
    pub async fn wait_for_log(&self, text: &str, within: Duration) -> Result<(), Error> {
        let what = format!("`{text}` in the log");
        self.wait_for(&what, within, || {
            Ok(self.log()?.contains(text).then_some(()))
        })
        .await
    }

    /// Waits for an entry of the access log that `wanted` holds for, and gives the first.
    ///
    /// # Errors
    ///
    /// If there is none `within` that time.
    pub async fn wait_for_access_log(
        &self,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, Error> {
        let look = || Ok(self.access_log()?.into_iter().find(&wanted));
        self.wait_for("an entry in the access log", within, look)
            .await
    }

    /// Waits until a condition on the statistics holds, and gives them.
    ///
    /// # Errors
    ///
    /// If it does not hold `within` that time.
    pub async fn wait_for_stats(
        &self,
        within: Duration,
        condition: impl Fn(&super::Stats) -> bool,
    ) -> Result<super::Stats, Error> {
        let start = Instant::now();
        loop {
            let stats = self.stats().await?;
            if condition(&stats) {
                return Ok(stats);
            }
            self.pause("a condition on the statistics", start, within)
                .await?;
        }
    }

    /// Asks Envoy to end, and kills it if it has not within 5 s.
    ///
    /// # Errors
    ///
    /// If Envoy does not take the request.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.admin_post("/quitquitquit").await?;
        let start = Instant::now();
        while self.status().is_none() && start.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    async fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        look: impl Fn() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            self.pause(what, start, within).await?;
        }
    }

    async fn pause(&self, what: &str, start: Instant, within: Duration) -> Result<(), Error> {
        if start.elapsed() >= within {
            let log = tail(&self.log()?);
            return Err(Error::TimedOut {
                what: what.to_owned(),
                within,
                log,
            });
        }
        tokio::time::sleep(POLL).await;
        Ok(())
    }
}

/// The files of one Envoy, in a folder that is removed on drop.
#[derive(Debug)]
struct Files {
    config: PathBuf,
    admin_address: PathBuf,
    output: PathBuf,
    log: PathBuf,
    _folder: TempDir,
}

impl Files {
    fn new(folder: TempDir) -> Self {
        let path = folder.path();
        Self {
            config: path.join("config.json"),
            admin_address: path.join("admin-address"),
            output: path.join("output"),
            log: path.join("log"),
            _folder: folder,
        }
    }
}

fn with_admin(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(config) = config.as_object_mut() {
        let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
        config.insert("admin".into(), json!({ "address": address }));
    }
    config
}

fn static_listeners(config: &Value) -> Vec<&str> {
    let listeners = config
        .pointer("/static_resources/listeners")
        .and_then(Value::as_array);
    let names = listeners
        .into_iter()
        .flatten()
        .map(|listener| listener.get("name"));
    names.filter_map(|name| name?.as_str()).collect()
}

fn read(path: &Path) -> Result<String, Error> {
    read_text(path).map_err(|source| Error::File {
        path: path.to_path_buf(),
        source,
    })
}
