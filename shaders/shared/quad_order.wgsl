// Four invocations, a quad, load the weights of their tiles' output groups together: of each four groups each loads the one of its
// own number, and takes the others' from those beside it, so that no value need be handed to all. It has the sums of four groups in
// the order in which it meets them: its own, its neighbour's on either axis of the quad, and that of the one across.

// The invocation's number in its quad. Invocations of a subgroup follow each other along x, so a workgroup is a row of whole quads.
var<private> lane: u32;

fn tile_group(offset: u32) -> u32 { return group + (offset ^ lane); }

// The rows of the one beside it, along the quad's first axis, its second, or both.
#repeat axis = X Y Diagonal
fn rows_of_$axis(rows: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(quadSwap$axis(rows[0]), quadSwap$axis(rows[1]), quadSwap$axis(rows[2]), quadSwap$axis(rows[3]));
}
#end
