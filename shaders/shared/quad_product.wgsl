// The products of what the tile's pixels have in four input channels, `x_0`, `x_1`, ..., with a quad's weights of them for four of the
// tile's output groups, the first of which is $g: an invocation's own four rows begin at `own_$g`, each `step` after the one before.
        let rows_$g = mat4x4<f32>(
            weight(own_$g),
            weight(own_$g + step),
            weight(own_$g + 2u * step),
            weight(own_$g + 3u * step),
        );
#repeat p = 0..TILE_PIXELS
        sums_$p[$g] += rows_$g * x_$p;
#end
        let rows_x_$g = rows_of_X(rows_$g);
#repeat p = 0..TILE_PIXELS
        sums_$p[$g + 1] += rows_x_$g * x_$p;
#end
        let rows_y_$g = rows_of_Y(rows_$g);
#repeat p = 0..TILE_PIXELS
        sums_$p[$g + 2] += rows_y_$g * x_$p;
#end
        let rows_diagonal_$g = rows_of_Diagonal(rows_$g);
#repeat p = 0..TILE_PIXELS
        sums_$p[$g + 3] += rows_diagonal_$g * x_$p;
#end
