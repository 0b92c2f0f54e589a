//! The final WGSL text of a kernel: its file with `#import` lines replaced by the shared files they name.

use super::Kernel;

/// The files that kernels may import, by name.
const SHARED: [(&str, &str); 2] = [
    ("activation", include_str!("../../shaders/shared/activation.wgsl")),
    ("pool_sums", include_str!("../../shaders/shared/pool_sums.wgsl")),
];

/// The text that every backend compiles. An unknown import stays as it is, which no WGSL compiler accepts.
pub fn wgsl(kernel: Kernel) -> String {
    let mut text = String::new();
    for line in kernel.spec().source.lines() {
        let import = line.strip_prefix("#import ").and_then(|name| SHARED.iter().find(|(n, _)| *n == name.trim()));
        text.push_str(import.map_or(line, |(_, shared)| shared.trim_end()));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_import_is_resolved() {
        for kernel in Kernel::ALL {
            assert!(!wgsl(kernel).contains("#import"), "{kernel:?}");
        }
        assert!(wgsl(Kernel::ConvPointwise).contains("fn activate("));
    }
}
