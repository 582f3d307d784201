use albef_corpus::record::{ImageRef, Problem};
use tar::{Builder, EntryType, Header};

use super::*;

/// Name and content.
type Member<'m> = (&'m str, &'m [u8]);

/// A tar of plain files, written as WebDataset writes them.
fn archive(members: &[Member]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in members {
        builder.append_data(&mut header(content.len() as u64), name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// A member whose name no honest writer writes.
fn raw(name: &[u8], kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = header(content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

const META: &[u8] = br#"{"caption": "one", "url": "http://host/1.jpg", "width": 640, "sha256": "00"}"#;

#[test]
fn a_tar_gives_its_samples_and_keeps_no_image() {
    let bytes = archive(&[
        ("00000.jpg", b"first"),
        ("00000.json", META),
        ("00000.txt", "one\u{e9}".as_bytes()),
        ("sub/00001.txt", b"two"),
        ("sub/00001.seg.png", b"mask"),
        ("sub/00001.PNG", b"second"),
        ("00002.webp", b"third"),
        ("00002.cls", b"7"),
    ]);
    let folder = Folder::new().with("x.tar", &bytes);
    let items = folder.items("x.tar");
    assert_eq!(shown(&items), [("00000", vec!["oneé"]), ("sub/00001", vec!["two"]), ("00002", vec![])]);
    let records = good(&items);
    assert_eq!(records[0].extra["width"], 640);
    assert!(!records[0].extra.contains_key("caption"));
    assert_eq!([load(records[0]), load(records[1]), load(records[2])], [&b"first"[..], b"second", b"third"]);
    for record in records {
        let ImageRef::Range { range, .. } = &record.image else { panic!("{:?}", record.image) };
        assert_eq!(bytes[range.start as usize..range.end as usize], load(record));
    }
    assert!(good(&items)[0].image.load(4).is_err(), "five bytes are more than four");
}

#[test]
fn long_names_of_both_dialects_are_read() {
    let long = format!("{}/{}", "d".repeat(90), "k".repeat(120));
    let mut pax = Builder::new(Vec::new());
    let path = format!("{long}.jpg");
    pax.append_pax_extensions([("path", path.as_bytes())]).unwrap();
    pax.append_data(&mut header(1), "short.jpg", &b"x"[..]).unwrap();
    for bytes in [archive(&[(&path, b"x")]), pax.into_inner().unwrap()] {
        let items = Folder::new().with("x.tar", bytes).items("x.tar");
        assert_eq!(shown(&items), [(long.as_str(), vec![])]);
    }
}

#[test]
fn names_that_climb_links_and_devices_are_bad_records() {
    let mut bytes = Vec::new();
    for (name, kind) in [
        (&b"../../etc/passwd.jpg"[..], EntryType::Regular),
        (b"/etc/passwd.jpg", EntryType::Regular),
        (b"a/../../x.jpg", EntryType::Regular),
        (b"link.jpg", EntryType::Symlink),
        (b"hard.jpg", EntryType::Link),
        (b"device.jpg", EntryType::Char),
        (b"\xff\xfe.jpg", EntryType::Regular),
    ] {
        bytes.extend(raw(name, kind, b""));
    }
    bytes.extend(raw(b"folder/", EntryType::Directory, b""));
    bytes.extend(archive(&[("fine.jpg", b"x"), ("fine.txt", b"fine")]));
    let items = Folder::new().with("x.tar", bytes).items("x.tar");
    assert_eq!(shown(&items), [("fine", vec!["fine"])]);
    assert_eq!(bad(&items).len(), 7);
    assert!(matches!(*bad(&items)[3].problem, Problem::NotAFile { found: "a link", .. }));
}

#[test]
fn a_sample_that_is_wrong_costs_that_sample() {
    let deep = [b"{\"x\":".as_slice(), &b"[".repeat(40_000), &b"]".repeat(40_000), b"}"].concat();
    let cases: &[(&[Member], &str)] = &[
        (&[("1.jpg", b"x"), ("1.txt", b"\xff")], "UTF-8"),
        (&[("1.jpg", b"x"), ("1.txt", b"a\0b")], "NUL"),
        (&[("1.jpg", b"x"), ("1.json", b"{")], "JSON"),
        (&[("1.jpg", b"x"), ("1.json", b"[]")], "JSON"),
        (&[("1.jpg", b"x"), ("1.json", &deep)], "JSON"),
        (&[("1.jpg", b"x"), ("1.json", br#"{"caption": 7}"#)], "number"),
        (&[("1.jpg", b"x"), ("1.jpg", b"y")], "two members"),
        (&[("1.jpg", b"x"), ("1.png", b"y")], "two members"),
        (&[("1.txt", b"a text without an image")], "no \"image"),
    ];
    for (members, reason) in cases {
        let mut members = members.to_vec();
        members.push(("2.jpg", b"fine"));
        let items = Folder::new().with("x.tar", archive(&members)).items("x.tar");
        assert_eq!(shown(&items), [("2", vec![])], "{reason}");
        let bad = bad(&items);
        assert_eq!(bad.len(), 1);
        assert!(bad[0].to_string().contains(reason), "{}", bad[0]);
        assert_eq!(bad[0].origin.at, At::Key("1".into()));
    }
}

#[test]
fn a_text_without_end_is_not_read() {
    let text = vec![b'x'; 5 << 20];
    let items = Folder::new().with("x.tar", archive(&[("1.jpg", b"x"), ("1.txt", &text)])).items("x.tar");
    assert!(matches!(*bad(&items)[0].problem, Problem::TooLong { .. }));
    // Nor is a name: its header only claims to be short.
    let mut bytes = raw(b"././@LongLink", EntryType::GNULongName, &vec![b'n'; 2 << 20]);
    bytes.extend(raw(b"1.jpg", EntryType::Regular, b"x"));
    let items = Folder::new().with("x.tar", bytes).items("x.tar");
    assert!(matches!(*bad(&items)[0].problem, Problem::TooLong { .. }));
}

#[test]
fn a_tar_cut_anywhere_gives_whole_samples_and_at_most_one_bad_record() {
    let whole = archive(&[("1.jpg", b"first"), ("1.txt", b"one"), ("2.jpg", b"second"), ("2.txt", b"two")]);
    for cut in 0..4 * 1024 {
        let folder = Folder::new().with("x.tar", &whole[..cut]);
        let items: Vec<_> =
            Source::open(&folder.path("x.tar"), Kind::Tar).unwrap().records().unwrap().collect();
        for record in good(&items) {
            load(record);
        }
        assert!(bad(&items).len() <= 1);
        // A cut between members cannot be seen: in practice the end mark is optional.
        let (member, within) = (cut / 1024, cut % 1024);
        let is_seen = cut == 0 || (within > 0 && within < 512 + [5, 3, 6, 3][member]);
        assert_eq!(bad(&items).len(), usize::from(is_seen), "{cut}");
    }
}

#[test]
fn a_damaged_header_ends_the_file_and_says_so() {
    let whole = archive(&[("1.jpg", b"first"), ("2.jpg", b"second"), ("3.jpg", b"third")]);
    for at in 1024..1536 {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let items = Folder::new().with("x.tar", bytes).items("x.tar");
        assert!(!bad(&items).is_empty(), "byte {at}");
    }
    // A size that reaches behind the file, or around the largest number.
    for size in [1 << 40, u64::MAX, u64::MAX - 511] {
        let mut header = header(size);
        header.set_path("1.jpg").unwrap();
        header.set_cksum();
        let items = Folder::new().with("x.tar", header.as_bytes()).items("x.tar");
        assert!(matches!(*bad(&items)[0].problem, Problem::Cut { .. } | Problem::Syntax { .. }));
    }
}
