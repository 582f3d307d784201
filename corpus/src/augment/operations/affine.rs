//! Shear, translation and rotation: bilinear, with the fixed-point arithmetic of OpenCV's `warpAffine` before version 5.
//!
//! OpenCV inverts the map in double precision, rounds each term of a source coordinate to 1/1024 of a pixel, adds them
//! up, rounds to 1/32 of a pixel and weighs the four pixels around it by products of 32nds.
use super::FILL;

/// An affine map from source to target coordinates, `[[a, b, c], [d, e, f]]`.
#[derive(Debug, Clone, Copy)]
pub(in crate::augment) struct Map([[f64; 3]; 2]);

/// Buffers of [`warp`].
#[derive(Debug, Default)]
pub(in crate::augment) struct Lanes {
    /// The source image, see [`pack`].
    pixels: Vec<u64>,
    /// What each column of the target adds to the source coordinates.
    columns: Vec<[i32; 2]>,
}

const COEFFICIENT_BITS: u32 = 10;
const FRACTION_BITS: u32 = 5;
const FRACTION_MASK: i32 = (1 << FRACTION_BITS) - 1;

impl Map {
    // The published matrices of shear and translation are of single precision.

    pub(in crate::augment) fn shear_x(factor: f64) -> Self {
        Self([[1.0, single(factor), 0.0], [0.0, 1.0, 0.0]])
    }

    pub(in crate::augment) fn shear_y(factor: f64) -> Self {
        Self([[1.0, 0.0, 0.0], [single(factor), 1.0, 0.0]])
    }

    pub(in crate::augment) fn translate(left: f64, up: f64) -> Self {
        Self([[1.0, 0.0, -single(left)], [0.0, 1.0, -single(up)]])
    }

    pub(in crate::augment) fn rotate(degrees: f64, width: usize, height: usize) -> Self {
        let (sin, cos) = (degrees * std::f64::consts::PI / 180.0).sin_cos();
        let (x, y) = (width as f64 / 2.0, height as f64 / 2.0);
        Self([[cos, sin, (1.0 - cos) * x - sin * y], [-sin, cos, sin * x + (1.0 - cos) * y]])
    }

    /// From target to source coordinates; a map that has no inverse sends everything to one point.
    fn inverse(&self) -> Self {
        let [[a, b, c], [d, e, f]] = self.0;
        let determinant = a * e - b * d;
        let scale = if determinant == 0.0 { 0.0 } else { 1.0 / determinant };
        let (a, b, d, e) = (e * scale, -b * scale, -d * scale, a * scale);
        Self([[a, b, -a * c - b * f], [d, e, -d * c - e * f]])
    }
}

fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

/// In 1/1024 of a pixel. Coordinates farther than 2¹⁸ pixels away are as good as any other outside the image; held
/// there, the sum of two cannot overflow.
fn fixed(value: f64) -> i32 {
    const FARTHEST: f64 = (1 << 28) as f64;
    (value * f64::from(1 << COEFFICIENT_BITS)).round_ties_even().clamp(-FARTHEST, FARTHEST) as i32
}

/// Moves `[rows, width, 3]` from `source` into `target` by `map`.
pub(in crate::augment) fn warp(source: &[u8], target: &mut [u8], width: usize, map: &Map, lanes: &mut Lanes) {
    let stride = 3 * width.max(1);
    let height = source.len() / stride;
    let [[xx, xy, x0], [yx, yy, y0]] = map.inverse().0;
    lanes.columns.clear();
    lanes.columns.extend((0..width).map(|x| [fixed(xx * x as f64), fixed(yx * x as f64)]));
    if let Some((right, down)) = whole_shift(&lanes.columns, [xx, xy, x0], [yx, yy, y0]) {
        return shift(source, target, width, right, down);
    }
    lanes.pixels.clear();
    lanes.pixels.extend(source.as_chunks::<3>().0.iter().map(pack));
    let image = Image { pixels: &lanes.pixels, width, height };
    const HALF: i32 = 1 << (COEFFICIENT_BITS - FRACTION_BITS - 1);
    for (y, out) in target.chunks_exact_mut(stride).enumerate() {
        let row = [fixed(xy * y as f64 + x0) + HALF, fixed(yy * y as f64 + y0) + HALF];
        image.warp_row(&lanes.columns, row, out.as_chunks_mut::<3>().0);
    }
}

/// By how many whole pixels the map from target to source moves, if it does nothing else.
fn whole_shift(columns: &[[i32; 2]], x: [f64; 3], y: [f64; 3]) -> Option<(i64, i64)> {
    let whole = |v: f64| v.fract() == 0.0 && v.abs() < columns.len() as f64 + 65_536.0;
    (x[..2] == [1.0, 0.0] && y[..2] == [0.0, 1.0] && whole(x[2]) && whole(y[2]))
        .then_some((x[2] as i64, y[2] as i64))
}

/// Target pixel (x, y) is source pixel (x + `right`, y + `down`).
fn shift(source: &[u8], target: &mut [u8], width: usize, right: i64, down: i64) {
    let stride = 3 * width.max(1);
    let skipped = 3 * usize::try_from(right.unsigned_abs()).map_or(width, |n| n.min(width));
    for (y, out) in (0_i64..).zip(target.chunks_exact_mut(stride)) {
        let from = usize::try_from(y + down).ok().and_then(|y| source.chunks_exact(stride).nth(y));
        match from {
            None => out.fill(FILL),
            Some(from) if right >= 0 => {
                let (kept, empty) = out.split_at_mut(stride - skipped);
                kept.copy_from_slice(&from[skipped..]);
                empty.fill(FILL);
            }
            Some(from) => {
                let (empty, kept) = out.split_at_mut(skipped);
                kept.copy_from_slice(&from[..stride - skipped]);
                empty.fill(FILL);
            }
        }
    }
}

/// Bits of a lane: the sum of four weighted values (18 bits) fits, so that one multiplication serves three channels.
const LANE: u32 = 21;

fn pack(&[red, green, blue]: &[u8; 3]) -> u64 {
    u64::from(red) | u64::from(green) << LANE | u64::from(blue) << (2 * LANE)
}

/// Half of a unit of the result in every lane, and `FILL` in every lane.
const HALVES: u64 = (1 | 1 << LANE | 1 << (2 * LANE)) << (2 * FRACTION_BITS - 1);
const FILLED: u64 = (1 | 1 << LANE | 1 << (2 * LANE)) * FILL as u64;

/// The four pixels weighted by 32nds of a pixel. Differences may borrow across lanes; the sum is exact, since it is one
/// modulo 2⁶⁴ and every lane of it is in range.
#[inline]
fn blend(top: [u64; 2], bottom: [u64; 2], x: u64, y: u64) -> [u8; 3] {
    let across = |[left, right]: [u64; 2]| {
        (left << FRACTION_BITS).wrapping_add(right.wrapping_sub(left).wrapping_mul(x))
    };
    let (top, bottom) = (across(top), across(bottom));
    let sum = (top << FRACTION_BITS).wrapping_add(bottom.wrapping_sub(top).wrapping_mul(y)) + HALVES;
    [0, LANE, 2 * LANE].map(|lane| (sum >> (lane + 2 * FRACTION_BITS)) as u8)
}

/// A packed image.
struct Image<'a> {
    pixels: &'a [u64],
    width: usize,
    height: usize,
}

/// A source coordinate in 32nds of a pixel, split.
#[derive(Clone, Copy)]
struct Coordinate {
    whole: i32,
    fraction: u64,
}

#[inline]
fn coordinate(row: i32, column: i32) -> Coordinate {
    let rounded = (row + column) >> (COEFFICIENT_BITS - FRACTION_BITS);
    Coordinate { whole: rounded >> FRACTION_BITS, fraction: (rounded & FRACTION_MASK) as u64 }
}

impl Image<'_> {
    /// One row of the target: `row` plus the column's share is the source coordinate.
    fn warp_row(&self, columns: &[[i32; 2]], row: [i32; 2], out: &mut [[u8; 3]]) {
        let last = [self.width as i32 - 1, self.height as i32 - 1];
        let inside = |column: &[i32; 2]| {
            (0..2).all(|axis| (0..last[axis]).contains(&coordinate(row[axis], column[axis]).whole))
        };
        // Both coordinates grow or fall along the row, so the columns with four pixels inside are one stretch.
        let begin = columns.iter().position(inside).unwrap_or(columns.len());
        let end = columns.iter().rposition(inside).map_or(begin, |last| last + 1);
        let at = |column: &[i32; 2]| (coordinate(row[0], column[0]), coordinate(row[1], column[1]));
        for (column, out) in columns[begin..end].iter().zip(&mut out[begin..end]) {
            let (x, y) = at(column);
            *out = self.inner(x, y);
        }
        for outside in [0..begin, end..columns.len()] {
            for (column, out) in columns[outside.clone()].iter().zip(&mut out[outside]) {
                let (x, y) = at(column);
                *out = self.edge(x, y);
            }
        }
    }

    /// Four pixels that are all inside.
    #[inline]
    fn inner(&self, x: Coordinate, y: Coordinate) -> [u8; 3] {
        let at = y.whole as usize * self.width + x.whole as usize;
        let pair = |at: usize| self.pixels.get(at..).and_then(<[u64]>::first_chunk::<2>);
        match (pair(at), pair(at + self.width)) {
            (Some(&top), Some(&bottom)) => blend(top, bottom, x.fraction, y.fraction),
            _ => [FILL; 3],
        }
    }

    /// Four pixels of which some may be outside.
    fn edge(&self, x: Coordinate, y: Coordinate) -> [u8; 3] {
        let (width, height) = (self.width as i32, self.height as i32);
        if !(-1..width).contains(&x.whole) || !(-1..height).contains(&y.whole) {
            return [FILL; 3];
        }
        let pixel = |x: i32, y: i32| {
            let inside = (0..width).contains(&x) && (0..height).contains(&y);
            if inside { self.pixels[y as usize * self.width + x as usize] } else { FILLED }
        };
        let pair = |y: i32| [pixel(x.whole, y), pixel(x.whole + 1, y)];
        blend(pair(y.whole), pair(y.whole + 1), x.fraction, y.fraction)
    }
}
