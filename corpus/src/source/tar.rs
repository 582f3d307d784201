//! WebDataset tars: members of one key, one after another, are one sample.
//!
//! The archive is walked from header to header, and of an image only the place is kept. The crate `tar` reads the
//! headers; its own iteration would hold a long name of any length.
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use serde_json::{Map, Value};
use tar::{EntryType, Header, PaxExtensions};

use super::scope::text;
use super::{Item, Records, Scope, SourceError, fields};
use crate::record::{At, ImageRef, Problem, Record};
use crate::storage::{StorageReader, StoredFile, name};

const BLOCK: u64 = 512;
/// Most bytes of a member's extension header, which holds its long name.
const EXTENSION: u64 = 1 << 20;
/// Extensions of images, in lower case.
pub(super) const IMAGES: [&str; 9] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "svg"];

pub(super) fn read(scope: Scope) -> Result<Records, SourceError> {
    let file = scope.open_places()?;
    let members = Members { reader: file.reader(), next: 0, size: file.size() };
    Ok(Box::new(Tar { scope, file, members, open: None, over: false }))
}

/// A regular member, or another one with what it is.
struct Member {
    name: Vec<u8>,
    kind: EntryType,
    /// Place of the content.
    range: Range<u64>,
}

struct Members {
    reader: StorageReader,
    /// Where the next header is.
    next: u64,
    size: u64,
}

enum Broken {
    Io(io::Error),
    Problem(Problem),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn syntax(reason: &str) -> Broken {
    Broken::Problem(Problem::Syntax { format: "tar", reason: reason.to_owned() })
}

impl Members {
    fn next(&mut self) -> Result<Option<Member>, Broken> {
        let mut long_name = None;
        loop {
            let Some((header, range)) = self.header()? else {
                return if long_name.is_none() { Ok(None) } else { Err(cut()) };
            };
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName => {
                    let mut name = self.content(&range)?;
                    name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
                    long_name = Some(name);
                }
                EntryType::XHeader => {
                    let extension = self.content(&range)?;
                    for pair in PaxExtensions::new(&extension) {
                        let pair = pair.map_err(|_| syntax("a broken extension header"))?;
                        match pair.key_bytes() {
                            b"path" => long_name = Some(pair.value_bytes().to_vec()),
                            b"size" => return Err(syntax("a member of more than 8 GiB")),
                            _ => {}
                        }
                    }
                }
                // Defaults for all members, and the long target of a link: neither names a file.
                EntryType::XGlobalHeader | EntryType::GNULongLink => {}
                kind => {
                    let name = long_name.unwrap_or_else(|| header.path_bytes().into_owned());
                    return Ok(Some(Member { name, kind, range }));
                }
            }
        }
    }

    /// The next header and the place of its content.
    fn header(&mut self) -> Result<Option<(Header, Range<u64>)>, Broken> {
        if self.next >= self.size {
            return if self.size == 0 { Err(Broken::Problem(Problem::Empty)) } else { Ok(None) };
        }
        if self.size - self.next < BLOCK {
            return Err(cut());
        }
        let mut header = Header::new_old();
        self.reader.seek(SeekFrom::Start(self.next))?;
        self.reader.read_exact(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let mut summed = header.clone();
        summed.set_cksum();
        if !matches!((header.cksum(), summed.cksum()), (Ok(is), Ok(should)) if is == should) {
            return Err(syntax("a wrong check sum; the rest of the file is left out"));
        }
        let size = header.entry_size().map_err(|_| syntax("a member without a size"))?;
        let start = self.next + BLOCK;
        let end = start.checked_add(size).filter(|&end| end <= self.size).ok_or_else(cut)?;
        self.next = end.div_ceil(BLOCK) * BLOCK;
        Ok(Some((header, start..end)))
    }

    /// The content of an extension header.
    fn content(&mut self, range: &Range<u64>) -> Result<Vec<u8>, Broken> {
        let size = range.end - range.start;
        if size > EXTENSION {
            return Err(Broken::Problem(Problem::TooLong { what: "a member's name", limit: EXTENSION }));
        }
        self.reader.seek(SeekFrom::Start(range.start))?;
        let mut content = Vec::new();
        (&mut self.reader).take(size).read_to_end(&mut content)?;
        Ok(content)
    }
}

fn cut() -> Broken {
    Broken::Problem(Problem::Cut { what: "the archive" })
}

/// A sample whose members are still coming.
struct Sample {
    key: String,
    image: Option<Range<u64>>,
    caption: Option<String>,
    extra: Option<Map<String, Value>>,
    problem: Option<Problem>,
}

struct Tar {
    scope: Scope,
    file: StoredFile,
    members: Members,
    open: Option<Sample>,
    over: bool,
}

impl Tar {
    /// The record of a complete sample; `None` for members that are neither image nor text, such as a classifier's labels.
    fn finish(&self, sample: Sample) -> Option<Item> {
        let Sample { key, image, caption, extra, problem } = sample;
        let at = At::Key(key.as_str().into());
        if let Some(problem) = problem {
            return Some(Err(self.scope.bad(at, problem)));
        }
        let Some(range) = image else {
            let absent = Problem::Absent { field: "image (jpg, png, webp)".to_owned() };
            return (caption.is_some() || extra.is_some()).then(|| Err(self.scope.bad(at, absent)));
        };
        let mut extra = extra.unwrap_or_default();
        let captions = match (caption, extra.remove("caption")) {
            // img2dataset repeats the text in the metadata, uncleaned; the text is the sample's.
            (Some(caption), _) => Ok(vec![caption]),
            (None, Some(value)) => fields::texts("caption", value),
            (None, None) => Ok(Vec::new()),
        };
        let image = ImageRef::Range { file: self.file.clone(), range };
        Some(match captions {
            Ok(captions) => Ok(Record { origin: self.scope.origin(at), key, image, captions, extra }),
            Err(problem) => Err(self.scope.bad(at, problem)),
        })
    }

    /// Adds a member to its sample; the sample before it, if this begins another.
    fn add(&mut self, member: Member) -> Result<Option<Sample>, (At, Problem)> {
        let at = At::Byte(member.range.start.saturating_sub(BLOCK));
        let found = match member.kind {
            EntryType::Regular | EntryType::Continuous => None,
            EntryType::Directory => return Ok(None),
            EntryType::Symlink | EntryType::Link => Some("a link"),
            _ => Some("a special file"),
        };
        let Ok(path) = String::from_utf8(member.name) else {
            return Err((at, Problem::NotUtf8 { what: "a member's name" }));
        };
        let path = path.as_str();
        if let Some(found) = found {
            return Err((at, Problem::NotAFile { name: path.chars().take(200).collect(), found }));
        }
        let path = name::normal(path)
            .map_err(|problem| (at, Problem::Path { path: path.chars().take(200).collect(), problem }))?;
        let (folder, file) = name::split(&path);
        let Some((stem, extension)) = file.split_once('.') else { return Ok(None) };
        let key = name::join(folder, stem);
        let mut before = None;
        if self.open.as_ref().is_none_or(|sample| sample.key != key) {
            let sample = Sample { key, image: None, caption: None, extra: None, problem: None };
            before = self.open.replace(sample);
        }
        let extension = extension.to_ascii_lowercase();
        let part = self.part(&extension, &member.range);
        if let Some(sample) = &mut self.open
            && let Err(problem) = part.and_then(|part| sample.take(part, &path))
        {
            sample.problem.get_or_insert(problem);
        }
        Ok(before)
    }

    fn part(&self, extension: &str, range: &Range<u64>) -> Result<Part, Problem> {
        let limit = self.scope.options.record_bytes as u64;
        let content = |what| match range.end - range.start > limit {
            true => Err(Problem::TooLong { what, limit }),
            false => Ok(self.file.read_range(range.clone())?),
        };
        Ok(match extension {
            "txt" => Part::Caption(text(&content("the caption")?, "the caption")?),
            "json" => Part::Extra(fields::object(&content("the metadata")?)?),
            image if IMAGES.contains(&image) => Part::Image(range.clone()),
            _ => Part::Other,
        })
    }
}

enum Part {
    Image(Range<u64>),
    Caption(String),
    Extra(Map<String, Value>),
    Other,
}

impl Sample {
    fn take(&mut self, part: Part, name: &str) -> Result<(), Problem> {
        let twice = match part {
            Part::Image(range) => self.image.replace(range).is_some(),
            Part::Caption(text) => self.caption.replace(text).is_some(),
            Part::Extra(fields) => self.extra.replace(fields).is_some(),
            Part::Other => false,
        };
        match twice {
            true => Err(Problem::Twice { name: name.to_owned() }),
            false => Ok(()),
        }
    }
}

impl Iterator for Tar {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        while !self.over {
            let at = At::Byte(self.members.next);
            let complete = match self.members.next() {
                Ok(Some(member)) => match self.add(member) {
                    Ok(complete) => complete,
                    Err((at, problem)) => return Some(Err(self.scope.bad(at, problem))),
                },
                Ok(None) => {
                    self.over = true;
                    self.open.take()
                }
                Err(broken) => {
                    self.over = true;
                    // The sample that was open may lack members that were cut off.
                    let at = self.open.take().map_or(at, |sample| At::Key(sample.key.into()));
                    return Some(Err(match broken {
                        Broken::Io(error) => self.scope.unread(at, error),
                        Broken::Problem(problem) => self.scope.bad(at, problem),
                    }));
                }
            };
            if let Some(item) = complete.and_then(|sample| self.finish(sample)) {
                return Some(item);
            }
        }
        None
    }
}
