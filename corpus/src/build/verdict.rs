//! The second pass: rules that compare a record with the others. Reads facts alone, in the order of the records.
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::fact::{Fact, ImageFact};
use super::scope::Scopes;
use super::split::Split;
use super::survey::{CHUNK, facts_name, hex};
use super::workspace::Workspace;
use super::{BuildConfig, GalleryConfig, Progress, Result};
use crate::dedup::{ExactIndex, NearIndex, Owner, PixelHash};
use crate::rules::{CaptionFrequency, Finding, Reason};
use crate::shard::Corpus;
use crate::source::Source;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is written with these captions.
    Keep(Vec<String>),
    /// Its captions belong to an earlier record with the same image file.
    Join,
    /// It is left out.
    Drop(Finding),
    /// It belongs to the other part of the split: no noise, and nothing that a report lists.
    Elsewhere,
}

/// Counts for the report, over all records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(super) struct Tally {
    /// Records dropped, by reason.
    pub(super) records: BTreeMap<Reason, u64>,
    /// Captions dropped or trimmed of records that stay, by reason.
    pub(super) captions: BTreeMap<Reason, u64>,
    /// Records whose captions joined an earlier record's.
    pub(super) joined: u64,
    /// Records that belong to the other part of the split.
    #[serde(default)]
    pub(super) elsewhere: u64,
    /// Images kept.
    pub(super) kept: u64,
    /// The first records of each reason, for a person to look at.
    pub(super) examples: BTreeMap<Reason, Vec<u64>>,
    /// Some of the records kept.
    pub(super) kept_examples: Vec<u64>,
}

/// Records of a reason that the report shows.
const EXAMPLES: usize = 24;

/// Judges all records and returns the counts.
pub(super) fn run(
    config: &BuildConfig,
    sources: &[Source],
    workspace: &Workspace,
    records: u64,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Tally> {
    if let Some(tally) = workspace.read("tally.json")? {
        return Ok(tally);
    }
    let chunks = records.div_ceil(CHUNK as u64);
    let scopes = Scopes::new(sources, config.caption.max_images_per_caption);
    let mut frequency = CaptionFrequency::new(&config.caption)?;
    let mut split = config.split.as_ref().map(Split::new);
    for chunk in 0..chunks {
        for fact in facts(workspace, chunk)? {
            let Some(image) = &fact.image else { continue };
            if let Some(split) = &mut split {
                split.add(&fact);
            }
            for caption in &fact.captions {
                frequency.add(scopes.of(&fact), caption, fold(image));
            }
        }
    }
    let mut judge = Judge::new(config, scopes, frequency, split)?;
    for chunk in 0..chunks {
        let first = chunk * CHUNK as u64;
        let judged = facts(workspace, chunk)?
            .into_iter()
            .zip(first..)
            .map(|(fact, number)| judge.verdict(fact, number))
            .collect::<Result<Vec<_>>>()?;
        workspace.write_lines(&verdicts_name(chunk), &judged)?;
        progress(Progress::Judged((first + CHUNK as u64).min(records), records));
    }
    workspace.write("joined.json", &judge.joined)?;
    judge.tally.joined = judge.joined.values().map(|j| j.records).sum();
    workspace.write("tally.json", &judge.tally)?;
    Ok(judge.tally)
}

/// The facts of a chunk, which the survey has written.
pub(super) fn facts(workspace: &Workspace, chunk: u64) -> Result<Vec<Fact>> {
    workspace.need_lines(&facts_name(chunk))
}

/// Name of the verdicts of `chunk`.
pub(super) fn verdicts_name(chunk: u64) -> String {
    format!("verdicts-{chunk:07}.jsonl")
}

/// Captions that joined a record, by its number.
pub(super) type Joined = BTreeMap<u64, JoinedCaptions>;

/// Captions of later records with the same image file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(super) struct JoinedCaptions {
    /// In order, without repetition.
    pub(super) captions: Vec<String>,
    /// Records that they came from.
    pub(super) records: u64,
}

struct Judge {
    split: Option<Split>,
    gallery: Option<GalleryConfig>,
    /// Hashes of the captions of a gallery.
    gallery_captions: HashSet<u64>,
    /// Evaluation images always, earlier images too if `near`.
    near_index: Option<NearIndex>,
    near: bool,
    exact: Option<ExactIndex>,
    excluded: HashSet<PixelHash>,
    scopes: Scopes,
    frequency: CaptionFrequency,
    /// By hash of source, key and pixels: the record that was kept.
    files: HashMap<u64, u64>,
    /// Hashes of each image file with each of its captions.
    pairs: HashSet<(u64, u64)>,
    joined: Joined,
    tally: Tally,
}

impl Judge {
    fn new(
        config: &BuildConfig,
        scopes: Scopes,
        frequency: CaptionFrequency,
        split: Option<Split>,
    ) -> Result<Self> {
        let nearness = config.duplicates.nearness();
        let mut excluded = HashSet::new();
        let mut prints = Vec::new();
        for location in &config.duplicates.exclude {
            let corpus = Corpus::open(location)?;
            for (shard, samples) in corpus.shard_sizes().into_iter().enumerate() {
                for index in 0..samples {
                    let content = corpus.sample(shard, index)?.metadata.content;
                    excluded.extend(unhex(&content.pixels).map(PixelHash::from));
                    prints.push(content.print);
                }
            }
        }
        let near_index = match config.duplicates.near || !prints.is_empty() {
            true => Some(NearIndex::with_evaluation(nearness, prints)?),
            false => None,
        };
        Ok(Self {
            split,
            gallery: config.gallery,
            gallery_captions: HashSet::new(),
            near_index,
            near: config.duplicates.near,
            exact: config.duplicates.exact.then(ExactIndex::new),
            excluded,
            scopes,
            frequency,
            files: HashMap::new(),
            pairs: HashSet::new(),
            joined: Joined::new(),
            tally: Tally::default(),
        })
    }

    fn verdict(&mut self, fact: Fact, number: u64) -> Result<Verdict> {
        let verdict = self.judge(&fact, number)?;
        match &verdict {
            Verdict::Keep(_) => {
                self.tally.kept += 1;
                // Every so many, so that the examples come from everywhere.
                if self.tally.kept.is_power_of_two() || self.tally.kept_examples.len() < EXAMPLES / 2 {
                    self.tally.kept_examples.push(number);
                }
            }
            Verdict::Drop(finding) => {
                *self.tally.records.entry(finding.reason).or_default() += 1;
                let examples = self.tally.examples.entry(finding.reason).or_default();
                if examples.len() < EXAMPLES {
                    examples.push(number);
                }
            }
            Verdict::Join => {}
            Verdict::Elsewhere => self.tally.elsewhere += 1,
        }
        if matches!(verdict, Verdict::Keep(_) | Verdict::Join) {
            for trimmed in &fact.trimmed {
                *self.tally.captions.entry(trimmed.finding.reason).or_default() += 1;
            }
        }
        Ok(verdict)
    }

    fn judge(&mut self, fact: &Fact, number: u64) -> Result<Verdict> {
        if let Some(finding) = &fact.dropped {
            return Ok(Verdict::Drop(finding.clone()));
        }
        let Some(image) = &fact.image else {
            return Ok(Verdict::Drop(Finding::text(Reason::ImageUnreadable, "not surveyed")));
        };
        if self.split.as_ref().is_some_and(|split| !split.takes(fact)) {
            return Ok(Verdict::Elsewhere);
        }
        let mut boilerplate = None;
        let mut captions: Vec<String> = Vec::new();
        let scope = self.scopes.of(fact);
        for caption in &fact.captions {
            match self.frequency.judge(scope, caption, fold(image)) {
                Some(finding) => {
                    *self.tally.captions.entry(finding.reason).or_default() += 1;
                    boilerplate.get_or_insert(finding);
                }
                None if captions.contains(caption) => {}
                None => captions.push(caption.clone()),
            }
        }
        if captions.is_empty() {
            let empty = || Finding::text(Reason::CaptionEmpty, "");
            return Ok(Verdict::Drop(boilerplate.unwrap_or_else(empty)));
        }
        if let Some(GalleryConfig { captions: most, unique }) = self.gallery {
            captions.truncate(most);
            let folded: Vec<u64> = captions.iter().map(|c| text_hash(&c.to_lowercase())).collect();
            if unique && folded.iter().any(|hash| self.gallery_captions.contains(hash)) {
                return Ok(Verdict::Drop(Finding::text(Reason::DuplicateCaption, &captions.join(" | "))));
            }
            if let Some(image) = self.duplicate(image, number)? {
                return Ok(Verdict::Drop(image));
            }
            self.gallery_captions.extend(folded);
            return Ok(Verdict::Keep(captions));
        }
        let file = file_hash(fact, image);
        if let Some(&first) = self.files.get(&file) {
            return Ok(self.join(first, file, captions));
        }
        if let Some(finding) = self.duplicate(image, number)? {
            return Ok(Verdict::Drop(finding));
        }
        self.files.insert(file, number);
        self.pairs.extend(captions.iter().map(|caption| (file, text_hash(caption))));
        Ok(Verdict::Keep(captions))
    }

    /// Another entry for an image that is kept already: its captions go there.
    fn join(&mut self, first: u64, file: u64, mut captions: Vec<String>) -> Verdict {
        captions.retain(|caption| self.pairs.insert((file, text_hash(caption))));
        if captions.is_empty() {
            return Verdict::Drop(Finding::text(Reason::DuplicatePair, &format!("record {first}")));
        }
        let joined = self.joined.entry(first).or_default();
        joined.captions.extend(captions);
        joined.records += 1;
        Verdict::Join
    }

    fn duplicate(&mut self, image: &ImageFact, number: u64) -> Result<Option<Finding>> {
        let Some(hash) = unhex(&image.pixels).map(PixelHash::from) else { return Ok(None) };
        if self.excluded.contains(&hash) {
            return Ok(Some(Finding::text(Reason::EvaluationImage, "the same pixels")));
        }
        if let Some(exact) = &mut self.exact
            && let Some(first) = exact.find_or_insert(hash, number)
        {
            return Ok(Some(Finding::text(Reason::DuplicateImage, &format!("record {first}"))));
        }
        let (Some(index), Some(print)) = (&mut self.near_index, image.print) else { return Ok(None) };
        let number = u32::try_from(number).map_err(|_| crate::dedup::TooMany)?;
        let owner = match self.near {
            true => index.find_or_insert(print, image.detail, number)?,
            false => index.find(&print, &image.detail),
        };
        Ok(owner.map(|owner| match owner {
            Owner::Evaluation(_) => Finding::text(Reason::EvaluationImage, "looks the same"),
            Owner::Training(first) => {
                Finding::text(Reason::NearDuplicateImage, &format!("looks like record {first}"))
            }
        }))
    }
}

/// The image, in 64 bits.
fn fold(image: &ImageFact) -> u64 {
    let bytes = unhex(&image.pixels).unwrap_or_default();
    u64::from_le_bytes(std::array::from_fn(|i| bytes[i]))
}

fn text_hash(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
}

/// The image file of a record: source, key and pixels. A key alone may stand for several images: many tars of a source
/// count their samples from 0, and `1.jpg` and `1.png` have one key.
fn file_hash(fact: &Fact, image: &ImageFact) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in [fact.origin.source.as_ref(), fact.key.as_str(), image.pixels.as_str()] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let hash = hasher.finalize();
    u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
}

/// The bytes that [`hex`] wrote.
pub(super) fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    (hex(&bytes) == text).then_some(bytes)
}
