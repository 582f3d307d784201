//! Copies to a device. With a GPU at hand it is used; without one the same is asked of the CPU.
#![allow(clippy::unwrap_used, missing_docs)]

use tch::{Device, Kind, Tensor};
use torch_ext::runtime::load_cuda;
use torch_ext::transfer::upload;

#[test]
fn what_arrives_is_what_was_sent_though_the_sender_has_gone_on() {
    let device = if load_cuda().is_ok_and(|count| count > 0) { Device::Cuda(0) } else { Device::Cpu };
    for n in 0..32 {
        // Of several sizes, so that pinned blocks are given back and taken again.
        let host = Tensor::full([1 << (10 + n % 8), 3], n, (Kind::Uint8, Device::Cpu));
        let there = upload(&host, device).unwrap();
        // The sender's buffer is used for something else before anybody has waited for the copy.
        let mut host = host;
        if device != Device::Cpu {
            let _ = host.fill_(255);
        }
        drop(host);
        assert_eq!((there.device(), there.kind()), (device, Kind::Uint8));
        assert_eq!(there.eq(n).all().int64_value(&[]), 1, "{n}");
    }
}
