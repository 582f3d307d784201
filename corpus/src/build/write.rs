//! The third pass: what is kept goes into shards; what the report shows becomes thumbnails.
use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::fact::{Fact, ImageFact};
use super::survey::{self, CHUNK, load};
use super::verdict::{self, Joined, Tally, Verdict, verdicts_name};
use super::workspace::Workspace;
use super::{BuildConfig, BuildError, Encoding, Progress, Result};
use crate::image::{self, Format, Limits, Resizer, Rgb};
use crate::record::{BadRecord, Raster, Record};
use crate::shard::{
    Content, FileInfo, ImageFormat, Metadata, Packer, Sample, ShardInfo, index_name, shard_name,
};
use crate::source::Source;
use crate::source::svg::Renderer;

/// Longer side of a thumbnail.
const THUMBNAIL: u32 = 96;

/// Images that a thread has on its way into a shard.
const AT_ONCE: usize = 4;

/// Where writing stands after a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Written {
    info: ShardInfo,
    /// The first record that is not in this shard or an earlier one.
    next: u64,
}

/// A record on its way into a shard.
struct Kept<'a> {
    record: &'a Record,
    image: &'a ImageFact,
    captions: Vec<String>,
}

/// Writes what is not written yet and returns all shards.
pub(super) fn run(
    config: &BuildConfig,
    sources: &[Source],
    workspace: &Workspace,
    records: u64,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<ShardInfo>> {
    let (mut shards, next) = resume(workspace)?;
    let writer = Writer::new(config, workspace)?;
    let mut packer = Packer::new(shards.len());
    let target = config.shards.target_mb as usize * 1_000_000;
    let mut all = survey::records(sources);
    for chunk in 0..records.div_ceil(CHUNK as u64) {
        let first = chunk * CHUNK as u64;
        let read: Vec<_> = all.by_ref().take(CHUNK).collect::<Result<_>>()?;
        if first + read.len() as u64 <= next {
            continue;
        }
        let facts = verdict::facts(workspace, chunk)?;
        let verdicts = workspace.need_lines::<Verdict>(&verdicts_name(chunk))?;
        if facts.len() != read.len() || verdicts.len() != read.len() {
            return Err(BuildError::Changed { number: first, path: workspace.path() });
        }
        let mut rows = read.iter().zip(&facts).zip(verdicts).zip(first..);
        loop {
            // A few at a time: an image may be large, and all of them are held until they are packed.
            let some: Vec<_> = rows.by_ref().take(AT_ONCE * rayon::current_num_threads()).collect();
            if some.is_empty() {
                break;
            }
            let samples = some
                .into_par_iter()
                .map_init(Resizer::new, |resizer, (((record, fact), verdict), number)| {
                    writer.check(record, fact, number)?;
                    writer.thumbnail(record, number, resizer)?;
                    if number < next {
                        return Ok(None);
                    }
                    let (Ok(record), Some(image), Verdict::Keep(captions)) = (record, &fact.image, verdict)
                    else {
                        return Ok(None);
                    };
                    let sample = writer.sample(&Kept { record, image, captions }, number, resizer)?;
                    Ok(Some((sample, number)))
                })
                .collect::<Result<Vec<_>>>()?;
            for (sample, number) in samples.into_iter().flatten() {
                packer.push(&sample)?;
                if packer.len() >= target {
                    let full = std::mem::replace(&mut packer, Packer::new(shards.len() + 1));
                    shards.push(store(workspace, shards.len(), full, number + 1)?);
                }
            }
        }
        progress(Progress::Written((first + CHUNK as u64).min(records), records));
    }
    if !packer.is_empty() {
        shards.push(store(workspace, shards.len(), packer, records)?);
    }
    Ok(shards)
}

/// The shards of an earlier run, and where it stopped.
fn resume(workspace: &Workspace) -> Result<(Vec<ShardInfo>, u64)> {
    let (mut shards, mut next) = (Vec::new(), 0);
    while let Some(written) = workspace.read::<Written>(&written_name(shards.len()))? {
        shards.push(written.info);
        next = written.next;
    }
    Ok((shards, next))
}

fn written_name(shard: usize) -> String {
    format!("written-{shard:05}.json")
}

/// Writes a shard: first its data, then its index, then that both are there.
fn store(workspace: &Workspace, shard: usize, packer: Packer, next: u64) -> Result<ShardInfo> {
    let (samples, captions) = (packer.samples() as u64, packer.captions());
    let (data, index) = packer.finish();
    let index = index.to_bytes();
    let (data_name, index_name) = (shard_name(shard), index_name(shard));
    let info = ShardInfo {
        data: FileInfo::of(data_name.clone(), &data),
        index: FileInfo::of(index_name.clone(), &index),
        samples,
        captions,
    };
    workspace.out.write(&data_name, data)?;
    workspace.out.write(&index_name, index)?;
    workspace.write(&written_name(shard), &Written { info: info.clone(), next })?;
    Ok(info)
}

/// An image as a shard has it.
struct Stored {
    encoded: Vec<u8>,
    format: ImageFormat,
    width: u32,
    height: u32,
}

struct Writer<'a> {
    config: &'a BuildConfig,
    workspace: &'a Workspace,
    renderer: Renderer,
    limits: Limits,
    joined: Joined,
    examples: BTreeSet<u64>,
}

impl<'a> Writer<'a> {
    fn new(config: &'a BuildConfig, workspace: &'a Workspace) -> Result<Self> {
        let tally = workspace.need::<Tally>("tally.json")?;
        let examples = tally.examples.values().flatten().chain(&tally.kept_examples).copied().collect();
        Ok(Self {
            config,
            workspace,
            renderer: Renderer::new(config.image.svg_side),
            limits: Limits { max_pixels: config.image.max_pixels, ..Limits::default() },
            joined: workspace.need("joined.json")?,
            examples,
        })
    }

    /// Whether the record is still the one that was surveyed.
    fn check(&self, record: &Result<Record, BadRecord>, fact: &Fact, number: u64) -> Result<()> {
        let origin = match record {
            Ok(record) => &record.origin,
            Err(bad) => &bad.origin,
        };
        if *origin == fact.origin {
            return Ok(());
        }
        Err(BuildError::Changed { number, path: self.workspace.path() })
    }

    /// Keeps a small picture of a record that the report shows.
    fn thumbnail(
        &self,
        record: &Result<Record, BadRecord>,
        number: u64,
        resizer: &mut Resizer,
    ) -> Result<()> {
        let name = thumbnail_name(number);
        let Ok(record) = record else { return Ok(()) };
        if !self.examples.contains(&number) || self.workspace.read_bytes(&name)?.is_some() {
            return Ok(());
        }
        let Ok(raster) = load(record, &self.limits, &self.renderer)? else { return Ok(()) };
        // An image that a rule refused may not be decodable; then the report shows its caption alone.
        let Ok(pixels) = raster.decode(&self.limits) else { return Ok(()) };
        let small = image::shrink_to_side(&pixels, THUMBNAIL, resizer).ok().flatten().unwrap_or(pixels);
        match image::encode(&small, image::Encoding::Jpeg { quality: 80 }) {
            Ok(bytes) => self.workspace.write_bytes(&name, bytes),
            Err(_) => Ok(()),
        }
    }

    fn sample(&self, kept: &Kept<'_>, number: u64, resizer: &mut Resizer) -> Result<Sample> {
        let Kept { record, image, .. } = kept;
        let origin = || record.origin.to_string();
        let raster = load(record, &self.limits, &self.renderer)?
            .map_err(|_| BuildError::Changed { number, path: self.workspace.path() })?;
        let stored =
            self.stored(raster, resizer).map_err(|source| BuildError::Image { origin: origin(), source })?;
        let Stored { encoded, format, width, height } = stored;
        let mut captions = kept.captions.clone();
        captions.extend(self.joined.get(&number).map(|j| j.captions.clone()).unwrap_or_default());
        Ok(Sample {
            image: encoded,
            format,
            metadata: Metadata {
                captions,
                width,
                height,
                source: record.origin.source.to_string(),
                source_key: record.key.clone(),
                content: Content { pixels: image.pixels.clone(), print: image.print },
                extra: record.extra.clone(),
            },
        })
    }

    /// The image as it is stored: its own bytes where they can stay as they are.
    fn stored(&self, raster: Raster, resizer: &mut Resizer) -> Result<Stored, image::ImageError> {
        let rules = &self.config.image;
        let (format, pixels) = match raster {
            Raster::Drawn(pixels) => (None, pixels),
            Raster::Encoded(bytes) => {
                let image::Probe { format, width, height } = image::probe(&bytes, &self.limits)?;
                let shrinks = rules.max_side.is_some_and(|side| width.max(height) > side);
                match storable(format) {
                    Some(format) if rules.encoding == Encoding::Keep && !shrinks => {
                        return Ok(Stored { encoded: bytes.to_vec(), format, width, height });
                    }
                    _ => (Some(format), image::decode(&bytes, &self.limits)?),
                }
            }
        };
        let smaller = match rules.max_side {
            Some(side) => image::shrink_to_side(&pixels, side, resizer)?,
            None => None,
        };
        let pixels: Rgb = smaller.unwrap_or(pixels);
        let (encoding, format) = match (rules.encoding, format) {
            (Encoding::Jpeg, _) | (Encoding::Keep, Some(Format::Jpeg)) => {
                (image::Encoding::Jpeg { quality: rules.jpeg_quality }, ImageFormat::Jpg)
            }
            (Encoding::Webp, _) => (image::Encoding::WebP, ImageFormat::Webp),
            (Encoding::Png | Encoding::Keep, _) => (image::Encoding::Png, ImageFormat::Png),
        };
        let (width, height) = (pixels.width(), pixels.height());
        Ok(Stored { encoded: image::encode(&pixels, encoding)?, format, width, height })
    }
}

/// The stored format that keeps the bytes of a `format` as they are.
fn storable(format: Format) -> Option<ImageFormat> {
    match format {
        Format::Jpeg => Some(ImageFormat::Jpg),
        Format::Png => Some(ImageFormat::Png),
        Format::WebP => Some(ImageFormat::Webp),
        _ => None,
    }
}

/// Name of the thumbnail of a record.
pub(super) fn thumbnail_name(number: u64) -> String {
    format!("thumbnail-{number}.jpg")
}
