//! Our server's program, as the generator sees it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::command::Command;
use crate::probe::Process;

/// How often it is asked whether all streams are gone, and how many times.
const PAUSE: Duration = Duration::from_millis(10);
const MAX_QUESTIONS: usize = 1_000;

/// A running server; it ends with this.
pub struct Server {
    _child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub address: SocketAddr,
    pub process: Process,
}

impl Server {
    pub async fn start() -> Result<Self> {
        let mut child = tokio::process::Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("the server is gone")?;
        let commands = child.stdin.take().context("no pipe to the server")?;
        let answers = child.stdout.take().context("no pipe from the server")?;
        let mut answers = BufReader::new(answers).lines();
        let address = answers.next_line().await?;
        let address = address.context("the server does not start")?.parse()?;
        Ok(Self {
            _child: child,
            commands,
            answers,
            address,
            process: Process(pid),
        })
    }

    /// Has a command done, and returns its number.
    pub async fn obey(&mut self, command: Command) -> Result<usize> {
        self.commands
            .write_all(format!("{command}\n").as_bytes())
            .await?;
        let answer = self.answers.next_line().await?;
        Ok(answer.context("the server is gone")?.parse()?)
    }

    /// Waits until all streams have ended.
    pub async fn no_streams(&mut self) -> Result<()> {
        for _ in 0..MAX_QUESTIONS {
            if self.obey(Command::Streams).await? == 0 {
                return self.process.rest().await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::bail!("streams are left after their clients have gone")
    }
}
