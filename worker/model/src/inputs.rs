//! What the model accepts from outside: shapes, types and ranges, refused before libtorch would fail on them; and how
//! host tensors reach the device.
use std::ops::Range;

use tch::{Device, Tensor};

use crate::config::ModelConfig;
use crate::error::{Error, Result};

fn refuse<T>(what: &'static str, expected: String, found: String) -> Result<T> {
    Err(Error::Input { what, expected, found })
}

/// `image` must be floating point `[batch, 3, side, side]`. Returns the batch size.
pub(crate) fn images(image: &Tensor, config: &ModelConfig) -> Result<i64> {
    let size = image.size();
    let batch = size.first().copied().unwrap_or(0);
    let side = config.vision.image_res;
    if batch < 1 || size != [batch, 3, side, side] {
        return refuse("image", format!("[batch, 3, {side}, {side}]"), format!("{size:?}"));
    }
    if !image.is_floating_point() {
        return refuse("image", "normalised floating-point values".into(), format!("{:?}", image.kind()));
    }
    Ok(batch)
}

/// `ids` must be int64 `[batch, tokens]` with ids of the vocabulary, `attention_mask` of the same shape with 1 for text
/// and 0 for padding. Reads values, so on a GPU it waits.
pub(crate) fn texts(ids: &Tensor, attention_mask: &Tensor, config: &ModelConfig) -> Result<()> {
    let size = ids.size();
    let longest = config.text.max_positions;
    if size.len() != 2 || size[0] < 1 || !(1..=longest).contains(&size[1]) {
        return refuse("input_ids", format!("[batch, 1..={longest} tokens]"), format!("{size:?}"));
    }
    if attention_mask.size() != size {
        return refuse("attention_mask", format!("{size:?}"), format!("{:?}", attention_mask.size()));
    }
    within("input_ids", ids, 0..config.text.vocab)?;
    within("attention_mask", attention_mask, 0..2)
}

/// Every value of an int64 tensor must be in `range`.
pub(crate) fn within(what: &'static str, values: &Tensor, range: Range<i64>) -> Result<()> {
    if values.kind() != tch::Kind::Int64 {
        return refuse(what, "int64".into(), format!("{:?}", values.kind()));
    }
    let (low, high) = (values.f_min()?.f_int64_value(&[])?, values.f_max()?.f_int64_value(&[])?);
    if low < range.start || high >= range.end {
        let expected = format!("values from {} to {}", range.start, range.end - 1);
        return refuse(what, expected, format!("{low} to {high}"));
    }
    Ok(())
}

/// No value may be NaN or infinite. Reads one value, so on a GPU it waits.
pub(crate) fn finite(what: &'static str, values: &Tensor) -> Result<()> {
    if values.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
        return refuse(
            what,
            "finite numbers".into(),
            "NaN or infinity; are weights and images sound?".into(),
        );
    }
    Ok(())
}

/// A tensor of the host on `device`, without waiting for it: a copy from pageable memory would.
pub(crate) fn upload(host: &Tensor, device: Device) -> Result<Tensor> {
    if host.device() == device {
        return Ok(host.shallow_clone());
    }
    Ok(torch_ext::transfer::upload(host, device)?)
}
