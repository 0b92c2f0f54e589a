//! Well-known GPUs by the figures of their makers, for predictions. Nothing here was measured.

use super::roof::{MemoryRate, Roof};
use crate::kernels::roof::WORKGROUP;

/// Nanoseconds between two launches of which the second waits for the first. No data sheet says it: this is an assumption,
/// of the size that profilers show on desktop GPUs.
const LAUNCH: f64 = 3000.0;

/// A GPU as its maker describes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataSheet {
    /// The product.
    pub name: &'static str,
    /// f32 operations per second at boost clock; a multiply-add counts two.
    pub f32_flops: f64,
    /// Bytes per second of its memory; caches may be faster.
    pub bandwidth: f64,
    /// Lanes that each finish a multiply-add a cycle.
    pub lanes: u32,
    /// Where the figures are from.
    pub source: &'static str,
}

const fn sheet(name: &'static str, teraflops: f64, gigabytes: f64, lanes: u32, source: &'static str) -> DataSheet {
    DataSheet { name, f32_flops: teraflops * 1e12, bandwidth: gigabytes * 1e9, lanes, source }
}

/// From the slowest to the fastest.
pub const DATA_SHEETS: [DataSheet; 8] = [
    sheet(
        "Intel UHD Graphics 630",
        0.46,
        41.6,
        192,
        "Intel ARK, Core i7-8700: 24 units of 8 lanes at 1.2 GHz, DDR4-2666",
    ),
    sheet("Apple M1, 8 cores", 2.6, 68.3, 1024, "Apple, M1 announcement 2020; LPDDR4X-4266 on 128 bits"),
    sheet("Apple M2, 10 cores", 3.6, 100.0, 1280, "Apple, M2 announcement 2022"),
    sheet("NVIDIA T4", 8.1, 320.0, 2560, "NVIDIA, Turing T4 specifications 2018"),
    sheet(
        "NVIDIA GeForce RTX 3060",
        12.7,
        360.0,
        3584,
        "NVIDIA, GeForce RTX 3060 specifications: 1.78 GHz, 15 Gbit/s on 192 bits",
    ),
    sheet("AMD Radeon RX 7900 XTX", 61.4, 960.0, 12288, "AMD, Radeon RX 7900 XTX specifications: dual issue counted"),
    sheet("NVIDIA H200", 67.0, 4800.0, 16896, "NVIDIA, H200 Tensor Core GPU data sheet, SXM"),
    sheet("NVIDIA GeForce RTX 4090", 82.6, 1008.0, 16384, "NVIDIA, Ada GPU architecture white paper"),
];

impl DataSheet {
    /// The roof that the figures make. Kernels keep several sums an invocation, so one invocation fills a lane.
    pub fn roof(&self) -> Roof {
        Roof {
            f32_flops: self.f32_flops,
            f16_flops: None,
            memory: vec![MemoryRate { bytes: 0, copy: self.bandwidth, read: self.bandwidth }],
            empty_dispatch: LAUNCH,
            empty_submit: 0.0,
            workgroup_flops: Some(self.f32_flops * f64::from(WORKGROUP) / f64::from(self.lanes)),
            busy_with: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::cost_model::Work;

    #[test]
    fn sheets_are_in_order_and_plausible() {
        assert!(DATA_SHEETS.is_sorted_by(|a, b| a.f32_flops < b.f32_flops));
        for sheet in DATA_SHEETS {
            // Two operations a lane and cycle, at clocks that GPUs have.
            let clock = sheet.f32_flops / (2.0 * f64::from(sheet.lanes));
            assert!((1e9..3e9).contains(&clock), "{}: {clock}", sheet.name);
            assert!(!sheet.source.is_empty());
        }
    }

    #[test]
    fn a_sheets_roof_is_reached_by_as_many_invocations_as_lanes() {
        for sheet in DATA_SHEETS {
            let time = |invocations: u32| {
                let work = Work { flops: 1 << 40, invocations: invocations.into(), ..Work::default() };
                sheet.roof().predict(&work).arithmetic
            };
            let best = 1e9 * (1u64 << 40) as f64 / sheet.f32_flops;
            assert!((time(sheet.lanes) / best - 1.0).abs() < 1e-9 && (time(2 * sheet.lanes) / best - 1.0).abs() < 1e-9);
            assert!((time(sheet.lanes / 2) / best - 2.0).abs() < 1e-9, "{}", sheet.name);
        }
    }
}
