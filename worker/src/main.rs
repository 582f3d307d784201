//! The command `albef-worker`.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use albef_model::Precision;
use albef_worker::device::DeviceName;
use albef_worker::saved::SavedModel;
use albef_worker::{ask, bench, caption, line, load, parity, train, weights};
use anyhow::Context;
use clap::{Parser, Subcommand};

/// The ALBEF training worker.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare a golden case of the published implementation with this build: how to check a new GPU or driver.
    Parity {
        /// Folder with case.json + case.safetensors or retrieval.json + retrieval.safetensors.
        dir: PathBuf,
        /// cpu, cuda or cuda:N.
        #[arg(long, default_value = "cpu")]
        device: DeviceName,
        /// fp32, tf32 or bf16.
        #[arg(long, default_value = "fp32")]
        dtype: Precision,
    },
    /// Time training steps on random data; prints one JSON line.
    Bench {
        /// Name of a shipped configuration or path of a file.
        #[arg(long)]
        config: String,
        /// Samples a step.
        #[arg(long, value_parser = clap::value_parser!(i64).range(2..))]
        batch: i64,
        /// fp32, tf32 or bf16.
        #[arg(long, default_value = "fp32")]
        dtype: Precision,
        /// cpu, cuda or cuda:N.
        #[arg(long, default_value = "cpu")]
        device: DeviceName,
        /// Threads of the CPU.
        #[arg(long, default_value_t = 2.min(most_threads()), value_parser = threads)]
        threads: u16,
        /// Measured steps, after two to warm up.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
        steps: u16,
    },
    /// Time the loader of a job without its model: is the data fast enough? Prints one JSON line.
    Load {
        /// Name of a shipped configuration or path of a file.
        config: String,
        /// Measured steps, after two to warm up.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Samples that are decoded at once, instead of data.threads.
        #[arg(long, value_parser = threads)]
        threads: Option<u16>,
        /// KEY=VALUE, instead of the configuration's, as often as wanted: --set data.exact=true.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        replaced: Vec<String>,
        /// Where the tensors go: cpu, cuda or cuda:N.
        #[arg(long, default_value = "cpu")]
        device: DeviceName,
    },
    /// Train a job on this machine alone. Run again, it goes on where it stopped.
    Train {
        /// Name of a shipped configuration or path of a file.
        config: String,
        /// Folder of the run: configuration, metrics, state, model.
        #[arg(long)]
        out: PathBuf,
        /// KEY=VALUE, instead of the configuration's, as often as wanted: --set schedule.steps=1000.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        replaced: Vec<String>,
        /// Throw away a run that is in the folder.
        #[arg(long)]
        fresh: bool,
        /// cpu, cuda or cuda:N.
        #[arg(long, default_value = "cpu")]
        device: DeviceName,
        /// Threads of the CPU for arithmetic.
        #[arg(long, default_value_t = most_threads(), value_parser = threads)]
        threads: u16,
    },
    /// Retrieval figures of a trained model.
    Eval {
        /// Folder of a run.
        model: PathBuf,
        /// Folder or URL of a corpus.
        #[arg(long)]
        corpus: String,
        /// Candidates of each query that the match score ranks again; 0 does without.
        #[arg(long, default_value_t = 128)]
        rerank: u64,
        /// One JSON line instead of a table.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        how: How,
    },
    /// Find images that fit a text.
    Search {
        /// Folder of a run.
        model: PathBuf,
        /// The text.
        text: String,
        /// Folder or URL of a corpus.
        #[arg(long)]
        corpus: String,
        /// Images to show.
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1000))]
        top: u16,
        /// Of the most similar images so many are put in the order of their match scores.
        #[arg(long, default_value_t = 0)]
        rerank: usize,
        /// Contact sheet to write, PNG.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        how: How,
    },
    /// Show where each word of a text looks in an image: Grad-CAM of the match score.
    Explain {
        /// Folder of a run.
        model: PathBuf,
        /// JPEG, PNG, WebP, GIF or BMP.
        image: PathBuf,
        /// The text.
        text: String,
        /// Multimodal layer, counted from 0; by default the one below the middle.
        #[arg(long)]
        layer: Option<usize>,
        /// Heat maps to write, PNG.
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Show what the model sees of texts: one JSON string a line on standard input.
    Caption {
        /// Vocabulary, one token a line.
        #[arg(long)]
        vocab: PathBuf,
    },
    /// Make or check files of weights.
    #[command(subcommand)]
    Weights(WeightsCommand),
}

/// How a trained model is run.
#[derive(Debug, clap::Args)]
struct How {
    /// Images or texts that are encoded at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: u32,
    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    /// fp32, tf32 or bf16; by default as it was trained.
    #[arg(long)]
    dtype: Option<Precision>,
}

impl How {
    fn open(&self, model: &Path) -> anyhow::Result<SavedModel> {
        SavedModel::open(model, self.device.open()?)
    }

    fn batch(&self) -> usize {
        self.batch as usize
    }
}

#[derive(Debug, Subcommand)]
enum WeightsCommand {
    /// Write a job's initial state: random, with pre-trained encoders where given.
    Init {
        /// Name of a shipped configuration or path of a file.
        #[arg(long)]
        config: String,
        /// A BERT in Hugging Face's naming.
        #[arg(long)]
        bert: Option<PathBuf>,
        /// A ViT or DeiT in timm's naming.
        #[arg(long)]
        vit: Option<PathBuf>,
        /// Instead of the configuration's seed.
        #[arg(long)]
        seed: Option<u64>,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// Check that a file holds the whole state of a configuration.
    Check {
        /// Name of a shipped configuration or path of a file.
        #[arg(long)]
        config: String,
        /// The file.
        file: PathBuf,
    },
}

/// The exit code of whatever could not be done.
const REFUSED: u8 = 2;

/// Where every result goes.
const OUTPUT: &str = "cannot write to standard output";

/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// What a shell reports of a program that SIGPIPE ended.
const CLOSED_OUTPUT: u8 = 141;

/// What the machine has.
fn most_threads() -> u16 {
    std::thread::available_parallelism().map_or(1, |threads| u16::try_from(threads.get()).unwrap_or(u16::MAX))
}

/// Threads from 1 to what the machine has.
fn threads(text: &str) -> Result<u16, String> {
    let most = most_threads();
    match text.parse() {
        Ok(threads) if (1..=most).contains(&threads) => Ok(threads),
        _ => Err(format!("must lie between 1 and {most}, the threads of this machine")),
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) if !help.use_stderr() => help.exit(),
        Err(error) => {
            eprintln!("albef-worker: {}", line::of_usage(&error));
            return ExitCode::from(REFUSED);
        }
    };
    match run(cli.command) {
        Ok(code) => code,
        Err(error) if line::is_closed_output(&error) => ExitCode::from(CLOSED_OUTPUT),
        Err(error) => {
            eprintln!("albef-worker: {}", line::of_error(&error));
            ExitCode::from(REFUSED)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Parity { dir, device, dtype } => {
            let report = parity::run(&dir, device.open()?, dtype)?;
            writeln!(out, "{report}").context(OUTPUT)?;
            if !report.is_ok() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Bench { config, batch, dtype, device, threads, steps } => {
            let options = bench::Options {
                config,
                batch,
                precision: dtype,
                threads: threads.into(),
                steps: steps.into(),
            };
            let figures = bench::run(&options, device.open()?)?;
            writeln!(out, "{}", serde_json::to_string(&figures)?).context(OUTPUT)?;
        }
        Command::Load { config, steps, threads, replaced, device } => {
            let threads = threads.map(usize::from);
            let options = load::Options { config, replaced, steps: steps.into(), threads };
            let figures = load::run(&options, device.open()?)?;
            writeln!(out, "{}", serde_json::to_string(&figures)?).context(OUTPUT)?;
        }
        Command::Train { config, out, replaced, fresh, device, threads } => {
            let options = train::Options { config, replaced, out, fresh };
            return train(&options, device, threads);
        }
        Command::Eval { model, corpus, rerank, json, how } => {
            let report = ask::eval(&how.open(&model)?, &corpus, rerank, how.batch(), how.dtype)?;
            match json {
                true => writeln!(out, "{}", serde_json::to_string(&report)?).context(OUTPUT)?,
                false => writeln!(out, "{report}").context(OUTPUT)?,
            }
        }
        Command::Search { model, text, corpus, top, rerank, out: file, how } => {
            let (batch, dtype) = (how.batch(), how.dtype);
            let search = ask::Search { text, corpus, top: top.into(), rerank, batch, dtype };
            for (hit, rank) in ask::search(&how.open(&model)?, &search, file.as_deref())?.iter().zip(1..) {
                let score = hit.score.map_or(String::new(), |score| format!("  match {score:.3}"));
                let ask::Hit { similarity, key, caption, .. } = hit;
                writeln!(out, "{rank:3}  {similarity:.4}{score}  {key}  {caption}").context(OUTPUT)?;
            }
        }
        Command::Explain { model, image, text, layer, out: file, how } => {
            let saved = how.open(&model)?;
            let explained = ask::explain(&saved, &image, &text, layer, how.dtype, Some(&file))?;
            writeln!(out, "match {:.3}; {}: written", explained.match_score, file.display())
                .context(OUTPUT)?;
        }
        Command::Caption { vocab } => caption::run(&vocab, std::io::stdin().lock(), out)?,
        Command::Weights(WeightsCommand::Init { config, bert, vit, seed, out: file }) => {
            for line in weights::init(&config, seed, bert.as_deref(), vit.as_deref(), &file)? {
                writeln!(out, "{line}").context(OUTPUT)?;
            }
        }
        Command::Weights(WeightsCommand::Check { config, file }) => {
            writeln!(out, "{}", weights::check(&config, &file)?).context(OUTPUT)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Trains until the end, or until the first Ctrl-C or SIGTERM; the second ends the program at once.
fn train(options: &train::Options, device: DeviceName, threads: u16) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
        eprintln!("albef-worker: stopping after this step; once more to stop at once");
    })
    .context("signals cannot be handled")?;
    let device = device.open()?;
    tch::set_num_threads(threads.into());
    match train::run(options, device, &stop)? {
        train::Ending::Finished => Ok(ExitCode::SUCCESS),
        train::Ending::Stopped(step) => {
            eprintln!("albef-worker: stopped and saved after step {step}; the same command goes on");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}
