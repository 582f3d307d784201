//! The command `albef`, as a person types it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod corpus;
mod hostile;
mod kills;
mod s3;
mod space;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use albef_corpus::image::{self, Encoding, Rgb};

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_albef"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn albef(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn said(args: &[&str]) -> String {
    is_success(args, albef(args))
}

fn is_success(args: &[&str], out: Output) -> String {
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// One line on standard error, exit 2.
fn refusal(args: &[&str]) -> String {
    is_refusal(args, albef(args))
}

fn is_refusal(args: &[&str], out: Output) -> String {
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!((out.status.code(), text.trim_end().lines().count()), (Some(2), 1), "{args:?}: {text}");
    text
}

/// Numbers that look random, the same ones for a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A picture of random blocks with some noise: no two are alike, and PNG cannot shrink it much.
fn picture(seed: u64, side: u32) -> Vec<u8> {
    let mut random = Random(seed);
    let blocks: Vec<u64> = (0..64).map(|_| random.next()).collect();
    let pixels = (0..side * side).flat_map(|i| {
        let block = blocks[((i / side * 8 / side) * 8 + i % side * 8 / side) as usize];
        let noise = random.next();
        [0, 8, 16].map(|channel| (block >> channel) as u8 ^ ((noise >> channel) as u8 & 31))
    });
    let drawing = Rgb::new(side, side, pixels.collect()).unwrap();
    image::encode(&drawing, Encoding::Png).unwrap()
}

fn caption(number: u64) -> String {
    format!("a red house number {number} by the sea")
}

/// A list of `count` pairs, all of which are kept.
fn pairs(dir: &Path, count: u64, side: u32) -> String {
    std::fs::create_dir_all(dir).unwrap();
    let mut list = String::new();
    for number in 0..count {
        std::fs::write(dir.join(format!("{number}.png")), picture(number, side)).unwrap();
        list += &format!("{{\"image\":\"{number}.png\",\"caption\":\"{}\"}}\n", caption(number));
    }
    let path = dir.join("list.jsonl");
    std::fs::write(&path, list).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Every file and folder below `dir`, hidden ones included; folders have no bytes.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                found.insert(name + "/", Vec::new());
                folders.push(path);
            } else {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// That two corpora are the same bytes; the names of what differs otherwise.
fn is_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>, what: &str) {
    let names = found.keys().chain(expected.keys());
    let differ: Vec<_> = names.filter(|name| found.get(*name) != expected.get(*name)).collect();
    assert!(differ.is_empty(), "{what}: {differ:?}");
}
