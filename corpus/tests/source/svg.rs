use std::time::{Duration, Instant};

use albef_corpus::record::ImageRef;
use albef_corpus::source::svg::{Background, Renderer, SvgError, SvgLimits};

use super::is_one_line;

fn svg(body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
         width=\"20\" height=\"10\" viewBox=\"0 0 20 10\">{body}</svg>"
    )
}

fn refused(text: &str) -> SvgError {
    let error = Renderer::new(64).render(text).unwrap_err();
    is_one_line(&error.to_string());
    error
}

#[test]
fn a_drawing_is_rendered_on_white_or_on_nothing() {
    let half = svg("<rect width=\"10\" height=\"10\" fill=\"#0000ff\" fill-opacity=\"0.5\"/>");
    let white = Renderer::new(40).render(&half).unwrap();
    assert_eq!(white.size(), (40, 20));
    let pixels = white.rgba();
    assert_eq!(pixels.len(), 40 * 20 * 4);
    assert!(pixels[0].abs_diff(127) <= 1 && pixels[2] == 255 && pixels[3] == 255, "{:?}", &pixels[..4]);
    assert_eq!(pixels[39 * 4..40 * 4], [255; 4]);
    let solid: Vec<u8> = pixels.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect();
    assert_eq!(white.rgb().unwrap().into_pixels(), solid);
    let clear = Renderer { background: Background::Transparent, ..Renderer::new(40) };
    let pixels = clear.render(&half).unwrap().rgba();
    assert!(pixels[0] == 0 && pixels[2] == 255 && pixels[3].abs_diff(127) <= 1, "{:?}", &pixels[..4]);
    assert_eq!(pixels[39 * 4..40 * 4], [0; 4]);
    assert_eq!(
        clear.render(&half).unwrap().rgb().unwrap(),
        white.rgb().unwrap(),
        "transparency becomes white"
    );
}

#[test]
fn a_thin_drawing_keeps_one_pixel() {
    let text = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100000\" height=\"1\"/>";
    assert_eq!(Renderer::new(64).render(text).unwrap().size(), (64, 1));
}

#[test]
fn what_is_no_drawing_is_one_line() {
    for text in [
        "",
        "text",
        "<svg",
        "<html/>",
        "\0",
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"0\" height=\"-1\"/>",
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1e39\" height=\"nan\">",
    ] {
        assert!(matches!(refused(text), SvgError::Invalid { .. }), "{text:?}");
    }
    let large = svg(&" ".repeat(5 << 20));
    assert!(matches!(refused(&large), SvgError::TooLong { .. }));
    for side in [0, 5000] {
        assert!(matches!(Renderer::new(side).render(&svg("")), Err(SvgError::Side { .. })));
    }
    let bytes = ImageRef::Inline(b"<svg>\xff</svg>"[..].into()).load_raster(100, &Renderer::new(8));
    is_one_line(&bytes.unwrap_err().to_string());
}

#[test]
fn no_drawing_reads_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inner.svg");
    std::fs::write(&path, svg("<rect width=\"20\" height=\"10\"/>")).unwrap();
    for href in [path.display().to_string(), format!("file://{}", path.display())] {
        let text = svg(&format!("<image width=\"20\" height=\"10\" xlink:href=\"{href}\"/>"));
        let pixels = Renderer::new(20).render(&text).unwrap().rgba();
        assert!(pixels.iter().all(|byte| *byte == 255), "the file's drawing is seen");
    }
    let entity = format!("<!DOCTYPE svg [<!ENTITY x SYSTEM \"file://{}\">]>{}", path.display(), svg("&x;"));
    if let Ok(rendered) = Renderer::new(20).render(&entity) {
        assert!(rendered.rgba().iter().all(|byte| *byte == 255));
    }
}

#[test]
fn a_drawing_that_multiplies_itself_is_refused_soon() {
    let start = Instant::now();
    let mut uses = String::from("<g id=\"g0\"><rect width=\"1\" height=\"1\"/></g>");
    for level in 1..30 {
        let inner = format!("<use xlink:href=\"#g{}\"/>", level - 1).repeat(10);
        uses.push_str(&format!("<g id=\"g{level}\">{inner}</g>"));
    }
    refused(&svg(&uses));
    let mut patterns = String::from(
        "<defs><pattern id=\"p0\" width=\"1\" height=\"1\"><rect width=\"1\" height=\"1\"/></pattern>",
    );
    for level in 1..12 {
        let inner = format!("<rect width=\"1\" height=\"1\" fill=\"url(#p{})\"/>", level - 1).repeat(10);
        patterns.push_str(&format!("<pattern id=\"p{level}\" width=\"1\" height=\"1\">{inner}</pattern>"));
    }
    patterns.push_str("</defs><rect width=\"20\" height=\"10\" fill=\"url(#p11)\"/>");
    assert!(matches!(refused(&svg(&patterns)), SvgError::TooComplex { .. }));
    let mut laughs = String::from("<!DOCTYPE svg [<!ENTITY a0 \"<rect/>\">");
    for level in 1..12 {
        laughs.push_str(&format!("<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10)));
    }
    refused(&format!("{laughs}]>{}", svg("&a11;")));
    let noise = "<filter id=\"f\"><feTurbulence baseFrequency=\"1\" numOctaves=\"1000000\"/></filter><rect width=\"20\" height=\"10\" filter=\"url(#f)\"/>";
    assert!(matches!(refused(&svg(noise)), SvgError::Filter { .. }));
    let sheet = format!("<style>rect{{fill:url(#p11)}}</style>{patterns}");
    refused(&svg(&sheet));
    let mut chain = String::new();
    for level in 0..20_000 {
        chain.push_str(&format!("<pattern id=\"c{level}\" width=\"1\" height=\"1\"><rect width=\"1\" height=\"1\" fill=\"url(#c{})\"/></pattern>", level + 1));
    }
    assert!(matches!(refused(&svg(&chain)), SvgError::TooComplex { .. }));
    let circle = "<pattern id=\"c\" width=\"1\" height=\"1\"><rect fill=\"url(#c)\"/></pattern>";
    assert!(matches!(refused(&svg(circle)), SvgError::Invalid { .. }));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn nesting_without_end_does_not_overflow_the_stack() {
    for depth in [900, 5_000, 500_000] {
        let nested = svg(&format!("{}{}", "<g>".repeat(depth), "</g>".repeat(depth)));
        if let Err(error) = Renderer::new(16).render(&nested) {
            is_one_line(&error.to_string());
        }
        let _ = Renderer::new(16).render(&svg(&"<g>".repeat(depth)));
    }
}

#[test]
fn a_drawing_out_of_time_is_refused_and_the_next_one_rendered() {
    let short = SvgLimits { time: Duration::from_millis(1), ..SvgLimits::default() };
    let hasty = Renderer { limits: short, ..Renderer::new(512) };
    let slow = svg(&"<circle cx=\"9\" cy=\"5\" r=\"4\" stroke=\"red\" opacity=\"0.5\"/>".repeat(100));
    for _ in 0..8 {
        assert!(matches!(hasty.render(&slow), Err(SvgError::TooSlow { .. })));
    }
    assert!(Renderer::new(64).render(&svg("<rect/>")).is_ok());
}
