//! The final WGSL text of a kernel: its file with `#import` lines replaced by the shared files they name and `#repeat` blocks
//! written out.
//!
//! Lines from `#repeat NAME = A B C` (or `= 0..4`, whose end may be a `const` of the text) to `#end` stand once for each word,
//! with `$NAME` replaced by it. Registers need it: an array that a loop indexes lies in memory wherever a driver does not
//! unroll the loop itself.

use super::{Access, Kernel, Precision, Subgroups};

/// The files that kernels may import, by name. `storage` is one of two, behind `WORDS`.
const SHARED: [(&str, &str); 41] = [
    ("activation", include_str!("../../shaders/shared/activation.wgsl")),
    ("assembled", ASSEMBLED),
    ("assembly_room", include_str!("../../shaders/shared/assembly_room.wgsl")),
    ("controller", include_str!("../../shaders/shared/controller.wgsl")),
    ("controller_assemble", include_str!("../../shaders/shared/controller_assemble.wgsl")),
    ("dense", include_str!("../../shaders/shared/dense.wgsl")),
    ("dense_plain", include_str!("../../shaders/shared/dense_plain.wgsl")),
    ("expand_depthwise", include_str!("../../shaders/shared/expand_depthwise.wgsl")),
    ("expand_depthwise_plain", include_str!("../../shaders/shared/expand_depthwise_plain.wgsl")),
    ("head_share", include_str!("../../shaders/shared/head_share.wgsl")),
    ("lane_sums", include_str!("../../shaders/shared/lane_sums.wgsl")),
    ("latent_tiles", include_str!("../../shaders/shared/latent_tiles.wgsl")),
    ("load_inputs", include_str!("../../shaders/shared/load_inputs.wgsl")),
    ("loaded_tile", include_str!("../../shaders/shared/loaded_tile.wgsl")),
    ("low_rank", include_str!("../../shaders/shared/low_rank.wgsl")),
    ("multiply_p", include_str!("../../shaders/shared/multiply_p.wgsl")),
    ("own_assembled", OWN_ASSEMBLED),
    ("own_slot", include_str!("../../shaders/shared/own_slot.wgsl")),
    ("panels", include_str!("../../shaders/shared/panels.wgsl")),
    ("plain_assembly", include_str!("../../shaders/shared/plain_assembly.wgsl")),
    ("pointwise", include_str!("../../shaders/shared/pointwise.wgsl")),
    ("pointwise_epilogue", include_str!("../../shaders/shared/pointwise_epilogue.wgsl")),
    ("pointwise_plain", include_str!("../../shaders/shared/pointwise_plain.wgsl")),
    ("pointwise_product", include_str!("../../shaders/shared/pointwise_product.wgsl")),
    ("pool_sums", include_str!("../../shaders/shared/pool_sums.wgsl")),
    ("quad_assembly", include_str!("../../shaders/shared/quad_assembly.wgsl")),
    ("quad_order", include_str!("../../shaders/shared/quad_order.wgsl")),
    ("quad_product", include_str!("../../shaders/shared/quad_product.wgsl")),
    ("quad_slot", include_str!("../../shaders/shared/quad_slot.wgsl")),
    ("scratch_room", include_str!("../../shaders/shared/scratch_room.wgsl")),
    ("shared_factors", include_str!("../../shaders/shared/shared_factors.wgsl")),
    ("shared_slot", include_str!("../../shaders/shared/shared_slot.wgsl")),
    ("subgroup_assembly", include_str!("../../shaders/shared/subgroup_assembly.wgsl")),
    ("subgroup_product", include_str!("../../shaders/shared/subgroup_product.wgsl")),
    ("subgroup_slot", include_str!("../../shaders/shared/subgroup_slot.wgsl")),
    ("tile", include_str!("../../shaders/shared/tile.wgsl")),
    ("tile_order", include_str!("../../shaders/shared/tile_order.wgsl")),
    ("weight_factors", include_str!("../../shaders/shared/weight_factors.wgsl")),
    ("weights", WEIGHTS),
    ("workgroup_heads", include_str!("../../shaders/shared/workgroup_heads.wgsl")),
    ("workgroup_vectors", include_str!("../../shaders/shared/workgroup_vectors.wgsl")),
];

const STORAGE_F32: &str = include_str!("../../shaders/shared/storage_f32.wgsl");
const STORAGE_F16: &str = include_str!("../../shaders/shared/storage_f16.wgsl");

const STORAGE_F16_PAIRS: &str = include_str!("../../shaders/shared/storage_f16_pairs.wgsl");

const WORDS: &str = include_str!("../../shaders/shared/words.wgsl");
const WORDS_PAIRS: &str = include_str!("../../shaders/shared/words_pairs.wgsl");

const WEIGHTS: &str = include_str!("../../shaders/shared/weights.wgsl");
const ASSEMBLED: &str = include_str!("../../shaders/shared/assembled.wgsl");
const OWN_ASSEMBLED: &str = include_str!("../../shaders/shared/own_assembled.wgsl");

/// What stands in place of `weights` where they are textures, stored ones or sampled ones.
const WEIGHTS_F32_TEXELS: &str = include_str!("../../shaders/shared/weights_f32_texels.wgsl");
const WEIGHTS_F16_TEXELS: &str = include_str!("../../shaders/shared/weights_f16_texels.wgsl");
const WEIGHTS_F32_SAMPLED: &str = include_str!("../../shaders/shared/weights_f32_sampled.wgsl");
const WEIGHTS_F16_SAMPLED: &str = include_str!("../../shaders/shared/weights_f16_sampled.wgsl");

/// What stands in place of `assembled` there.
const ASSEMBLED_F32_TEXELS: &str = include_str!("../../shaders/shared/assembled_f32_texels.wgsl");
const ASSEMBLED_F16_TEXELS: &str = include_str!("../../shaders/shared/assembled_f16_texels.wgsl");
const ASSEMBLED_F32_SAMPLED: &str = include_str!("../../shaders/shared/assembled_f32_layers.wgsl");
const ASSEMBLED_F16_SAMPLED: &str = include_str!("../../shaders/shared/assembled_f16_layers.wgsl");

/// What stands in place of `own_assembled` there, in every precision.
const OWN_TEXELS: &str = include_str!("../../shaders/shared/own_assembled_texels.wgsl");
const OWN_SAMPLED: &str = include_str!("../../shaders/shared/own_assembled_layers.wgsl");

/// The binding of the sampler through which sampled textures of single precision are loaded.
pub const SAMPLER: u32 = 16;

/// Whether weights of this precision, bound so, are loaded through that sampler.
pub fn through_sampler(access: Access, precision: Precision, texels: Texels) -> bool {
    (access, precision, texels) == (Access::Read, Precision::F32, Texels::Sampled)
}

/// How a text loads what it has in textures, each of whose texels is a vec4. They lie line after line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Texels {
    /// From storage textures, whose lines are rows: the faster ones on lavapipe, by a tenth for whole networks.
    Stored,
    /// From sampled textures, which browsers have too: the faster ones on SwiftShader. Their lines are layers of one row, so that
    /// texts know the width and the height by which a sampler's coordinates are divided.
    Sampled,
}

impl Texels {
    /// Texels of a line.
    pub const fn line(self) -> u32 {
        match self {
            Self::Stored => 1024,
            Self::Sampled => 4096,
        }
    }
}

/// A text whose weights, static and assembled, are textures, for software on which buffers are slower to load.
pub fn in_texels(text: &str, precision: Precision, texels: Texels) -> String {
    let (weights, assembled) = match (texels, precision) {
        (Texels::Stored, Precision::F32) => (WEIGHTS_F32_TEXELS, ASSEMBLED_F32_TEXELS),
        (Texels::Stored, Precision::F16) => (WEIGHTS_F16_TEXELS, ASSEMBLED_F16_TEXELS),
        (Texels::Sampled, Precision::F32) => (WEIGHTS_F32_SAMPLED, ASSEMBLED_F32_SAMPLED),
        (Texels::Sampled, Precision::F16) => (WEIGHTS_F16_SAMPLED, ASSEMBLED_F16_SAMPLED),
    };
    let own = match texels {
        Texels::Stored => OWN_TEXELS,
        Texels::Sampled => OWN_SAMPLED,
    };
    let text = text.replacen(WEIGHTS.trim_end(), weights.trim_end(), 1);
    let text = text.replacen(ASSEMBLED.trim_end(), assembled.trim_end(), 1);
    text.replacen(OWN_ASSEMBLED.trim_end(), own.trim_end(), 1)
}

/// How many bindings of a text are textures.
pub fn textures(text: &str) -> usize {
    text.matches("texture_storage_2d").count() + text.matches("texture_2d").count()
}

/// How a text loads weights from textures, where it has any.
pub fn texels_of(text: &str) -> Option<Texels> {
    let texels =
        if text.contains("_2d_array<") || text.contains("texture_2d") { Texels::Sampled } else { Texels::Stored };
    (textures(text) > 0).then_some(texels)
}

/// A text that loads and stores the same values in words of 64 bits: half as many, for software on which their number costs more than
/// their size. WGSL has no such words, but naga has, where a device has them.
pub fn in_pairs(text: &str) -> String {
    let text = text.replacen(WORDS.trim_end(), WORDS_PAIRS.trim_end(), 1);
    text.replacen(STORAGE_F16.trim_end(), STORAGE_F16_PAIRS.trim_end(), 1)
}

/// A kernel's text as browsers want it: WGSL has subgroups only where it says so, in a line that naga 30 refuses.
pub fn in_browser(kernel: Kernel, text: String) -> String {
    match kernel.spec().subgroups {
        Subgroups::None => text,
        _ => format!("enable subgroups;\n{text}"),
    }
}

/// Whether a binding of this name holds weights, static or assembled.
pub fn holds_weights(binding: &str) -> bool {
    ["weights", "assembled"].contains(&binding)
}

/// The text that every backend compiles for launches of a precision. What cannot be resolved stays as it is, which no WGSL
/// compiler accepts.
pub fn wgsl(kernel: Kernel, precision: Precision) -> String {
    let imported = import(&import(kernel.spec().source, precision), precision);
    let lines: Vec<&str> = imported.lines().collect();
    let mut text = String::new();
    write_out(&lines, &imported, &[], &mut text);
    text
}

/// Replaces the imports of a text; those of the shared files themselves are left.
fn import(text: &str, precision: Precision) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let texts = match line.strip_prefix("#import ").map(str::trim) {
            Some("storage") if precision == Precision::F16 => [WORDS, STORAGE_F16].as_slice(),
            Some("storage") => &[WORDS, STORAGE_F32],
            name => {
                let shared = SHARED.iter().find(|(known, _)| Some(*known) == name);
                std::slice::from_ref(shared.map_or(&line, |(_, text)| text))
            }
        };
        for text in texts {
            out.push_str(text.trim_end());
            out.push('\n');
        }
    }
    out
}

/// Writes lines with the names known so far replaced, and blocks once for each of their words.
fn write_out(mut lines: &[&str], whole: &str, names: &[(&str, String)], text: &mut String) {
    while let [line, rest @ ..] = lines {
        lines = rest;
        let Some((name, words)) = line.trim().strip_prefix("#repeat ").and_then(|repeat| repeat.split_once(" = "))
        else {
            text.push_str(
                &names.iter().fold(line.to_string(), |line, (name, word)| line.replace(&format!("${name}"), word)),
            );
            text.push('\n');
            continue;
        };
        let (block, after) = rest.split_at(end_of_block(rest));
        for word in words_of(words, whole) {
            write_out(block, whole, &[names, &[(name, word)]].concat(), text);
        }
        lines = after.get(1..).unwrap_or(&[]);
    }
}

/// The index of the `#end` that closes the block whose first line is the first here.
fn end_of_block(lines: &[&str]) -> usize {
    let mut depth = 1;
    let closes = |line: &&str| {
        depth += i32::from(line.trim().starts_with("#repeat ")) - i32::from(line.trim() == "#end");
        depth == 0
    };
    lines.iter().position(closes).unwrap_or(lines.len())
}

fn words_of(words: &str, whole: &str) -> Vec<String> {
    let Some((first, end)) = words.split_once("..") else {
        return words.split_whitespace().map(String::from).collect();
    };
    let constant =
        whole.lines().find_map(|line| line.strip_prefix(&format!("const {end}: u32 = "))?.strip_suffix("u;"));
    let number = |text: &str| text.trim().parse::<u32>().unwrap_or(0);
    (number(first)..number(constant.unwrap_or(end))).map(|n| n.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directive_is_resolved() {
        for (kernel, precision) in Kernel::ALL.into_iter().flat_map(|kernel| Precision::ALL.map(|it| (kernel, it))) {
            let text = wgsl(kernel, precision);
            assert_eq!(texels_of(&text), None, "{kernel:?}");
            assert!(!text.contains('#') && !text.contains('$'), "{kernel:?} {precision:?}");
            assert_eq!(text.contains("Stored>"), !kernel.spec().stored.is_empty(), "{kernel:?}");
        }
        assert!(wgsl(Kernel::ConvPointwise, Precision::F32).contains("fn activate("));
    }

    #[test]
    fn all_that_is_stored_may_be_loaded_in_pairs() {
        for (kernel, precision) in Kernel::ALL.into_iter().flat_map(|kernel| Precision::ALL.map(|it| (kernel, it))) {
            let text = in_pairs(&wgsl(kernel, precision));
            assert_eq!(text.contains("u64"), !kernel.spec().stored.is_empty(), "{kernel:?} {precision:?}");
            assert!(!text.contains("Words = vec4"), "{kernel:?} {precision:?}");
        }
    }

    #[test]
    fn all_weights_may_be_textures() {
        for (kernel, precision) in Kernel::ALL.into_iter().flat_map(|kernel| Precision::ALL.map(|it| (kernel, it))) {
            let weights = kernel.spec().bindings.iter().filter(|(name, _)| holds_weights(name)).count();
            for texels in [Texels::Stored, Texels::Sampled] {
                let text = in_texels(&wgsl(kernel, precision), precision, texels);
                assert_eq!(textures(&text), weights, "{kernel:?} {precision:?} {texels:?}");
                let loads =
                    kernel.spec().bindings.iter().any(|(name, access)| holds_weights(name) && *access == Access::Read);
                assert_eq!(texels_of(&text), loads.then_some(texels), "{kernel:?} {precision:?}");
                let line = match texels {
                    Texels::Stored => format!("at / {}u", texels.line()),
                    Texels::Sampled => format!("at >> {}u", texels.line().ilog2()),
                };
                let places = text.matches(&line).count();
                assert_eq!(places, weights, "{kernel:?} {precision:?} {texels:?}");
            }
        }
    }

    #[test]
    fn blocks_are_written_once_for_each_word() {
        let source = "const N: u32 = 2u;\n#repeat p = 0..N\n#repeat c = x y\na$p += b.$c;\n#end\n;\n#end\nend";
        let mut text = String::new();
        write_out(&source.lines().collect::<Vec<_>>(), source, &[], &mut text);
        assert_eq!(text, "const N: u32 = 2u;\na0 += b.x;\na0 += b.y;\n;\na1 += b.x;\na1 += b.y;\n;\nend\n");
    }
}
