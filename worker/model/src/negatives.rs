//! Hard negatives: for each text an image, and for each image a text, that look alike but do not belong together.
//!
//! A draw from `softmax(similarity)` without the diagonal is `argmax(similarity + Gumbel noise)` with −∞ on the
//! diagonal (the Gumbel-max trick). That takes no synchronisation with the device, and no probability can underflow,
//! however small the temperature.
use rand::Rng;
use tch::{Device, Tensor};

use crate::error::Result;
use crate::inputs;

/// Indices of the chosen partners, int64 `[batch]` each.
#[derive(Debug)]
pub struct Negatives {
    /// For each text, the index of an image.
    pub image_of_text: Tensor,
    /// For each image, the index of a text.
    pub text_of_image: Tensor,
}

impl Negatives {
    /// `sim_i2t` and `sim_t2i` are similarities over temperature within the batch, `[batch, batch]`, row by image and
    /// by text.
    pub fn draw(sim_i2t: &Tensor, sim_t2i: &Tensor, generator: &mut impl Rng) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let (batch, _) = sim_i2t.size2()?;
        let device = sim_i2t.device();
        let mut draw = |sim: &Tensor| -> Result<Tensor> {
            Ok(sim.f_add(&gumbel_off_diagonal(batch, device, generator)?)?.f_argmax(1, false)?)
        };
        Ok(Self { image_of_text: draw(sim_t2i)?, text_of_image: draw(sim_i2t)? })
    }
}

/// Standard Gumbel noise `[batch, batch]` with −∞ on the diagonal.
fn gumbel_off_diagonal(batch: i64, device: Device, generator: &mut impl Rng) -> Result<Tensor> {
    let n = batch as usize;
    let noise: Vec<f32> = (0..n * n)
        .map(|i| {
            if i % (n + 1) == 0 {
                return f32::NEG_INFINITY;
            }
            // In (0, 1]: the outer logarithm of 1 would be −∞, so keep away from it.
            let u = 1.0 - generator.random::<f64>();
            -(-(u.min(1.0 - 1e-16)).ln()).ln() as f32
        })
        .collect();
    inputs::upload(&Tensor::f_from_slice(&noise)?.f_view([batch, batch])?, device)
}
