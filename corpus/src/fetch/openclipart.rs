//! Drawings of openclipart: pictures in one package, and the SVG files that say what they show in another.
use resvg::usvg::roxmltree::{Document, Node, ParsingOptions};

use super::FetchError;
use super::debian::Unpacked;
use super::pairs::{Pair, Pairs};
use crate::storage::name;

const PICTURES: &str = "usr/share/openclipart/png";
const DRAWINGS: &str = "usr/share/openclipart/svg";
/// Most bytes of a drawing; the largest that Debian has is 3 MB.
const LARGEST: u64 = 64 << 20;
/// What the packages say of the drawings that say nothing of their own.
const LICENSE: &str = "public domain";

const DC: &str = "http://purl.org/dc/elements/1.1/";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// Every picture with the title, the description and the keywords of the drawing at the same path, and with its file
/// name. A text that repeats another one of the picture is left out.
pub(super) fn collect(pictures: &Unpacked, drawings: &Unpacked, pairs: &mut Pairs) -> Result<(), FetchError> {
    for path in pictures.files(PICTURES)? {
        let picture = path.strip_prefix(PICTURES).unwrap_or(&path).trim_start_matches('/');
        let Some(stem) = picture.strip_suffix(".png") else { continue };
        let Some(image) = pairs.image(pictures, PICTURES, picture)? else { continue };
        let drawing = drawings.read(&format!("{DRAWINGS}/{stem}.svg"), LARGEST)?;
        let about = drawing.map(|drawing| About::read(&drawing)).unwrap_or_default();
        let texts = [
            ("title", about.title),
            ("description", about.description),
            ("keywords", about.keywords.join(", ")),
            ("filename", name::split(stem).1.to_owned()),
        ];
        let license = if about.licenses.is_empty() { LICENSE } else { &about.licenses.join(", ") };
        let set = stem.split_once('/').map_or("", |(set, _)| set);
        for (at, (field, caption)) in texts.iter().enumerate() {
            let repeats = texts[..at].iter().any(|(_, earlier)| earlier == caption);
            if !caption.is_empty() && !repeats {
                pairs.push(&Pair { image: &image, caption, field, set, origin: stem, license })?;
            }
        }
    }
    Ok(())
}

/// What a drawing says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    title: String,
    description: String,
    keywords: Vec<String>,
    /// Addresses of its licences.
    licenses: Vec<String>,
}

impl About {
    /// What is said in `bytes`; nothing if they are no XML.
    fn read(bytes: &[u8]) -> Self {
        let text = text(bytes);
        // Some drawing programs declare their namespaces as entities.
        let parsing = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let mut about = Self::default();
        let Ok(document) = Document::parse_with_options(&text, parsing) else { return about };
        let works = document.descendants().filter(|node| node.tag_name().name() == "Work");
        for child in works.flat_map(|work| work.children()) {
            let is = |name| child.has_tag_name((DC, name));
            if is("title") && about.title.is_empty() {
                about.title = content(child);
            } else if is("description") && about.description.is_empty() {
                about.description = content(child);
            } else if is("subject") && about.keywords.is_empty() {
                let words = child.descendants().filter(|node| node.has_tag_name((RDF, "li"))).map(content);
                about.keywords = words.filter(|word| !word.is_empty()).collect();
            } else if child.tag_name().name() == "license" {
                let license = child.attribute((RDF, "resource")).unwrap_or_default().trim();
                if !license.is_empty() && !about.licenses.iter().any(|known| known == license) {
                    about.licenses.push(license.to_owned());
                }
            }
        }
        about
    }
}

/// The text of an element, without the space around it.
fn content(node: Node<'_, '_>) -> String {
    let texts = node.children().filter(Node::is_text).filter_map(|text| text.text());
    texts.collect::<String>().trim().to_owned()
}

/// `bytes` as text: what is not UTF-8 is Latin-1, the other encoding that old drawings have.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(work: &str) -> String {
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' xmlns:cc='http://web.resource.org/cc/' xmlns:dc='{DC}' \
             xmlns:rdf='{RDF}'><title>not this one</title><metadata><rdf:RDF>{work}</rdf:RDF></metadata><path/></svg>"
        )
    }

    #[test]
    fn the_text_is_that_of_the_work_and_not_of_its_makers() {
        let text = drawing(
            "<cc:Work><dc:title> </dc:title><dc:title>\n a frog &amp; a fly </dc:title><dc:title>second</dc:title>\
             <dc:creator><cc:Agent><dc:title>somebody</dc:title></cc:Agent></dc:creator>\
             <dc:description>green<!-- very --> frog</dc:description>\
             <dc:subject><rdf:Bag><rdf:li>animal</rdf:li><rdf:li> </rdf:li><rdf:li>HASH(0x8)</rdf:li></rdf:Bag></dc:subject>\
             <cc:license rdf:resource='http://example.org/PublicDomain'/><cc:license rdf:resource=''/>\
             </cc:Work><cc:License><cc:permits/></cc:License>",
        );
        let about = About {
            title: "a frog & a fly".to_owned(),
            description: "green frog".to_owned(),
            keywords: vec!["animal".to_owned(), "HASH(0x8)".to_owned()],
            licenses: vec!["http://example.org/PublicDomain".to_owned()],
        };
        assert_eq!(About::read(text.as_bytes()), about);
    }

    #[test]
    fn old_encodings_and_declared_namespaces_are_read() {
        let work = "<cc:Work><dc:title>caf\u{e9}</dc:title></cc:Work>";
        let latin: Vec<u8> = drawing(work).chars().map(|c| c as u8).collect();
        assert_eq!(About::read(&latin).title, "caf\u{e9}");
        let marked = [b"\xef\xbb\xbf", drawing(work).as_bytes()].concat();
        assert_eq!(About::read(&marked).title, "caf\u{e9}");
        let declared = drawing(work).replace(&format!("'{DC}'"), "'&dc;'");
        let declared = format!("<!DOCTYPE svg [<!ENTITY dc '{DC}'>]>{declared}");
        assert_eq!(About::read(declared.as_bytes()).title, "caf\u{e9}");
    }

    #[test]
    fn what_is_no_drawing_says_nothing() {
        let deep = "<g>".repeat(200_000);
        let laughs = "<!DOCTYPE svg [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&b;'>]><svg>&b;</svg>";
        for text in ["", "no drawing", "<svg><metadata>", &deep, laughs] {
            assert_eq!(About::read(text.as_bytes()), About::default());
        }
    }
}
