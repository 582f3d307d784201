//! The corpus on disk: what is packed comes out again, and nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::io::Read;

use albef_corpus::shard::{
    Content, FileInfo, ImageFormat, Index, IndexError, Manifest, Metadata, PackError, Packer, Sample,
    ShardInfo, unpack,
};
use proptest::prelude::*;

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let format = prop::sample::select(vec![ImageFormat::Jpg, ImageFormat::Png, ImageFormat::Webp]);
    let captions = prop::collection::vec("\\PC{0,40}", 1..4);
    let sample = (prop::collection::vec(any::<u8>(), 0..1500), format, captions, "\\PC{0,30}").prop_map(
        |(image, format, captions, source_key)| Sample {
            image,
            format,
            metadata: Metadata {
                captions,
                width: 3,
                height: 2,
                source: "test".into(),
                source_key,
                content: Content::default(),
                extra: serde_json::Map::new(),
            },
        },
    );
    prop::collection::vec(sample, 0..8)
}

fn packed(samples: &[Sample]) -> (Vec<u8>, Index) {
    let mut packer = Packer::new(7);
    for sample in samples {
        packer.push(sample).unwrap();
    }
    packer.finish()
}

fn span(entry: &albef_corpus::shard::Entry) -> std::ops::Range<usize> {
    entry.offset as usize..entry.offset as usize + entry.len as usize
}

fn one() -> Sample {
    let metadata = Metadata {
        captions: vec!["a dog".into(), "ein Hund".into()],
        width: 5,
        height: 4,
        source: "s".into(),
        source_key: "k".into(),
        content: Content::default(),
        extra: serde_json::Map::new(),
    };
    Sample { image: b"image".to_vec(), format: ImageFormat::Png, metadata }
}

proptest! {
    #[test]
    fn every_sample_comes_out_as_it_went_in(samples in samples()) {
        let (bytes, index) = packed(&samples);
        let index = Index::from_bytes(&index.to_bytes()).unwrap();
        prop_assert_eq!(index.entries.len(), samples.len());
        for (entry, sample) in index.entries.iter().zip(&samples) {
            prop_assert_eq!(&unpack(entry, &bytes[span(entry)]).unwrap(), sample);
        }
    }

    /// A sample is verified before anything of it is used.
    #[test]
    fn a_changed_byte_is_found(samples in samples(), at in any::<prop::sample::Index>()) {
        let (mut bytes, index) = packed(&samples);
        prop_assume!(!index.entries.is_empty());
        let entry = &index.entries[at.index(index.entries.len())];
        let span = span(entry);
        bytes[span.start + at.index(span.len())] ^= 1;
        prop_assert!(matches!(unpack(entry, &bytes[span]), Err(PackError::Damaged)));
    }

    #[test]
    fn an_index_that_is_not_one_is_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), whole in any::<bool>()) {
        if whole {
            bytes.splice(0..0, *b"ALBEFIX1");
        }
        prop_assert!(Index::from_bytes(&bytes).is_err());
    }
}

#[test]
fn any_tar_reader_finds_the_members() {
    let (bytes, _) = packed(&[one(), one()]);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        assert_eq!((entry.header().mtime().unwrap(), entry.header().mode().unwrap()), (0, 0o644));
        found.insert(name, data);
    }
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "0000700000.json",
            "0000700000.png",
            "0000700000.txt",
            "0000700001.json",
            "0000700001.png",
            "0000700001.txt"
        ]
    );
    assert_eq!(found["0000700001.png"], b"image");
    assert_eq!(found["0000700001.txt"], b"a dog");
    let metadata: Metadata = serde_json::from_slice(&found["0000700000.json"]).unwrap();
    assert_eq!(metadata.captions, ["a dog", "ein Hund"]);
}

#[test]
fn a_sample_without_a_caption_is_refused_and_adds_nothing() {
    let mut packer = Packer::new(0);
    packer.push(&one()).unwrap();
    let before = packer.len();
    let mut bare = one();
    bare.metadata.captions.clear();
    assert!(matches!(packer.push(&bare), Err(PackError::NoCaption)));
    assert_eq!((packer.len(), packer.samples()), (before, 1));
}

#[test]
fn a_damaged_index_says_how() {
    let (_, index) = packed(&[one(), one()]);
    let good = index.to_bytes();
    assert_eq!(good.len(), 16 + 2 * 48 + 32);
    for cut in 0..good.len() {
        assert!(matches!(Index::from_bytes(&good[..cut]), Err(IndexError::Length { .. })), "{cut}");
    }
    for at in 16..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        assert_eq!(Index::from_bytes(&bad), Err(IndexError::Hash), "{at}");
    }
    // The hash fits, the entries overlap.
    let overlapping = Index { entries: vec![index.entries[1], index.entries[0]] };
    assert_eq!(Index::from_bytes(&overlapping.to_bytes()), Err(IndexError::Entry(1)));
}

fn manifest() -> Manifest {
    let (data, index) = packed(&[one()]);
    let shard = ShardInfo {
        data: FileInfo::of("shard-00000.tar".into(), &data),
        index: FileInfo::of("shard-00000.idx".into(), &index.to_bytes()),
        samples: 1,
        captions: 2,
    };
    Manifest::new(vec![shard], serde_json::json!({"seed": 1}), vec![])
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let manifest = manifest();
    assert_eq!((manifest.samples, manifest.captions), (1, 2));
    assert_eq!(Manifest::from_bytes(&manifest.to_bytes().unwrap()).unwrap(), manifest);
    let (data, _) = packed(&[one()]);
    assert!(manifest.shards[0].data.fits(&data));
    assert!(!manifest.shards[0].data.fits(&data[1..]));
}

#[test]
fn a_manifest_that_cannot_be_is_refused_in_one_line() {
    let refused = |change: fn(&mut Manifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        let line = Manifest::from_bytes(&manifest.to_bytes().unwrap()).unwrap_err().to_string();
        assert_eq!(line.lines().count(), 1);
        line
    };
    assert!(refused(|m| m.format = "albef-corpus/9".into()).contains("albef-corpus/9"));
    assert!(refused(|m| m.samples = 5).contains("samples: 5 in all, but the shards add up to 1"));
    assert!(refused(|m| m.captions = 0).contains("captions"));
    for name in ["", "..", "../x", "/etc/passwd", "a\\b"] {
        let mut manifest = manifest();
        manifest.shards[0].data.name = name.into();
        let line = Manifest::from_bytes(&manifest.to_bytes().unwrap()).unwrap_err().to_string();
        assert!(line.contains("not a plain name"), "{line}");
    }
    assert!(
        Manifest::from_bytes(b"{\"format\"").unwrap_err().to_string().starts_with("not a corpus manifest")
    );
}
