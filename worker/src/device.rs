//! Naming and opening the device to compute on.
use std::str::FromStr;

use anyhow::{Context, bail};
use tch::Device;

/// `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", number)) if number.parse::<usize>().is_ok() => {
                Ok(Self::Cuda(number.parse().unwrap_or_default()))
            }
            _ => Err(format!("unknown device '{text}': use cpu, cuda or cuda:N")),
        }
    }
}

impl DeviceName {
    /// Makes the device ready. Call it before the first tensor: it also sets the heap up for training on the CPU.
    pub fn open(self) -> anyhow::Result<Device> {
        torch_ext::runtime::keep_heap()?;
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => {
                let count = torch_ext::runtime::load_cuda()
                    .context("no CUDA build of libtorch is installed; run `make setup CUDA=1`")?;
                if number >= count {
                    bail!("cuda:{number} does not exist: the driver reports {count} devices");
                }
                Ok(Device::Cuda(number))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_read_and_others_refused() {
        assert_eq!("cpu".parse(), Ok(DeviceName::Cpu));
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(DeviceName::Cuda(3)));
        for bad in ["", "gpu", "cuda:", "cuda:x", "cpu:0", "cuda:-1"] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad}");
        }
    }
}
