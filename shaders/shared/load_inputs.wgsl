        // DEPTH groups from `first` on, of the pixels from `first_pixel` on of `down` rows of lanes; `lanes` load them.
        for (var item = lane; item < TILE_INPUTS * down; item += lanes) {
            let k = first + item % DEPTH;
            let near = min(first_pixel + item / DEPTH, pixels - 1u);
            let value = from_stored($map[(picture * pixels + near) * groups + min(k, groups - 1u)]);
            // Past the last group zeros meet weights that do not matter.
            inputs[item / TILE_INPUTS][item % TILE_INPUTS] = select(vec4<f32>(0.0), value, k < groups);
        }
