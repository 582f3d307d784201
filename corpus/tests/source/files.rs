use std::os::unix::fs::symlink;

use albef_corpus::record::Problem;
use albef_corpus::source::FolderText;
use albef_corpus::storage::StorageError;

use super::*;

#[test]
fn a_folder_is_walked_in_the_order_of_names() {
    let folder = Folder::new()
        .with("b.png", "B")
        .with("b.txt", "  the b \r\nzweite Zeile\r\n")
        .with("a/2.JPG", "2")
        .with("a/2.txt", "\u{feff}two")
        .with("a/1.jpg", "1")
        .with("c.webp", "C")
        .with("notes.txt", "no image")
        .with("image.jpg/x.md", "a folder called as an image");
    let items = folder.items("");
    assert_eq!(shown(&items), [("b", vec!["the b"]), ("c", vec![]), ("a/1", vec![]), ("a/2", vec!["two"])]);
    assert_eq!(load(good(&items)[3]), b"2");
    let each = Options { folder_text: FolderText::EachLine, ..Options::default() };
    assert_eq!(shown(&folder.items_with("", each))[0].1, ["the b", "zweite Zeile"]);
    let whole = Options { folder_text: FolderText::Whole, ..Options::default() };
    assert_eq!(shown(&folder.items_with("", whole))[0].1, ["the b \r\nzweite Zeile"]);
}

#[test]
fn links_and_texts_that_are_wrong_cost_their_image() {
    let folder = Folder::new()
        .with("a.jpg", "")
        .with("a.txt", b"\xff\xfe")
        .with("b.jpg", "")
        .with("b.txt", vec![b'x'; 5 << 20])
        .with("c.jpg", "c")
        .with("c.txt/x", "a folder where a text should be");
    symlink("/etc/hostname", folder.path("d.jpg")).unwrap();
    symlink("/nowhere", folder.path("e.jpg")).unwrap();
    symlink("/", folder.path("root")).unwrap();
    symlink(".", folder.path("here")).unwrap();
    let items = folder.items("");
    let bad = bad(&items);
    assert!(matches!(*bad[0].problem, Problem::NotUtf8 { .. }));
    assert!(matches!(*bad[1].problem, Problem::TooLong { .. }));
    assert!(matches!(*bad[2].problem, Problem::Storage(StorageError::NotAFile { .. })));
    assert_eq!(bad.len(), 3);
    let errors: Vec<_> = good(&items).iter().map(|record| record.image.load(10).unwrap_err()).collect();
    assert!(matches!(errors[0], StorageError::Escapes { .. }), "{:?}", errors[0]);
    assert_eq!(errors.len(), 2);
}

#[test]
fn the_kind_is_told_from_name_and_content() {
    let folder = Folder::new()
        .with("list", "[]")
        .with("lines", "{\"image\":\"1.jpg\",\"caption\":\"x\"}\n{}")
        .with("set.json", r#"{"prefix": "p", "icons": {"a": {"body": ""}}, "width": 1}"#)
        .with("tars/0.tar", "")
        .with("images/1.jpg", "")
        .with("images/metadata.jsonl", "{}")
        .with("fetched/images/1.jpg", "")
        .with("fetched/pairs.jsonl", "{}")
        .with("fetched/packages.json", "{}")
        .with("packs/one/icons.json", "{}")
        .with("all/collections.json", "{}")
        .with("all/json/x.json", "{}")
        .with("tar", [vec![b'x'; 257], b"ustar".to_vec()].concat());
    for (name, kind) in [
        ("list", Kind::JsonList),
        ("lines", Kind::JsonLines),
        ("set.json", Kind::Iconify),
        ("tars", Kind::Tar),
        ("images", Kind::Folder),
        ("fetched", Kind::JsonLines),
        ("packs", Kind::Iconify),
        ("all", Kind::Iconify),
        ("tar", Kind::Tar),
    ] {
        assert_eq!(folder.source(name).kind(), kind, "{name}");
    }
    assert_eq!(folder.source("all").files(), ["json/x.json"]);
    assert_eq!(folder.source("fetched").files(), ["pairs.jsonl"]);
}

#[test]
fn what_is_no_source_is_one_line_that_lists_the_kinds() {
    let folder = Folder::new()
        .with("text", "some text")
        .with("x.zip", "PK")
        .with("empty", "")
        .with("object.json", "{\n\"images\": []}");
    for name in ["text", "x.zip", "empty", "object.json"] {
        let error = folder.error(name).to_string();
        assert!(error.contains(Kind::NAMES), "{error}");
    }
    assert!(folder.error("nothing").to_string().contains("does not exist"));
    for (name, kind) in [
        ("text", Kind::Folder),
        ("empty", Kind::JsonList),
        ("empty", Kind::JsonLines),
        ("empty", Kind::Iconify),
    ] {
        let result = Source::open(&folder.path(name), kind).and_then(|source| source.records().map(drop));
        is_one_line(&result.unwrap_err().to_string());
    }
    let nothing = Source::open(&folder.path(""), Kind::Parquet).unwrap_err().to_string();
    assert!(nothing.contains("*.parquet"), "{nothing}");
    assert!("tarball".parse::<Kind>().unwrap_err().to_string().contains("json-lines"));
    assert_eq!("json-lines".parse::<Kind>().unwrap().name(), "json-lines");
}

#[test]
fn records_come_in_the_same_order_each_time_and_file_by_file() {
    let tar = |name: &str| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_cksum();
        builder.append_data(&mut header, format!("{name}.jpg"), &b"x"[..]).unwrap();
        builder.into_inner().unwrap()
    };
    let folder = Folder::new().with("2.tar", tar("b")).with("10.tar", tar("a")).with("1.tar", tar("c"));
    let source = folder.source("").with_name("web");
    assert_eq!(source.files(), ["1.tar", "10.tar", "2.tar"]);
    let all: Vec<_> = source.records().unwrap().map(|item| item.unwrap().origin).collect();
    let parts: Vec<_> = source
        .files()
        .iter()
        .flat_map(|file| source.records_of(file).unwrap())
        .map(|item| item.unwrap().origin)
        .collect();
    assert_eq!(all, parts);
    let origin = Origin { source: "web".into(), file: "1.tar".into(), at: At::Key("c".into()) };
    assert_eq!(all[0], origin);
    assert_eq!(origin.to_string(), "web \"1.tar\" key \"c\"");
    let json = serde_json::to_string(&origin).unwrap();
    assert_eq!(json, r#"{"source":"web","file":"1.tar","at":{"key":"c"}}"#);
}
