//! Weights in and out, safetensors only.
//!
//! * [`state`] — the whole pre-training state under the published names, both ways;
//! * [`training`] — the same with the optimizer and the step, to go on from;
//! * [`bert`] — a BERT from a Hugging Face `model.safetensors`;
//! * [`vit`] — a ViT or DeiT in timm's naming, with position interpolation;
//! * [`mod@file`] — reading and writing the files.
//!
//! Whatever does not fit is one error that lists every offender ([`Mismatch`]).
pub mod bert;
pub mod file;
mod mismatch;
pub mod state;
pub mod training;
pub mod vit;

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use file::{TensorFile, TensorInfo};
pub use mismatch::Mismatch;

/// What an import did besides loading.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Tensors of the model that were read.
    pub loaded: Vec<String>,
    /// Tensors of the model that the source lacks and may lack; they keep their initial values.
    pub initialised: Vec<String>,
    /// Tensors of the source that the model has no use for.
    pub ignored: Vec<String>,
}

/// A tensor of the model and the name that the source has for it.
struct Slot {
    source: String,
    model: String,
    target: Tensor,
    positions: Positions,
}

/// What happens to a position table of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// It is an error.
    Exact,
    /// It is interpolated.
    Interpolate,
}

impl Slot {
    /// Whether `info` fits, or why not.
    fn check(&self, info: &TensorInfo) -> Result<(), (String, String)> {
        let expected = self.target.size();
        let float = self.target.kind() == Kind::Float;
        if float != info.kind.is_some_and(is_float) {
            let expected = if float { "a float type" } else { "int64" };
            return Err((expected.to_owned(), info.dtype.clone()));
        }
        let resized = self.positions == Positions::Interpolate
            && square_grid(&info.shape).is_some()
            && info.shape.last() == expected.last();
        if info.shape == expected || resized {
            Ok(())
        } else {
            Err((format!("{expected:?}"), format!("{:?}", info.shape)))
        }
    }

    /// Reads the tensor into the model. `None` if a value is not finite.
    fn load(&mut self, file: &TensorFile) -> Result<Option<()>> {
        let mut value = file.read(&self.source)?;
        if self.target.kind() == Kind::Float {
            value = value.f_to_kind(Kind::Float)?;
            if value.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
                return Ok(None);
            }
        }
        if value.size() != self.target.size() {
            let tokens = self.target.size()[1] - 1;
            value = interpolate_positions(&value, tokens.isqrt())?;
        }
        tch::no_grad(|| self.target.f_copy_(&value))?;
        Ok(Some(()))
    }
}

fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Half | Kind::BFloat16 | Kind::Double)
}

/// Reads every slot, after checking all of them. `surplus` are names of the file that no slot and no rule explains.
fn load_slots(file: &TensorFile, mut slots: Vec<Slot>, surplus: Vec<String>) -> Result<Vec<String>> {
    let mut report = Mismatch::default();
    for slot in &slots {
        match file.info(&slot.source) {
            None => report.missing.push((slot.source.clone(), slot.target.size())),
            Some(info) => {
                if let Err((expected, found)) = slot.check(&info) {
                    report.wrong.push((slot.source.clone(), expected, found));
                }
            }
        }
    }
    for name in surplus {
        let shape = file.info(&name).map(|info| info.shape).unwrap_or_default();
        report.surplus.push((name, shape));
    }
    if !report.is_empty() {
        return Err(Error::Weights { source_name: file.name(), report });
    }
    for slot in &mut slots {
        if slot.load(file)?.is_none() {
            report.wrong.push((slot.source.clone(), "finite".into(), "not finite everywhere".into()));
        }
    }
    if !report.is_empty() {
        return Err(Error::Weights { source_name: file.name(), report });
    }
    Ok(slots.into_iter().map(|slot| slot.model).collect())
}

/// The side of the patch grid that a position table `[1, 1 + side², width]` belongs to.
fn square_grid(shape: &[i64]) -> Option<i64> {
    match *shape {
        [1, tokens, _] if tokens > 1 => {
            let side = (tokens - 1).isqrt();
            (side * side == tokens - 1).then_some(side)
        }
        _ => None,
    }
}

/// Resizes a position table `[1, 1 + a², width]` to `[1, 1 + grid², width]` as published: `[CLS]` stays, the patches'
/// positions are interpolated bicubically (a = −0.75, corners not aligned, no antialiasing).
pub fn interpolate_positions(positions: &Tensor, grid: i64) -> Result<Tensor> {
    let (shape, width) = (positions.size(), positions.size().last().copied().unwrap_or(0));
    let Some(side) = square_grid(&shape) else {
        return Err(Error::Input {
            what: "position table",
            expected: "[1, 1 + side², width]".into(),
            found: format!("{shape:?}"),
        });
    };
    if side == grid {
        return Ok(positions.shallow_clone());
    }
    let _guard = tch::no_grad_guard();
    let cls = positions.f_narrow(1, 0, 1)?;
    let patches = positions
        .f_narrow(1, 1, side * side)?
        .f_reshape([1, side, side, width])?
        .f_permute([0, 3, 1, 2])?
        .f_upsample_bicubic2d([grid, grid], false, None, None)?
        .f_permute([0, 2, 3, 1])?
        .f_flatten(1, 2)?;
    Ok(Tensor::f_cat(&[cls, patches], 1)?)
}
