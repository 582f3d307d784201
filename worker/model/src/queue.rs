//! The queues of past twin features that serve as further negatives.
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::params::seeded;

/// Image and text features, one column each, `[embed_dim, size]` float32, overwritten in a circle.
#[derive(Debug)]
pub struct FeatureQueue {
    image: Tensor,
    text: Tensor,
    pointer: i64,
}

impl FeatureQueue {
    /// Random unit columns, drawn from `seed`.
    pub fn new(embed_dim: i64, size: i64, device: Device, seed: i64) -> Result<Self> {
        let unit_columns = || -> Result<Tensor> {
            let x = Tensor::f_randn([embed_dim, size], (Kind::Float, Device::Cpu))?;
            let norm = x.f_norm_scalaropt_dim(2, [0], true)?.f_clamp_min(1e-12)?;
            Ok(x.f_div(&norm)?.f_to(device)?)
        };
        seeded(seed, || Ok(Self { image: unit_columns()?, text: unit_columns()?, pointer: 0 }))
    }

    /// Image features, `[embed_dim, size]`.
    pub fn image(&self) -> &Tensor {
        &self.image
    }

    /// Text features, `[embed_dim, size]`.
    pub fn text(&self) -> &Tensor {
        &self.text
    }

    /// The column that is written next.
    pub fn pointer(&self) -> i64 {
        self.pointer
    }

    /// Sets the column that is written next.
    pub fn set_pointer(&mut self, pointer: i64) -> Result<()> {
        let size = self.size();
        if !(0..size).contains(&pointer) {
            return Err(Error::Input {
                what: "queue_ptr",
                expected: format!("a column below the queue size {size}"),
                found: pointer.to_string(),
            });
        }
        self.pointer = pointer;
        Ok(())
    }

    /// Number of columns.
    pub fn size(&self) -> i64 {
        self.image.size()[1]
    }

    /// Overwrites the oldest columns with `image` and `text`, `[rows, embed_dim]` each, in row order. Any number of
    /// rows is accepted; of more than the queue holds, the last ones stay.
    pub fn enqueue(&mut self, image: &Tensor, text: &Tensor) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.check(image, text)?;
        let (size, rows) = (self.size(), image.size()[0]);
        // Rows that this very call would overwrite again need not be written.
        let mut row = (rows - size).max(0);
        while row < rows {
            let column = (self.pointer + row) % size;
            let run = (size - column).min(rows - row);
            for (queue, features) in [(&self.image, image), (&self.text, text)] {
                queue
                    .f_narrow(1, column, run)?
                    .f_copy_(&features.f_narrow(0, row, run)?.f_transpose(0, 1)?)?;
            }
            row += run;
        }
        self.pointer = (self.pointer + rows) % size;
        Ok(())
    }

    /// Whether [`enqueue`](Self::enqueue) would take these.
    pub(crate) fn check(&self, image: &Tensor, text: &Tensor) -> Result<()> {
        if image.size() != text.size() || image.size2()?.1 != self.image.size()[0] {
            return Err(Error::Input {
                what: "features to enqueue",
                expected: format!("[rows, {}] twice", self.image.size()[0]),
                found: format!("{:?} and {:?}", image.size(), text.size()),
            });
        }
        Ok(())
    }
}
