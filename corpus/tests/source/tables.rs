use albef_corpus::record::Problem;

use super::*;

#[test]
fn a_table_gives_its_rows_with_quotes_marks_and_carriage_returns() {
    let csv = "\u{feff}caption,image,license\r\n\"one, \"\"quoted\"\"\r\nand more\",a/1.jpg,CC0\r\n\r\ntwo,2.jpg,\r\n";
    let folder = Folder::new().with("x.csv", csv).with("a/1.jpg", "JPEG");
    let items = folder.items("x.csv");
    assert_eq!(shown(&items), [("a/1", vec!["one, \"quoted\"\r\nand more"]), ("2", vec!["two"])]);
    assert_eq!(good(&items)[0].extra["license"], "CC0");
    assert_eq!(load(good(&items)[0]), b"JPEG");
    let lines: Vec<_> = good(&items).iter().map(|record| record.origin.at.clone()).collect();
    assert_eq!(lines, [At::Line(2), At::Line(5)]);
}

#[test]
fn a_quote_in_tab_separated_text_is_a_quote() {
    let folder = Folder::new().with("x.tsv", "image\tcaption\n1.jpg\t\"Hello\" she said\n2.jpg\t5\" nail\n");
    assert_eq!(shown(&folder.items("x.tsv")), [("1", vec!["\"Hello\" she said"]), ("2", vec!["5\" nail"])]);
}

#[test]
fn a_row_that_is_wrong_costs_that_row() {
    let csv =
        b"image,caption\n1.jpg,one\n2.jpg\n3.jpg,a,b\n4.jpg,\xff\n5.jpg,a\0b\n../6.jpg,x\n7.jpg,seven\n";
    let items = Folder::new().with("x.csv", csv).items("x.csv");
    assert_eq!(shown(&items), [("1", vec!["one"]), ("7", vec!["seven"])]);
    let bad = bad(&items);
    assert!(matches!(*bad[0].problem, Problem::Fields { wanted: 2, found: 1 }));
    assert!(matches!(*bad[1].problem, Problem::Fields { wanted: 2, found: 3 }));
    assert!(matches!(*bad[2].problem, Problem::NotUtf8 { .. }));
    assert!(matches!(*bad[3].problem, Problem::Nul { .. }));
    assert!(matches!(*bad[4].problem, Problem::Path { .. }));
    let lines: Vec<_> = bad.iter().map(|bad| bad.origin.at.clone()).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7].map(At::Line));
}

#[test]
fn a_row_without_end_is_passed_over_and_not_held() {
    let csv = large(b"image,caption\n1.jpg,\"", b'x', 100 << 20, b"\"\n2.jpg,two\n");
    let items = Folder::new().with("x.csv", csv).items("x.csv");
    assert_eq!(shown(&items), [("2", vec!["two"])]);
    assert!(matches!(*bad(&items)[0].problem, Problem::TooLong { .. }));
    // Nor are a million fields.
    let csv = large(b"image,caption\n1.jpg", b',', 1 << 20, b"\n2.jpg,two\n");
    let items = Folder::new().with("x.csv", csv).items("x.csv");
    assert_eq!((good(&items).len(), bad(&items).len()), (1, 1));
    // A quote that is never closed takes the rest of the file.
    let items = Folder::new().with("x.csv", "image,caption\n1.jpg,\"one\n2.jpg,two\n").items("x.csv");
    assert_eq!(items.len(), 1);
}

#[test]
fn a_header_that_does_not_do_is_one_line_that_says_why() {
    for (csv, reason) in [
        ("", "empty"),
        ("\n\n", "empty"),
        ("path,text\n1,2\n", "[\"path\", \"text\"]"),
        ("image,image,caption\n", "two columns \"image\""),
        ("image\0,caption\n", "NUL"),
    ] {
        let error = Folder::new().with("x.csv", csv).error("x.csv").to_string();
        assert!(error.contains(reason), "{csv:?} gives {error}");
    }
}

#[cfg(feature = "parquet")]
mod parquet_files {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// A file of three columns in groups of rows, compressed by default.
    fn file(image_type: &str, rows: &[(&[u8], &str)]) -> Vec<u8> {
        let schema = format!(
            "message m {{ required {image_type}; optional binary caption (UTF8); required int64 width; }}"
        );
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let properties =
            WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
        for rows in rows.chunks(2) {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let images: Vec<_> = rows.iter().map(|row| ByteArray::from(row.0.to_vec())).collect();
            column.typed::<ByteArrayType>().write_batch(&images, None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let present: Vec<i16> = rows.iter().map(|row| i16::from(row.1 != "null")).collect();
            let captions: Vec<_> =
                rows.iter().filter(|row| row.1 != "null").map(|row| ByteArray::from(row.1)).collect();
            column.typed::<ByteArrayType>().write_batch(&captions, Some(&present), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&vec![640; rows.len()], None, None).unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn paths_and_images_are_told_apart_by_their_column() {
        let rows: [(&[u8], &str); 3] = [(b"1.jpg", "one"), (b"../2.jpg", "two"), (b"3.jpg", "null")];
        let folder = Folder::new()
            .with("paths.parquet", file("binary image (UTF8)", &rows))
            .with("bytes.parquet", file("binary image", &rows))
            .with("1.jpg", "JPEG");
        let items = folder.items("paths.parquet");
        assert_eq!(shown(&items), [("1", vec!["one"]), ("3", vec![])]);
        assert_eq!(load(good(&items)[0]), b"JPEG");
        assert_eq!(good(&items)[0].extra["width"], 640);
        assert_eq!(bad(&items)[0].origin.at, At::Row(1));
        let items = folder.items("bytes.parquet");
        assert_eq!(good(&items).len(), 3);
        assert_eq!(load(good(&items)[1]), b"../2.jpg", "the bytes are the image");
    }

    #[test]
    fn a_folder_of_tables_is_read_in_the_order_of_names_and_a_broken_one_is_counted() {
        let folder = Folder::new()
            .with("0.parquet", file("binary image (UTF8)", &[(b"a.jpg", "a")]))
            .with("1.parquet", "PAR1 and nothing more")
            .with("2.parquet", file("binary image (UTF8)", &[(b"b.jpg", "b")]));
        let items = folder.items("");
        assert_eq!(shown(&items), [("a", vec!["a"]), ("b", vec!["b"])]);
        assert_eq!(bad(&items)[0].origin.at, At::File);
        assert!(folder.error("1.parquet").to_string().contains("not a Parquet file"));
    }

    #[test]
    fn no_damage_makes_the_reader_panic_or_run_on() {
        let whole = file("binary image (UTF8)", &[(b"1.jpg", "one"), (b"2.jpg", "two"), (b"3.jpg", "three")]);
        let mut damaged: Vec<Vec<u8>> =
            (0..whole.len()).step_by(7).map(|cut| whole[..cut].to_vec()).collect();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            damaged.push(bytes);
        }
        for bytes in damaged {
            let folder = Folder::new().with("x.parquet", bytes);
            match Source::open(&folder.path("x.parquet"), Kind::Parquet).unwrap().records() {
                Ok(records) => {
                    let items: Vec<_> = records.take(100).collect();
                    assert!(items.len() < 100);
                    bad(&items);
                }
                Err(error) => is_one_line(&error.to_string()),
            }
        }
    }
}
