//! What a drawing will cost to paint, counted in its XML before the library unfolds it.
use std::collections::HashMap;

use resvg::usvg::roxmltree::{Document, Node, NodeId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    TooMany,
    Circle,
    Filter(&'static str),
}

/// Deepest nesting of elements and references: each level is a call of the library.
const DEEPEST: usize = 1000;
/// Most octaves of noise: each halves the size of the last, so beyond these nothing is seen.
const OCTAVES: f64 = 16.0;
/// Largest order of a convolution, in one direction: each cell is one product per pixel.
const ORDER: f64 = 20.0;
/// Largest radius of a morphology, in units of the drawing.
const RADIUS: f64 = 1000.0;

/// Refuses a drawing of more than `limit` elements, each counted as often as it is painted, or with a filter that takes
/// very long.
///
/// A pattern, mask, clip path or `use` paints its target again wherever it stands, so a few lines can ask for 10¹²
/// elements. Counts of targets are kept, so counting them takes one visit each.
pub(super) fn check(document: &Document<'_>, limit: u64) -> Result<(), Cost> {
    let mut counter = Counter { ids: HashMap::new(), counts: HashMap::new(), everywhere: Vec::new(), limit };
    for node in document.descendants().filter(Node::is_element) {
        filter(node)?;
        if let Some(id) = node.attribute("id") {
            counter.ids.entry(id).or_insert(node);
        }
    }
    for node in document.descendants().filter(|node| node.tag_name().name() == "style") {
        let text = node.text().unwrap_or_default();
        counter.everywhere.extend(targets(text).filter_map(|id| counter.ids.get(id).copied()));
    }
    counter.count(document.root_element(), 0).map(drop)
}

struct Counter<'d> {
    ids: HashMap<&'d str, Node<'d, 'd>>,
    /// Elements that a node paints; `None` while they are being counted.
    counts: HashMap<NodeId, Option<u64>>,
    /// What a style sheet refers to, which may hold for any element.
    everywhere: Vec<Node<'d, 'd>>,
    limit: u64,
}

impl<'d> Counter<'d> {
    fn count(&mut self, node: Node<'d, 'd>, depth: usize) -> Result<u64, Cost> {
        if let Some(count) = self.counts.get(&node.id()) {
            return count.ok_or(Cost::Circle);
        }
        if depth > DEEPEST {
            return Err(Cost::TooMany);
        }
        self.counts.insert(node.id(), None);
        let mut count = 1_u64;
        for child in node.children().filter(Node::is_element) {
            count = count.saturating_add(self.count(child, depth + 1)?);
        }
        for target in self.targets_of(node) {
            count = count.saturating_add(self.count(target, depth + 1)?);
        }
        if count > self.limit {
            return Err(Cost::TooMany);
        }
        self.counts.insert(node.id(), Some(count));
        Ok(count)
    }

    /// The elements that painting `node` paints besides its children.
    fn targets_of(&self, node: Node<'d, 'd>) -> Vec<Node<'d, 'd>> {
        let mut found: Vec<Node<'d, 'd>> = Vec::new();
        for attribute in node.attributes() {
            let value = attribute.value();
            match value.strip_prefix('#') {
                Some(id) if attribute.name() == "href" && node.tag_name().name() != "a" => {
                    found.extend(self.ids.get(id));
                }
                _ => found.extend(targets(value).filter_map(|id| self.ids.get(id))),
            }
        }
        // What only defines is not painted, and what a style sheet names does not hold for the thing itself.
        let is_shape = matches!(
            node.tag_name().name(),
            "path" | "rect" | "circle" | "ellipse" | "line" | "polyline" | "polygon" | "g" | "use"
        );
        if is_shape {
            found.extend(&self.everywhere);
        }
        // A gradient paints nothing of its own.
        found.retain(|target| !target.tag_name().name().ends_with("Gradient"));
        found
    }
}

/// The ids in all `url(#id)` of `text`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("url(").skip(1).filter_map(|rest| {
        let (inner, _) = rest.split_once(')')?;
        inner.trim().trim_matches(['"', '\'']).strip_prefix('#')
    })
}

fn filter(node: Node<'_, '_>) -> Result<(), Cost> {
    let above = |attribute: &str, most: f64| {
        let text = node.attribute(attribute).unwrap_or_default();
        text.split([' ', ',', '\t', '\n']).any(|number| number.parse::<f64>().is_ok_and(|value| value > most))
    };
    match node.tag_name().name() {
        "feTurbulence" if above("numOctaves", OCTAVES) => Err(Cost::Filter("noise of more than 16 octaves")),
        "feConvolveMatrix" if above("order", ORDER) => {
            Err(Cost::Filter("a convolution of an order above 20"))
        }
        "feMorphology" if above("radius", RADIUS) => Err(Cost::Filter("a morphology of a radius above 1000")),
        _ => Ok(()),
    }
}
