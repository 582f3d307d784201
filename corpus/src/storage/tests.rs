#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;

fn folder() -> (tempfile::TempDir, Storage) {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open_path(dir.path()).unwrap();
    (dir, storage)
}

/// Pieces become one file, and a piece that is an error leaves what was there.
fn writes_in_pieces(storage: &Storage) {
    let pieces = |count: u8| (0..count).map(|n| Ok::<_, StorageError>(vec![n; 3_000_000]));
    for count in [0, 1, 7] {
        storage.write_pieces("pieces/file.bin", pieces(count)).unwrap();
        let expected: Vec<u8> = (0..count).flat_map(|n| vec![n; 3_000_000]).collect();
        assert!(storage.read("pieces/file.bin").unwrap() == expected, "{count} pieces");
    }
    let failing = pieces(5).chain([storage.read("nowhere").map(|bytes| bytes.to_vec())]);
    let error = storage.write_pieces("pieces/file.bin", failing).unwrap_err();
    assert!(matches!(error, StorageError::Missing { .. }), "{error}");
    assert_eq!(storage.size("pieces/file.bin").unwrap(), 21_000_000);
    storage.delete("pieces/file.bin").unwrap();
}

/// More than one request's worth goes in and out whole.
fn keeps_what_is_large(storage: &Storage) {
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|at| ((at * 31) >> 5) as u8).collect();
    storage.write("large/file.bin", bytes.clone()).unwrap();
    assert!(storage.read("large/file.bin").unwrap() == bytes);
    let file = storage.file("large/file.bin").unwrap();
    assert!(file.read_range(1..19_999_999).unwrap() == bytes[1..19_999_999]);
    assert!(matches!(file.read_range(1..20_000_001), Err(StorageError::Range { .. })));
    storage.delete("large/file.bin").unwrap();
}

/// The first of several writers wins, and a folder goes with all that is in it.
fn writes_once_and_deletes_folders(storage: &Storage) {
    assert!(storage.write_new("once/more/file", &b"first"[..]).unwrap());
    assert!(!storage.write_new("once/more/file", &b"second"[..]).unwrap());
    assert_eq!(storage.read("once/more/file").unwrap(), "first");
    storage.write("once/file", &b"x"[..]).unwrap();
    storage.write("once.txt", &b"x"[..]).unwrap();
    storage.delete_folder("once").unwrap();
    storage.delete_folder("once").unwrap();
    assert_eq!(storage.list("").unwrap(), ["once.txt"]);
    storage.delete("once.txt").unwrap();
    assert!(storage.delete_folder("").is_err(), "a storage does not delete itself");
    let winners = std::thread::scope(|scope| {
        let write = |number: u8| move || storage.write_new("race", vec![number; 1000]).unwrap();
        let writers: Vec<_> = (0..8).map(|number| scope.spawn(write(number))).collect();
        writers.into_iter().map(|writer| u32::from(writer.join().unwrap())).sum::<u32>()
    });
    assert_eq!(winners, 1);
    storage.delete("race").unwrap();
}

/// What every storage does, whatever is behind it.
fn keeps_the_contract(storage: &Storage) {
    writes_in_pieces(storage);
    keeps_what_is_large(storage);
    writes_once_and_deletes_folders(storage);
    storage.write("b/two.bin", &b"0123456789"[..]).unwrap();
    storage.write("b.txt", &b""[..]).unwrap();
    storage.write("a/x/deep.bin", &b"deep"[..]).unwrap();

    assert_eq!(storage.read("b/two.bin").unwrap(), "0123456789");
    assert_eq!(storage.read("b.txt").unwrap(), "");
    assert_eq!(storage.read("./b//two.bin").unwrap(), "0123456789", "a name is normalised");
    assert_eq!(storage.read_range("b/two.bin", 3..7).unwrap(), "3456");
    assert_eq!(storage.read_range("b/two.bin", 10..10).unwrap(), "");
    assert_eq!(storage.size("b/two.bin").unwrap(), 10);
    let file = storage.file("b/two.bin").unwrap();
    assert_eq!(file.size(), 10);
    assert_eq!(file.read_range(8..10).unwrap(), "89");
    assert_eq!(file.read_all(10).unwrap(), "0123456789");

    for range in [8..11, 11..12, 0..u64::MAX, Range { start: 5, end: 4 }] {
        for error in [storage.read_range("b/two.bin", range.clone()), file.read_range(range.clone())] {
            assert!(
                matches!(error, Err(StorageError::Range { size: 10, .. })),
                "{range:?} of 10 bytes gives {error:?}"
            );
        }
    }
    let too_large = file.read_all(9).unwrap_err();
    assert!(matches!(too_large, StorageError::TooLarge { size: 10, limit: 9, .. }));

    assert_eq!(storage.list("").unwrap(), ["a/x/deep.bin", "b.txt", "b/two.bin"]);
    assert_eq!(storage.list("b").unwrap(), ["b/two.bin"]);
    assert_eq!(storage.list("a/").unwrap(), ["a/x/deep.bin"]);
    let entries = storage.entries("").unwrap();
    let shown: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.is_folder)).collect();
    assert_eq!(shown, [("a", true), ("b", true), ("b.txt", false)]);

    assert!(storage.exists("b.txt").unwrap());
    assert!(!storage.exists("b").unwrap(), "a folder is no file");
    assert!(!storage.exists("b.txt/below").unwrap());
    assert!(!storage.exists("nothing").unwrap());
    for missing in [
        storage.read("nothing").map(drop),
        storage.read_range("nothing", 0..1).map(drop),
        storage.size("nothing").map(drop),
        storage.file("nothing").map(drop),
        storage.delete("nothing"),
    ] {
        assert!(matches!(missing, Err(StorageError::Missing { .. })), "{missing:?}");
    }

    storage.write("b.txt", &b"new"[..]).unwrap();
    assert_eq!(storage.read("b.txt").unwrap(), "new");
    storage.delete("b.txt").unwrap();
    assert!(!storage.exists("b.txt").unwrap());

    for name in
        ["", ".", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/../b.txt", "a\0b", &"n".repeat(5000)]
    {
        let error = storage.read(name).unwrap_err();
        assert!(matches!(error, StorageError::Name { .. }), "{name:?}: {error}");
        let error = storage.write(name, &b"x"[..]).unwrap_err();
        assert!(matches!(error, StorageError::Name { .. }), "{name:?}: {error}");
        assert_eq!(error.to_string().lines().count(), 1);
        assert!(error.to_string().len() < 500, "{error}");
    }
}

#[test]
fn a_local_folder_keeps_the_contract() {
    let (_dir, storage) = folder();
    keeps_the_contract(&storage);
}

#[test]
fn memory_keeps_the_contract() {
    keeps_the_contract(&Storage::open("memory:///").unwrap());
}

#[test]
fn memory_below_a_prefix_keeps_the_contract() {
    keeps_the_contract(&Storage::open("memory:///some/where").unwrap());
}

#[test]
fn a_url_of_a_local_folder_is_that_folder() {
    let (dir, storage) = folder();
    storage.write("x", &b"1"[..]).unwrap();
    let url = Url::from_directory_path(dir.path()).unwrap();
    assert_eq!(Storage::open(url.as_str()).unwrap().read("x").unwrap(), "1");
}

#[test]
fn no_link_leads_out_of_the_folder() {
    let (dir, storage) = folder();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::fs::write(dir.path().join("inside"), "inside").unwrap();
    symlink(outside.path().join("secret"), dir.path().join("absolute")).unwrap();
    symlink(outside.path(), dir.path().join("folder")).unwrap();
    symlink("/etc/passwd", dir.path().join("passwd")).unwrap();
    symlink("inside", dir.path().join("fine")).unwrap();

    assert_eq!(storage.read("fine").unwrap(), "inside");
    for name in ["absolute", "folder/secret", "passwd"] {
        let error = storage.read(name).unwrap_err();
        assert!(matches!(error, StorageError::Escapes { .. }), "{name}: {error:?}");
        assert!(error.blames_the_file() && !error.is_transient());
    }
    assert!(matches!(storage.write("folder/new", &b"x"[..]), Err(StorageError::Escapes { .. })));
    assert!(!outside.path().join("new").exists());
    assert_eq!(storage.list("").unwrap(), ["absolute", "fine", "folder", "inside", "passwd"]);
}

#[test]
fn what_is_not_whole_yet_lies_where_it_is_told_to() {
    let (dir, storage) = folder();
    let storage = storage.with_unfinished_in(".work/parts");
    let seen = std::cell::Cell::new(0);
    let pieces = (0..2_u8).map(|n| {
        seen.set(std::fs::read_dir(dir.path().join(".work/parts")).unwrap().count());
        assert!(!dir.path().join("a/file").exists());
        Ok::<_, StorageError>(vec![n; 10])
    });
    storage.write_pieces("a/file", pieces).unwrap();
    assert_eq!(seen.get(), 1);
    assert_eq!(storage.list("").unwrap(), ["a/file"]);
    let failing = [Ok(vec![1]), storage.read("nowhere").map(|bytes| bytes.to_vec())];
    storage.write_pieces("a/file", failing).unwrap_err();
    assert_eq!(storage.list("").unwrap(), ["a/file"], "what failed is removed");
}

#[test]
fn a_folder_is_claimed_by_one_at_a_time() {
    let (dir, storage) = folder();
    let claim = storage.lock(".work/lock").unwrap().unwrap();
    let other = Storage::open_path(dir.path()).unwrap();
    assert!(other.lock(".work/lock").unwrap().is_none());
    drop(claim);
    assert!(other.lock(".work/lock").unwrap().is_some());
}

#[test]
fn a_storage_knows_whether_it_lies_in_another() {
    let (dir, storage) = folder();
    for name in ["a/b", "ab"] {
        std::fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    symlink(dir.path().join("a"), dir.path().join("link")).unwrap();
    let at = |name: &str| Storage::open_path(&dir.path().join(name)).unwrap();
    assert!(at("a").is_within(&storage) && at("a/b").is_within(&at("a")) && at("a/.").is_within(&at("a")));
    assert!(at("link/b").is_within(&at("a")));
    assert!(!storage.is_within(&at("a")) && !at("ab").is_within(&at("a")));
    let [all, some, other] =
        ["memory:///web", "memory:///web/out/", "memory:///web2"].map(|url| Storage::open(url).unwrap());
    assert!(some.is_within(&all) && all.is_within(&all));
    assert!(!all.is_within(&some) && !other.is_within(&all) && !all.is_within(&storage));
}

#[test]
fn a_name_that_cannot_be_one_is_the_files_own_fault() {
    let (dir, storage) = folder();
    symlink("loop", dir.path().join("loop")).unwrap();
    let remote = Storage::open("memory:").unwrap();
    for error in [
        storage.read("loop").unwrap_err(),
        storage.read(&"n".repeat(300)).unwrap_err(),
        storage.size(&"n".repeat(300)).unwrap_err(),
        remote.read("a\u{1}b").unwrap_err(),
        remote.size("a\nb").unwrap_err(),
    ] {
        assert!(matches!(error, StorageError::Circle { .. } | StorageError::BadName { .. }), "{error:?}");
        assert!(error.blames_the_file() && error.to_string().lines().count() == 1, "{error}");
    }
    let source = "Error performing GET: status code: 400: <Code>KeyTooLongError</Code>".into();
    let error = object_store::Error::Generic { store: "S3", source };
    assert!(StorageError::from_store("read", "s3://b/x".into(), &error).blames_the_file());
}

#[test]
fn a_loop_of_links_has_an_end() {
    let (dir, storage) = folder();
    storage.write("a/file", &b"x"[..]).unwrap();
    symlink("..", dir.path().join("a/up")).unwrap();
    symlink("loop", dir.path().join("loop")).unwrap();
    assert_eq!(storage.list("").unwrap(), ["a/file", "loop"]);
    assert!(storage.read("loop").is_err());
}

#[test]
fn a_folder_or_a_pipe_is_not_read_as_a_file() {
    let (dir, storage) = folder();
    std::fs::create_dir(dir.path().join("image.jpg")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe.jpg")).status().unwrap();
    assert!(made.success());
    for name in ["image.jpg", "pipe.jpg"] {
        assert!(matches!(storage.read(name), Err(StorageError::NotAFile { .. })), "{name}");
    }
}

#[test]
fn a_file_cut_short_after_opening_is_an_error_and_not_zeros() {
    let (dir, storage) = folder();
    storage.write("x", vec![7; 1000]).unwrap();
    let file = storage.file("x").unwrap();
    std::fs::OpenOptions::new().write(true).open(dir.path().join("x")).unwrap().set_len(10).unwrap();
    assert!(matches!(file.read_range(0..1000), Err(StorageError::Range { size: 10, .. })));
}

#[test]
fn a_reader_sees_the_old_file_or_the_new_one() {
    let (dir, storage) = folder();
    let size = 1 << 20;
    storage.write("x", vec![0; size]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..20 {
                storage.write("x", vec![round; size]).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        while !stop.load(Ordering::Relaxed) {
            let bytes = storage.read("x").unwrap();
            assert_eq!(bytes.len(), size);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a mixture of two files");
        }
    });
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[test]
fn a_remote_storage_is_used_from_many_threads_and_inside_a_runtime() {
    let storage = Storage::open("memory:").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let storage = &storage;
            scope.spawn(move || {
                for round in 0..50 {
                    let name = format!("{thread}/{round}");
                    storage.write(&name, name.clone().into_bytes()).unwrap();
                    assert_eq!(storage.read(&name).unwrap(), name);
                }
            });
        }
    });
    assert_eq!(storage.list("").unwrap().len(), 400);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async { assert_eq!(storage.read("3/7").unwrap(), "3/7") });
}

#[test]
fn a_location_that_is_no_storage_is_one_line() {
    for location in ["", "nonsense://bucket/x", "file://host/x", "s3://", "/no/such/folder", "http://[bad"] {
        let error = Storage::open(location).unwrap_err();
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        assert!(!error.is_transient(), "{error}");
    }
    let error = Storage::open("gopher://user:secret@host/x?token=secret").unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[cfg(not(feature = "gs"))]
#[test]
fn a_store_that_is_not_linked_names_the_feature() {
    let error = Storage::open("gs://bucket/x").unwrap_err().to_string();
    assert!(error.contains("cargo feature"), "{error}");
}

#[test]
fn the_errors_of_a_store_say_whether_to_try_again() {
    let generic = object_store::Error::Generic { store: "S3", source: "connection\nreset".into() };
    let error = StorageError::from_store("read", "s3://b/x".into(), &generic);
    assert!(error.is_transient() && !error.blames_the_file());
    assert_eq!(error.to_string().lines().count(), 1);
    for (status, transient) in [("400 Bad Request", false), ("429 Too Many", true), ("503 Slow Down", true)] {
        let source = format!("Server returned non-2xx status code: {status}").into();
        let error = object_store::Error::Generic { store: "S3", source };
        assert_eq!(
            StorageError::from_store("read", String::new(), &error).is_transient(),
            transient,
            "{status}"
        );
    }
    let denied = object_store::Error::PermissionDenied { path: "x".into(), source: "no".into() };
    let error = StorageError::from_store("read", "s3://b/x".into(), &denied);
    assert!(!error.is_transient() && !error.blames_the_file());
    assert!(error.to_string().contains("check its credentials"), "{error}");
}

#[test]
fn a_reader_gives_the_file_piece_by_piece_and_seeks() {
    use std::io::{Read, Seek, SeekFrom};
    let (_dir, storage) = folder();
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| ((at * 31) >> 3) as u8).collect();
    storage.write("x", bytes.clone()).unwrap();
    let file = storage.file("x").unwrap();
    let mut all = Vec::new();
    file.reader().read_to_end(&mut all).unwrap();
    assert!(all == bytes);
    let mut reader = file.reader_from(1000);
    for to in [0, 10, 4_000_000, 20, 4_998_000] {
        reader.seek(SeekFrom::Start(to)).unwrap();
        let mut four = [0; 4];
        reader.read_exact(&mut four).unwrap();
        assert_eq!(four, bytes[1000 + to as usize..][..4], "at {to}");
    }
    reader.seek(SeekFrom::Start(u64::MAX / 2)).unwrap();
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0, "nothing lies behind the end");
}

proptest! {
    #[test]
    fn a_normal_name_stays_below_its_folder(name in "(\\.|/|a|\\.\\.|\0|é|\\\\){0,12}") {
        if let Ok(normal) = name::normal(&name) {
            prop_assert!(!normal.is_empty() && !normal.starts_with('/') && !normal.contains('\0'));
            prop_assert!(normal.split('/').all(|part| !matches!(part, "" | "." | "..")));
            prop_assert_eq!(name::normal(&normal).unwrap(), normal.clone(), "normal twice is normal");
        }
    }

    #[test]
    fn every_range_of_a_file_is_that_range(start in 0_u64..300, length in 0_u64..300) {
        let storage = Storage::open("memory:").unwrap();
        let bytes: Vec<u8> = (0..=255).collect();
        storage.write("x", bytes.clone()).unwrap();
        let read = storage.read_range("x", start..start + length);
        match bytes.get(start as usize..(start + length) as usize) {
            Some(part) => prop_assert_eq!(read.unwrap(), part),
            None => {
                let refused = matches!(read, Err(StorageError::Range { .. }));
                prop_assert!(refused, "{:?}", read);
            }
        }
    }
}
