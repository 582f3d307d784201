//! The command `albef-worker`.
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use albef_model::Precision;
use albef_worker::device::DeviceName;
use albef_worker::{bench, caption, parity, weights};
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
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
        threads: u16,
        /// Measured steps, after two to warm up.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
        steps: u16,
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

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // Causes belong to the same line: "what: why".
            eprintln!("albef-worker: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Parity { dir, device, dtype } => {
            let report = parity::run(&dir, device.open()?, dtype)?;
            writeln!(out, "{report}")?;
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
            writeln!(out, "{}", serde_json::to_string(&figures)?)?;
        }
        Command::Caption { vocab } => caption::run(&vocab, std::io::stdin().lock(), out)?,
        Command::Weights(WeightsCommand::Init { config, bert, vit, seed, out: file }) => {
            for line in weights::init(&config, seed, bert.as_deref(), vit.as_deref(), &file)? {
                writeln!(out, "{line}")?;
            }
        }
        Command::Weights(WeightsCommand::Check { config, file }) => {
            writeln!(out, "{}", weights::check(&config, &file)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
