//! The other commands of the binary, as a user types them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use albef_model::trainer::initial_state;
use albef_model::weights::file::TensorFile;
use albef_model::weights::state;
use albef_worker::config::JobConfig;
use tch::Device;

fn worker(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_albef-worker"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A refused command may close its input first.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn vocabulary() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/minilm/vocab.txt");
    assert!(path.is_file(), "{} is missing: run `make setup`", path.display());
    path.to_str().unwrap().to_owned()
}

/// One line on standard error, exit 2.
fn refusal(args: &[&str], input: &str) -> String {
    let out = worker(args, input);
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{args:?}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

/// A configuration small enough for a test.
fn tiny(dir: &Path) -> PathBuf {
    let path = dir.join("tiny.toml");
    let text = include_str!("../../configs/small.toml")
        .replace("image_res = 128", "image_res = 32")
        .replace("width = 256", "width = 32")
        .replace("depth = 6", "depth = 2")
        .replace("fusion_layer = 3", "fusion_layer = 1")
        .replace("vocab = 30522", "vocab = 200");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn caption_shows_what_the_model_sees() {
    let out =
        worker(&["caption", "--vocab", &vocabulary()], "\"A <PERSON>, walking -- her dog/cat!\"\n\"\"\n");
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(
        text,
        "{\"caption\":\"a person walking her dog cat\",\"input_ids\":[101,1037,2711,3788,2014,3899,4937,102]}\n\
         {\"caption\":\"\",\"input_ids\":[101,102]}\n"
    );
}

#[test]
fn caption_refuses_what_is_not_a_json_string_by_line() {
    assert!(refusal(&["caption", "--vocab", &vocabulary()], "\"fine\"\nnot json\n").contains("line 2"));
    assert!(refusal(&["caption", "--vocab", "no-such-file"], "").contains("no-such-file"));
}

#[test]
fn bench_prints_one_json_line_whose_parts_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    for dtype in ["fp32", "bf16"] {
        let config = config.to_str().unwrap();
        let out =
            worker(&["bench", "--config", config, "--batch", "2", "--dtype", dtype, "--steps", "1"], "");
        let text = String::from_utf8(out.stdout).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(line["images_per_s"].as_f64().unwrap() > 0.0);
        assert!(line["peak_rss_mib"].as_f64().unwrap() > 10.0);
        let parts = line["parts"].as_object().unwrap();
        let sum: f64 = parts.values().map(|v| v.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 0.01 && parts.len() == 10, "{text}");
    }
}

#[test]
fn bench_refuses_a_configuration_that_does_not_exist_or_fit() {
    let line = refusal(&["bench", "--config", "smal", "--batch", "4"], "");
    assert!(line.contains("smal") && line.contains("albef-base"), "{line}");
    let dir = tempfile::tempdir().unwrap();
    let path = tiny(dir.path());
    let broken = std::fs::read_to_string(&path).unwrap().replace("embed_dim", "embeddim");
    std::fs::write(&path, broken).unwrap();
    let line = refusal(&["bench", "--config", path.to_str().unwrap(), "--batch", "4"], "");
    assert!(line.contains("did you mean `embed_dim`?"), "{line}");
}

#[test]
fn whoever_stops_reading_hears_nothing_and_a_full_disk_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_albef-worker"));
    command.args(["caption", "--vocab", &vocabulary()]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let _ = child.stdin.take().unwrap().write_all(b"\"a dog\"\n");
    let out = child.wait_with_output().unwrap();
    assert_eq!((out.status.code(), out.stderr.as_slice()), (Some(141), &b""[..]));

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut child = command.stdout(full).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(b"\"a dog\"\n");
    let out = child.wait_with_output().unwrap();
    let line = String::from_utf8(out.stderr).unwrap();
    assert_eq!((out.status.code(), line.lines().count()), (Some(2), 1));
    assert!(line.contains("cannot write the results"), "{line}");
}

#[test]
fn what_cannot_be_done_is_one_line_that_says_what_to_change() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    for (args, part) in [
        (&["bench"][..], "--config"),
        (&["nonsense"], "nonsense"),
        (&["bench", "--config", "small", "--batch", "4", "--threads", "100000"], "threads of this machine"),
        (&["bench", "--config", "small", "--batch", "9223372036854775807"], "make it smaller"),
        (&["weights", "check", "--config", "small", folder], "is not a file"),
        (&["weights", "check", "--config", "small", "a\nb\u{1b}"], "a\\nb\\u{1b}"),
        (&["weights", "init", "--config", "small", "--out", "missing/folder/w"], "make it first"),
        (&["parity", folder], "holds neither case.json nor retrieval.json"),
    ] {
        let line = refusal(args, "");
        assert!(line.contains(part), "{args:?}: {line}");
    }
}

#[test]
fn initial_weights_are_written_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny(dir.path());
    let (config, out) = (config.to_str().unwrap(), dir.path().join("init.safetensors"));
    let out = out.to_str().unwrap();
    assert!(worker(&["weights", "init", "--config", config, "--out", out], "").status.success());
    assert!(worker(&["weights", "check", "--config", config, out], "").status.success());
    assert!(refusal(&["weights", "check", "--config", "small", out], "").contains("expected"));
    // The very state that a job of this seed starts from, so that a run can be repeated from the file.
    let job = JobConfig::load(config).unwrap();
    let (model, queue) = initial_state(&job.model, Device::Cpu, job.seed).unwrap();
    let file = TensorFile::open(out).unwrap();
    for (name, expected) in state::state_dict(&model, &queue).unwrap() {
        assert_eq!(file.read(&name).unwrap(), expected, "{name}");
    }
    let pickle = dir.path().join("model.pth");
    std::fs::write(&pickle, b"PK\x03\x04pickle").unwrap();
    assert!(
        refusal(&["weights", "check", "--config", config, pickle.to_str().unwrap()], "").contains("pickled")
    );
}
