//! Building a corpus and looking at it.

use albef_corpus::image::{self, Encoding, Rgb};

use super::*;

/// A folder of striped drawings with names beside them.
fn drawings(dir: &Path) {
    for n in 0..5_u8 {
        let pixels: Vec<u8> = (0..40 * 40_u32)
            .flat_map(|i| {
                let stripe = ((i % 40) / (3 + u32::from(n)) + (i / 40) / (9 - u32::from(n))) % 2;
                [40 * n, 200 * stripe as u8, 255 - 30 * n]
            })
            .collect();
        let drawing = Rgb::new(40, 40, pixels).unwrap();
        std::fs::write(dir.join(format!("{n}.png")), image::encode(&drawing, Encoding::Png).unwrap())
            .unwrap();
        std::fs::write(dir.join(format!("{n}.txt")), format!("striped drawing number {n}\n")).unwrap();
    }
}

#[test]
fn a_folder_becomes_a_corpus_that_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("drawings"), dir.path().join("corpus"));
    std::fs::create_dir(&source).unwrap();
    drawings(&source);
    let (source, out) = (source.to_str().unwrap(), out.to_str().unwrap());
    let summary = said(&["corpus", "build", source, "--out", out, "--threads", "2"]);
    assert!(summary.contains("kept 5 images with 5 captions of 5 records"), "{summary}");
    assert!(said(&["corpus", "inspect", out]).starts_with("5 images, 5 captions\n"));
    assert!(said(&["corpus", "inspect", out, "0"]).contains("striped drawing number 3"));
    let sample = said(&["corpus", "inspect", out, "0", "2"]);
    assert!(
        sample.contains("40 x 40 png") && sample.contains("caption: striped drawing number 2"),
        "{sample}"
    );
    assert_eq!(said(&["corpus", "verify", out]), "1 shards: ok\n");

    let shard = dir.path().join("corpus/shard-00000.tar");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[700] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    assert!(refusal(&["corpus", "verify", out]).contains("shard-00000.tar"));
    assert!(refusal(&["corpus", "inspect", out, "0"]).contains("shard-00000.tar\" sample 0"));
}

#[test]
fn a_build_file_is_read_strictly() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("build.toml");
    let out = dir.path().join("out");
    let (path, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    for (text, part) in [
        ("", "missing field `source`"),
        ("[[source]]\npath = \"x\"\n[image]\nmin_sid = 3\n", "line 4: unknown field `min_sid`"),
        ("[[source]]\npath = \"x\"\n[image]\nmin_side = \"3\"\n", "line 4"),
        ("[[source]\n", "line 1"),
        ("source = []\n", "source"),
        ("[[source]]\npath = \"/nonexistent\"\n", "/nonexistent"),
    ] {
        std::fs::write(&file, text).unwrap();
        let line = refusal(&["corpus", "build", path, "--out", out]);
        assert!(line.contains(part), "{text:?}: {line}");
    }
}

#[test]
fn what_cannot_be_done_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    for (args, part) in [
        (&["corpus", "inspect", folder][..], "no finished corpus"),
        (&["corpus", "inspect", "/nonexistent"], "/nonexistent"),
        (&["corpus", "build", "--out", folder], "CONFIG|SOURCE"),
        (&["corpus", "build", "a.toml", "b.jsonl", "--out", folder], "stands alone"),
        (&["corpus", "fetch", "photos", folder], "emoji, openclipart, gimphelp, tuxpaint"),
        (&["nonsense"], "nonsense"),
    ] {
        let line = refusal(args);
        assert!(line.contains(part), "{args:?}: {line}");
    }
}
