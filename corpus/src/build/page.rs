//! `report.html`: one file that shows a person what the rules took, so that a greedy one is seen.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::report::{Report, RuleCount};

/// A picture with what is said of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Example {
    /// JPEG bytes; none where the image could not be decoded.
    pub(super) thumbnail: Option<Vec<u8>>,
    /// Its captions.
    pub(super) captions: Vec<String>,
    /// Why it is here.
    pub(super) note: String,
    /// Where it comes from.
    pub(super) origin: String,
}

/// Counts of a quantity before and after the rules.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    title: &'static str,
    unit: &'static str,
    /// Lower ends of the bins; the last one is open.
    edges: &'static [u32],
    before: Vec<u64>,
    after: Vec<u64>,
}

impl Histogram {
    /// Empty bins.
    pub(super) fn new(title: &'static str, unit: &'static str, edges: &'static [u32]) -> Self {
        Self { title, unit, edges, before: vec![0; edges.len()], after: vec![0; edges.len()] }
    }

    /// Counts `value`, and among those that stay if it is `kept`.
    pub(super) fn add(&mut self, value: u32, kept: bool) {
        let bin = self.edges.partition_point(|&edge| edge <= value).saturating_sub(1);
        self.before[bin] += 1;
        self.after[bin] += u64::from(kept);
    }

    fn markup(&self) -> Markup {
        let most = self.before.iter().copied().max().unwrap_or(0).max(1);
        let percent = |count: u64| format!("{:.2}%", 100.0 * count as f64 / most as f64);
        html! {
            section.histogram {
                h3 { (self.title) }
                table {
                    @for (bin, edge) in self.edges.iter().enumerate() {
                        tr {
                            th { "≥ " (edge) " " (self.unit) }
                            td.bars {
                                div.before style={ "width:" (percent(self.before[bin])) } {}
                                div.after style={ "width:" (percent(self.after[bin])) } {}
                            }
                            td.number { (self.before[bin]) " → " (self.after[bin]) }
                        }
                    }
                }
            }
        }
    }
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;\
color:#1c2430;background:#fff}h1,h2,h3{line-height:1.2}table{border-collapse:collapse;width:100%}th,td{text-align:left;\
padding:.2rem .6rem .2rem 0;vertical-align:top}.number{text-align:right;font-variant-numeric:tabular-nums;\
white-space:nowrap}.nothing{color:#737d8c}.bars{width:60%}.bars div{height:.55rem;min-width:1px;border-radius:2px}\
.before{background:#c3cddb}.after{background:#2a6fbb}.examples{display:flex;flex-wrap:wrap;gap:.8rem}figure{width:9.5rem;\
margin:0;font-size:.8rem;overflow-wrap:anywhere}figure img,.blank{width:96px;height:96px;object-fit:contain;\
border:1px solid #dde3ea;background:#fff}.blank{display:grid;place-items:center;color:#737d8c}figcaption .note{color:#8a4b00}\
figcaption .origin{color:#737d8c}.histograms{display:grid;grid-template-columns:repeat(auto-fit,minmax(24rem,1fr));\
gap:1.5rem}";

/// The whole page.
pub(super) fn page(
    report: &Report,
    histograms: &[Histogram],
    dropped: &[(RuleCount, Vec<Example>)],
    kept: &[Example],
) -> String {
    let share = |count: u64| format!("{:.1} %", 100.0 * count as f64 / report.records.max(1) as f64);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Corpus report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Corpus report" }
                p {
                    "Of " b { (report.records) } " records " b { (report.images) } " images with "
                    b { (report.captions) } " captions were kept (" (share(report.images)) "), in "
                    (report.shards) " shards of " (report.bytes / 1_000_000) " MB together. "
                    (report.joined) " records joined an earlier one of the same image."
                    @if report.elsewhere > 0 {
                        " " (report.elsewhere) " records belong to the other part of the split and count nowhere else."
                    }
                }
                h2 { "What each rule took" }
                table {
                    tr { th { "Rule" } th { "It takes" } th.number { "Records" } th.number { "Share" } th.number { "Captions" } }
                    @for rule in &report.rules {
                        tr.nothing[rule.records + rule.captions == 0] {
                            td { code { (rule.reason.code()) } }
                            td { (rule.description) }
                            td.number { (rule.records) }
                            td.number { (share(rule.records)) }
                            td.number { (rule.captions) }
                        }
                    }
                }
                p { "A rule that takes a caption and leaves another of the same image is counted under captions." }
                h2 { "Before and after" }
                p { "Light: every image that could be decoded, and its captions. Dark: what was kept." }
                div.histograms { @for histogram in histograms { (histogram.markup()) } }
                h2 { "Kept" }
                div.examples { @for example in kept { (example.markup()) } }
                @for (rule, examples) in dropped {
                    @if !examples.is_empty() {
                        h2 { "Dropped: " code { (rule.reason.code()) } }
                        p { (rule.description) " — the first " (examples.len()) " of " (rule.records) "." }
                        div.examples { @for example in examples { (example.markup()) } }
                    }
                }
            }
        }
    }
    .into_string()
}

impl Example {
    fn markup(&self) -> Markup {
        html! {
            figure {
                @match &self.thumbnail {
                    Some(bytes) => img alt="" src={ "data:image/jpeg;base64," (STANDARD.encode(bytes)) };,
                    None => div.blank { "no image" },
                }
                figcaption {
                    @for caption in &self.captions { div { (shortened(caption)) } }
                    @if !self.note.is_empty() { div.note { (self.note) } }
                    div.origin { (self.origin) }
                }
            }
        }
    }
}

fn shortened(caption: &str) -> String {
    const MOST: usize = 120;
    match caption.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &caption[..end]),
        None => caption.to_owned(),
    }
}
