//! `report.html`: one file that shows a person what the rules took, so that a greedy one is seen.
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::report::{Example, Histogram, Report};

/// The picture of an [`Example`], if it could be decoded: JPEG bytes.
pub(super) type Thumbnail = Option<Vec<u8>>;

impl Histogram {
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

/// The whole page; `thumbnails` has the picture of an example by the number of its record.
pub(super) fn page(report: &Report, thumbnails: &BTreeMap<u64, Thumbnail>) -> String {
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
                div.histograms { @for histogram in &report.histograms { (histogram.markup()) } }
                h2 { "Kept" }
                div.examples { @for example in &report.kept { (example.markup(thumbnails)) } }
                @for rule in &report.rules {
                    @if !rule.examples.is_empty() {
                        h2 { "Dropped: " code { (rule.reason.code()) } }
                        p { (rule.description) " — the first " (rule.examples.len()) " of " (rule.records) "." }
                        div.examples { @for example in &rule.examples { (example.markup(thumbnails)) } }
                    }
                }
            }
        }
    }
    .into_string()
}

impl Example {
    fn markup(&self, thumbnails: &BTreeMap<u64, Thumbnail>) -> Markup {
        html! {
            figure {
                @match thumbnails.get(&self.record).and_then(Option::as_ref) {
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
