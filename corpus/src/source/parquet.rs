//! Parquet: a column of paths or of encoded images, and one of captions.
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, Length};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Value, json};

use super::{Item, Records, Scope, SourceError, fields};
use crate::record::{At, ImageRef, Problem, Record};
use crate::storage::{StorageError, StorageReader, StoredFile, one_line};

const WANTED: &str = "a Parquet file";
/// Rows that are put together at a time: few, since one may hold an image.
const BATCH: usize = 16;

pub(super) fn read(scope: Scope) -> Result<Records, SourceError> {
    let file = Chunks(scope.open_places()?);
    // The library is careful, and still not made for files that mean harm.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let reader = SerializedFileReader::new(file)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let columns: Vec<String> =
            schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
        let rows = RowIter::from_file_into(Box::new(reader)).with_batch_size(BATCH);
        Ok::<_, ParquetError>((columns, rows))
    }));
    let (columns, rows) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            return Err(failed(&error).map_or_else(
                || scope.not_that(WANTED, &one_line(&error.to_string())),
                SourceError::Storage,
            ));
        }
        Err(_) => return Err(scope.not_that(WANTED, "the library panicked on it")),
    };
    for wanted in [&scope.options.image, &scope.options.caption] {
        if !columns.contains(wanted) {
            return Err(SourceError::Column {
                path: scope.path(),
                wanted: wanted.clone(),
                found: one_line(&format!("{columns:?}")),
            });
        }
    }
    Ok(Box::new(Rows { scope, rows, row: 0, over: false }))
}

struct Rows {
    scope: Scope,
    rows: RowIter<'static>,
    row: u64,
    over: bool,
}

impl Rows {
    fn record(&mut self, row: Row, at: &At) -> Result<Record, Problem> {
        let options = self.scope.options.clone();
        let (mut image, mut captions, mut extra) = (None, Vec::new(), Map::new());
        for (name, field) in row.into_columns() {
            if name == options.image {
                image = Some(self.image(&name, field, at)?);
            } else if name == options.caption {
                captions = texts(&name, field)?;
            } else if let Some(value) = value(field) {
                extra.insert(name, value);
            }
        }
        let (image, key) = image.ok_or(Problem::Absent { field: options.image.clone() })?;
        Ok(Record { origin: self.scope.origin(at.clone()), key, image, captions, extra })
    }

    /// A text is a path, bytes are an image, and a group of both is what Hugging Face's `datasets` writes.
    fn image(&mut self, name: &str, field: Field, at: &At) -> Result<(ImageRef, String), Problem> {
        let key = |at: &At| match at {
            At::Row(row) => format!("{row:09}"),
            _ => String::new(),
        };
        match field {
            Field::Str(path) => self.scope.image(&path),
            Field::Bytes(bytes) => Ok((ImageRef::Inline(Bytes::copy_from_slice(bytes.data())), key(at))),
            Field::Group(row) => {
                let (mut inline, mut path) = (None, None);
                for (name, field) in row.into_columns() {
                    match (name.as_str(), field) {
                        ("bytes", Field::Bytes(bytes)) => inline = Some(bytes),
                        ("path", Field::Str(text)) => path = Some(text),
                        _ => {}
                    }
                }
                match (inline, path) {
                    (Some(bytes), _) => Ok((ImageRef::Inline(Bytes::copy_from_slice(bytes.data())), key(at))),
                    (None, Some(path)) => self.scope.image(&path),
                    (None, None) => Err(Problem::Absent { field: name.to_owned() }),
                }
            }
            Field::Null => Err(Problem::Absent { field: name.to_owned() }),
            _ => Err(Problem::Type {
                field: name.to_owned(),
                wanted: "a path, bytes or {bytes, path}",
                found: "another type",
            }),
        }
    }
}

fn texts(name: &str, field: Field) -> Result<Vec<String>, Problem> {
    let wanted = "a text or a list of texts";
    let texts = match field {
        Field::Null => Vec::new(),
        Field::Str(one) => vec![one],
        // Older writers do not mark texts as such.
        Field::Bytes(bytes) => {
            let one = std::str::from_utf8(bytes.data());
            vec![one.map_err(|_| Problem::NotUtf8 { what: "the caption" })?.to_owned()]
        }
        Field::ListInternal(list) => {
            let each = list.elements().iter().map(|element| match element {
                Field::Str(one) => Ok(one.clone()),
                _ => Err(Problem::Type { field: name.to_owned(), wanted, found: "a list of another type" }),
            });
            each.collect::<Result<_, _>>()?
        }
        _ => return Err(Problem::Type { field: name.to_owned(), wanted, found: "another type" }),
    };
    fields::are_usable(name, texts)
}

/// A plain value for [`Record::extra`]; bytes and nested values are left out.
fn value(field: Field) -> Option<Value> {
    Some(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Byte(value) => json!(value),
        Field::Short(value) => json!(value),
        Field::Int(value) | Field::Date(value) | Field::TimeMillis(value) => json!(value),
        Field::Long(value)
        | Field::TimeMicros(value)
        | Field::TimestampMillis(value)
        | Field::TimestampMicros(value) => json!(value),
        Field::UByte(value) => json!(value),
        Field::UShort(value) => json!(value),
        Field::UInt(value) => json!(value),
        Field::ULong(value) => json!(value),
        Field::Float(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Str(value) => Value::String(value),
        Field::Float16(_)
        | Field::Decimal(_)
        | Field::Bytes(_)
        | Field::Group(_)
        | Field::ListInternal(_)
        | Field::MapInternal(_) => return None,
    })
}

impl Iterator for Rows {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.over {
            return None;
        }
        let at = At::Row(self.row);
        self.row += 1;
        let row = match catch_unwind(AssertUnwindSafe(|| self.rows.next())) {
            Ok(None) => {
                self.over = true;
                return None;
            }
            Ok(Some(Ok(row))) => {
                return Some(self.record(row, &at).map_err(|problem| self.scope.bad(at, problem)));
            }
            Ok(Some(Err(error))) => match failed(&error) {
                Some(error) => Problem::Storage(error),
                None => Problem::Syntax { format: "Parquet", reason: one_line(&error.to_string()) },
            },
            Err(_) => Problem::Syntax { format: "Parquet", reason: "the library panicked on it".to_owned() },
        };
        // Where the next row begins is not known any more.
        self.over = true;
        Some(Err(self.scope.bad(at, problem_of_rest(row))))
    }
}

fn problem_of_rest(problem: Problem) -> Problem {
    match problem {
        Problem::Syntax { format, reason } => {
            Problem::Syntax { format, reason: format!("{reason}; the rest of the file is left out") }
        }
        problem => problem,
    }
}

/// The storage's error in one that the library passed on.
fn failed(error: &ParquetError) -> Option<StorageError> {
    let ParquetError::External(inner) = error else { return None };
    if let Some(error) = inner.downcast_ref::<StorageError>() {
        return Some(error.clone());
    }
    inner.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<StorageError>().cloned()
}

struct Chunks(StoredFile);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Chunks {
    type T = StorageReader;

    fn get_read(&self, start: u64) -> Result<StorageReader, ParquetError> {
        Ok(self.0.reader_from(start))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.saturating_add(length as u64);
        self.0.read_range(start..end).map_err(|error| ParquetError::External(Box::new(error)))
    }
}
