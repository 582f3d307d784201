//! Rendering of SVG drawings, with bounds on what a drawing may cost.
//!
//! Nothing is fetched and nothing is unpacked: images inside a drawing, linked or embedded, are left out, and so is
//! text, since which fonts a machine has would change the pictures.
use std::time::Duration;

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::roxmltree::{Document, ParsingOptions};
use resvg::usvg::{self, ImageHrefResolver, Tree};

use super::svg_cost::{self, Cost};
use super::svg_thread;
use crate::image::{Rgb, on_white};
use crate::storage::one_line;

/// Renders drawings at one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renderer {
    /// Longer side of the picture in pixels, 1 to 4096.
    pub side: u32,
    /// What shows where the drawing is transparent.
    pub background: Background,
    /// What a drawing may cost.
    pub limits: SvgLimits,
}

/// What shows where a drawing is transparent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Background {
    /// White.
    #[default]
    White,
    /// Nothing: the picture has an alpha channel.
    Transparent,
}

/// What a drawing may cost.
///
/// Length and elements depend on the drawing alone, so every machine refuses the same drawings. The time is a safety net
/// for what they let through, far above what any drawing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SvgLimits {
    /// Bytes of text; 4 MiB by default.
    pub bytes: usize,
    /// Elements, each counted as often as it is painted; 100,000 by default.
    pub elements: usize,
    /// Time for one drawing; one minute by default.
    pub time: Duration,
}

impl Default for SvgLimits {
    fn default() -> Self {
        Self { bytes: 4 << 20, elements: 100_000, time: Duration::from_secs(60) }
    }
}

/// Why a drawing cannot be rendered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SvgError {
    /// The text is not a drawing.
    #[error("not a valid SVG drawing: {reason}")]
    Invalid {
        /// What is wrong, on one line.
        reason: String,
    },
    /// The drawing is longer than the limit.
    #[error("an SVG drawing of {bytes} bytes, more than the limit of {limit}")]
    TooLong {
        /// Bytes of the drawing.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The drawing paints more than the limit, or is nested a thousand times.
    #[error("an SVG drawing that paints more than {limit} elements, or is nested too deeply")]
    TooComplex {
        /// The limit.
        limit: usize,
    },
    /// An effect of the drawing would take very long.
    #[error("an SVG filter out of bounds: {what}")]
    Filter {
        /// The effect.
        what: &'static str,
    },
    /// The drawing took longer than the limit.
    #[error("an SVG drawing that takes longer than {} s", limit.as_secs_f64())]
    TooSlow {
        /// The limit.
        limit: Duration,
    },
    /// The side is out of range.
    #[error("a drawing cannot be rendered at {side} pixels: give 1 to 4096")]
    Side {
        /// The side given.
        side: u32,
    },
    /// The library failed.
    #[error("the SVG library failed: {reason}")]
    Library {
        /// What it said, on one line.
        reason: String,
    },
}

/// A rendered drawing.
#[derive(Debug, Clone)]
pub struct Rendered {
    pixmap: Pixmap,
}

impl Rendered {
    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.pixmap.width(), self.pixmap.height())
    }

    /// Pixels, `[height, width, 4]`: red, green, blue, alpha, not multiplied by alpha.
    pub fn rgba(&self) -> Vec<u8> {
        let straight = |pixel: &resvg::tiny_skia::PremultipliedColorU8| {
            let colour = pixel.demultiply();
            [colour.red(), colour.green(), colour.blue(), colour.alpha()]
        };
        self.pixmap.pixels().iter().flat_map(straight).collect()
    }

    /// The picture without its transparency, which becomes white, as decoding a file of it would give.
    pub fn rgb(&self) -> Result<Rgb, SvgError> {
        let (width, height) = self.size();
        let mut pixels = vec![0; 3 * self.pixmap.pixels().len()];
        for (solid, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(self.pixmap.pixels()) {
            *solid = match pixel.alpha() {
                // On a white background every pixel is one of these.
                255 => [pixel.red(), pixel.green(), pixel.blue()],
                alpha => {
                    let colour = pixel.demultiply();
                    on_white([colour.red(), colour.green(), colour.blue()], alpha)
                }
            };
        }
        Rgb::new(width, height, pixels)
            .map_err(|error| SvgError::Library { reason: one_line(&error.to_string()) })
    }
}

impl Renderer {
    /// Renders on white, the longer side `side` pixels, with the default limits.
    pub fn new(side: u32) -> Self {
        Self { side, background: Background::White, limits: SvgLimits::default() }
    }

    /// Renders the drawing `text`.
    ///
    /// It works on a thread beside the caller's, whose stack is large enough for deeply nested drawings. One that passes
    /// the time limit is left to end by itself; while four such are busy, the next drawing waits for one of them, but no
    /// longer than the time limit.
    pub fn render(&self, text: &str) -> Result<Rendered, SvgError> {
        if !(1..=4096).contains(&self.side) {
            return Err(SvgError::Side { side: self.side });
        }
        if text.len() > self.limits.bytes {
            return Err(SvgError::TooLong { bytes: text.len(), limit: self.limits.bytes });
        }
        svg_thread::render(*self, text)
    }

    /// Renders the drawing on this thread, however long it takes.
    pub(super) fn render_here(&self, text: &str) -> Result<Rendered, SvgError> {
        let options = usvg::Options {
            image_href_resolver: ImageHrefResolver {
                resolve_data: Box::new(|_, _, _| None),
                resolve_string: Box::new(|_, _| None),
            },
            ..usvg::Options::default()
        };
        let invalid = |reason: String| SvgError::Invalid { reason: one_line(&reason) };
        let too_complex = || SvgError::TooComplex { limit: self.limits.elements };
        let parsing = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document =
            Document::parse_with_options(text, parsing).map_err(|error| invalid(error.to_string()))?;
        svg_cost::check(&document, self.limits.elements as u64).map_err(|cost| match cost {
            Cost::TooMany => too_complex(),
            Cost::Circle => invalid("it refers to itself".to_owned()),
            Cost::Filter(what) => SvgError::Filter { what },
        })?;
        let tree = Tree::from_xmltree(&document, &options).map_err(|error| match error {
            usvg::Error::ElementsLimitReached => too_complex(),
            error => invalid(error.to_string()),
        })?;
        let (wide, high) = (tree.size().width(), tree.size().height());
        let scale = self.side as f32 / wide.max(high);
        // A side of a very long drawing may round to nothing.
        let pixels = |side: f32| ((side * scale).round() as u32).clamp(1, self.side);
        let mut pixmap =
            Pixmap::new(pixels(wide), pixels(high)).ok_or_else(|| invalid("it has no size".to_owned()))?;
        if self.background == Background::White {
            pixmap.fill(Color::WHITE);
        }
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
        Ok(Rendered { pixmap })
    }
}

/// Whether `bytes` begin as an SVG file does, after a byte order mark, an XML declaration, comments and a DOCTYPE.
pub fn looks_like_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    head.starts_with(b"<") && memchr::memmem::find(head, b"<svg").is_some()
}
