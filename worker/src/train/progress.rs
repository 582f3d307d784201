//! What a person sees of a run: a live bar on a terminal, a line now and then elsewhere.
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::record::StepRecord;

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// Weight of the newest step in the averages shown.
const NEWEST: f64 = 0.05;

/// Shows how a run goes, on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    steps: u64,
    shown: Option<Instant>,
    rate: Average,
    wait: Average,
    loss: Average,
}

#[derive(Debug, Default)]
struct Average(Option<f64>);

impl Average {
    fn add(&mut self, value: f64) -> f64 {
        // A step that is not a number must not be shown for ever.
        let before = self.0.filter(|mean| mean.is_finite()).unwrap_or(value);
        let mean = before + NEWEST * (value - before);
        self.0 = Some(mean);
        mean
    }
}

impl Progress {
    /// Of a run of `steps` that begins at `first`.
    pub(super) fn new(steps: u64, first: u64) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps).with_position(first);
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta} left\n{msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.reset_eta();
            bar
        });
        let average = Average::default;
        Self { bar, steps, shown: None, rate: average(), wait: average(), loss: average() }
    }

    /// Shows a step.
    pub(super) fn step(&mut self, record: &StepRecord) {
        let rate = self.rate.add(1.0 / record.seconds.max(1e-9));
        let images = rate * record.images_per_s * record.seconds;
        let (wait, loss) = (self.wait.add(record.data_wait), self.loss.add(record.loss.into()));
        let left = self.steps.saturating_sub(record.step + 1) as f64 / rate;
        let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
        let figures = format!(
            "loss {loss:.3} (i2t {:.2}, t2i {:.2}, itm {:.2}, mlm {:.2}, mlm distilled {:.2})  temp {:.3}  lr {:.1e}  {images:.0} images/s  waiting for data {:.0} %",
            record.loss_i2t,
            record.loss_t2i,
            record.loss_itm,
            record.loss_mlm,
            record.loss_mlm_distill,
            record.temp,
            record.lr,
            100.0 * wait,
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(record.step + 1);
                bar.set_message(figures);
            }
            None if self.shown.is_none_or(|shown| shown.elapsed() >= PAUSE)
                || record.step + 1 == self.steps =>
            {
                self.shown = Some(Instant::now());
                let left = indicatif::HumanDuration(left);
                eprintln!("step {}/{}  {figures}  {left} left", record.step + 1, self.steps);
            }
            None => {}
        }
    }

    /// Says something between steps.
    pub(super) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
