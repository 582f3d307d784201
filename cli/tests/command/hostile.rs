//! Sources that somebody cut, damaged or made to hurt: one line or a counted drop, in little time and memory.
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;

use flate2::write::GzEncoder;

use super::*;

/// Bytes of a caption that does not end: more than a build may have in these tests.
const HOLE: i64 = 512 << 20;
/// Memory that a build may have, in KiB, its program and the stacks of its threads included.
const MEMORY: u32 = 450_000;

const FINE: &str = "a painting of two blue boats";

/// A folder with what is built, and the corpus that it becomes.
struct Web {
    dir: tempfile::TempDir,
}

impl Web {
    /// Three good pairs in `list.jsonl`.
    fn new() -> Self {
        let web = Self { dir: tempfile::tempdir().unwrap() };
        pairs(web.dir.path(), 3, 40);
        web
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::create_dir_all(self.dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Builds in little memory and returns the summary and the lines of `dropped.jsonl`.
    fn build(&self, sources: &[&str]) -> (String, Vec<String>) {
        let out = self.path("out");
        let _ = std::fs::remove_dir_all(&out);
        let args = ["corpus", "build", "--out", &out, "--threads", "2"];
        let args = [&args[..], sources].concat();
        let limit = format!("ulimit -v {MEMORY}; exec \"$@\"");
        let limited = ["-c", &limit, "sh", env!("CARGO_BIN_EXE_albef")];
        let ended = Command::new("timeout").args(["120", "sh"]).args(limited).args(&args).output().unwrap();
        let summary = is_success(&args, ended);
        let dropped = std::fs::read_to_string(self.path("out/dropped.jsonl")).unwrap();
        (summary, dropped.lines().map(str::to_owned).collect())
    }

    fn refusal(&self, source: &str) -> String {
        let _ = std::fs::remove_dir_all(self.path("out"));
        refusal(&["corpus", "build", source, "--out", &self.path("out")])
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn images_that_are_none_are_counted_and_reading_goes_on() {
    let web = Web::new();
    let long = format!("{}.png", "n".repeat(300));
    symlink("loop.png", web.path("loop.png")).unwrap();
    symlink("/etc/passwd", web.path("out.png")).unwrap();
    symlink("/dev/zero", web.path("device.png")).unwrap();
    assert!(Command::new("mkfifo").arg(web.path("pipe.png")).status().unwrap().success());
    std::fs::create_dir(web.path("folder.png")).unwrap();
    web.write("a b.png", picture(70, 40));
    web.write("UP.PNG", picture(71, 40));
    let mut bomb = picture(72, 40);
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    web.write("bomb.png", bomb);
    let whole = picture(73, 40);
    web.write("cut.png", &whole[..whole.len() / 2]);
    web.write("text.png", "<html>");
    web.write("empty.png", "");
    let uses =
        (1..30).map(|n| format!("<g id='g{n}'>{}</g>", format!("<use href='#g{}'/>", n - 1).repeat(10)));
    let bomb = format!("<g id='g0'><rect width='1' height='1'/></g>{}", uses.collect::<String>());
    web.write(
        "bomb.svg",
        format!("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>{bomb}</svg>"),
    );
    let cases: &[(&str, &str)] = &[
        ("loop.png", "leads in a circle"),
        ("out.png", "leads out of its folder"),
        ("device.png", "leads out of its folder"),
        ("pipe.png", "is not a file"),
        ("folder.png", "is not a file"),
        ("0.png/x.png", "is not a folder"),
        ("missing.png", "does not exist"),
        ("a%20b.png", "does not exist"),
        ("C:\\\\pictures\\\\x.png", "does not exist"),
        (&long, "longer than names may be"),
        ("con\\u0001trol.png", "does not exist"),
        ("nul\\u0000.png", "NUL"),
        ("../x.png", ".."),
        ("/dev/zero", "is absolute"),
        ("https://host/x.png", "is a URL"),
        ("bomb.png", "image_"),
        ("cut.png", "image_unreadable"),
        ("text.png", "not an image"),
        ("empty.png", "empty"),
        ("bomb.svg", "SVG"),
    ];
    let mut list = std::fs::read(web.path("list.jsonl")).unwrap();
    for (image, _) in cases {
        list.extend(format!("{{\"image\":\"{image}\",\"caption\":\"{FINE}\"}}\n").bytes());
    }
    list.extend(format!("{{\"image\":\"UP.PNG\",\"caption\":\"{FINE}\"}}\n").bytes());
    let source = web.write("hostile.jsonl", list);
    let (summary, dropped) = web.build(&[&source]);
    assert!(
        summary.contains(&format!("kept 4 images with 4 captions of {} records", 4 + cases.len())),
        "{summary}"
    );
    assert_eq!(dropped.len(), cases.len());
    for ((image, reason), line) in cases.iter().zip(dropped) {
        assert!(line.contains(reason), "{image}: {line}");
    }
}

#[test]
fn a_folder_with_links_pipes_and_names_of_other_systems_is_walked() {
    let web = Web::new();
    for n in 0..3 {
        web.write(&format!("{n}.txt"), caption(n));
    }
    symlink("loop.png", web.path("loop.png")).unwrap();
    symlink("loop.txt", web.path("loop.txt")).unwrap();
    symlink(".", web.path("here")).unwrap();
    symlink("/", web.path("root")).unwrap();
    std::fs::create_dir(web.path("folder.png")).unwrap();
    assert!(Command::new("mkfifo").arg(web.path("pipe.png")).status().unwrap().success());
    web.write("pipe.txt", FINE);
    let name = std::os::unix::ffi::OsStrExt::from_bytes(&b"n\xff.png"[..]);
    std::fs::write(web.dir.path().join::<&std::ffi::OsStr>(name), picture(9, 40)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let summary = said(&["corpus", "build", &web.path(""), "--out", out.path().to_str().unwrap()]);
    assert!(summary.contains("kept 3 images with 3 captions of 6 records"), "{summary}");
}

#[test]
fn a_caption_larger_than_the_memory_is_passed_over() {
    let web = Web::new();
    // A hole in the file takes no room on the disk, and is read as any other bytes are.
    let with_hole = |name: &str, before: &[u8], after: &[u8]| {
        let mut file = File::create(web.path(name)).unwrap();
        file.write_all(before).unwrap();
        file.seek(SeekFrom::Current(HOLE)).unwrap();
        file.write_all(after).unwrap();
        web.path(name)
    };
    let good = format!("{{\"image\":\"0.png\",\"caption\":\"{}\"}}", caption(0));
    let bad = b"{\"image\":\"1.png\",\"caption\":\"";
    let last = format!("{{\"image\":\"2.png\",\"caption\":\"{}\"}}", caption(2));
    let join = |parts: &[&[u8]]| parts.concat();
    let lines =
        with_hole("long.jsonl", &join(&[good.as_bytes(), b"\n", bad]), &join(&[b"\"}\n", last.as_bytes()]));
    let list = with_hole(
        "long.json",
        &join(&[b"[", good.as_bytes(), b",", bad]),
        &join(&[b"\"},", last.as_bytes(), b"]"]),
    );
    let table = with_hole(
        "long.csv",
        format!("image,caption\n0.png,{}\n1.png,\"", caption(0)).as_bytes(),
        format!("\"\n2.png,{}\n", caption(2)).as_bytes(),
    );
    for source in [lines, list, table] {
        let (summary, dropped) = web.build(&[&source]);
        assert!(summary.contains("kept 2 images with 2 captions of 3 records"), "{source}: {summary}");
        assert!(
            dropped.len() == 1 && dropped[0].contains("longer than 4194304 bytes"),
            "{source}: {dropped:?}"
        );
    }
}

#[test]
fn compressed_text_is_read_and_compressed_archives_say_what_to_do() {
    let web = Web::new();
    let lines = std::fs::read(web.path("list.jsonl")).unwrap();
    let list = format!("[{}]", String::from_utf8(lines.clone()).unwrap().trim_end().replace('\n', ","));
    let rows: String = (0..3).map(|n| format!("{n}.png,{}\n", caption(n))).collect();
    let table = format!("image,caption\n{rows}");
    for (name, text) in [
        ("x.jsonl.gz", lines.as_slice()),
        ("renamed.jsonl", &lines),
        ("x.json.gz", list.as_bytes()),
        ("x.csv.gz", table.as_bytes()),
        ("x.tsv.gz", table.replace(',', "\t").as_bytes()),
    ] {
        let source = web.write(name, gzip(text));
        let (summary, _) = web.build(&[&source]);
        assert!(summary.contains("kept 3 images with 3 captions of 3 records"), "{name}: {summary}");
    }
    // Two streams one after the other are one text.
    let (first, second) = lines.split_at(lines.iter().position(|&byte| byte == b'\n').unwrap() + 1);
    let source = web.write("two.jsonl.gz", [gzip(first), gzip(second)].concat());
    assert!(web.build(&[&source]).0.contains("of 3 records"));

    let packed = gzip(&lines);
    let source = web.write("cut.jsonl.gz", &packed[..packed.len() - 4]);
    let (summary, dropped) = web.build(&[&source]);
    assert!(summary.contains("kept 3 images with 3 captions of 4 records"), "{summary}");
    assert!(dropped[0].contains("ends in the middle of the gzip stream"), "{dropped:?}");
    let mut damaged = packed.clone();
    let checksum = damaged.len() - 6;
    damaged[checksum] ^= 1;
    let source = web.write("damaged.jsonl.gz", damaged);
    let (summary, dropped) = web.build(&[&source]);
    assert!(summary.contains("kept 3 images with 3 captions of 4 records"), "{summary}");
    assert!(dropped[0].contains("not valid gzip"), "{dropped:?}");
    // A gigabyte of nothing in a few megabytes.
    let piece = gzip(&[b'x'; 1 << 20]);
    let source = web.write("bomb.jsonl.gz", piece.repeat(1 << 10));
    assert!(web.refusal(&source).contains("no record is left of 1"));

    let tar = tar(&[("0.png", &picture(0, 40)), ("0.txt", FINE.as_bytes())]);
    for name in ["x.tar.gz", "renamed.tar"] {
        let line = web.refusal(&web.write(name, gzip(&tar)));
        assert!(line.contains(name) && line.contains("unpack it first"), "{line}");
    }
    for name in ["x.tgz", "x.jsonl.zst", "x.zip"] {
        let line = web.refusal(&web.write(name, "packed"));
        assert!(line.contains(name) && line.contains("unpack it first"), "{line}");
    }
}

#[test]
fn two_tars_that_count_their_samples_alike_keep_their_images_apart() {
    let web = Web::new();
    for n in 0..3_u64 {
        let (a, b) = (picture(2 * n, 40), picture(2 * n + 1, 40));
        let (c, d) = (caption(2 * n), caption(2 * n + 1));
        let members: [(&str, &[u8]); 4] =
            [("0.png", &a), ("0.txt", c.as_bytes()), ("1.png", &b), ("1.txt", d.as_bytes())];
        web.write(&format!("tars/{n}.tar"), tar(&members));
    }
    let (summary, _) = web.build(&[&web.path("tars")]);
    assert!(summary.contains("kept 6 images with 6 captions of 6 records (0 joined others)"), "{summary}");
    let shown = said(&["corpus", "inspect", &web.path("out"), "0"]);
    assert!((0..6).all(|n| shown.contains(&caption(n))), "{shown}");
}

#[test]
fn a_quote_that_is_never_closed_swallows_no_row() {
    let web = Web::new();
    let table =
        format!("image,caption\n0.png,{}\n1.png,\"{}\n2.png,{}\n", caption(0), caption(1), caption(2));
    let source = web.write("open.csv", table);
    let (summary, dropped) = web.build(&[&source]);
    assert!(summary.contains("kept 1 images with 1 captions of 2 records"), "{summary}");
    assert!(
        dropped[0].contains("a quote is never closed") && dropped[0].contains("\"line\":3"),
        "{dropped:?}"
    );
}

#[test]
fn a_source_without_records_says_so_and_may_be_filled() {
    let web = Web::new();
    std::fs::create_dir(web.path("empty")).unwrap();
    for source in
        [web.path("empty"), web.write("empty.json", "[]"), web.write("header.csv", "image,caption\n")]
    {
        let line = web.refusal(&source);
        assert!(line.contains(&format!("no record in {source:?}")) && line.contains("kind"), "{line}");
    }
    for (name, bytes) in [("empty.jsonl", ""), ("empty.csv", ""), ("empty.parquet", "")] {
        let line = web.refusal(&web.write(name, bytes));
        assert!(line.contains(name), "{line}");
    }
    // Neither an error nor emptiness is remembered.
    let out = web.path("filled");
    refusal(&["corpus", "build", &web.path("header.csv"), "--out", &out]);
    let args = ["corpus", "build", &web.path("empty"), "--out", &out];
    refusal(&args);
    web.write("empty/a.png", picture(1, 40));
    web.write("empty/a.txt", FINE);
    assert!(said(&args).contains("kept 1 images"));
}

#[test]
fn one_source_twice_is_one_corpus() {
    let web = Web::new();
    let list = web.path("list.jsonl");
    let (summary, dropped) = web.build(&[&list, &list]);
    assert!(summary.contains("kept 3 images with 3 captions of 6 records"), "{summary}");
    assert!(dropped.iter().all(|line| line.contains("duplicate_pair")), "{dropped:?}");
}

#[test]
fn an_output_that_its_source_would_read_is_refused() {
    let web = Web::new();
    web.write("0.txt", FINE);
    web.write("tars/0.tar", tar(&[("0.png", &picture(0, 40)), ("0.txt", FINE.as_bytes())]));
    symlink(web.path(""), web.path("tars/link")).unwrap();
    for (source, out) in [
        (web.path(""), web.path("")),
        (web.path(""), web.path("tars/corpus")),
        (web.path(""), web.path("tars/link/corpus")),
        (web.path("tars"), web.path("tars")),
        (web.path("tars/0.tar"), web.path("tars")),
        (web.path("list.jsonl"), web.path(".")),
    ] {
        let line = refusal(&["corpus", "build", &source, "--out", &out]);
        assert!(line.contains("give a folder outside of it"), "{source} to {out}: {line}");
    }
    // Beside what a list or a tar reads there is room.
    said(&["corpus", "build", &web.path("tars"), "--out", &web.path("tars/corpus")]);
    said(&["corpus", "build", &web.path("list.jsonl"), "--out", &web.path("corpus")]);
}

#[test]
fn what_is_no_file_is_no_source_and_no_shard() {
    let web = Web::new();
    assert!(Command::new("mkfifo").arg(web.path("pipe.jsonl")).status().unwrap().success());
    for source in [web.path("pipe.jsonl"), "/dev/zero".to_owned(), "/dev/null".to_owned()] {
        assert!(web.refusal(&source).contains("is not a file"), "{source}");
    }
    web.build(&[&web.path("list.jsonl")]);
    let shard = web.path("out/shard-00000.tar");
    std::fs::remove_file(&shard).unwrap();
    assert!(Command::new("mkfifo").arg(&shard).status().unwrap().success());
    for args in [&["corpus", "verify", &web.path("out")][..], &["corpus", "inspect", &web.path("out"), "0"]] {
        let line = refusal(args);
        assert!(line.contains("shard-00000.tar") && line.contains("is not a file"), "{line}");
    }
}
