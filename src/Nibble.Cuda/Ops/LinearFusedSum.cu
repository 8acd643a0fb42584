// The last step of the fused products with a 4-bit weight, LinearFused*.cu: adds the parts of split sums, in order.
#include "FusedProduct.cuh"

// A thread adds four neighbouring outputs of a token; blockIdx.y counts the tiles that were split, from `first` on.
// Outputs are those of up to three matrices, each in tiles of `owned`; parts [tiles, splits, tile_tokens, owned].
extern "C" __global__ __launch_bounds__(256) void linear_fused_sum(
    const float* parts, int owned, int tile_tokens, int splits, int first, int tokens, int top, int middle, int bottom,
    bf16* y, i64 y_stride, const void* bias, int bias_type, int accumulate)
{
    Stack outputs{};
    outputs.top.rows = top;
    outputs.middle.rows = middle;
    outputs.bottom.rows = bottom;
    int item = (int)thread_index(), own = item % (owned / 4) * 4, token = item / (owned / 4);
    int token_tiles = (tokens + tile_tokens - 1) / tile_tokens, index = first + (int)blockIdx.y;
    RowTile tile(outputs, index / token_tiles, owned);
    int y_token = (index % token_tiles) * tile_tokens + token, left = tile.part.rows - tile.row - own;
    if (token >= tile_tokens || y_token >= tokens || left <= 0) return;
    i64 stride = (i64)tile_tokens * owned;
    const float* at = parts + blockIdx.y * splits * stride + token * owned + own;
    float sums[4] = {};
#pragma unroll 4
    for (int s = 0; s < splits; s++)
    {
        float4 part = __ldcs((const float4*)(at + s * stride));
        sums[0] += part.x, sums[1] += part.y, sums[2] += part.z, sums[3] += part.w;
    }

    Output output{y, y_stride, bias, bias_type, accumulate};
    float added[4];
    output.read_bias(added, tile.first + tile.row + own, true);
    output.write(y_token, tile.first + tile.row + own, sums, added);
}
