// Pointwise (1×1) convolution of stride 1: a matrix product of pixels × input channels with input × output channels.
//
// A workgroup loads the inputs of its pixels and the weights of its output groups into memory that it shares, DEPTH input
// groups at a time: for hardware, where that memory is fast. x counts output groups and y pixels.

#import pointwise
#import tile_order
#import loaded_tile
#import lane_sums
#import shared_slot

struct Invocation {
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
}

// The inputs of one invocation's pixels: [pixel][group].
var<workgroup> inputs: array<array<vec4<f32>, 16>, WORKGROUP_Y>;
// The weights of one invocation's groups: [input channel][group].
var<workgroup> tile_weights: array<array<vec4<f32>, 32>, WORKGROUP_X>;

// Never false: an invocation without pixels still loads for the others.
fn locate(invocation: Invocation) -> bool {
    picture = invocation.id.z;
    pixels = params.width * params.height;
    stored_pixels = pixels;
    pixel = TILE_PIXELS * invocation.id.y;
    group = TILE_GROUPS * invocation.id.x;
    local = invocation.local.xy;
    lane = local.y * WORKGROUP_X + local.x;
    return true;
}

#repeat map = input latent
fn accumulate_$map(first_row: u32, groups: u32) {
    let lanes = WORKGROUP_X * WORKGROUP_Y;
    let down = WORKGROUP_Y;
    let first_pixel = pixel - TILE_PIXELS * local.y;
    let first_group = group - TILE_GROUPS * local.x;
    let across = TILE_GROUPS * WORKGROUP_X;
    for (var first = 0u; first < groups; first += DEPTH) {
#import load_inputs
        for (var item = lane; item < TILE_WEIGHTS * WORKGROUP_X; item += lanes) {
            let row = min(4u * first + item / across, 4u * groups - 1u);
            let column = item % across;
            let own = min(first_group + column, params.out_groups - 1u);
            let at = first_row + panel_place(4u * groups, own) + row * panel_step(params.out_groups, own);
            tile_weights[column / TILE_GROUPS][item / across * TILE_GROUPS + column % TILE_GROUPS] = weight(at);
        }
        workgroupBarrier();
        multiply_loaded();
        workgroupBarrier();
    }
}
#end
