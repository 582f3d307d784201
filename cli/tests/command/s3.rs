//! Building from an object store into it, against a server that speaks S3.
//!
//! The server is moto's, which `make setup` installs. It keeps objects in memory and checks no credentials.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use super::kills::{kills, seeded};
use super::*;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/bin/moto_server");
const BUCKET: &str = "pairs";

struct Server {
    process: Child,
    port: u16,
    /// What the server says of each request.
    log: tempfile::NamedTempFile,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start() -> Self {
        assert!(Path::new(SERVER).exists(), "{SERVER} is missing: run `make setup`");
        // Between choosing a free port and serving there another program may take it.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let log = tempfile::NamedTempFile::new().unwrap();
            let process = Command::new(SERVER)
                .args(["-H", "127.0.0.1", "-p", &port.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log.reopen().unwrap())
                .spawn()
                .unwrap();
            let mut server = Self { process, port, log };
            let begin = Instant::now();
            while server.process.try_wait().unwrap().is_none() && begin.elapsed() < Duration::from_secs(60) {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    assert_eq!(server.request("PUT", "", b"").0, 200);
                    return server;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("the server does not start");
    }

    /// Sends a request for a path in the bucket and returns status and body.
    fn request(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} /{BUCKET}{path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=k/20200101/us-east-1/s3/aws4_request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        assert_eq!(self.request("PUT", &format!("/{name}"), bytes).0, 200, "{name}");
    }

    /// Every object below a folder.
    fn tree(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let (status, listed) = self.request("GET", &format!("?list-type=2&prefix={folder}/"), b"");
        assert_eq!(status, 200);
        let listed = String::from_utf8(listed).unwrap();
        assert!(listed.contains("<IsTruncated>false</IsTruncated>"), "{listed}");
        let keys = listed.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap());
        keys.map(|key| {
            let (status, bytes) = self.request("GET", &format!("/{key}"), b"");
            assert_eq!(status, 200, "{key}");
            (key[folder.len() + 1..].to_owned(), bytes)
        })
        .collect()
    }

    /// The command with what it needs to find the server.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    }

    fn said(&self, args: &[&str]) -> String {
        is_success(args, self.command(args).output().unwrap())
    }

    fn refusal(&self, args: &[&str]) -> String {
        is_refusal(args, self.command(args).output().unwrap())
    }

    /// The requests so far, one a line.
    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }
}

/// A server with a list, its pictures, and a build file that says where they are.
struct Remote {
    server: Server,
    dir: tempfile::TempDir,
    config: String,
}

impl Remote {
    fn new() -> Self {
        let server = Server::start();
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("build.toml");
        let sources = format!("[[source]]\npath = \"s3://{BUCKET}/web/list.jsonl\"\n");
        // Larger than a request, so that shards go in parts.
        std::fs::write(&config, sources + "[shards]\ntarget_mb = 10\n").unwrap();
        pairs(&dir.path().join("web"), COUNT, 200);
        for (name, bytes) in tree(&dir.path().join("web")) {
            server.put(&format!("web/{name}"), &bytes);
        }
        let config = config.to_str().unwrap().to_owned();
        Self { server, dir, config }
    }

    fn args<'a>(&'a self, out: &'a str) -> [&'a str; 7] {
        ["corpus", "build", &self.config, "--out", out, "--threads", "2"]
    }
}

const COUNT: u64 = 170;

fn url(folder: &str) -> String {
    format!("s3://{BUCKET}/{folder}")
}

#[test]
fn a_corpus_in_a_bucket_is_the_local_one_and_is_read_by_ranges() {
    let Remote { server, dir, config } = Remote::new();
    let out = url("out");
    let summary = server.said(&["corpus", "build", &config, "--out", &out]);
    assert!(summary.contains(&format!("kept {COUNT} images")) && summary.contains("2 shards"), "{summary}");
    assert_eq!(server.said(&["corpus", "verify", &out]), "2 shards: ok\n");

    let local = dir.path().join("local");
    let config = std::fs::read_to_string(&config).unwrap();
    let web = dir.path().join("web");
    let here = dir.path().join("here.toml");
    let name = format!("name = \"{}/web/list.jsonl\"\npath", url("").trim_end_matches('/'));
    let text = config.replace(&url("web"), web.to_str().unwrap()).replacen("path", &name, 1);
    std::fs::write(&here, text).unwrap();
    let local = local.to_str().unwrap();
    said(&["corpus", "build", here.to_str().unwrap(), "--out", local]);
    let (mut there, mut expected) = (server.tree("out"), tree(Path::new(local)));
    // They differ in where the source is.
    assert!(there.remove("manifest.json").is_some() && expected.remove("manifest.json").is_some());
    is_same(&there, &expected, "in the bucket and here");

    let before = server.log().len();
    let sample = ["1", "3"];
    assert_eq!(
        server.said(&[&["corpus", "inspect", &out], &sample[..]].concat()),
        said(&[&["corpus", "inspect", local], &sample[..]].concat())
    );
    let log = server.log();
    let reads: Vec<_> =
        log[before..].lines().filter(|line| line.contains("GET /pairs/out/shard-00001.tar")).collect();
    assert!(reads.len() == 1 && reads[0].contains("\" 206 "), "{reads:?}");
}

#[test]
fn a_build_into_a_bucket_that_is_killed_ends_with_the_same_objects() {
    let remote = Remote::new();
    let server = &remote.server;
    let whole = url("whole");
    let begin = Instant::now();
    server.said(&remote.args(&whole));
    let time = begin.elapsed();
    let expected = server.tree("whole");
    let mut random = seeded();
    for kill in 0..kills().div_ceil(2) {
        let folder = format!("killed-{kill}");
        let out = url(&folder);
        let mut moments = Vec::new();
        for _ in 0..if kill % 3 == 2 { 3 } else { 1 } {
            let mut build = server.command(&remote.args(&out)).spawn().unwrap();
            let moment = time.mul_f64(random.share());
            std::thread::sleep(moment);
            build.kill().unwrap();
            build.wait().unwrap();
            moments.push(moment);
        }
        // An object is there as a whole or not at all.
        for (name, bytes) in server.tree(&folder).iter().filter(|(name, _)| !name.starts_with(".build/")) {
            assert!(expected.get(name) == Some(bytes), "{name} after {moments:?}");
        }
        server.said(&remote.args(&out));
        is_same(&server.tree(&folder), &expected, &format!("killed after {moments:?}"));
    }
    println!("{time:?} a build");
}

#[test]
fn builds_that_meet_in_a_bucket_end_with_one_corpus() {
    let remote = Remote::new();
    let server = &remote.server;
    let out = url("met");
    let builds: Vec<_> = (0..3).map(|_| server.command(&remote.args(&out)).spawn().unwrap()).collect();
    for ended in builds.into_iter().map(|build| build.wait_with_output().unwrap()) {
        if !ended.status.success() {
            let line = is_refusal(&remote.args(&out), ended);
            assert!(line.contains("another build"), "{line}");
        }
    }
    // One that was still running may have left something behind the one that finished.
    server.said(&remote.args(&out));
    let whole = url("whole");
    server.said(&remote.args(&whole));
    is_same(&server.tree("met"), &server.tree("whole"), "three builds at once");
    let other = std::fs::read_to_string(&remote.config).unwrap().replace("= 10", "= 20");
    std::fs::write(&remote.config, other).unwrap();
    assert!(server.refusal(&remote.args(&out)).contains("another configuration"));
}

#[test]
fn what_a_bucket_does_not_have_is_one_line() {
    let server = Server::start();
    server.put("list.jsonl", b"{\"image\":\"con\\u0001trol.png\",\"caption\":\"a red house by the sea\"}\n");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    for (source, part) in [
        (url("nothing.jsonl"), "no record in"),
        ("s3://no-such-bucket/list.jsonl".to_owned(), "no-such-bucket"),
        (url("list.jsonl"), "no record is left of 1"),
    ] {
        let line = server.refusal(&["corpus", "build", &source, "--out", out]);
        assert!(line.contains(part), "{source}: {line}");
        let _ = std::fs::remove_dir_all(dir.path().join(".build"));
    }
    let args = ["corpus", "verify", &url("nothing")];
    assert!(server.refusal(&args).contains("no finished corpus"));
}
