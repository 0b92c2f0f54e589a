// A dynamic pointwise convolution of stride 1 in one launch: its controller, and W(x) = λ ⊙ W₀ + P·M·Q, which is never stored but formed
// where the convolution loads its weights into memory that a workgroup shares. b(x) = bias + P·(M·q_offset + latent_offset).
//
// Every workgroup makes the heads again, P·M of its outputs, and each weight once for its pixels: for hardware, on which a launch takes
// longer than that, and for maps of few pixels.
//
// input    [picture][pixel][in_groups]     vec4 of input channels
// weights  as of `controller_assemble`
// sums     [picture][slot][pooled_groups]  those of the input's bins, with which the controller begins
// heads    [picture] M, then λ [out_groups]
// residual, output, partials               as of `conv_pointwise`

#import storage
#import weights
#import panels
#import activation
#import pool_sums
#import workgroup_vectors
#import workgroup_heads
#import controller
#import low_rank
#import multiply_p
#import loaded_tile
#import tile
#import tile_order
#import pointwise_epilogue
#import shared_slot

struct Params {
    width: u32,
    height: u32,
    in_groups: u32,
    out_groups: u32,
    bounds_low: f32,
    bounds_high: f32,
    has_residual: u32,
    pool_bins: u32,
    bin_pixels: u32,
    pooled_groups: u32,
    slots: u32,
    squeeze_groups: u32,
    latent_groups: u32,
    // Of the variant for software alone.
    own_tiles: u32,
    own_groups: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Stored>;
@group(0) @binding(3) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> heads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<Stored>;
@group(0) @binding(6) var<storage, read_write> output: array<Stored>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec4<f32>>;

// Of the 64 invocations of a workgroup: four across, with eight output groups, and sixteen down, with 64 pixels.
const LANES_ACROSS: u32 = 4u;
const LANES_DOWN: u32 = 16u;
const OWN_GROUPS: u32 = 8u;

var<workgroup> inputs: array<array<vec4<f32>, 16>, 16>;
var<workgroup> tile_weights: array<array<vec4<f32>, 32>, 4>;

// The first of the workgroup's pixels and output groups.
var<private> first_pixel: u32;
var<private> first_group: u32;

// The inputs lie no longer where the sums of pixels do.
fn keep_sum(lane: u32, offset: u32, sum: vec4<f32>) { inputs[lane % 16u][lane / 16u * TILE_GROUPS + offset] = sum; }
fn kept_sum(lane: u32, offset: u32) -> vec4<f32> { return inputs[lane % 16u][lane / 16u * TILE_GROUPS + offset]; }
fn lanes_across() -> u32 { return LANES_ACROSS; }

fn wait_for_all() { workgroupBarrier(); }
fn pool_sum(at: u32) -> vec4<f32> { return sums[at]; }

// A workgroup's outputs, in groups: the first and how many.
fn outputs_of(part: u32) -> vec2<u32> {
    let first = part * OWN_GROUPS;
    return vec2<u32>(first, min(OWN_GROUPS, params.out_groups - first));
}

fn heads_of(part: u32) -> u32 { return matrix_groups() + outputs_of(part).y; }
fn head_at(part: u32, index: u32) -> u32 { return index + select(outputs_of(part).x, 0u, index < matrix_groups()); }

// Those of the first pixels store them; what all of them make, the first one.
fn keep_head(part: u32, picture: u32, index: u32, value: vec4<f32>) {
    keep_own_head(index, value);
    if first_pixel == 0u && (part == 0u || index >= matrix_groups()) {
        heads[picture * head_groups() + head_at(part, index)] = value;
    }
}

// Where the product has the first latent channel of a group, and how far the channels are apart.
fn product_place(group: u32) -> vec2<u32> { return vec2<u32>(params.latent_groups + group, OWN_GROUPS); }

fn lambda_at(n: u32) -> u32 { return matrix_groups() + n - first_group; }
fn own_bias_at(n: u32) -> u32 { return lambda_at(n) + OWN_GROUPS; }

// The weights of DEPTH input groups from `first` on. An invocation forms two rows of one output group at a time.
fn form_weights(first: u32) {
    for (var item = lane; item < 2u * DEPTH * OWN_GROUPS; item += WORKGROUP_X) {
        let column = item % OWN_GROUPS;
        let row = 2u * (item / OWN_GROUPS);
        let k = min(first + row / 4u, params.in_groups - 1u);
        let n = min(first_group + column, params.out_groups - 1u);
        let is_lower = row % 4u != 0u;
        let place = w_place(k, n);
        let w = w_at() + place.x + select(0u, 2u * place.y, is_lower);
        let lambda = own_head(lambda_at(n));
        var upper = lambda * weight(w);
        var lower = lambda * weight(w + place.y);
        let product = product_place(n - first_group);
        var p_at = product.x;
        let q_step = q_place(k).y;
        var q_at = q_place(k).x;
        for (var l = 0u; l < latent_width(); l++) {
            let q = weight(q_at);
            let of_rows = select(q.xy, q.zw, is_lower);
            upper += vector(p_at) * of_rows.x;
            lower += vector(p_at) * of_rows.y;
            p_at += product.y;
            q_at += q_step;
        }
        let at = row * TILE_GROUPS + column % TILE_GROUPS;
        tile_weights[column / TILE_GROUPS][at] = upper;
        tile_weights[column / TILE_GROUPS][at + TILE_GROUPS] = lower;
    }
}

// What loads inputs has a name for their map, which is another one in branches.
#repeat map = input
fn accumulate_$map() {
    let groups = params.in_groups;
    let lanes = WORKGROUP_X;
    let down = LANES_DOWN;
    for (var first = 0u; first < groups; first += DEPTH) {
#import load_inputs
        form_weights(first);
        workgroupBarrier();
        multiply_loaded();
        workgroupBarrier();
    }
}
#end

struct Invocation {
    index: u32,
    workgroup: vec3<u32>,
}

// Never false: all invocations of a workgroup wait for each other.
fn locate(invocation: Invocation) -> bool {
    let workgroup = invocation.workgroup;
    lane = invocation.index;
    local = vec2<u32>(lane % LANES_ACROSS, lane / LANES_ACROSS);
    picture = workgroup.z;
    pixels = params.width * params.height;
    stored_pixels = pixels;
    first_pixel = TILE_PIXELS * LANES_DOWN * workgroup.y;
    first_group = OWN_GROUPS * workgroup.x;
    pixel = first_pixel + TILE_PIXELS * local.y;
    group = first_group + TILE_GROUPS * local.x;
    return true;
}

// The workgroup's number comes apart from what tells lanes from each other, as in `controller_assemble`.
@compute @workgroup_size(WORKGROUP_X)
fn in_load(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let part = workgroup.x;
    locate(Invocation(index, workgroup));
    control(part, picture, lane);
    let outputs = outputs_of(part);
    multiply_offsets(lane);
    multiply_p(lane, outputs);
    workgroupBarrier();
    if lane < outputs.y { keep_own_head(own_bias_at(first_group + lane), own_bias(first_group + lane)); }
    accumulate_input();

#repeat g = 0..TILE_GROUPS
    let bias_$g = own_head(own_bias_at(group_at($gu)));
#repeat p = 0..TILE_PIXELS
    sums_$p[$g] = activate(sums_$p[$g] + bias_$g);
#end
#end
    add_residual();
    store();
    store_pool_sums();
}
