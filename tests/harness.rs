//! The suite can fail: for each kernel deliberate faults, which the suite's own comparison must report.
//!
//! A table of faults for each kernel, all read by the same few lines: long, but one list.

mod common;

use common::cases::{convolution, dynamic, vector};
use common::suite::{BATCH, Case, Runtime, failures, plan, poisoned};
use dynaconv::exec::cpu::CpuExecutor;
use dynaconv::plan::{Memory, View};

/// Cases with this entry point.
fn cases_of(cases: fn() -> Vec<Case>, entry: &str) -> Vec<Case> {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.dispatch.entry == entry).collect();
    assert!(!cases.is_empty(), "no case has the entry point {entry}");
    cases
}

/// Faults in the WGSL that a device compiles.
#[cfg(feature = "gpu")]
mod shader_faults {
    use std::collections::BTreeSet;

    use super::{BATCH, Case, cases_of, convolution, dynamic, failures, plan, vector};
    use crate::common::cases::{conv_dynamic, roof};
    use crate::common::suite::gpu;
    use dynaconv::kernels::{Kernel, Precision, Texels, in_pairs, in_texels, wgsl};

    /// What is wrong, in which entry point it must show, and the text that makes it wrong.
    type Fault = (&'static str, &'static str, &'static str, &'static str);

    fn must_be_caught(kernel: Kernel, cases: fn() -> Vec<Case>, faults: &[Fault]) {
        must_be_caught_stored_as(Precision::F32, kernel, cases, faults);
    }

    fn must_be_caught_stored_as(precision: Precision, kernel: Kernel, cases: fn() -> Vec<Case>, faults: &[Fault]) {
        must_be_caught_in(&wgsl(kernel, precision), precision, kernel, cases, faults);
    }

    fn must_be_caught_in(text: &str, precision: Precision, kernel: Kernel, cases: fn() -> Vec<Case>, faults: &[Fault]) {
        let gpu = gpu::open();
        let stem = kernel.spec().stem;
        let fails = |text: &str, cases: &[Case]| {
            let plan = plan(cases);
            let mut executor = gpu::executor(&gpu, plan.clone(), &|_, _| text.to_string());
            !failures(cases, &plan, &mut executor, BATCH).is_empty()
        };
        // What was run with the right text.
        let mut sound = BTreeSet::new();
        for (what, entry, right, wrong) in faults {
            assert!(text.contains(right), "{stem}: the text of `{what}` is out of date: {right}");
            let faulty = text.replacen(right, wrong, 1);
            // The first few cases show most faults; compiling pipelines for all would take long.
            let cases: Vec<Case> = cases_of(cases, entry).into_iter().map(|case| case.stored_as(precision)).collect();
            let caught = cases.chunks(3).enumerate().find(|(_, cases)| fails(&faulty, cases));
            let (chunk, cases) = caught.unwrap_or_else(|| panic!("{stem}: `{what}` was not caught"));
            if sound.insert((entry, chunk)) {
                assert!(!fails(text, cases), "{stem}: `{what}` is not what is wrong");
            }
        }
    }

    /// The preparation's are in `tests/preparation.rs`.
    #[test]
    fn every_entry_point_has_a_fault() {
        let tests = include_str!("harness.rs");
        for spec in Kernel::ALL.into_iter().filter(|kernel| *kernel != Kernel::Resize).map(Kernel::spec) {
            let (_, test) = tests.split_once(&format!("fn {}() {{", spec.stem)).expect(spec.stem);
            let (test, _) = test.split_once("#[test]").expect("another test comes last");
            for (entry, _) in spec.entries {
                assert!(test.contains(&format!("\"{entry}\",")), "no fault of `{}` is in `{entry}`", spec.stem);
            }
        }
    }

    /// Of all devices lavapipe alone is given texts in pairs, where its subgroups have eight invocations.
    #[test]
    fn stored_in_pairs() {
        let gpu = gpu::open();
        let is_fast = gpu.info().name.starts_with("llvmpipe") && gpu.limits().subgroup.is_some();
        assert_eq!(gpu.loads_pairs(), is_fast, "{}", gpu.info());
        if !gpu.loads_pairs() {
            return;
        }
        let faults: [(Precision, &[Fault]); 2] = [
            (
                Precision::F32,
                &[
                    ("swapped when stored", "plain", "u64(bits.x) | u64(bits.y)", "u64(bits.y) | u64(bits.x)"),
                    (
                        "swapped when loaded",
                        "plain",
                        "u32(words.y), u32(words.y >> 32u)",
                        "u32(words.y >> 32u), u32(words.y)",
                    ),
                ],
            ),
            (
                Precision::F16,
                &[
                    ("swapped when stored", "plain", "own.x | own.y << 16u", "own.y | own.x << 16u"),
                    ("cut when stored", "plain", "vec4<u32>(0xc8000fffu)", "vec4<u32>(0xc8000000u)"),
                    ("the sign lost", "plain", "let rounded = sign | select", "let rounded = select"),
                    ("half a word lost", "plain", "unpack2x16float(u32(value >> 32u))", "unpack2x16float(u32(value))"),
                ],
            ),
        ];
        let kernel = Kernel::ConvDepthwise;
        for (precision, faults) in faults {
            let text = in_pairs(&wgsl(kernel, precision));
            must_be_caught_in(&text, precision, kernel, convolution::depthwise, faults);
        }
    }

    /// Of all devices lavapipe has weights in storage textures, and software with smaller subgroups in sampled ones.
    #[test]
    fn weights_in_texels() {
        let gpu = gpu::open();
        let (limits, lavapipe) = (gpu.limits(), gpu.info().name.starts_with("llvmpipe"));
        let expected = match limits.subgroup {
            _ if gpu.info().name.starts_with("SwiftShader") => Some(Texels::Sampled),
            Some(_) => lavapipe.then_some(Texels::Stored),
            None => (limits.software && limits.quads).then_some(Texels::Sampled),
        };
        assert_eq!(gpu.loads_texels(), expected, "{}", gpu.info());
        let faults: [(Precision, &[Fault]); 2] = [
            (
                Precision::F32,
                &[
                    ("the row after", "rows", "(at % 1024u, at / 1024u)); }", "(at % 1024u, at / 1024u + 1u)); }"),
                    ("a row too far", "columns", "at / 1024u), value)", "at / 1024u + 1u), value)"),
                ],
            ),
            (
                Precision::F16,
                &[
                    ("halves swapped", "rows", "unpack2x16float(words.y)", "unpack2x16float(words.x)"),
                    ("halves lost", "columns", "vec4<u32>(packed(value), 0u", "vec4<u32>(packed(value).xx, 0u"),
                ],
            ),
        ];
        let kernel = Kernel::Assemble;
        for (precision, faults) in faults {
            let text = in_texels(&wgsl(kernel, precision), precision, Texels::Stored);
            must_be_caught_in(&text, precision, kernel, dynamic::assemble, faults);
        }
        let sampled: [(Precision, Fault); 2] = [
            (Precision::F32, ("the texel after", "rows", "+ 0.5) / 4096.0", "+ 1.5) / 4096.0")),
            (Precision::F16, ("halves swapped", "rows", "unpack2x16float(words.y)", "unpack2x16float(words.x)")),
        ];
        for (precision, fault) in sampled {
            let text = in_texels(&wgsl(kernel, precision), precision, Texels::Sampled);
            must_be_caught_in(&text, precision, kernel, dynamic::assemble, &[fault]);
        }
        // Wider layers than those lie in several layers of a texture.
        let layers: [(Precision, &[Fault]); 2] = [
            (
                Precision::F32,
                &[
                    ("the first layer's weights", "rows", "middle, at >> 12u", "middle, 0u"),
                    ("all in the first layer", "columns", "at >> 12u, value)", "0u, value)"),
                ],
            ),
            (
                Precision::F16,
                &[("halves lost", "columns", "vec4<u32>(packed(value), 0u", "vec4<u32>(packed(value).xx, 0u")],
            ),
        ];
        let kernel = Kernel::ControllerAssembleQuad;
        for (precision, faults) in layers {
            let text = in_texels(&wgsl(kernel, precision), precision, Texels::Sampled);
            must_be_caught_in(&text, precision, kernel, dynamic::controller_assemble_quad, faults);
        }
    }

    #[test]
    fn assemble() {
        must_be_caught(
            Kernel::Assemble,
            dynamic::assemble,
            &[
                (
                    "M transposed",
                    "rows",
                    "let row = heads_at(picture) + l * params.latent_groups;",
                    "let row = heads_at(picture) + l;",
                ),
                (
                    "offset forgotten",
                    "rows",
                    "total.x = weight(q_offset_at() + params.latent_groups + l / 4u)[l % 4u];",
                    "",
                ),
                ("bias forgotten", "columns", "var total = weight(bias_at() + n);", "var total = vec4<f32>(0.0);"),
                ("one input group too few", "columns", "k < params.in_groups;", "k + 1u < params.in_groups;"),
                (
                    "λ of the first picture",
                    "rows",
                    "let lambda = heads[lambda_at(picture) + n];",
                    "let lambda = heads[lambda_at(0u) + n];",
                ),
            ],
        );
    }

    #[test]
    fn storage_as_halves() {
        must_be_caught_stored_as(
            Precision::F16,
            Kernel::ConvDepthwise,
            convolution::depthwise,
            &[
                ("swapped when stored", "plain", "pack2x16float(within.xy)", "pack2x16float(within.yx)"),
                ("swapped when loaded", "plain", "unpack2x16float(value.y)", "unpack2x16float(value.x)"),
                ("saturated too early", "plain", "vec4<f32>(65504.0)", "vec4<f32>(0.25)"),
            ],
        );
    }

    #[test]
    fn controller() {
        must_be_caught(
            Kernel::Controller,
            dynamic::controller,
            &[
                ("identity forgotten", "controller", "vec4<f32>(1.0), column ==", "vec4<f32>(0.0), column =="),
                (
                    "wrong gate constant",
                    "controller",
                    "vector(hidden_at() + index) * relu6(total + 3.0)",
                    "vector(hidden_at() + index) * relu6(total + 2.0)",
                ),
                ("mean over the wrong pixels", "controller", "f32(params.bin_pixels)", "f32(params.bin_pixels + 1u)"),
                (
                    "last head forgotten",
                    "controller",
                    "first + i * width < results",
                    "first + i * width + 1u < results",
                ),
                ("last share forgotten", "controller", "share < shares * width;", "share + width < shares * width;"),
                ("all shares the same", "controller", "let own_share = quotient(lane, width);", "let own_share = 0u;"),
                ("slots of another picture", "controller", "(picture * terms + k)", "k"),
            ],
        );
    }

    #[test]
    fn controller_subgroup() {
        must_be_caught(
            Kernel::ControllerSubgroup,
            dynamic::controller_subgroup,
            &[
                ("column of the other result", "controller", "let index = indices[i];", "let index = indices.x;"),
                (
                    "every workgroup makes the first heads",
                    "controller",
                    "part * params.heads_per_workgroup + index",
                    "index",
                ),
            ],
        );
    }

    #[test]
    fn controller_assemble() {
        must_be_caught(
            Kernel::ControllerAssemble,
            dynamic::controller_assemble,
            &[
                ("M transposed", "columns", "var m = first * groups;", "var m = first;"),
                ("offset forgotten", "rows", "keep_vector(group, total);", ""),
                ("bias forgotten", "columns", "var total = weight(bias_at() + n);", "var total = vec4<f32>(0.0);"),
                ("λ of another output", "columns", "own_head(lambda_at(part, n))", "own_head(matrix_groups())"),
                ("heads of the first part alone", "columns", "part == 0u ||", "part == 0u &&"),
                ("one input group too few", "columns", "item < inputs.y * tiles;", "item + 1u < inputs.y * tiles;"),
                (
                    "inputs of the first part",
                    "rows",
                    "select(part * params.groups_per_workgroup, 0u, by_columns())",
                    "0u",
                ),
            ],
        );
    }

    #[test]
    fn controller_scratch() {
        must_be_caught(
            Kernel::ControllerScratch,
            dynamic::controller_scratch,
            &[
                ("vectors over the sums", "controller", "keep(2u * WORKGROUP_X + at, value)", "keep(at, value)"),
                ("the other result's sums", "controller", "return kept(WORKGROUP_X + share);", "return kept(share);"),
                ("a room past the last", "controller", "number * room_vec4s()", "(number + 1u) * room_vec4s()"),
                ("a room for all", "controller", "number * room_vec4s()", "0u"),
                ("one for a picture", "controller", "workgroup.z * parts() + workgroup.x", "workgroup.z * parts()"),
                ("rooms overlap", "controller", "2u * WORKGROUP_X + vector_vec4s()", "vector_vec4s()"),
            ],
        );
    }

    #[test]
    fn controller_assemble_scratch() {
        must_be_caught(
            Kernel::ControllerAssembleScratch,
            dynamic::controller_assemble_scratch,
            &[
                ("heads over the vectors", "rows", "2u * WORKGROUP_X + vector_vec4s()", "2u * WORKGROUP_X"),
                ("M of another row", "columns", "own_head(m + 1u * groups)", "own_head(m)"),
                ("a room past the last", "rows", "number * room_vec4s()", "(number + 1u) * room_vec4s()"),
                ("one for a picture", "columns", "take_room(picture * parts() + part)", "take_room(picture * parts())"),
                ("rooms of the narrowest", "columns", "own_heads_at() + matrix_groups()", "own_heads_at()"),
            ],
        );
    }

    #[test]
    fn controller_assemble_quad() {
        let faults = [
            ("a neighbour's factor", "columns", "quadSwapX(right_0)", "quadSwapY(right_0)"),
            ("none across", "columns", "quadSwapDiagonal(right_0)", "right_0"),
            ("the next factor", "rows", "rows_left(left_at);", "rows_left(left_at + 1u);"),
            ("a neighbour's product", "rows", "rows_right(right_at);", "rows_right(right_at + 1u);"),
            ("all lanes' own order", "columns", "first + (2u ^ lane)", "first + 2u"),
            ("the first four inputs alone", "columns", "4u * (tile % across) + lane", "lane"),
            ("the first four outputs alone", "columns", "4u * (tile / across)", "0u"),
        ];
        must_be_caught(Kernel::ControllerAssembleQuad, dynamic::controller_assemble_quad, &faults);
    }

    #[test]
    fn controller_assemble_subgroup() {
        let faults = [
            (
                "factor of a neighbour",
                "columns",
                "subgroupBroadcast(own_left_3, 2u)",
                "subgroupBroadcast(own_left_3, 1u)",
            ),
            (
                "λ of the first output",
                "columns",
                "own_head(lambda_at(part, n))",
                "own_head(lambda_at(part, outputs.x))",
            ),
            (
                "latent channel forgotten",
                "rows",
                "let own_left_2 = rows_left(left_at);",
                "let own_left_2 = vec4<f32>(0.0);",
            ),
            ("first input group again", "columns", "static_at += 4u * place.y;", ""),
            ("row of M forgotten", "columns", "sum = select(sum, sum_3, offset == 3u);", ""),
            ("columns of M forgotten", "rows", "if offset == 1u { sums = sums_1; }", ""),
        ];
        must_be_caught(Kernel::ControllerAssembleSubgroup, dynamic::controller_assemble_subgroup, &faults);
    }

    #[test]
    fn conv_dense() {
        // Those of the shared text any variant shows.
        let faults = [
            (
                "stride forgotten between columns",
                "plain",
                "(column + offset) * params.stride + j",
                "(column + offset) + j",
            ),
            ("left bound dropped", "plain", "(y <= bottom) & (x >= 0) &", "(y <= bottom) &"),
            (
                "row and column swapped",
                "plain",
                "load(0u, tap / params.kernel, tap % params.kernel,",
                "load(0u, tap % params.kernel, tap / params.kernel,",
            ),
            ("wrong slot", "plain_pooled", "(picture * tiles + slot) * bins", "(picture * tiles + column) * bins"),
            (
                "activation of the sum before the bias",
                "plain",
                "activate(sums_0[0] + bias_0)",
                "(activate(sums_0[0]) + bias_0)",
            ),
        ];
        must_be_caught(Kernel::ConvDense, convolution::dense, &faults);
    }

    #[test]
    fn conv_dense_wide() {
        let faults = [
            ("last column forgotten", "plain", "min(TILE_PIXELS, params.out_width", "min(7u, params.out_width"),
            ("sums of the first picture", "plain_pooled", "(picture * tiles + slot) * bins", "slot * bins"),
        ];
        must_be_caught(Kernel::ConvDenseWide, convolution::dense_wide, &faults);
    }

    #[test]
    fn conv_dense_quad() {
        let faults = [
            ("weights of the other axis", "plain", "quadSwapX(rows[1])", "quadSwapY(rows[1])"),
            (
                "sums of another group",
                "plain_pooled",
                "tile_group(5u)] = bin_sums_5[1]",
                "tile_group(4u)] = bin_sums_5[1]",
            ),
            ("own weights for those across", "plain", "rows_diagonal_0 * x_2", "rows_0 * x_2"),
            ("sums of the first picture", "plain_pooled", "(picture * tiles + slot) * bins", "slot * bins"),
        ];
        must_be_caught(Kernel::ConvDenseQuad, convolution::dense_quad, &faults);
    }

    #[test]
    fn conv_dense_subgroup() {
        let faults = [
            ("weights of a neighbour", "plain", "subgroupBroadcast(own_y, 1u)", "subgroupBroadcast(own_y, 0u)"),
            ("rows past the end", "plain", "if row >= params.out_height { return; }", ""),
            ("sums of the first picture", "plain_pooled", "(picture * tiles + slot) * bins", "slot * bins"),
        ];
        must_be_caught(Kernel::ConvDenseSubgroup, convolution::dense_subgroup, &faults);
    }

    #[test]
    fn conv_depthwise() {
        must_be_caught(
            Kernel::ConvDepthwise,
            convolution::depthwise,
            &[
                ("kernel transposed", "plain", "weight((i * KERNEL + j)", "weight((j * KERNEL + i)"),
                ("padding above forgotten", "plain", "- i32(params.pad_top)", ""),
                (
                    "store past the last column",
                    "plain",
                    "let inside = column < params.out_width;",
                    "let inside = true;",
                ),
                ("bins off by one", "plain_pooled", "row >= height / 2u", "row > height / 2u"),
                ("bias forgotten", "plain", "sum + bias", "sum"),
                ("padding above forgotten", "rolling", "- i32(params.pad_top) + 2", "+ 2"),
                (
                    "right bound dropped",
                    "rolling",
                    "x[4] = select(vec4<f32>(0.0), value, inside & (column >= 0) & (column <= right));",
                    "x[4] = select(vec4<f32>(0.0), value, inside & (column >= 0));",
                ),
                ("middle row forgotten at stride 2", "rolling", "next_0 += kernel_row_1(0u);", ""),
                ("top row forgotten at stride 1", "rolling", "next_1 = second_1 + ", "next_1 = "),
                ("tile too short", "rolling_pooled", "min(params.tile_rows, params.out_height - first_row)", "1u"),
            ],
        );
    }

    #[test]
    fn conv_dynamic() {
        must_be_caught(
            Kernel::ConvDynamic,
            conv_dynamic::conv_dynamic,
            &[
                (
                    "λ of the first output",
                    "in_load",
                    "let lambda = own_head(lambda_at(n));",
                    "let lambda = own_head(lambda_at(first_group));",
                ),
                ("rows of Q swapped", "in_load", "select(q.xy, q.zw, is_lower)", "select(q.zw, q.xy, is_lower)"),
                ("upper rows twice", "in_load", "let is_lower = row % 4u != 0u;", "let is_lower = false;"),
                (
                    "P·M of the first outputs",
                    "in_load",
                    "multiply_p(lane, outputs);",
                    "multiply_p(lane, vec2<u32>(0u, outputs.y));",
                ),
                ("last bias forgotten", "in_load", "if lane < outputs.y {", "if lane + 1u < outputs.y {"),
                ("every row of workgroups the first", "in_load", "TILE_PIXELS * LANES_DOWN * workgroup.y", "0u"),
                ("heads of the first part alone", "in_load", "part == 0u ||", "part == 0u &&"),
                ("sums of another lane", "in_load", "return inputs[lane % 16u]", "return inputs[lane % 8u]"),
                ("sums of another channel", "in_load", "return sums[at];", "return sums[at + 1u];"),
            ],
        );
    }

    #[test]
    fn conv_dynamic_subgroup() {
        let faults = [
            ("bias of a neighbour", "columns", "own_bias_at(group_at(0u))", "own_bias_at(group_at(1u))"),
            ("heads of the first run alone", "columns", "head >= matrix_groups() + first_stored,", "part == 0u,"),
            (
                "last tile of a run forgotten",
                "columns",
                "tile < min(run.y, row + down)",
                "tile + 1u < min(run.y, row + down)",
            ),
            ("bias of a few outputs alone", "columns", "i < outputs.y; i +=", "i < outputs.y; i += 2u *"),
            (
                "P·M of the first outputs",
                "rows",
                "multiply_p(invocation, outputs)",
                "multiply_p(invocation, vec2<u32>(0u, outputs.y))",
            ),
            ("λ of the first group", "branch", "lambda_at(part, group_at(1u))", "lambda_at(part, group)"),
            (
                "branch forgotten",
                "branch",
                "accumulate_latent(p_at(), params.latent_groups)",
                "accumulate_latent(p_at(), 0u)",
            ),
            (
                "latent vector of a pixel forgotten",
                "branch",
                "if offset < own_pixels()",
                "if offset + 1u < own_pixels()",
            ),
            ("a latent group of a neighbour", "branch", "subgroupBroadcast(own_y, 3u)", "subgroupBroadcast(own_y, 2u)"),
            (
                "last latent groups forgotten",
                "branch",
                "first < groups; first += TILE_LATENT",
                "first + TILE_LATENT < groups; first += TILE_LATENT",
            ),
            ("second latent groups the first", "branch", "q_at() + min(first + lane % 8u", "q_at() + min(lane % 8u"),
            ("what M meets over the vectors", "branch", "own_room + behind + place(", "own_room + place("),
            ("a run taken for whole pixels", "branch", "run.x / across * across; row", "run.x; row"),
            (
                "M of another row",
                "branch",
                "own_head(row), own_head(row + groups),",
                "own_head(row + 1u), own_head(row + groups),",
            ),
        ];
        must_be_caught(Kernel::ConvDynamicSubgroup, conv_dynamic::conv_dynamic_subgroup, &faults);
        let text = wgsl(Kernel::ConvDynamicSubgroup, Precision::F16);
        let in_texels = in_texels(&text, Precision::F16, Texels::Stored);
        let faults = [(
            "stored to a neighbour",
            "columns",
            "textureStore(assembled, texel(at)",
            "textureStore(assembled, texel(at + 1u)",
        )];
        let cases = conv_dynamic::conv_dynamic_subgroup;
        must_be_caught_in(&in_texels, Precision::F16, Kernel::ConvDynamicSubgroup, cases, &faults);
    }

    #[test]
    fn conv_expand_depthwise() {
        let faults = [
            (
                "padding expanded",
                "plain",
                "select(vec4<f32>(0.0), activate(values_0[0]), inside & inside_0)",
                "activate(values_0[0])",
            ),
            ("weights of the first picture", "plain", "let panel = picture * params.weight_stride", "let panel = 0u"),
            ("a tap twice", "plain_pooled", "tap_0_8 * values_0", "tap_0_7 * values_0"),
            ("rows counted twice", "plain_pooled", "select(vec4<f32>(0.0), value, is_stored)", "value"),
        ];
        must_be_caught(Kernel::ConvExpandDepthwise, convolution::expand_depthwise, &faults);
    }

    #[test]
    fn conv_expand_depthwise_subgroup() {
        let faults = [
            ("weights of a neighbour", "plain", "subgroupBroadcast(own, 1u)", "subgroupBroadcast(own, 0u)"),
            ("last column forgotten", "plain_pooled", "is_output & (column + 1u < params.out_width)", "false"),
            ("last group forgotten", "plain", "is_stored & has_group(7u)", "false"),
        ];
        must_be_caught(Kernel::ConvExpandDepthwiseSubgroup, convolution::expand_depthwise_subgroup, &faults);
    }

    #[test]
    fn conv_pointwise() {
        must_be_caught(
            Kernel::ConvPointwise,
            convolution::pointwise,
            &[
                ("last pixel forgotten", "plain", "min(TILE_PIXELS, stored_pixels", "min(3u, stored_pixels"),
                ("second group forgotten", "plain", "if has_group(1u) { output", "if false { output"),
                (
                    "weights of the first picture",
                    "plain",
                    "accumulate_input(picture * params.weight_stride,",
                    "accumulate_input(0u,",
                ),
                ("λ on the first group alone", "branch", "sums_0[1] *= lambda_1;", ""),
                ("branch forgotten", "branch", "params.out_groups, params.latent_groups);", "0u, 0u);"),
                ("wrong residual lane", "plain", "residual[place + group_at(1u)]", "residual[place + group]"),
                ("residual where none is", "plain", "params.has_residual * own_pixels()", "own_pixels()"),
                ("identity bounded", "plain", "vec4<f32>(params.bounds_low)", "vec4<f32>(0.0)"),
                ("one bin for all", "plain_pooled", "params.pool_bins * params.pool_bins", "1u"),
                ("pool without its last pixel", "plain_pooled", "select(0.0, 1.0, at_3 < stored_pixels)", "0.0"),
                (
                    "last row of a slot forgotten",
                    "plain_pooled",
                    "row < SLOT_ROWS; row++",
                    "row + 1u < SLOT_ROWS; row++",
                ),
                ("sums of the first group for both", "plain_pooled", "lanes_across(), own);", "lanes_across(), 0u);"),
                ("sums of the second group not kept", "branch", "keep_sum(lane, 1u, sums[1]);", ""),
            ],
        );
    }

    #[test]
    fn conv_pointwise_wide() {
        let faults = [
            ("last pixel forgotten", "plain", "min(TILE_PIXELS, stored_pixels", "min(7u, stored_pixels"),
            ("last group forgotten", "branch", "if has_group(3u) { output", "if false { output"),
            ("its sums forgotten", "plain_pooled", "if has_group(3u) { partials", "if false { partials"),
        ];
        must_be_caught(Kernel::ConvPointwiseWide, convolution::pointwise_wide, &faults);
    }

    #[test]
    fn conv_pointwise_subgroup() {
        let faults = [
            ("weights of a neighbour", "plain", "subgroupBroadcast(own_y, 1u)", "subgroupBroadcast(own_y, 0u)"),
            ("last group forgotten", "branch", "if has_group(7u) { output", "if false { output"),
            ("half a slot", "plain_pooled", "exchanged(sums[1], sums[1 + 4], 4u)", "sums[1]"),
            (
                "sums of another group",
                "plain_pooled",
                "let own = lane % TILE_GROUPS;\n    if pixel",
                "let own = TILE_GROUPS - 1u - lane % TILE_GROUPS;\n    if pixel",
            ),
            ("residual on another pixel", "plain", "residual_1, offset == 2u)", "residual_1, offset == 1u)"),
            ("one bin alone", "plain_pooled", "let share_1 = bins_1[bin];", "let share_1 = bins_1[0];"),
        ];
        must_be_caught(Kernel::ConvPointwiseSubgroup, convolution::pointwise_subgroup, &faults);
    }

    #[test]
    fn conv_pointwise_quad() {
        let faults = [
            ("groups in the tile's order", "plain", "return group + (offset ^ lane);", "return group + offset;"),
            ("weights of the other axis", "plain", "quadSwapX(rows[1])", "quadSwapY(rows[1])"),
            ("second half forgotten", "branch", "sums_1[4 + 2] += rows_y_4 * x_1;", ""),
            ("last group forgotten", "branch", "if has_group(7u) { output", "if false { output"),
            ("number in the subgroup for that in the quad", "plain_pooled", "invocation.lane % 4u", "invocation.lane"),
            (
                "upper half of another tile",
                "plain",
                "let own_4 = row + group_at(4u) - group;",
                "let own_4 = row + group_at(4u);",
            ),
            (
                "slots past the last",
                "plain_pooled",
                "let is_slot = pixel < stored_pixels + TILE_PIXELS * lane;",
                "let is_slot = true;",
            ),
            ("sums of three", "plain_pooled", "+ quadSwapDiagonal(sums[0 + 3])", ""),
            ("sums of another group", "plain_pooled", "first + (0u ^ lane)", "first + (3u - lane)"),
            ("no slot but whole ones", "plain_pooled", "stored_pixels + TILE_PIXELS * lane", "stored_pixels"),
        ];
        must_be_caught(Kernel::ConvPointwiseQuad, convolution::pointwise_quad, &faults);
    }

    #[test]
    fn conv_pointwise_workgroup() {
        let faults = [
            ("weights of a neighbour", "plain", "tile_weights[local.x][at_1]", "tile_weights[local.x][at_0]"),
            ("inputs past the last group", "plain", "select(vec4<f32>(0.0), value, k < groups)", "value"),
            ("last pixel forgotten", "branch", "min(TILE_PIXELS, stored_pixels", "min(3u, stored_pixels"),
            ("sums of the first group not kept", "plain_pooled", "keep_sum(lane, 0u, sums[0]);", ""),
        ];
        must_be_caught(Kernel::ConvPointwiseWorkgroup, convolution::pointwise_workgroup, &faults);
    }

    #[test]
    fn conv_pointwise_split() {
        let faults = [
            (
                "last share forgotten",
                "plain",
                "other < row_of_shares + WORKGROUP_X;",
                "other + 1u < row_of_shares + WORKGROUP_X;",
            ),
            ("shares counted twice", "branch", "sums_3[1] = vec4<f32>(0.0);", ""),
            ("stored by another", "plain", "select(0u, pixels, share == 0u)", "pixels"),
            (
                "sums of the second group forgotten",
                "plain_pooled",
                "if has_group(1u) { partials",
                "if false { partials",
            ),
        ];
        must_be_caught(Kernel::ConvPointwiseSplit, convolution::pointwise_split, &faults);
    }

    #[test]
    fn latent() {
        must_be_caught(
            Kernel::Latent,
            dynamic::latent,
            &[
                (
                    "barrier forgotten and order swapped",
                    "latent_map",
                    "compressed[lane.y * LATENT_GROUPS + group] = z;",
                    "compressed[group * TILE + lane.y] = z;",
                ),
                ("offset forgotten", "latent_map", "var z = weight(offsets + group);", "var z = vec4<f32>(0.0);"),
                ("pixels past the end", "latent_map", "if pixel >= params.pixels { return; }", ""),
            ],
        );
    }

    #[test]
    fn latent_wide() {
        let faults = [
            ("offset forgotten", "latent_map", "sums_2[0] = offset_0;", "sums_2[0] = vec4<f32>();"),
            ("M transposed", "latent_map", "t_0 += compressed_0[j] * m;", "t_0 += m * compressed_0[j];"),
            ("last group forgotten", "latent_map", "compressed_1[group_at(3u)] = sums_1[3];", ""),
            ("last pixel forgotten", "latent_map", "if pixel + 3u < params.pixels", "if false"),
        ];
        must_be_caught(Kernel::LatentWide, dynamic::latent_wide, &faults);
    }

    #[test]
    fn latent_quad() {
        let faults = [
            ("own weights for a neighbour's", "latent_map", "rows_x_0 * x_3", "rows_0 * x_3"),
            (
                "room for fewer groups",
                "latent_map",
                "compressed_1: array<vec4<f32>, 16>",
                "compressed_1: array<vec4<f32>, 15>",
            ),
            (
                "the first tile's weights for all",
                "latent_map",
                "step + group_at(0u);\n",
                "step + min(lane, step - 1u);\n",
            ),
            ("last pixel forgotten", "latent_map", "if pixel + 6u < params.pixels", "if false"),
        ];
        must_be_caught(Kernel::LatentQuad, dynamic::latent_quad, &faults);
    }

    #[test]
    fn latent_subgroup() {
        let faults = [
            ("offset forgotten", "latent_map", "compressed_2[0] = offset;", ""),
            ("row of M twice", "latent_map", "mix(row + 1u * LATENT_GROUPS)", "mix(row)"),
            (
                "pixel of a neighbour",
                "latent_map",
                "mixed[1] += dot(m, compressed_1[0]);",
                "mixed[1] += dot(m, compressed_0[0]);",
            ),
            ("last pixel forgotten", "latent_map", "if pixel + 3u < params.pixels", "if false"),
        ];
        must_be_caught(Kernel::LatentSubgroup, dynamic::latent_subgroup, &faults);
    }

    #[test]
    fn linear() {
        must_be_caught(
            Kernel::Linear,
            vector::linear,
            &[
                ("one split forgotten", "plain", "var split = 0u; split", "var split = 1u; split"),
                ("panels taken for rows", "plain", "panel_place(rows, group)", "group"),
                (
                    "last panel taken for a whole one",
                    "plain",
                    "min(PANEL_GROUPS, groups -",
                    "max(PANEL_GROUPS, groups -",
                ),
                (
                    "what is not a number bounded",
                    "plain",
                    "return select(raised, vec4<f32>(params.bounds_high), raised > vec4<f32>(params.bounds_high));",
                    "return clamp(u, vec4<f32>(params.bounds_low), vec4<f32>(params.bounds_high));",
                ),
                ("scaled bias forgotten", "branch", "lambda * (total + scaled_bias)", "lambda * total"),
                ("λ read from M", "branch", "+ params.lambda_offset + group", "+ group"),
            ],
        );
    }

    #[test]
    fn pool() {
        must_be_caught(
            Kernel::Pool,
            vector::pool,
            &[
                ("first column forgotten", "sum", "var column = 0u;", "var column = 1u;"),
                ("bins overlap too little", "sum", "column < (width + 1u) / 2u", "column < width / 2u"),
                ("last slot forgotten", "finish", "slot < params.slots;", "slot + 1u < params.slots;"),
                ("last pixel forgotten", "mean", "pixel < pixels;", "pixel + 1u < pixels;"),
                ("map of the first picture", "mean", "(id.z * pixels + pixel)", "pixel"),
                ("divisor of the whole map", "finish", "f32(rows * columns)", "f32(params.height * params.width)"),
            ],
        );
    }

    #[test]
    fn roof() {
        must_be_caught(
            Kernel::Roof,
            roof::roof,
            &[
                ("last vec4 forgotten", "copy", "if at < params.count {", "if at + 1u < params.count {"),
                ("one step too few", "add_up", "step < 16u", "step < 15u"),
                ("one iteration too few", "multiply_add", "a = a * factor + summand;", ""),
                ("a chain left out", "multiply_add", "((e + f) + (g + h))", "((e + f) + g)"),
            ],
        );
    }

    #[test]
    fn top_k() {
        must_be_caught(
            Kernel::TopK,
            vector::top_k,
            &[
                ("ties in any order", "top_k", "lane_class[i] < winner_class", "lane_class[i] > winner_class"),
                (
                    "padding counted",
                    "softmax",
                    "c < params.classes; c += WORKGROUP_X) {\n        sum +=",
                    "c < params.padded_classes; c += WORKGROUP_X) {\n        sum +=",
                ),
                (
                    "largest not subtracted",
                    "softmax",
                    "exp(scores[first + c] - highest) / total",
                    "exp(scores[first + c]) / total",
                ),
                (
                    "padding not zeroed",
                    "softmax",
                    "c < params.padded_classes; c += WORKGROUP_X) {\n        prob",
                    "c < params.classes; c += WORKGROUP_X) {\n        prob",
                ),
            ],
        );
    }
}

/// Wrong params for the twins: for each kernel and entry point a word that is changed.
#[test]
fn wrong_params_are_caught() {
    type Fault = (fn() -> Vec<Case>, &'static str, usize, fn(u32) -> u32);
    let faults: [Fault; 9] = [
        (convolution::dense, "plain", 8, |pad_left| pad_left + 1),
        (convolution::depthwise, "plain", 5, |stride| stride.max(2) - 1),
        (convolution::pointwise, "branch", 7, |_lambda_offset| 0),
        (dynamic::latent, "latent_map", 2, |_heads_stride| 0),
        (dynamic::controller, "controller", 0, |bin_pixels| bin_pixels + 4),
        (dynamic::controller_assemble, "rows", 2, |slots| slots.max(2) - 1),
        (vector::linear, "branch", 3, |_lambda_offset| 0),
        (vector::pool, "finish", 0, |height| height + 2),
        (vector::top_k, "top_k", 0, |classes| classes.max(2) - 1),
    ];
    for (cases, entry, word, change) in faults {
        let mut cases = cases_of(cases, entry);
        for case in &mut cases {
            let bytes = &mut case.dispatch.params[4 * word..][..4];
            let value = change(u32::from_le_bytes(bytes.try_into().expect("four bytes")));
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        let plan = plan(&cases);
        let mut twin = CpuExecutor::new(plan.clone()).expect("the plan is valid");
        assert!(!failures(&cases, &plan, &mut twin, BATCH).is_empty(), "params of {}", cases[0].name);
    }
}

/// Leaves the right results, but for one thing.
struct Faulty {
    executor: CpuExecutor,
    target: View,
    fault: fn(&mut CpuExecutor, View, usize),
}

impl Runtime for Faulty {
    fn write(&mut self, view: View, values: &[f32]) {
        self.executor.write(view, values);
    }

    fn run(&mut self, pictures: usize) {
        self.executor.run(pictures as u32);
        (self.fault)(&mut self.executor, self.target, pictures);
    }

    fn read(&self, view: View) -> Vec<f32> {
        self.executor.view(view).to_vec()
    }
}

fn change(executor: &mut CpuExecutor, view: View, change: impl FnOnce(&mut [f32])) {
    let mut values = executor.view(view).to_vec();
    change(&mut values);
    executor.write(view, &values);
}

/// What the comparison must see in results that are otherwise right.
#[test]
fn wrong_memory_is_caught() {
    type Fault = (&'static str, &'static str, usize, fn(&mut CpuExecutor, View, usize));
    let faults: [Fault; 6] = [
        ("not-a-number", "words are wrong", BATCH, |e, v, _| change(e, v, |values| values[1] = f32::NAN)),
        ("infinity", "words are wrong", BATCH, |e, v, _| change(e, v, |values| values[1] = f32::INFINITY)),
        ("a small error", "words are wrong", BATCH, |e, v, _| change(e, v, |values| values[0] += 1e-3)),
        ("first guard word", "overwritten", BATCH, |e, v, _| {
            change(e, v, |values| {
                let guard = values.len() - 16;
                values[guard] = 0.0;
            })
        }),
        ("output of a picture that was not run", "overwritten", 1, |e, _, _| e.run(BATCH as u32)),
        ("unwritten word", "not written", BATCH, |e, v, _| change(e, v, |values| values[2] = poisoned(v)[2])),
    ];
    let cases: Vec<Case> = cases_of(vector::linear, "plain").into_iter().take(1).collect();
    let plan = plan(&cases);
    let target = *plan.passes[0].bindings.last().expect("an output");
    assert_ne!(target.memory, Memory::Weights);
    for (what, report, pictures, fault) in faults {
        let executor = CpuExecutor::new(plan.clone()).expect("the plan is valid");
        let mut runtime = Faulty { executor, target, fault };
        let found = failures(&cases, &plan, &mut runtime, pictures);
        assert!(found.iter().any(|failure| failure.contains(report)), "{what} was not caught: {found:?}");
    }
    let mut sound = Faulty { executor: CpuExecutor::new(plan.clone()).unwrap(), target, fault: |_, _, _| () };
    assert_eq!(failures(&cases, &plan, &mut sound, BATCH), Vec::<String>::new());
}
