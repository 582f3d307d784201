//! Pictures of a page.
use html5gum::emitters::default::DefaultEmitter;
use html5gum::{HtmlString, StartTag, Token, Tokenizer};

/// A picture as a page shows it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// Its address, as it stands in the page.
    pub(super) src: String,
    /// Its alt text; empty where it has none.
    pub(super) alt: String,
    /// The captions below it.
    pub(super) captions: Vec<String>,
}

/// A caption that is being read.
struct Open {
    /// The element that ends it.
    tag: HtmlString,
    /// Elements of that name within it that are open.
    depth: usize,
    /// The picture that it belongs to.
    picture: usize,
    text: String,
}

/// The pictures of `page` that have an address, in their order.
///
/// A caption is a `figcaption` or an element of the class `caption`, and belongs to the picture before it.
pub(super) fn pictures(page: &[u8]) -> Vec<Picture> {
    let mut emitter = DefaultEmitter::default();
    // Scripts and styles are no markup.
    emitter.naively_switch_states(true);
    let (mut pictures, mut open) = (Vec::<Picture>::new(), None::<Open>);
    let close = |open: &mut Option<Open>, pictures: &mut Vec<Picture>| {
        let Some(caption) = open.take() else { return };
        let text = caption.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let (false, Some(picture)) = (text.is_empty(), pictures.get_mut(caption.picture)) {
            picture.captions.push(text);
        }
    };
    for Ok(token) in Tokenizer::new_with_emitter(page, emitter) {
        match (token, &mut open) {
            (Token::StartTag(tag), caption) => {
                if tag.name == b"img" {
                    pictures.extend(picture(&tag));
                }
                match caption {
                    // An element that closes itself is one of XHTML.
                    Some(caption) if caption.tag == tag.name && !tag.self_closing => caption.depth += 1,
                    None if is_caption(&tag) && !pictures.is_empty() => {
                        let picture = pictures.len() - 1;
                        open = Some(Open { tag: tag.name, depth: 0, picture, text: String::new() });
                    }
                    _ => {}
                }
            }
            (Token::String(text), Some(caption)) => caption.text.push_str(&String::from_utf8_lossy(&text)),
            (Token::EndTag(tag), Some(caption)) if tag.name == caption.tag => match caption.depth {
                0 => close(&mut open, &mut pictures),
                _ => caption.depth -= 1,
            },
            _ => {}
        }
    }
    close(&mut open, &mut pictures);
    pictures
}

fn attribute(tag: &StartTag<()>, name: &[u8]) -> String {
    let value = tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).trim().to_owned());
    value.unwrap_or_default()
}

fn picture(tag: &StartTag<()>) -> Option<Picture> {
    let src = attribute(tag, b"src");
    (!src.is_empty()).then(|| Picture { src, alt: attribute(tag, b"alt"), captions: Vec::new() })
}

fn is_caption(tag: &StartTag<()>) -> bool {
    let has_class = || attribute(tag, b"class").split_ascii_whitespace().any(|class| class == "caption");
    !tag.self_closing && (tag.name == b"figcaption" || has_class())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: &str) -> Vec<(String, String, Vec<String>)> {
        pictures(page.as_bytes()).into_iter().map(|found| (found.src, found.alt, found.captions)).collect()
    }

    fn row(src: &str, alt: &str, captions: &[&str]) -> (String, String, Vec<String>) {
        (src.to_owned(), alt.to_owned(), captions.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn every_picture_is_found_with_its_alt_text_or_none() {
        let page = "<!DOCTYPE html><body><IMG SRC=a.png ALT='Prev &amp; Next'/><img alt='no address'>\
                    <!-- <img src='hidden.png'> --><script>'<img src=\"script.png\">'</script>\
                    <img src=\" b.png\n\" src='second.png'><img src=''><img src='c.png' alt=' '";
        assert_eq!(shown(page), [row("a.png", "Prev & Next", &[]), row("b.png", "", &[])]);
    }

    #[test]
    fn a_caption_belongs_to_the_picture_before_it() {
        let page = "<div class='caption'><p>before any picture</p></div><img src='a.png'>\
                    <div class='figure caption'><div>The <b>first</b>\n  one</div> <img src='icon.png' alt='[Note]'>\
                    &#8220;here&#8221;</div><div class='captions'>no caption</div>\
                    <figure><img src='b.png'><figcaption>second</figcaption></figure>\
                    <p class='caption'>more of it</p><div class='caption'> </div><p class='caption'>cut short";
        let first = "The first one \u{201c}here\u{201d}";
        assert_eq!(
            shown(page),
            [
                row("a.png", "", &[first]),
                row("icon.png", "[Note]", &[]),
                row("b.png", "", &["second", "more of it", "cut short"]),
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_page_have_no_pictures() {
        for page in [&b""[..], b"\xff\xfe<\x00i\x00m", b"<img", b"</img src='a.png'>", b"<<<<>>><!"] {
            assert_eq!(pictures(page), []);
        }
    }
}
