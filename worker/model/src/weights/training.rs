//! The whole state of a trainer, to go on from with the same bits.
//!
//! ```text
//! model.*                    the published state dict (see state)
//! optimizer.exp_avg.*        first moment of each trained parameter
//! optimizer.exp_avg_sq.*     second moment
//! trainer.step               the next step
//! trainer.updates            updates made, fewer than steps where steps were skipped
//! trainer.identity           seed and logical ranks
//! ```
use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::file::{self, TensorFile};
use super::{Positions, Slot, load_slots, state};
use crate::error::{Error, Result};
use crate::trainer::Trainer;

const MODEL: &str = "model.";
const COUNTERS: [&str; 3] = ["trainer.step", "trainer.updates", "trainer.identity"];

/// Every tensor of the state. Parameters and moments share storage with the trainer. A step must not be under way.
pub fn state_dict(trainer: &Trainer) -> Result<Vec<(String, Tensor)>> {
    if trainer.has_begun() {
        let state = "it has begun; save between steps".into();
        return Err(Error::Step { asked: trainer.step(), verb: "be saved", state });
    }
    let mut out: Vec<(String, Tensor)> = state::state_dict(trainer.model(), trainer.queue())?
        .into_iter()
        .map(|(name, tensor)| (format!("{MODEL}{name}"), tensor))
        .collect();
    for (name, first, second) in trainer.optimizer().moments() {
        out.push((first_moment(name), first.shallow_clone()));
        out.push((second_moment(name), second.shallow_clone()));
    }
    let updates = trainer.optimizer().updates();
    for (name, numbers) in
        COUNTERS.iter().zip([&[trainer.step()][..], &[updates], trainer.identity().as_slice()])
    {
        // A seed may use all 64 bits; what is stored are its bits.
        let numbers: Vec<i64> = numbers.iter().map(|&n| n as i64).collect();
        out.push(((*name).to_owned(), Tensor::f_from_slice(&numbers)?));
    }
    Ok(out)
}

/// Writes the state to `path`.
pub fn save(path: impl AsRef<Path>, trainer: &Trainer) -> Result<()> {
    file::write(path, &state_dict(trainer)?)
}

/// Reads the state from `path` into a trainer of the same configuration. On an error the trainer is partly overwritten
/// and must not be used.
pub fn load(path: impl AsRef<Path>, trainer: &mut Trainer) -> Result<()> {
    let file = TensorFile::open(path)?;
    let mut slots = Vec::new();
    for (name, first, second) in trainer.optimizer().moments() {
        slots.push(exact(first_moment(name), first));
        slots.push(exact(second_moment(name), second));
    }
    let counters = [1, 1, 2].map(|len| Tensor::zeros([len], (Kind::Int64, Device::Cpu)));
    slots.extend(COUNTERS.iter().zip(&counters).map(|(name, target)| exact((*name).to_owned(), target)));
    let known: Vec<&str> = slots.iter().map(|slot| slot.source.as_str()).collect();
    let surplus = file
        .names()
        .into_iter()
        .filter(|name| !name.starts_with(MODEL) && !known.contains(&name.as_str()))
        .collect();
    load_slots(&file, slots, surplus)?;

    let [step, updates, seed] =
        [(0, 0), (1, 0), (2, 0)].map(|(counter, at): (usize, i64)| number(&counters[counter], at));
    let (step, updates, found) = (step?, updates?, [seed?, number(&counters[2], 1)?]);
    let expected = trainer.identity();
    if found != expected {
        return Err(Error::Input {
            what: "seed and logical ranks of the saved state",
            expected: format!("{expected:?}, as configured"),
            found: format!("{found:?}"),
        });
    }
    if updates > step || step > i64::MAX as u64 {
        return Err(Error::Input {
            what: "step and updates of the saved state",
            expected: "no more updates than steps".into(),
            found: format!("{updates} updates in {step} steps"),
        });
    }
    let (model, queue) = trainer.state_mut();
    state::load_from(&file, MODEL, model, queue, Positions::Exact)?;
    trainer.go_on(step, updates);
    Ok(())
}

fn exact(source: String, target: &Tensor) -> Slot {
    Slot { model: source.clone(), source, target: target.shallow_clone(), positions: Positions::Exact }
}

fn number(counter: &Tensor, at: i64) -> Result<u64> {
    Ok(counter.f_int64_value(&[at])? as u64)
}

fn first_moment(name: &str) -> String {
    format!("optimizer.exp_avg.{name}")
}

fn second_moment(name: &str) -> String {
    format!("optimizer.exp_avg_sq.{name}")
}
