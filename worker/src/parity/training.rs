//! Training steps: losses, gradients, queues, twin and final weights.
use std::collections::BTreeSet;
use std::path::Path;

use albef_model::forward::{Choices, MicroBatch};
use albef_model::masking::Masked;
use albef_model::negatives::Negatives;
use albef_model::optim::OptimizerConfig;
use albef_model::trainer::{Reduction, TrainerConfig, Verdict};
use albef_model::weights::Positions;
use albef_model::weights::file::TensorFile;
use albef_model::weights::state;
use albef_model::{Precision, Trainer};
use anyhow::{Context, bail};
use serde::Deserialize;
use tch::{Device, Tensor};

use super::report::{Limits, Report, max_difference, relative_difference};
use super::settings::{self, Sizes};

/// Differences of gradients below this are equal: rounding of numbers that should be zero.
const GRADIENT_FLOOR: f64 = 1e-7;

#[derive(Debug, Deserialize)]
struct Case {
    world: u64,
    steps: u64,
    lr: f64,
    weight_decay: f64,
    #[serde(flatten)]
    sizes: Sizes,
}

/// A case's tensors, remembering which were asked for.
struct Golden {
    file: TensorFile,
    used: BTreeSet<String>,
}

impl Golden {
    fn get(&mut self, name: String) -> anyhow::Result<Tensor> {
        let tensor = self.file.read(&name)?;
        self.used.insert(name);
        Ok(tensor)
    }

    /// A tensor of one number.
    fn number(&mut self, name: String) -> anyhow::Result<f64> {
        let tensor = self.get(name.clone())?;
        if tensor.numel() != 1 {
            bail!("{}: {name} has shape {:?}: it must be one number", self.file.name(), tensor.size());
        }
        Ok(tensor.f_reshape([-1])?.f_double_value(&[0])?)
    }

    fn batch(&mut self, step: u64, rank: u64, device: Device) -> anyhow::Result<MicroBatch> {
        let mut get = |name: &str| self.get(format!("step{step}.rank{rank}.{name}"));
        Ok(MicroBatch {
            image: get("image")?.f_to(device)?,
            input_ids: get("input_ids")?,
            attention_mask: get("attention_mask")?,
            choices: Some(Choices {
                negatives: Negatives {
                    image_of_text: get("neg_image_idx")?,
                    text_of_image: get("neg_text_idx")?,
                },
                masked: Masked { input_ids: get("mlm_input_ids")?, labels: get("mlm_labels")? },
            }),
        })
    }
}

pub(super) fn run(dir: &Path, device: Device, precision: Precision) -> anyhow::Result<Report> {
    let path = dir.join("case.json");
    let case: Case = settings::read(&path)?;
    let mut golden = Golden { file: TensorFile::open(dir.join("case.safetensors"))?, used: BTreeSet::new() };
    let config = TrainerConfig {
        seed: 0,
        logical_ranks: case.world,
        precision,
        // Kept apart, because that is how several workers get the same bits.
        reduction: Reduction::Ordered,
        optimizer: OptimizerConfig { weight_decay: case.weight_decay, ..OptimizerConfig::default() },
    };
    let mut trainer = Trainer::new(&case.sizes.model(&path)?, device, config)
        .with_context(|| path.display().to_string())?;
    let (model, queue) = trainer.state_mut();
    state::load_from(&golden.file, "init.", model, queue, Positions::Exact)?;

    let mut report = Report::default();
    let moved = 2.0 * case.lr * case.steps as f64;
    let limits = Limits::of(precision, moved);
    for step in 0..case.steps {
        run_step(&case, &mut golden, &mut trainer, step, &limits, &mut report, device)?;
    }
    compare_final(&mut golden, &trainer, moved, &limits, &mut report)?;

    let unused = golden
        .file
        .names()
        .into_iter()
        .filter(|name| !name.starts_with("init.") && !golden.used.contains(name))
        .collect::<Vec<_>>();
    // A number that nothing was held against proves nothing.
    for name in unused {
        report.add("not compared", 0.0, name, f64::INFINITY);
    }
    Ok(report)
}

fn run_step(
    case: &Case,
    golden: &mut Golden,
    trainer: &mut Trainer,
    step: u64,
    limits: &Limits,
    report: &mut Report,
    device: Device,
) -> anyhow::Result<()> {
    let alpha = f64::from(golden.number(format!("step{step}.alpha"))? as f32);
    let batches =
        (0..case.world).map(|rank| golden.batch(step, rank, device)).collect::<anyhow::Result<Vec<_>>>()?;
    trainer.begin(step)?;
    for (rank, batch) in batches.iter().enumerate() {
        let place = || format!("{}: step{step}.rank{rank}", golden.file.name());
        batch.validate(trainer.model().config()).with_context(place)?;
    }
    let mut local = trainer.compute(step, 0, &batches, alpha, &mut |_| {})?;
    trainer.reduce_ordered(std::mem::take(&mut local.gradients))?;
    let norm = trainer.gradient_norm()?;
    let losses: Vec<&Tensor> = local.ranks.iter().map(|rank| &rank.losses).collect();
    for (rank, losses) in trainer.read(&losses, &norm)?.losses.into_iter().enumerate() {
        for (name, value) in
            [("loss_ita", losses.ita()), ("loss_itm", losses.itm), ("loss_mlm", losses.mlm_blend(alpha))]
        {
            let tensor = format!("step{step}.rank{rank}.{name}");
            let expected = golden.number(tensor.clone())?;
            report.add(name, limits.loss, tensor, (f64::from(value) - expected).abs());
        }
    }
    compare_gradients(golden, trainer, step, limits, report)?;
    trainer.commit(step, Verdict::Apply { ranks: &local.ranks, lr: case.lr, norm: Some(&norm) })?;

    let queue = trainer.queue();
    for (name, found) in [("image_queue", queue.image()), ("text_queue", queue.text())] {
        let tensor = format!("step{step}.{name}");
        let error = max_difference(found, &golden.get(tensor.clone())?)?;
        report.add("queue", limits.features, tensor, error);
    }
    let tensor = format!("step{step}.queue_ptr");
    let error = max_difference(&Tensor::f_from_slice(&[queue.pointer()])?, &golden.get(tensor.clone())?)?;
    report.add("queue pointer", 0.0, tensor, error);
    let tensor = format!("step{step}.temp");
    let error = max_difference(&trainer.model().temp, &golden.get(tensor.clone())?)?;
    report.add("temperature", limits.weights, tensor, error);
    Ok(())
}

fn compare_gradients(
    golden: &mut Golden,
    trainer: &Trainer,
    step: u64,
    limits: &Limits,
    report: &mut Report,
) -> anyhow::Result<()> {
    let gradients = trainer.gradients()?;
    for (name, gradient) in trainer.model().params().names().iter().zip(&gradients) {
        let tensor = format!("step{step}.grad.{name}");
        let expected = golden.get(tensor.clone())?;
        for part in parts(name, gradient, &expected)? {
            if part.noise {
                for part in [&part.found, &part.expected] {
                    let size = part.f_detach()?.f_norm()?.f_double_value(&[])?;
                    report.add("gradient noise", limits.noise, tensor.clone(), size);
                }
            } else if !limits.cancelling_gradients && (name == "temp" || name.starts_with("itm_head.")) {
                let error = relative_difference(&part.found, &part.expected, GRADIENT_FLOOR)?;
                report.add("gradient (shown)", f64::INFINITY, tensor.clone(), error);
            } else {
                let error = relative_difference(&part.found, &part.expected, GRADIENT_FLOOR)?;
                report.add("gradient", limits.gradient, tensor.clone(), error);
            }
        }
    }
    Ok(())
}

fn compare_final(
    golden: &mut Golden,
    trainer: &Trainer,
    moved: f64,
    limits: &Limits,
    report: &mut Report,
) -> anyhow::Result<()> {
    for (name, found) in state::state_dict(trainer.model(), trainer.queue())? {
        let tensor = format!("final.{name}");
        let expected = golden.get(tensor.clone())?;
        for part in parts(&name, &found, &expected)? {
            let error = max_difference(&part.found, &part.expected)?;
            let twin = name.contains("_m.");
            let (quantity, limit) = match name.as_str() {
                "queue_ptr" => ("queue pointer", 0.0),
                "image_queue" | "text_queue" => ("queue", limits.features),
                _ if part.noise => ("noise biases", moved),
                _ if twin => ("final twin", limits.twin),
                _ => ("final weights", limits.weights),
            };
            report.add(quantity, limit, tensor.clone(), error);
        }
    }
    Ok(())
}

/// A tensor, or the part of it that is compared by one rule.
struct Compared {
    found: Tensor,
    expected: Tensor,
    /// Whether its gradient is rounding noise: a bias of the keys shifts all scores of a query alike, which softmax
    /// ignores.
    noise: bool,
}

fn parts(name: &str, found: &Tensor, expected: &Tensor) -> anyhow::Result<Vec<Compared>> {
    let whole =
        |noise| vec![Compared { found: found.shallow_clone(), expected: expected.shallow_clone(), noise }];
    if name.ends_with(".key.bias") {
        return Ok(whole(true));
    }
    if !name.ends_with("attn.qkv.bias") || found.size() != expected.size() {
        return Ok(whole(false));
    }
    let third = found.size()[0] / 3;
    (0..3)
        .map(|i| {
            Ok(Compared {
                found: found.f_narrow(0, i * third, third)?,
                expected: expected.f_narrow(0, i * third, third)?,
                noise: i == 1,
            })
        })
        .collect()
}
