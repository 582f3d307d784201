//! Errors by quantity, and whether they are within bounds.
use std::fmt;

use albef_model::Precision;
use tch::{Kind, Tensor};

/// The largest error of one kind of number.
#[derive(Debug)]
pub struct Quantity {
    /// What was compared.
    pub name: &'static str,
    /// The bound.
    pub limit: f64,
    /// The largest error.
    pub error: f64,
    /// The tensor that has it.
    pub worst: String,
    /// How many tensors were compared.
    pub compared: usize,
    /// Every tensor above the bound, with its error.
    pub broken: Vec<(String, f64)>,
}

/// All quantities of a case.
#[derive(Debug, Default)]
pub struct Report {
    quantities: Vec<Quantity>,
}

impl Report {
    /// Notes `error` of `tensor` under `name`; an error that is not a number breaks the bound.
    pub(super) fn add(&mut self, name: &'static str, limit: f64, tensor: impl Into<String>, error: f64) {
        let tensor = tensor.into();
        let at = match self.quantities.iter().position(|q| q.name == name) {
            Some(at) => at,
            None => {
                let worst = String::new();
                let broken = Vec::new();
                self.quantities.push(Quantity { name, limit, error: 0.0, worst, compared: 0, broken });
                self.quantities.len() - 1
            }
        };
        let quantity = &mut self.quantities[at];
        quantity.compared += 1;
        if quantity.compared == 1 || error.is_nan() || error > quantity.error {
            quantity.error = error;
            quantity.worst = tensor.clone();
        }
        if error.is_nan() || error > limit {
            quantity.broken.push((tensor, error));
        }
    }

    /// Whether every quantity is within its bound.
    pub fn is_ok(&self) -> bool {
        self.quantities.iter().all(|q| q.broken.is_empty())
    }

    /// The quantities, in the order in which they were first compared.
    pub fn quantities(&self) -> &[Quantity] {
        &self.quantities
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for q in &self.quantities {
            let Quantity { name, limit, error, worst, compared, .. } = q;
            let verdict = if q.broken.is_empty() { "ok" } else { "BROKEN" };
            writeln!(
                f,
                "{name:<18} largest error {error:.2e}  limit {limit:.0e}  {verdict:<6}  {compared} compared, worst {worst}"
            )?;
        }
        if self.is_ok() {
            return write!(f, "parity: ok");
        }
        let broken: Vec<String> = self
            .quantities
            .iter()
            .flat_map(|q| q.broken.iter().map(|(tensor, error)| format!("{tensor} ({error:.2e})")))
            .collect();
        write!(f, "parity: broken: {}", broken.join(", "))
    }
}

/// Bounds of a training case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) loss: f64,
    pub(super) gradient: f64,
    /// Whether the gradients of `temp` and of the match head are bounded. They are what is left when large terms cancel
    /// in a few numbers, which in reduced precision says nothing; then they are only shown.
    pub(super) cancelling_gradients: bool,
    pub(super) noise: f64,
    pub(super) features: f64,
    pub(super) twin: f64,
    /// Weights; in units of the learning rate times steps where rounding noise alone decides a step's sign.
    pub(super) weights: f64,
    pub(super) similarity: f64,
    pub(super) match_score: f64,
}

impl Limits {
    /// What each arithmetic can hold. float32: rounding. TF32 and bfloat16: their 10- and 7-bit mantissas, through a
    /// few layers; there AdamW turns the noise of small gradients into steps of the learning rate, so weights are
    /// bounded by the steps taken.
    pub(super) fn of(precision: Precision, moved: f64) -> Self {
        match precision {
            Precision::Fp32 => Self {
                loss: 1e-5,
                gradient: 1e-4,
                cancelling_gradients: true,
                noise: 1e-5,
                features: 1e-5,
                twin: 1e-5,
                weights: 1e-4,
                similarity: 1e-5,
                match_score: 1e-4,
            },
            Precision::Tf32 => Self {
                loss: 1e-2,
                gradient: 5e-2,
                cancelling_gradients: false,
                noise: 1e-3,
                features: 1e-2,
                twin: moved,
                weights: moved,
                similarity: 1e-2,
                match_score: 2e-2,
            },
            Precision::Bf16 => Self {
                loss: 5e-2,
                gradient: 3e-1,
                cancelling_gradients: false,
                noise: 1e-2,
                features: 5e-2,
                twin: moved,
                weights: moved,
                similarity: 5e-2,
                match_score: 1e-1,
            },
        }
    }
}

/// Largest absolute difference; infinite where shapes differ, zero for empty tensors.
pub(super) fn max_difference(found: &Tensor, expected: &Tensor) -> anyhow::Result<f64> {
    if found.size() != expected.size() {
        return Ok(f64::INFINITY);
    }
    if found.numel() == 0 {
        return Ok(0.0);
    }
    let found = found.f_detach()?.f_to(tch::Device::Cpu)?.f_to_kind(Kind::Double)?;
    let difference = found.f_sub(&expected.f_to_kind(Kind::Double)?)?.f_abs()?;
    Ok(difference.f_max()?.f_double_value(&[])?)
}

/// What of `‖found − expected‖` exceeds `floor`, over `‖expected‖`; infinite where shapes differ. Below a limit it says
/// `‖found − expected‖ ≤ floor + limit · ‖expected‖`.
pub(super) fn relative_difference(found: &Tensor, expected: &Tensor, floor: f64) -> anyhow::Result<f64> {
    if found.size() != expected.size() {
        return Ok(f64::INFINITY);
    }
    let found = found.f_detach()?.f_to(tch::Device::Cpu)?.f_to_kind(Kind::Double)?;
    let expected = expected.f_to_kind(Kind::Double)?;
    let difference = found.f_sub(&expected)?.f_norm()?.f_double_value(&[])?;
    if difference <= floor {
        return Ok(0.0);
    }
    Ok((difference - floor) / expected.f_norm()?.f_double_value(&[])?)
}
