//! The manual of GIMP: pages of HTML, crawled as if they were the web.
use std::path::Path;

use url::Url;

use super::FetchError;
use super::debian::Unpacked;
use super::html;
use super::pairs::{Pair, Pairs};

/// Where the manuals of all versions of GIMP lie.
const MANUALS: &str = "usr/share/gimp";
/// Where the English pages lie in the manual of a version.
const ENGLISH: &str = "/help/en/";
/// Most bytes of a page; the largest that Debian has is 0.2 MB.
const LONGEST: u64 = 16 << 20;
const LICENSE: &str = "GFDL-1.2+";

/// Every picture of every page with its alt text, empty or not, and its captions.
pub(super) fn collect(manual: &Unpacked, pairs: &mut Pairs) -> Result<(), FetchError> {
    for path in manual.files(MANUALS)? {
        let Some((version, page)) = path.split_once(ENGLISH).filter(|(_, page)| page.ends_with(".html"))
        else {
            continue;
        };
        let root = format!("{version}{}", ENGLISH.trim_end_matches('/'));
        let Some(text) = manual.read(&path, LONGEST)? else { continue };
        for picture in html::pictures(&text) {
            let Some(name) = resolve(page, &picture.src) else { continue };
            let Some(image) = pairs.image(manual, &root, &name)? else { continue };
            let alt = std::iter::once(("alt", picture.alt));
            for (field, caption) in alt.chain(picture.captions.into_iter().map(|text| ("figcaption", text))) {
                let (image, caption) = (image.as_str(), caption.as_str());
                pairs.push(&Pair {
                    image,
                    caption,
                    field,
                    set: "gimp-help",
                    origin: page,
                    license: LICENSE,
                })?;
            }
        }
    }
    Ok(())
}

/// The name, below the manual's folder, of what `page` calls `address`; none if it is no file of the manual.
fn resolve(page: &str, address: &str) -> Option<String> {
    let page = Url::from_file_path(Path::new("/").join(page)).ok()?;
    let file = page.join(address).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()?;
    let name = file.to_str()?.strip_prefix('/')?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_file_of_the_manual_or_nothing() {
        for (page, address, name) in [
            ("a.html", "images/b.png", Some("images/b.png")),
            ("a.html", "./images/../b%20c.png?size=1#x", Some("b c.png")),
            ("sub/a.html", "../images/b.png", Some("images/b.png")),
            ("a.html", "../../../../etc/passwd", Some("etc/passwd")),
            ("a.html", "http://example.org/b.png", None),
            ("a.html", "//example.org/b.png", None),
            ("a.html", "data:image/png;base64,AAAA", None),
            ("a.html", "/", None),
        ] {
            assert_eq!(resolve(page, address).as_deref(), name, "{address}");
        }
    }
}
