//! What a build did: counts by rule, every dropped record, and a page for people.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fact::Fact;
use super::page::{Thumbnail, page};
use super::survey::CHUNK;
use super::verdict::{self, Tally, Verdict, verdicts_name};
use super::workspace::{REPORT, Workspace};
use super::write::thumbnail_name;
use super::{BuildConfig, BuildError, Result};
use crate::record::Origin;
use crate::rules::{Finding, Reason, Value};
use crate::shard::{MANIFEST, Manifest, ShardInfo};
use crate::source::Source;

/// The page.
const PAGE: &str = "report.html";

/// Every dropped or trimmed record, one a line.
const DROPPED: &str = "dropped.jsonl";

/// What a finished build did: `report.json`, and with pictures `report.html`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Images written.
    pub images: u64,
    /// Captions written.
    pub captions: u64,
    /// Records whose captions joined an earlier record of the same image file.
    pub joined: u64,
    /// Records that belong to the other part of a split.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub elsewhere: u64,
    /// What each rule took, in the order of [`Reason::ALL`]; rules that took nothing are listed too.
    pub rules: Vec<RuleCount>,
    /// Shards written.
    pub shards: usize,
    /// Bytes of all shards.
    pub bytes: u64,
    /// Sizes and lengths before and after the rules.
    #[serde(default)]
    pub histograms: Vec<Histogram>,
    /// Some records that were kept.
    #[serde(default)]
    pub kept: Vec<Example>,
}

/// Counts of a quantity before and after the rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// What is counted.
    pub title: String,
    /// Its unit, empty for none.
    pub unit: String,
    /// Lower ends of the bins; the last bin is open.
    pub edges: Vec<u32>,
    /// All records whose image could be decoded.
    pub before: Vec<u64>,
    /// Of them those that were kept.
    pub after: Vec<u64>,
}

/// A record that shows what a rule takes, or what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Its number among all records, from 0.
    pub record: u64,
    /// Where it comes from.
    pub origin: String,
    /// Its captions as the source has them, shortened.
    pub captions: Vec<String>,
    /// What the rule measured; empty for a kept record.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a rule took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleCount {
    /// The rule.
    pub reason: Reason,
    /// What it says, for people.
    pub description: String,
    /// Records dropped as a whole.
    pub records: u64,
    /// Captions dropped or trimmed of records that stayed.
    pub captions: u64,
    /// The first records dropped as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// A line of `dropped.jsonl`.
#[derive(Debug, Serialize)]
struct Dropped<'a> {
    origin: &'a Origin,
    key: &'a str,
    /// The caption, where the rule is about one caption of a record that stayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<&'a str>,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// Writes report and manifest, the manifest last, and removes the workspace.
pub(super) fn finish(
    config: &BuildConfig,
    sources: &[Source],
    workspace: &Workspace,
    tally: &Tally,
    shards: Vec<ShardInfo>,
) -> Result<Report> {
    let records = workspace.need::<u64>("records.json")?;
    let mut page_parts = PageParts::new(tally);
    let chunks = 0..records.div_ceil(CHUNK as u64);
    workspace.out.write_pieces(DROPPED, chunks.map(|chunk| page_parts.read_back(workspace, chunk)))?;
    let PageParts { histograms, examples, thumbnails, .. } = page_parts;
    let report = Report {
        records,
        images: shards.iter().map(|s| s.samples).sum(),
        captions: shards.iter().map(|s| s.captions).sum(),
        joined: tally.joined,
        elsewhere: tally.elsewhere,
        rules: Reason::ALL.map(|reason| count(reason, tally, &examples)).to_vec(),
        shards: shards.len(),
        bytes: shards.iter().map(|s| s.data.bytes).sum(),
        histograms: histograms.into(),
        kept: chosen(&tally.kept_examples, &examples),
    };
    let mut json = serde_json::to_vec_pretty(&report)?;
    json.push(b'\n');
    // A picture that another build has deleted, where nothing can be locked, looks like one that never was.
    workspace.is_still_here()?;
    workspace.out.write(REPORT, json)?;
    workspace.out.write(PAGE, page(&report, &thumbnails))?;
    if shards.is_empty() {
        // Going on would come to the same end: whoever mends sources or rules begins anew.
        workspace.clean()?;
        return Err(BuildError::Nothing { records, path: workspace.out.location().to_owned() });
    }
    let provenance = sources.iter().zip(&config.sources).map(|(source, config)| {
        serde_json::json!({
            "name": source.name(),
            "path": config.path,
            "kind": source.kind().name(),
            "files": source.files().len(),
        })
    });
    let manifest = Manifest::new(shards, workspace.config().clone(), provenance.collect());
    workspace.out.write(MANIFEST, manifest.to_bytes()?)?;
    workspace.clean()?;
    Ok(report)
}

/// A report without a split says nothing of one.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn count(reason: Reason, tally: &Tally, examples: &BTreeMap<u64, Example>) -> RuleCount {
    let of = |counts: &BTreeMap<Reason, u64>| counts.get(&reason).copied().unwrap_or_default();
    RuleCount {
        reason,
        description: reason.description().to_owned(),
        records: of(&tally.records),
        captions: of(&tally.captions),
        examples: tally.examples.get(&reason).map_or_else(Vec::new, |numbers| chosen(numbers, examples)),
    }
}

fn chosen(numbers: &[u64], examples: &BTreeMap<u64, Example>) -> Vec<Example> {
    numbers.iter().filter_map(|number| examples.get(number).cloned()).collect()
}

impl Histogram {
    /// Empty bins.
    fn new(title: &str, unit: &str, edges: &[u32]) -> Self {
        let none = vec![0; edges.len()];
        Self {
            title: title.to_owned(),
            unit: unit.to_owned(),
            edges: edges.to_vec(),
            before: none.clone(),
            after: none,
        }
    }

    /// Counts `value`, and among those that stay if it is `kept`.
    fn add(&mut self, value: u32, kept: bool) {
        let bin = self.edges.partition_point(|&edge| edge <= value).saturating_sub(1);
        self.before[bin] += 1;
        self.after[bin] += u64::from(kept);
    }
}

/// What the page shows, gathered from facts and verdicts.
struct PageParts {
    wanted: BTreeSet<u64>,
    /// Sides, aspects, words.
    histograms: [Histogram; 3],
    examples: BTreeMap<u64, Example>,
    thumbnails: BTreeMap<u64, Thumbnail>,
}

impl PageParts {
    fn new(tally: &Tally) -> Self {
        let aspect = "Longer side / shorter side, in hundredths";
        Self {
            wanted: tally.examples.values().flatten().chain(&tally.kept_examples).copied().collect(),
            histograms: [
                Histogram::new("Shorter side", "px", &[0, 16, 32, 64, 128, 256, 512, 1024, 2048]),
                Histogram::new(aspect, "", &[100, 110, 150, 200, 300, 400]),
                Histogram::new("Words of a caption", "", &[0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 100]),
            ],
            examples: BTreeMap::new(),
            thumbnails: BTreeMap::new(),
        }
    }

    /// Takes a chunk in and returns its lines of `dropped.jsonl`.
    fn read_back(&mut self, workspace: &Workspace, chunk: u64) -> Result<Vec<u8>> {
        let verdicts = workspace.need_lines::<Verdict>(&verdicts_name(chunk))?;
        let first = chunk * CHUNK as u64;
        let mut lines = Vec::new();
        let [sides, aspects, words] = &mut self.histograms;
        for ((fact, verdict), number) in verdict::facts(workspace, chunk)?.iter().zip(&verdicts).zip(first..)
        {
            if *verdict == Verdict::Elsewhere {
                continue;
            }
            let kept = !matches!(verdict, Verdict::Drop(_));
            if let Some(image) = &fact.image {
                let (long, short) = (image.width.max(image.height), image.width.min(image.height).max(1));
                let aspect = u64::from(long) * 100 / u64::from(short);
                sides.add(short, kept);
                aspects.add(aspect.try_into().unwrap_or(u32::MAX), kept);
            }
            for &count in &fact.words {
                words.add(count, kept);
            }
            if self.wanted.contains(&number) {
                self.examples.insert(number, example(fact, verdict, number));
                self.thumbnails.insert(number, workspace.read_bytes(&thumbnail_name(number))?);
            }
            dropped_lines(fact, verdict, &mut lines)?;
        }
        Ok(lines)
    }
}

fn example(fact: &Fact, verdict: &Verdict, record: u64) -> Example {
    let note = match verdict {
        Verdict::Drop(Finding { measured, threshold, .. }) => match (measured, threshold) {
            (measured, Some(threshold)) => format!("{} (limit {})", shown(measured), shown(threshold)),
            (measured, None) => shown(measured),
        },
        Verdict::Keep(_) | Verdict::Join | Verdict::Elsewhere => String::new(),
    };
    Example { record, origin: fact.origin.to_string(), captions: fact.quoted.clone(), note }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => {
            format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::Text(text) => text.clone(),
    }
}

fn dropped_lines(fact: &Fact, verdict: &Verdict, lines: &mut Vec<u8>) -> Result<()> {
    let (origin, key) = (&fact.origin, fact.key.as_str());
    let mut line = |dropped: &Dropped<'_>| -> Result<()> {
        serde_json::to_writer(&mut *lines, dropped)?;
        lines.push(b'\n');
        Ok(())
    };
    match verdict {
        Verdict::Drop(finding) => line(&Dropped { origin, key, caption: None, finding }),
        Verdict::Elsewhere => Ok(()),
        Verdict::Keep(_) | Verdict::Join => fact.trimmed.iter().try_for_each(|trimmed| {
            let caption = Some(trimmed.caption.as_str());
            line(&Dropped { origin, key, caption, finding: &trimmed.finding })
        }),
    }
}
