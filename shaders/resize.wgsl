// Antialiased resize and crop of one picture, then normalisation: what Pillow's `Image.resize` does to 8-bit pixels
// (libImaging/Resample.c), only for the pixels of the crop.
//
// `horizontal` narrows each source row to the crop's columns, `vertical` then makes the crop's rows and normalises them.
// Both round to whole levels, as Pillow does. A pass that changes no size is exact: its weights are one and zeros.
//
// source       [rows][stride]    `columns` of the picture that are needed; red | green << 8 | blue << 16, the rest is ignored
// narrowed_out [rows][crop]      the same packing, written by `horizontal` and
// narrowed     [rows][crop]      read by `vertical`
// normalised   [crop][crop]      vec4 of red, green, blue and zero, from element `first_pixel` on

#import storage

struct Params {
    columns: u32,
    rows: u32,
    crop: u32,
    first_pixel: u32,
    column_phase: f32,
    column_scale: f32,
    row_phase: f32,
    row_scale: f32,
    mean_red: f32,
    mean_green: f32,
    mean_blue: f32,
    deviation_red: f32,
    deviation_green: f32,
    deviation_blue: f32,
    stride: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> narrowed_out: array<u32>;
@group(0) @binding(3) var<storage, read> narrowed: array<u32>;
@group(0) @binding(4) var<storage, read_write> normalised: array<Stored>;

override WORKGROUP_X: u32 = 8u;
override WORKGROUP_Y: u32 = 8u;
// Names the filter: 1 the triangle, 2 Keys' cubic with a = −1/2.
override FILTER_RADIUS: u32 = 1u;

// The source pixels [start, end) that one output pixel is a weighted mean of. `centre` is where it lies among them, one
// unit of filter is 1 / sharpness pixels.
struct Taps {
    start: i32,
    end: i32,
    centre: f32,
    sharpness: f32,
}

fn taps_of(position: u32, length: u32, phase: f32, scale: f32) -> Taps {
    let stretch = max(scale, 1.0);
    let support = f32(FILTER_RADIUS) * stretch;
    let centre = phase + (f32(position) + 0.5) * scale;
    let start = max(i32(centre - support + 0.5), 0);
    let end = min(i32(centre + support + 0.5), i32(length));
    return Taps(start, end, centre, 1.0 / stretch);
}

fn weight(tap: i32, taps: Taps) -> f32 {
    let x = abs((f32(tap) - taps.centre + 0.5) * taps.sharpness);
    if FILTER_RADIUS == 1u { return max(1.0 - x, 0.0); }
    if x < 1.0 { return (1.5 * x - 2.5) * x * x + 1.0; }
    if x < 2.0 { return (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5; }
    return 0.0;
}

// Red, green and blue as levels 0 to 255, and one, whose weighted sum is the sum of the weights.
fn unpack(pixel: u32) -> vec4<f32> {
    return vec4<f32>(f32(pixel & 255u), f32((pixel >> 8u) & 255u), f32((pixel >> 16u) & 255u), 1.0);
}

// The weighted mean, rounded and clipped to whole levels; the cubic overshoots at edges.
fn levels(sum: vec4<f32>) -> vec3<f32> {
    return floor(clamp(sum.rgb / sum.w + 0.5, vec3<f32>(0.0), vec3<f32>(255.0)));
}

// One invocation makes one pixel of `narrowed`.
@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn horizontal(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = id.x;
    let row = id.y;
    if column >= params.crop || row >= params.rows { return; }
    let taps = taps_of(column, params.columns, params.column_phase, params.column_scale);
    var sum = vec4<f32>(0.0);
    for (var tap = taps.start; tap < taps.end; tap++) {
        sum += weight(tap, taps) * unpack(source[row * params.stride + u32(tap)]);
    }
    let rgb = vec3<u32>(levels(sum));
    narrowed_out[row * params.crop + column] = rgb.r | (rgb.g << 8u) | (rgb.b << 16u);
}

// One invocation makes one pixel of `normalised`.
@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn vertical(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = id.x;
    let row = id.y;
    if column >= params.crop || row >= params.crop { return; }
    let taps = taps_of(row, params.rows, params.row_phase, params.row_scale);
    var sum = vec4<f32>(0.0);
    for (var tap = taps.start; tap < taps.end; tap++) {
        sum += weight(tap, taps) * unpack(narrowed[u32(tap) * params.crop + column]);
    }
    let mean = vec3<f32>(params.mean_red, params.mean_green, params.mean_blue);
    let deviation = vec3<f32>(params.deviation_red, params.deviation_green, params.deviation_blue);
    let rgb = (levels(sum) / 255.0 - mean) / deviation;
    normalised[params.first_pixel + row * params.crop + column] = to_stored(vec4<f32>(rgb, 0.0));
}
