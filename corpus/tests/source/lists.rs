use albef_corpus::record::Problem;
use albef_corpus::storage::{Storage, StorageError};
use proptest::prelude::*;

use super::*;

#[test]
fn a_published_list_gives_its_entries_in_order() {
    let list = br#" [ {"image": "a/1.jpg", "caption": "one"},
        {"caption": ["two", "zwei"], "image": "2.png", "image_id": 7} ,{"image":"3.webp","caption":[]}]  "#;
    let folder = Folder::new().with("list.json", list).with("a/1.jpg", "JPEG");
    let items = folder.items("list.json");
    assert_eq!(shown(&items), [("a/1", vec!["one"]), ("2", vec!["two", "zwei"]), ("3", vec![])]);
    let records = good(&items);
    assert_eq!(load(records[0]), b"JPEG");
    assert_eq!(records[1].extra["image_id"], 7);
    assert_eq!(records[1].origin.at, At::Entry(1));
    assert_eq!(records[0].extra.len(), 0);
}

#[test]
fn json_lines_may_have_a_mark_carriage_returns_and_blank_lines() {
    let lines = "\u{feff}{\"image\":\"1.jpg\",\"caption\":\"one\"}\r\n\r\n  \n{\"image\":\"2.jpg\",\"captions\":[\"two\"],\"url\":\"u\"}";
    let folder = Folder::new().with("x.jsonl", lines);
    let items = folder.items("x.jsonl");
    assert_eq!(shown(&items), [("1", vec!["one"]), ("2", vec!["two"])]);
    assert_eq!(good(&items)[1].origin.at, At::Line(4));
    assert_eq!(good(&items)[1].extra["url"], "u");
    let list = Folder::new().with("x.json", "\u{feff}\r\n[{\"image\":\"1.jpg\",\"caption\":\"one\"}\r\n]");
    assert_eq!(shown(&list.items("x.json")), [("1", vec!["one"])]);
}

#[test]
fn what_is_wrong_with_one_record_costs_that_record() {
    let cases: &[(&str, &str)] = &[
        (r#"{"image": "a.jpg"}"#, "no \"caption\""),
        (r#"{"caption": "x"}"#, "no \"image\""),
        (r#"{"image": 5, "caption": "x"}"#, "a number"),
        (r#"{"image": "a.jpg", "caption": {"en": "x"}}"#, "an object"),
        (r#"{"image": "a.jpg", "caption": ["x", 1]}"#, "list of texts"),
        (r#"{"image": "a.jpg", "caption": "x", "image": "b.jpg"}"#, "two fields"),
        (r#"{"image": "a.jpg", "caption": "x\u0000y"}"#, "NUL"),
        (r#"{"image": "a\u0000.jpg", "caption": "x"}"#, "NUL"),
        (r#"{"image": "", "caption": "x"}"#, "empty"),
        (r#"{"image": "../../etc/passwd", "caption": "x"}"#, ".."),
        (r#"{"image": "a/../../x.jpg", "caption": "x"}"#, ".."),
        (r#"{"image": "/etc/passwd", "caption": "x"}"#, "absolute"),
        (r#"{"image": "https://host/a.jpg", "caption": "x"}"#, "URL"),
        (r#"{"image": "a.jpg", "caption": "\ud800"}"#, "JSON"),
        (r#"["a.jpg", "x"]"#, "object"),
        ("null", "object"),
        ("17", "object"),
    ];
    for (wrong, reason) in cases {
        let fine = |name| format!(r#"{{"image":"{name}.jpg","caption":"fine"}}"#);
        let list = format!("[{},{wrong},{}]", fine("1"), fine("2"));
        let lines = format!("{}\n{wrong}\n{}\n", fine("1"), fine("2"));
        let folder = Folder::new().with("x.json", list).with("x.jsonl", lines);
        for file in ["x.json", "x.jsonl"] {
            let items = folder.items(file);
            assert_eq!(shown(&items), [("1", vec!["fine"]), ("2", vec!["fine"])], "{file}: {wrong}");
            let bad = bad(&items);
            assert_eq!(bad.len(), 1, "{file}: {wrong}");
            assert!(bad[0].problem.to_string().contains(reason), "{wrong} gives {}", bad[0]);
            assert!(!bad[0].is_fault());
        }
    }
}

#[test]
fn a_caption_without_end_is_passed_over_and_not_held() {
    // Far above the limit of a record; the records around it are read.
    let before = br#"[{"image":"1.jpg","caption":"one"},{"image":"2.jpg","caption":""#;
    let after = br#""},{"image":"3.jpg","caption":"three"}]"#;
    let folder = Folder::new().with("x.json", large(before, b'x', 100 << 20, after)).with(
        "x.jsonl",
        large(
            b"{\"image\":\"1.jpg\",\"caption\":\"",
            b'x',
            100 << 20,
            b"\"}\n{\"image\":\"3.jpg\",\"caption\":\"three\"}",
        ),
    );
    for (file, count) in [("x.json", 2), ("x.jsonl", 1)] {
        let items = folder.items(file);
        assert_eq!(good(&items).len(), count);
        assert_eq!(good(&items).last().unwrap().captions, ["three"]);
        assert!(matches!(*bad(&items)[0].problem, Problem::TooLong { limit: 4194304, .. }));
    }
}

#[test]
fn values_without_number_are_a_bad_record() {
    let many = |value: &str, count: usize| vec![value; count].join(",");
    let record = |captions: &str, more: &str| {
        format!("{{\"image\":\"1.jpg\",\"caption\":[{captions}],\"more\":[{more}]}}\n")
    };
    let lines = [
        record(&many("\"a\"", 1000), &many("0", 40_000)),
        record(&many("\"a\"", 1001), "0"),
        record("\"a\"", &many("[]", 1_000_000)),
    ];
    let items = Folder::new().with("x.jsonl", lines.concat()).items("x.jsonl");
    assert_eq!((good(&items).len(), good(&items)[0].captions.len()), (1, 1000));
    let said: Vec<_> = bad(&items).iter().map(|bad| bad.problem.to_string()).collect();
    assert_eq!(said, ["more than 1000 captions", "more than 50000 values"]);
}

#[test]
fn nesting_without_end_is_a_bad_record() {
    let few = large(br#"[{"image":"1.jpg","caption":"#, b'[', 1000, b"");
    let few = large(&few, b']', 1000, b"},{\"image\":\"2.jpg\",\"caption\":\"two\"}]");
    let items = Folder::new().with("x.json", &few).items("x.json");
    assert_eq!(shown(&items), [("2", vec!["two"])]);
    assert!(bad(&items)[0].to_string().contains("recursion"));

    let deep = large(br#"[{"image":"1.jpg","caption":"#, b'[', 1 << 20, b"");
    let mut deep = large(&deep, b']', 1 << 20, b"},{\"image\":\"2.jpg\",\"caption\":\"two\"}]");
    let folder = Folder::new().with("x.json", &deep);
    let items = folder.items("x.json");
    assert_eq!(shown(&items), [("2", vec!["two"])]);
    assert!(bad(&items)[0].to_string().contains("more than 50000 values"));
    // Opened and never closed, it is a file cut short.
    deep.truncate(1 << 20);
    let folder = Folder::new().with("x.json", &deep);
    assert!(matches!(*bad(&folder.items("x.json"))[0].problem, Problem::Cut { .. }));
    let only = Folder::new().with("x.json", vec![b'['; 1 << 20]);
    assert_eq!(bad(&only.items("x.json")).len(), 1);
}

#[test]
fn a_list_that_breaks_off_gives_what_came_before() {
    let whole = r#"[{"image":"1.jpg","caption":"one"},{"image":"2.jpg","caption":"two"}]"#;
    for cut in 1..whole.len() {
        let folder = Folder::new().with("x.json", &whole[..cut]);
        let items: Vec<_> =
            Source::open(&folder.path("x.json"), Kind::JsonList).unwrap().records().unwrap().collect();
        assert!(good(&items).len() <= 2);
        assert!(
            matches!(bad(&items).as_slice(), [bad] if matches!(*bad.problem, Problem::Cut { .. })),
            "{cut}"
        );
    }
    for (text, count) in [
        (r#"[{"image":"1.jpg","caption":"one"} {"image":"2.jpg","caption":"two"}]"#, 1),
        (r#"[{"image":"1.jpg","caption":"one"},]"#, 1),
        (r#"[{"image":"1.jpg","caption":"one"}] []"#, 1),
        (r#"[:]"#, 0),
    ] {
        let items = Folder::new().with("x.json", text).items("x.json");
        assert_eq!((good(&items).len(), bad(&items).len()), (count, 1), "{text}");
    }
}

#[test]
fn text_that_is_not_utf_8_is_a_bad_record() {
    let folder = Folder::new().with(
        "x.jsonl",
        b"{\"image\":\"1.jpg\",\"caption\":\"\xff\xfe\"}\n{\"image\":\"2.jpg\",\"caption\":\"two\"}\n",
    );
    let items = folder.items("x.jsonl");
    assert_eq!(shown(&items), [("2", vec!["two"])]);
    assert!(matches!(*bad(&items)[0].problem, Problem::NotUtf8 { .. }));
}

#[test]
fn an_image_that_is_missing_or_a_folder_is_found_when_it_is_loaded() {
    let list = r#"[{"image":"missing.jpg","caption":"x"},{"image":"folder","caption":"x"},{"image":"large.jpg","caption":"x"}]"#;
    let folder = Folder::new().with("x.json", list).with("folder/y", "").with("large.jpg", vec![0; 2 << 20]);
    std::os::unix::fs::symlink("/etc/passwd", folder.path("link.jpg")).unwrap();
    let items = folder.items("x.json");
    let errors: Vec<_> = good(&items).iter().map(|record| record.image.load(1 << 20).unwrap_err()).collect();
    assert!(matches!(errors[0], StorageError::Missing { .. }));
    assert!(matches!(errors[1], StorageError::NotAFile { .. }));
    assert!(matches!(errors[2], StorageError::TooLarge { .. }));
    for error in errors {
        is_one_line(&error.to_string());
        assert!(error.blames_the_file());
    }
}

#[test]
fn images_may_lie_elsewhere_and_paths_may_begin_on_another_machine() {
    let list = r#"[{"image":"/export/home/coco/a/1.jpg","caption":"x"},{"image":"a/1.jpg","caption":"y"}]"#;
    let folder = Folder::new().with("lists/x.json", list).with("images/a/1.jpg", "JPEG");
    let images = Some(Storage::open(&folder.path("images")).unwrap());
    let options = Options { images, strip_prefix: "/export/home/coco".into(), ..Options::default() };
    let items = folder.items_with("lists/x.json", options);
    assert_eq!(shown(&items), [("a/1", vec!["x"]), ("a/1", vec!["y"])]);
    assert_eq!(load(good(&items)[0]), b"JPEG");
    // An absolute path is followed only where somebody said so.
    let absolute = format!(r#"[{{"image":"{}","caption":"x"}}]"#, folder.path("images/a/1.jpg"));
    let folder = folder.with("absolute.json", absolute);
    assert_eq!(bad(&folder.items("absolute.json")).len(), 1);
    let options = Options { absolute_paths: true, ..Options::default() };
    assert_eq!(load(good(&folder.items_with("absolute.json", options))[0]), b"JPEG");
}

#[test]
fn the_names_of_the_keys_may_be_chosen() {
    let folder = Folder::new().with("x.json", r#"[{"file":"1.jpg","TEXT":"one"}]"#);
    let options = Options { image: "file".into(), caption: "TEXT".into(), ..Options::default() };
    assert_eq!(shown(&folder.items_with("x.json", options)), [("1", vec!["one"])]);
}

proptest! {
    #[test]
    fn a_list_gives_what_serde_gives(
        entries in proptest::collection::vec(("[a-z]{1,8}", proptest::collection::vec(any::<String>(), 0..3)), 0..20),
        pretty in any::<bool>(),
    ) {
        let clean = |text: &String| text.replace('\0', "");
        let list: Vec<_> = entries.iter().map(|(image, captions)| {
            serde_json::json!({"image": image, "caption": captions.iter().map(clean).collect::<Vec<_>>(), "more": {"[": [1, "}"]}})
        }).collect();
        let text = if pretty { serde_json::to_vec_pretty(&list) } else { serde_json::to_vec(&list) };
        let folder = Folder::new().with("x.json", text.unwrap());
        let items = folder.items("x.json");
        prop_assert_eq!(bad(&items).len(), 0);
        let found = good(&items);
        prop_assert_eq!(found.len(), entries.len());
        for (record, (image, captions)) in found.iter().zip(&entries) {
            prop_assert_eq!(&record.key, image);
            prop_assert_eq!(&record.captions, &captions.iter().map(clean).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_bytes_make_a_reader_of_text_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), json in "[\\[\\]{}\":, a\\\\]{0,60}") {
        for kind in [Kind::JsonList, Kind::JsonLines, Kind::Csv, Kind::Tsv, Kind::Tar, Kind::Iconify, Kind::Parquet] {
            for text in [bytes.as_slice(), json.as_bytes(), &[b"[", json.as_bytes()].concat(), &[b"image,caption\n", bytes.as_slice()].concat()] {
                let folder = Folder::new().with("x", text);
                if let Ok(records) = Source::open(&folder.path("x"), kind).unwrap().records() {
                    let items: Vec<_> = records.take(1000).collect();
                    prop_assert!(items.len() < 1000, "{} does not end", kind);
                    bad(&items);
                }
            }
        }
    }
}
