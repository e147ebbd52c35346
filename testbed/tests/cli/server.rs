//! Commands that ask a server, against one whose answers are files.
//!
//! In each folder of `servers/`, the answer at a path is the file of that path, with `.json`.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use crate::golden;
use crate::run::{Ran, meshwall};

/// Listens on loopback, and gives each connection the answer to its one request.
fn serve(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that has gone reports it itself.
            let _ = stream.and_then(|stream| reply(stream, &answer));
        }
    });
    address
}

fn reply(mut stream: TcpStream, answer: &impl Fn(&str) -> (u16, String)) -> io::Result<()> {
    let mut head = Vec::new();
    for line in BufReader::new(&stream).lines() {
        match line? {
            line if line.is_empty() => break,
            line => head.push(line),
        }
    }
    let path = head.first().and_then(|line| line.split(' ').nth(1));
    let (status, body) = answer(path.unwrap_or_default());
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} -\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Answers with the files of a folder.
fn canned(folder: &Path) -> SocketAddr {
    let folder = folder.to_owned();
    serve(
        move |path| match fs::read_to_string(folder.join(format!(".{path}.json"))) {
            Ok(body) => (200, body),
            Err(_) => (404, r#"{"error": "there is no such workload"}"#.into()),
        },
    )
}

fn ask(url: &str, arguments: &[&str]) -> Ran {
    let mut command = meshwall(Path::new("."));
    let command = command.env("MESHWALL_SERVER", url).args(arguments);
    command.output().expect("the command runs").into()
}

fn servers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/servers")
}

#[test]
fn commands_that_ask_print_what_they_printed() {
    golden::compare(&servers(), |folder| {
        let url = format!("http://{}", canned(folder));
        let shown = url.clone();
        golden::transcripts(folder, move |arguments| {
            let mut ran = ask(&url, arguments);
            ran.stdout = ran.stdout.replace(&shown, "http://SERVER");
            ran.stderr = ran.stderr.replace(&shown, "http://SERVER");
            ran
        })
    });
}

#[test]
fn what_is_printed_as_json_is_what_the_server_answered() {
    let address = canned(&servers().join("troubled"));
    for (arguments, file) in [
        (vec!["status"], "status"),
        (vec!["proxies"], "proxies"),
        (
            vec!["program", "west/shop/payments-0"],
            "workloads/west/shop/payments-0",
        ),
    ] {
        let server = format!("--server=http://{address}/");
        let arguments = [arguments, vec!["--format=json", &server]].concat();
        // The flag wins over the environment.
        let ran = ask("http://127.0.0.1:1", &arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{file}");
        let answer = fs::read_to_string(servers().join(format!("troubled/{file}.json"))).unwrap();
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(json(&ran.stdout), json(&answer), "{file}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    // Nobody listens on a port that has just been given back.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let url = format!("http://{address}");
    for arguments in [vec!["status"], vec!["proxies"], vec!["program", "a/b"]] {
        let ran = ask(&url, &arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        let expected = format!("error: cannot reach meshwall-server at {url}: ");
        assert!(ran.stderr.starts_with(&expected), "{}", ran.stderr);
    }
}

#[test]
fn what_is_no_meshwall_server_is_told_apart() {
    for (status, body, expected) in [
        (200, "<html>", "does not answer with JSON"),
        (404, "<html>", "answers with status 404"),
        (503, "{}", "answers with status 503"),
        (200, r#"{"a": 1}"#, "answers what cannot be understood"),
    ] {
        let address = serve(move |_| (status, body.into()));
        let ran = ask(&format!("http://{address}"), &["status"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    let ran = ask("https://127.0.0.1", &["status"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no TLS"), "{}", ran.stderr);
}

#[test]
fn tables_have_colours_only_for_who_asks() {
    let url = format!("http://{}", canned(&servers().join("troubled")));
    for command in ["status", "proxies"] {
        let plain = ask(&url, &[command]).stdout;
        let coloured = ask(&url, &[command, "--color", "always"]).stdout;
        assert!(!plain.contains('\u{1b}'), "{command}");
        assert!(coloured.contains('\u{1b}'), "{command}");
        assert!(
            !coloured.contains("\u{1b}[2J"),
            "what a proxy says steers nothing"
        );
    }
}
