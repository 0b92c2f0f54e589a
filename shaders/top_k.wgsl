// Softmax over the class scores, and its `count` largest probabilities.
//
// scores        [picture][class], padded to a whole number of vec4
// probabilities [picture][class], padded like the scores      entry `softmax`
// best          [picture][count] of (class, probability)      entry `top_k`; equal scores in the order of their classes
//
// One workgroup serves one picture. A score that is not a number is never best; the probabilities are then none either,
// nor are they where a score is infinite, which the host looks for.

struct Params {
    classes: u32,
    padded_classes: u32,
    count: u32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read_write> best: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> probabilities: array<f32>;

override WORKGROUP_X: u32 = 64u;

const LOWEST: f32 = -3.4028234e38;

var<workgroup> lane_score: array<f32, WORKGROUP_X>;
var<workgroup> lane_class: array<u32, WORKGROUP_X>;

// The best (score, class) that every lane has found; the class is `classes` where there is none.
fn best_of_lanes(lane: u32, score: f32, candidate: u32) -> vec2<f32> {
    lane_score[lane] = score;
    lane_class[lane] = candidate;
    workgroupBarrier();
    var winner = lane_score[0];
    var winner_class = lane_class[0];
    for (var i = 1u; i < WORKGROUP_X; i++) {
        let above = lane_score[i] > winner || (lane_score[i] == winner && lane_class[i] < winner_class);
        // A lane that has found nothing never beats one that has, be its score minus infinity.
        if lane_class[i] < params.classes && (above || winner_class == params.classes) {
            winner = lane_score[i];
            winner_class = lane_class[i];
        }
    }
    workgroupBarrier();
    return vec2<f32>(winner, f32(winner_class));
}

// The best class after `last` in the order of falling scores.
fn next_best(first: u32, lane: u32, last: vec2<f32>) -> vec2<f32> {
    var score = LOWEST;
    var candidate = params.classes;
    for (var c = lane; c < params.classes; c += WORKGROUP_X) {
        let s = scores[first + c];
        let infinite = s > last.x && last.y < 0.0;
        let after = infinite || s < last.x || (s == last.x && f32(c) > last.y);
        if after && (s > score || candidate == params.classes) {
            score = s;
            candidate = c;
        }
    }
    return best_of_lanes(lane, score, candidate);
}

fn sum_of_exponentials(first: u32, lane: u32, highest: f32) -> f32 {
    var sum = 0.0;
    for (var c = lane; c < params.classes; c += WORKGROUP_X) {
        sum += exp(scores[first + c] - highest);
    }
    lane_score[lane] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < WORKGROUP_X; i++) {
        total += lane_score[i];
    }
    workgroupBarrier();
    return total;
}

const BEFORE_ALL: vec2<f32> = vec2<f32>(3.4028234e38, -1.0);

@compute @workgroup_size(WORKGROUP_X)
fn top_k(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = workgroup.z * params.padded_classes;
    var found = BEFORE_ALL;
    var highest = 0.0;
    var total = 0.0;
    // One call, which compilers write out once.
    for (var i = 0u; i < params.count; i++) {
        found = next_best(first, lane, found);
        if i == 0u {
            highest = found.x;
            total = sum_of_exponentials(first, lane, highest);
        }
        if lane == 0u {
            best[workgroup.z * params.count + i] = vec2<f32>(found.y, exp(found.x - highest) / total);
        }
    }
}

@compute @workgroup_size(WORKGROUP_X)
fn softmax(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = workgroup.z * params.padded_classes;
    let highest = next_best(first, lane, BEFORE_ALL).x;
    let total = sum_of_exponentials(first, lane, highest);
    for (var c = lane; c < params.padded_classes; c += WORKGROUP_X) {
        probabilities[first + c] = select(0.0, exp(scores[first + c] - highest) / total, c < params.classes);
    }
}
