// What W(x) is made of and how it is stored. Each kernel brings `store_assembled` and `product_place`, where the
// product of one factor with M lies among the vectors.

// Stores four rows of W at one output: those of W₀ begin at `static_at`, those of W(x) at `at`.
fn store_weights(static_at: u32, at: u32, step: u32, lambda: vec4<f32>, sums: mat4x4<f32>) {
    let rows = weight_rows(static_at, step);
    store_assembled(at, lambda * rows[0] + sums[0]);
    store_assembled(at + step, lambda * rows[1] + sums[1]);
    store_assembled(at + 2u * step, lambda * rows[2] + sums[2]);
    store_assembled(at + 3u * step, lambda * rows[3] + sums[3]);
}

// The two factors of the low-rank part: vec4 of inputs of group k, vec4 of outputs of group n. One of them is the product of the
// chunk whose first group is `first`. Each has the place of its first latent channel and how far the channels are apart.
fn columns_left_place(k: u32) -> vec2<u32> { return product_place(k); }
fn columns_right_place(n: u32, first: u32) -> vec2<u32> { return p_place(n); }
fn rows_left_place(k: u32) -> vec2<u32> { return q_place(k); }
fn rows_right_place(n: u32, first: u32) -> vec2<u32> { return product_place(n - first); }
fn columns_left(at: u32) -> vec4<f32> { return vector(at); }
fn columns_right(at: u32) -> vec4<f32> { return weight(at); }
fn rows_left(at: u32) -> vec4<f32> { return weight(at); }
fn rows_right(at: u32) -> vec4<f32> { return vector(at); }
