#![allow(clippy::unwrap_used)]

use super::*;

const SMALLEST: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

/// Loads a vocabulary with this content and returns the error without the directory in which the file lay.
fn refusal(content: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vocab.txt");
    fs::write(&path, content).unwrap();
    let message = Vocabulary::load(&path).unwrap_err().to_string();
    assert!(!message.contains('\n'), "one line: {message:?}");
    message.replace(directory.path().to_str().unwrap(), "DIR")
}

#[test]
fn a_missing_file_is_named_with_the_remedy() {
    let error = Vocabulary::load("no/such/vocab.txt").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no vocabulary at \"no/such/vocab.txt\": give the path of a vocab.txt with one token a line, or train one"
    );
}

#[test]
fn a_directory_is_not_a_vocabulary() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Vocabulary::load(directory.path()), Err(Error::Read { .. })));
}

#[test]
fn bytes_that_are_not_text_are_refused_with_their_line() {
    assert_eq!(
        refusal(b"[PAD]\n[UNK]\na\xff\n"),
        "\"DIR/vocab.txt\" line 3: not UTF-8: save the vocabulary as UTF-8 text with one token a line"
    );
}

#[test]
fn an_empty_file_is_refused() {
    assert!(refusal(b"").starts_with("\"DIR/vocab.txt\" is empty: "));
}

#[test]
fn a_blank_line_is_refused_because_it_would_renumber_the_tokens() {
    assert!(refusal(b"[PAD]\n\n[UNK]\n").starts_with("\"DIR/vocab.txt\" line 2: blank: "));
}

#[test]
fn a_duplicate_token_is_refused_with_both_lines() {
    assert_eq!(
        refusal(format!("{SMALLEST}cat\ndog\ncat\n").as_bytes()),
        "\"DIR/vocab.txt\" line 8: token \"cat\" is already on line 6: delete one of the two lines"
    );
}

#[test]
fn every_special_token_is_needed() {
    for special in Special::ALL {
        let token = special.token();
        let message = refusal(SMALLEST.replace(token, "cat").as_bytes());
        assert!(message.starts_with(&format!("\"DIR/vocab.txt\": no {token} token: ")), "{message}");
    }
}

#[test]
fn line_ends_of_windows_and_a_missing_last_one_are_understood() {
    let path = Path::new("vocab.txt");
    let expected = Vocabulary::parse(SMALLEST, path).unwrap();
    assert_eq!(expected.tokens(), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
    assert_eq!(Vocabulary::parse(&SMALLEST.replace('\n', "\r\n"), path).unwrap(), expected);
    assert_eq!(Vocabulary::parse(SMALLEST.trim_end(), path).unwrap(), expected);
}

#[test]
fn a_written_vocabulary_loads_again_and_replaces_the_former() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vocab.txt");
    for extra in ["cat\n", "##s\n\u{2028}\n"] {
        let vocabulary = Vocabulary::parse(&format!("{SMALLEST}{extra}"), &path).unwrap();
        vocabulary.write(&path).unwrap();
        assert_eq!(Vocabulary::load(&path).unwrap(), vocabulary);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
}

#[cfg(unix)]
#[test]
fn a_written_vocabulary_is_as_readable_as_any_other_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let mode = |name: &str| directory.path().join(name).metadata().unwrap().permissions().mode();
    fs::write(directory.path().join("other.txt"), "").unwrap();
    Vocabulary::from_trained(vec!["[PAD]".to_owned()]).write(directory.path().join("vocab.txt")).unwrap();
    assert_eq!(mode("vocab.txt"), mode("other.txt"));
}

#[test]
fn a_vocabulary_that_cannot_be_written_names_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let error = Vocabulary::from_trained(vec![])
        .write(directory.path().join("absent").join("vocab.txt"))
        .unwrap_err();
    assert!(matches!(&error, Error::Write { .. }));
    assert!(error.to_string().contains("vocab.txt"));
}
