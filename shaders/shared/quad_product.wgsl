// The products of what the tile's pixels have in four input channels, `x_0`, `x_1`, ..., with a quad's weights of them. A tile has eight
// output groups: the first of an invocation's own four rows for each half of them is at `own_0` and `own_4`, the next are `step` further.
#repeat g = 0 4
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
#end
