    // The body of `accumulate_$map` where eight invocations of a subgroup load a weight each and hand it round.
    let own = min(group + lane % TILE_GROUPS, params.out_groups - 1u);
    let step = panel_step(params.out_groups, own);
#repeat p = 0..TILE_PIXELS
    let place_$p = place($pu, groups);
#end
    var at = first_row + panel_place(4u * groups, own);
    for (var k = 0u; k < groups; k++) {
#repeat p = 0..TILE_PIXELS
        let x_$p = $map_value(place_$p + k);
#end
#repeat c = x y z w
        let own_$c = $map_weight(at);
        at += step;
#end
        // A sum takes all four channels at once: there are more sums than registers.
#repeat g = 0..TILE_GROUPS
#repeat c = x y z w
        let weights_$g_$c = subgroupBroadcast(own_$c, $gu);
#end
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] = sums_$p[$g] + weights_$g_x * x_$p.x + weights_$g_y * x_$p.y + weights_$g_z * x_$p.z + weights_$g_w * x_$p.w;
#end
#end
    }
