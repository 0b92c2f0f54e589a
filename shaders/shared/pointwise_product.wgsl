// Input group `k` of the map times the weights of its four channels: those of the tile's first group begin at `row`, `step` apart.
#repeat p = 0..TILE_PIXELS
        let x_$p = from_stored($map[place_$p + k]);
#end
#repeat g = 0..TILE_GROUPS
        let at_$g = row + group_at($gu) - group;
        let rows_$g = mat4x4<f32>(
            weight(at_$g),
            weight(at_$g + step),
            weight(at_$g + 2u * step),
            weight(at_$g + 3u * step),
        );
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] += rows_$g * x_$p;
#end
#end
