//! The first pass: every record is read, its image decoded, its captions judged.
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::fact::{CaptionFinding, Fact, ImageFact};
use super::workspace::Workspace;
use super::{BuildConfig, BuildError, Progress, Result};
use crate::dedup::{Detail, Fingerprint, PixelHash};
use crate::image::{self, Limits, Resizer, Rgb, quality};
use crate::record::{BadRecord, ImageError, Raster, Record};
use crate::rules::{CaptionJudge, Finding, Judgement, Reason, Value};
use crate::source::Source;
use crate::source::svg::Renderer;

/// Records of one file of facts. Enough to keep every thread busy, few enough to hold their images' bytes.
pub(super) const CHUNK: usize = 256;

/// All records of all sources, in order.
pub(super) fn records(sources: &[Source]) -> impl Iterator<Item = Result<Result<Record, BadRecord>>> + '_ {
    sources.iter().flat_map(|source| match source.records() {
        Ok(records) => Box::new(records.map(Ok)) as Box<dyn Iterator<Item = _>>,
        Err(error) => Box::new(std::iter::once(Err(error.into()))),
    })
}

/// Surveys what is not surveyed yet and returns the number of records.
pub(super) fn run(
    config: &BuildConfig,
    sources: &[Source],
    workspace: &Workspace,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<u64> {
    if let Some(records) = workspace.read::<u64>("records.json")? {
        return Ok(records);
    }
    let surveyors = Surveyors::new(Surveyor::new(config)?);
    let mut records = records(sources);
    let mut number = 0_u64;
    for chunk in 0.. {
        let name = facts_name(chunk);
        let done = workspace.read_lines::<Fact>(&name)?.map(|facts| facts.len());
        // What an earlier run surveyed is only passed over: listing records is cheap, decoding images is not.
        let read: Vec<_> = records.by_ref().take(CHUNK).collect::<Result<_>>()?;
        if read.is_empty() {
            break;
        }
        number += read.len() as u64;
        if done != Some(read.len()) {
            let facts = read
                .par_iter()
                .map(|record| surveyors.with(|surveyor| surveyor.fact(record)))
                .collect::<Result<Vec<_>>>()?;
            workspace.write_lines(&name, &facts)?;
        }
        progress(Progress::Surveyed(number));
    }
    if number == 0 {
        // Not written down: the next run may find some.
        let read_as = sources.iter().map(|source| format!("{:?} ({})", source.name(), source.kind()));
        return Err(BuildError::NoRecords { sources: read_as.collect::<Vec<_>>().join(", ") });
    }
    workspace.write("records.json", &number)?;
    Ok(number)
}

/// Name of the facts of `chunk`.
pub(super) fn facts_name(chunk: u64) -> String {
    format!("facts-{chunk:07}.jsonl")
}

/// Surveyors for any number of threads.
///
/// They are kept from chunk to chunk: the regular expressions of a fresh one have their automata still to build, which
/// costs as much as some hundred captions.
struct Surveyors {
    first: Surveyor,
    idle: Mutex<Vec<Surveyor>>,
}

impl Surveyors {
    fn new(first: Surveyor) -> Self {
        Self { first, idle: Mutex::new(Vec::new()) }
    }

    /// Lends a surveyor that no other thread has.
    fn with<T>(&self, work: impl FnOnce(&mut Surveyor) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        let mut surveyor = known.unwrap_or_else(|| self.first.clone());
        let result = work(&mut surveyor);
        idle().push(surveyor);
        result
    }
}

/// The rules for single records, and scratch memory.
struct Surveyor {
    config: BuildConfig,
    judge: CaptionJudge,
    renderer: Renderer,
    resizer: Resizer,
}

impl Clone for Surveyor {
    /// Each thread has scratch memory of its own.
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            judge: self.judge.clone(),
            renderer: self.renderer,
            resizer: Resizer::new(),
        }
    }
}

impl Surveyor {
    fn new(config: &BuildConfig) -> Result<Self> {
        Ok(Self {
            judge: CaptionJudge::new(&config.caption)?,
            renderer: Renderer::new(config.image.svg_side),
            config: config.clone(),
            resizer: Resizer::new(),
        })
    }

    /// Everything about one record. Only a storage that fails is an error: anything else is a fact.
    fn fact(&mut self, record: &Result<Record, BadRecord>) -> Result<Fact> {
        let record = match record {
            Ok(record) => record,
            Err(bad) => {
                if let (true, crate::record::Problem::Storage(error)) = (bad.is_fault(), bad.problem.as_ref())
                {
                    return Err(error.clone().into());
                }
                let finding = Finding::message(Reason::RecordInvalid, &bad.problem.to_string());
                return Ok(Fact {
                    origin: bad.origin.clone(),
                    key: String::new(),
                    captions: Vec::new(),
                    quoted: Vec::new(),
                    words: Vec::new(),
                    trimmed: Vec::new(),
                    image: None,
                    member: None,
                    dropped: Some(finding),
                });
            }
        };
        let mut fact = Fact {
            origin: record.origin.clone(),
            key: record.key.clone(),
            captions: Vec::new(),
            quoted: record.captions.iter().take(QUOTED).map(|caption| quote(caption)).collect(),
            words: record.captions.iter().map(|caption| words(caption)).collect(),
            trimmed: Vec::new(),
            image: None,
            member: self.config.split.as_ref().and_then(|split| split.member(&record.extra)),
            dropped: None,
        };
        let mut first_drop = None;
        for caption in &record.captions {
            let mut note = |finding: Finding| {
                fact.trimmed.push(CaptionFinding { caption: quote(caption), finding });
            };
            match self.judge.judge(caption) {
                Judgement::Keep => fact.captions.push(caption.clone()),
                Judgement::Trim { caption, findings } => {
                    findings.into_iter().for_each(&mut note);
                    fact.captions.push(caption);
                }
                Judgement::Drop(finding) => {
                    first_drop.get_or_insert_with(|| finding.clone());
                    note(finding);
                }
            }
        }
        if fact.captions.is_empty() {
            let empty = || Finding::text(Reason::CaptionEmpty, "");
            fact.dropped = Some(first_drop.unwrap_or_else(empty));
            // The rule stands for the record then.
            fact.trimmed.clear();
            return Ok(fact);
        }
        match self.image(record)? {
            Ok(image) => fact.image = Some(image),
            Err(finding) => fact.dropped = Some(finding),
        }
        Ok(fact)
    }

    fn image(&mut self, record: &Record) -> Result<Result<ImageFact, Finding>> {
        let rules = &self.config.image;
        let limits = Limits { max_pixels: rules.max_pixels, ..Limits::default() };
        let raster = match load(record, &limits, &self.renderer)? {
            Ok(raster) => raster,
            Err(finding) => return Ok(Err(finding)),
        };
        let size = match raster.size(&limits) {
            Ok(size) => size,
            Err(error) => return Ok(Err(unreadable(&error, &limits))),
        };
        let side = f64::from(quality::min_side(size));
        if side < f64::from(rules.min_side) {
            return Ok(Err(Finding::number(Reason::ImageTooSmall, side, rules.min_side.into())));
        }
        let aspect = quality::aspect_ratio(size);
        if aspect > rules.max_aspect {
            return Ok(Err(Finding::number(Reason::ImageAspect, aspect, rules.max_aspect)));
        }
        let pixels = match raster.decode(&limits) {
            Ok(pixels) => pixels,
            Err(error) => return Ok(Err(unreadable(&error, &limits))),
        };
        let blank = quality::blank_share(&pixels);
        if blank > rules.max_blank {
            return Ok(Err(Finding::number(Reason::ImageBlank, blank, rules.max_blank)));
        }
        Ok(Ok(self.describe(record, &pixels)?))
    }

    fn describe(&mut self, record: &Record, pixels: &Rgb) -> Result<ImageFact> {
        let failed = |source| BuildError::Image { origin: record.origin.to_string(), source };
        let print = Fingerprint::of(pixels, &mut self.resizer).map_err(failed)?;
        let detail = Detail::of(pixels, &mut self.resizer).map_err(failed)?;
        Ok(ImageFact {
            width: pixels.width(),
            height: pixels.height(),
            pixels: hex(&PixelHash::of(pixels).to_bytes()),
            print,
            detail,
        })
    }
}

/// The image, rendered if it is a drawing, or why there is none.
pub(super) fn load(record: &Record, limits: &Limits, renderer: &Renderer) -> Result<Result<Raster, Finding>> {
    match record.image.load_raster(limits.max_bytes, renderer) {
        Ok(raster) => Ok(Ok(raster)),
        // A storage that fails says nothing about the record.
        Err(ImageError::Storage(error)) if !error.blames_the_file() => Err(error.into()),
        Err(error) => Ok(Err(Finding::message(Reason::ImageUnreadable, &error.to_string()))),
    }
}

fn unreadable(error: &image::ImageError, limits: &Limits) -> Finding {
    match error {
        image::ImageError::TooManyPixels { width, height, .. } => {
            let pixels = f64::from(*width) * f64::from(*height);
            Finding::number(Reason::ImageTooManyPixels, pixels, limits.max_pixels as f64)
        }
        _ => Finding::message(Reason::ImageUnreadable, &error.to_string()),
    }
}

/// Captions of a record that the report can show.
const QUOTED: usize = 3;

fn quote(caption: &str) -> String {
    match Value::quote(caption) {
        Value::Text(text) => text,
        Value::Number(_) => String::new(),
    }
}

/// Words of a caption; a histogram needs no more than a thousand.
fn words(caption: &str) -> u32 {
    caption.split_whitespace().take(1000).count() as u32
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
