// An invocation has the sums of its tile's output groups one after another.

fn tile_group(offset: u32) -> u32 { return group + offset; }
