//! Named parameters: how modules declare them and how the rest of the crate walks over them.
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// How a parameter is first filled. Values follow the published initialisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// The same value everywhere.
    Constant(f64),
    /// Normal with the model's `init_std`.
    Normal,
    /// The same, redrawn outside two absolute units (timm's `trunc_normal_`).
    TruncatedNormal,
    /// Uniform in ±1/√fan_in: PyTorch's default for linear and convolution layers, weights and biases alike.
    FanIn(i64),
}

/// Runs `draw` with libtorch's default generator seeded, and nobody else of this crate drawing from it meanwhile: there
/// is one generator for the whole process.
pub(crate) fn seeded<T>(seed: i64, draw: impl FnOnce() -> T) -> T {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed);
    draw()
}

/// Parameters in order of declaration, by their published name.
#[derive(Debug, Default)]
pub struct ParamSet {
    names: Vec<String>,
    tensors: Vec<Tensor>,
    index: BTreeMap<String, usize>,
}

impl ParamSet {
    /// Names in order of declaration.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Tensors in order of declaration. They share storage with the modules that declared them.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The same, for operators that update in place.
    pub fn tensors_mut(&mut self) -> &mut [Tensor] {
        &mut self.tensors
    }

    /// Names with their tensors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.names.iter().map(String::as_str).zip(&self.tensors)
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.index.get(name).map(|&i| &self.tensors[i])
    }

    fn push(&mut self, name: String, tensor: &Tensor) {
        self.index.insert(name.clone(), self.tensors.len());
        self.names.push(name);
        self.tensors.push(tensor.shallow_clone());
    }
}

/// Where a module declares its parameters.
#[derive(Debug)]
pub struct Scope<'a> {
    set: &'a mut ParamSet,
    prefix: String,
    device: Device,
    trainable: bool,
    init_std: f64,
}

impl<'a> Scope<'a> {
    /// The root scope of `set`. Parameters require a gradient if `trainable`; normal ones are drawn with the standard
    /// deviation `init_std`.
    pub fn root(set: &'a mut ParamSet, device: Device, trainable: bool, init_std: f64) -> Self {
        Self { set, prefix: String::new(), device, trainable, init_std }
    }

    /// The scope `name` inside this one.
    pub fn sub(&mut self, name: impl std::fmt::Display) -> Scope<'_> {
        let prefix = format!("{}{name}.", self.prefix);
        let Self { device, trainable, init_std, .. } = *self;
        Scope { set: &mut *self.set, prefix, device, trainable, init_std }
    }

    /// Declares a float32 parameter and fills it from libtorch's default generator.
    pub fn param(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        // Drawn on the CPU whatever the device, so that a seed means the same weights everywhere.
        let options = (Kind::Float, Device::Cpu);
        let tensor = match init {
            Init::Constant(value) => Tensor::f_full(shape, value, options)?,
            Init::Normal => Tensor::f_randn(shape, options)?.f_mul_scalar_(self.init_std)?,
            Init::TruncatedNormal => {
                // The bounds are ±2 in absolute terms: at std 0.02 that is a hundred deviations, hence a clamp.
                Tensor::f_randn(shape, options)?.f_mul_scalar_(self.init_std)?.f_clamp_(-2.0, 2.0)?
            }
            Init::FanIn(fan_in) => {
                let bound = 1.0 / (fan_in as f64).sqrt();
                Tensor::f_empty(shape, options)?.f_uniform_(-bound, bound)?
            }
        };
        let tensor = tensor.f_to(self.device)?.f_set_requires_grad(self.trainable)?;
        self.set.push(format!("{}{name}", self.prefix), &tensor);
        Ok(tensor)
    }
}
