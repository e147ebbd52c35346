//! The log: one line a fact, for people on a terminal, as JSON for everything else.
//!
//! The level is that of our own crates. Other crates log from warnings on, whatever the level: at
//! lower levels some of them show what they send and receive, and with it tokens.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Level as TracingLevel, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// Text if the standard error is a terminal, else JSON.
    #[default]
    Auto,
    /// Text for people.
    Text,
    /// An object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// What an operator must look at.
    Error,
    /// What an operator should look at.
    Warn,
    /// What has changed.
    #[default]
    Info,
    /// What is done.
    Debug,
    /// Every step.
    Trace,
}

/// A log cannot be started: there is one already.
#[derive(Debug)]
pub struct LogError(SetGlobalDefaultError);

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start the log: {}", self.0)
    }
}

impl std::error::Error for LogError {}

/// A word that is no level or no form of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownWord {
    word: String,
    known: &'static str,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is none of {}", self.word, self.known)
    }
}

impl std::error::Error for UnknownWord {}

impl FromStr for Level {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Level, UnknownWord> {
        Ok(match word {
            "error" => Level::Error,
            "warn" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            "trace" => Level::Trace,
            _ => {
                return Err(UnknownWord {
                    word: word.to_owned(),
                    known: "`error`, `warn`, `info`, `debug`, `trace`",
                });
            }
        })
    }
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Format, UnknownWord> {
        Ok(match word {
            "auto" => Format::Auto,
            "text" => Format::Text,
            "json" => Format::Json,
            _ => {
                return Err(UnknownWord {
                    word: word.to_owned(),
                    known: "`auto`, `text`, `json`",
                });
            }
        })
    }
}

impl From<Level> for TracingLevel {
    fn from(level: Level) -> TracingLevel {
        match level {
            Level::Error => TracingLevel::ERROR,
            Level::Warn => TracingLevel::WARN,
            Level::Info => TracingLevel::INFO,
            Level::Debug => TracingLevel::DEBUG,
            Level::Trace => TracingLevel::TRACE,
        }
    }
}

/// Starts the log of the process, on standard error.
///
/// # Errors
///
/// If the process has a log already.
pub fn start(level: Level, format: Format) -> Result<(), LogError> {
    let terminal = io::stderr().is_terminal();
    let json = match format {
        Format::Auto => !terminal,
        Format::Text => false,
        Format::Json => true,
    };
    let subscriber = subscriber(level, json, terminal, io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(LogError)
}

/// What writes a log to a writer; `colour` is for text.
pub fn subscriber<W>(
    level: Level,
    json: bool,
    colour: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let targets = Targets::new()
        .with_default(LevelFilter::WARN.min(LevelFilter::from(TracingLevel::from(level))))
        .with_target("meshwall", TracingLevel::from(level));
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let registry = tracing_subscriber::registry().with(targets);
    if json {
        let layer = layer.json().flatten_event(true).with_current_span(false);
        Box::new(registry.with(layer.with_span_list(false)))
    } else {
        Box::new(registry.with(layer.with_ansi(colour).with_target(false)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Level, json: bool) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(level, json, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(cluster = "west", "a source is\nsynced");
            tracing::debug!("a step");
            tracing::info!(target: "hyper::client", "Authorization: Bearer secret");
            tracing::warn!(target: "hyper::client", "closed");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_an_object_a_line() {
        let log = logged(Level::Info, true);
        let lines: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{log}");
        assert_eq!(lines[0]["message"], "a source is\nsynced");
        assert_eq!(
            (&lines[0]["cluster"], &lines[0]["level"]),
            (&"west".into(), &"INFO".into())
        );
        assert_eq!(lines[1]["message"], "closed");
    }

    #[test]
    fn the_level_is_for_our_crates_only() {
        let log = logged(Level::Trace, false);
        assert!(log.contains("a step") && log.contains("closed"), "{log}");
        assert!(!log.contains("secret"), "{log}");
        assert!(log.contains("cluster=\"west\""), "{log}");
        assert_eq!(logged(Level::Error, false), "");
    }

    #[test]
    fn words_are_levels_and_forms() {
        assert_eq!("debug".parse(), Ok(Level::Debug));
        assert_eq!("auto".parse(), Ok(Format::Auto));
        let error = "loud".parse::<Level>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`loud` is none of `error`, `warn`, `info`, `debug`, `trace`"
        );
        assert!("yaml".parse::<Format>().is_err());
    }
}
