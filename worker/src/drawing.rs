//! Pictures for people: tiles with a few words under each.
use font8x8::UnicodeFonts;
use image::{Rgb, RgbImage, imageops};

/// Side of a picture in a tile, pixels.
pub const TILE: u32 = 176;

const MARGIN: u32 = 8;
const LINE: u32 = 12;
const GLYPH: u32 = 8;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([24, 24, 24]);

/// A picture with lines of text under it.
#[derive(Debug)]
pub struct Tile {
    /// The picture, of any size.
    pub picture: RgbImage,
    /// Lines of text; what does not fit the width goes on in the next line, what does not fit the tile is cut.
    pub lines: Vec<String>,
}

/// Lays tiles out in rows of `columns`, with room for `lines` lines of text under each and a title above.
pub fn sheet(title: &str, tiles: &[Tile], columns: u32, lines: u32) -> RgbImage {
    let columns = columns.clamp(1, (tiles.len() as u32).max(1));
    let rows = (tiles.len() as u32).div_ceil(columns);
    let (width, height) = (TILE + MARGIN, TILE + lines * LINE + 2 * MARGIN);
    let top = 2 * MARGIN + 2 * GLYPH;
    let mut out = RgbImage::from_pixel(columns * width + MARGIN, top + rows * height, PAPER);
    let title = wrapped(&[title.to_owned()], (out.width() - 2 * MARGIN) / (2 * GLYPH), 1);
    text(&mut out, title.first().map_or("", String::as_str), (MARGIN, MARGIN), 2);
    for (tile, number) in tiles.iter().zip(0..) {
        let (x, y) = (MARGIN + number % columns * width, top + number / columns * height);
        // Up with sharp edges: a small picture shows the pixels that the model saw.
        let filter = match tile.picture.width() < TILE {
            true => imageops::FilterType::Nearest,
            false => imageops::FilterType::Triangle,
        };
        let picture = imageops::resize(&tile.picture, TILE, TILE, filter);
        imageops::replace(&mut out, &picture, x.into(), y.into());
        for (line, row) in wrapped(&tile.lines, TILE / GLYPH, lines as usize).iter().zip(0..) {
            text(&mut out, line, (x, y + TILE + MARGIN / 2 + row * LINE), 1);
        }
    }
    out
}

/// Breaks lines at spaces so that none has more than `width` characters; at most `most` lines.
fn wrapped(lines: &[String], width: u32, most: usize) -> Vec<String> {
    let width = width.max(1) as usize;
    let mut out: Vec<String> = Vec::new();
    for line in lines {
        out.push(String::new());
        for word in line.split_whitespace() {
            let room =
                |last: &String| last.is_empty() || last.chars().count() + 1 + word.chars().count() <= width;
            match out.last_mut() {
                Some(last) if room(last) => {
                    if !last.is_empty() {
                        last.push(' ');
                    }
                    last.push_str(word);
                }
                _ => out.push(word.to_owned()),
            }
        }
    }
    out.truncate(most);
    out.iter().map(|line| line.chars().take(width).collect()).collect()
}

/// Writes a line in an 8 × 8 font enlarged `scale` times; characters that the font lacks become `?`.
fn text(out: &mut RgbImage, line: &str, (x, y): (u32, u32), scale: u32) {
    for (c, column) in line.chars().zip(0..) {
        let glyph = font8x8::BASIC_FONTS
            .get(c)
            .or_else(|| font8x8::LATIN_FONTS.get(c))
            .or_else(|| font8x8::BASIC_FONTS.get('?'));
        for (bits, row) in glyph.unwrap_or_default().into_iter().zip(0..) {
            for bit in (0..8_u32).filter(|bit| bits >> bit & 1 == 1) {
                for (dx, dy) in (0..scale * scale).map(|i| (i % scale, i / scale)) {
                    let (px, py) = (x + (column * GLYPH + bit) * scale + dx, y + row * scale + dy);
                    if px < out.width() && py < out.height() {
                        out.put_pixel(px, py, INK);
                    }
                }
            }
        }
    }
}

/// Lays a heat map, `grid × grid` values row after row, over a picture: the hotter, the more colour.
pub fn heat(picture: &RgbImage, values: &[f32], grid: u32) -> RgbImage {
    let hottest = values.iter().copied().filter(|v| v.is_finite()).fold(f32::MIN_POSITIVE, f32::max);
    // What is not a number is cold.
    let coarse = image::ImageBuffer::from_fn(grid, grid, |x, y| {
        image::Luma([values
            .get((y * grid + x) as usize)
            .filter(|v| v.is_finite())
            .map_or(0.0, |v| (v / hottest).clamp(0.0, 1.0))])
    });
    let picture = imageops::resize(picture, TILE, TILE, imageops::FilterType::Triangle);
    let fine = imageops::resize(&coarse, TILE, TILE, imageops::FilterType::Triangle);
    RgbImage::from_fn(TILE, TILE, |x, y| {
        let heat = fine.get_pixel(x, y).0[0].clamp(0.0, 1.0);
        let colour = colorous::TURBO.eval_continuous(heat.into()).as_array();
        // Cold places keep two thirds of their light, so that the drawing stays visible everywhere.
        let share = 0.35 + 0.3 * heat;
        let below = picture.get_pixel(x, y).0;
        Rgb(std::array::from_fn(|c| {
            (f32::from(below[c]) * (1.0 - share) + f32::from(colour[c]) * share).round() as u8
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_cut_at_the_end() {
        let lines = ["a red apple".to_owned(), "unbreakablelongword".to_owned(), "more".to_owned()];
        assert_eq!(wrapped(&lines, 5, 4), ["a red", "apple", "unbre", "more"]);
        assert_eq!(wrapped(&lines, 5, 2), ["a red", "apple"]);
    }

    #[test]
    fn a_sheet_has_room_for_every_tile_and_text_leaves_ink() {
        let tile =
            || Tile { picture: RgbImage::from_pixel(4, 4, Rgb([9, 9, 9])), lines: vec!["é🍎".into()] };
        let drawn = sheet("title", &[tile(), tile(), tile()], 2, 2);
        assert_eq!(drawn.width(), 2 * (TILE + MARGIN) + MARGIN);
        assert!(drawn.pixels().filter(|&&p| p == INK).count() > 100);
        assert_eq!(drawn.pixels().filter(|p| p.0 == [9, 9, 9]).count() as u32, 3 * TILE * TILE);
    }

    #[test]
    fn the_hottest_place_has_the_hottest_colour() {
        let white = RgbImage::from_pixel(8, 8, PAPER);
        let drawn = heat(&white, &[0.0, 0.0, 0.0, 2.0], 2);
        let (cold, hot) = (drawn.get_pixel(2, 2).0, drawn.get_pixel(TILE - 2, TILE - 2).0);
        let red = |pixel: [u8; 3]| i32::from(pixel[0]) - i32::from(pixel[2]);
        assert!(red(hot) > 60 && red(cold) < 20, "{cold:?} {hot:?}");
        // Nothing but zeros, or nothing that is a number, is cold everywhere.
        assert_eq!(
            heat(&white, &[f32::NAN; 4], 2).get_pixel(0, 0),
            heat(&white, &[0.0; 4], 2).get_pixel(0, 0)
        );
    }
}
