//! `albef corpus fetch`.
use std::path::Path;

use albef_corpus::fetch::{self, Collection, Step};

/// What can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum What {
    /// Ten sets of drawings with names, through npm (36 MB)
    Emoji,
    /// Drawings with titles, descriptions, keywords: noisy as the web is; Debian packages (156 MB)
    Openclipart,
    /// Pictures of a manual with alt texts, most of them boilerplate; a Debian package (50 MB)
    Gimphelp,
    /// Stamps of a drawing program, a sentence each; a Debian package (161 MB)
    Tuxpaint,
}

/// Fetches `what` into `dir` and says what is there now.
pub(crate) fn run(what: What, dir: &Path) -> anyhow::Result<String> {
    let collection = match what {
        What::Emoji => {
            fetch::packages(dir, fetch::EMOJI, |package, outcome| {
                eprintln!("{}: {outcome:?}", package.name);
            })?;
            return Ok(format!("{}: ready", dir.display()));
        }
        What::Openclipart => Collection::Openclipart,
        What::Gimphelp => Collection::Gimphelp,
        What::Tuxpaint => Collection::Tuxpaint,
    };
    let name = collection.name();
    let fetched = fetch::collection(dir, collection, |step| match step {
        Step::Present => eprintln!("{name}: there already"),
        Step::Download { package } => eprintln!("{package}: downloading"),
        Step::Unpack { release } => eprintln!("{} {}: unpacking", release.package, release.version),
        Step::Write => eprintln!("{name}: writing pictures and texts"),
    })?;
    let mut line = format!(
        "{}: ready, {} images with {} texts",
        dir.join(name).join("pairs.jsonl").display(),
        fetched.images,
        fetched.records
    );
    if fetched.left_out > 0 {
        line += &format!("; {} times a picture was named that is not there", fetched.left_out);
    }
    Ok(line)
}
