namespace Nibble.Data.Packing;

/// <summary>
/// First fit in arrival order: each sample goes into the first bin with room and fewer than 200 samples, else opens
/// one.
/// Source: <c>axolotl-ai-cloud/axolotl src/axolotl/utils/samplers/multipack.py</c>. Time n log n by a tree over the
/// bins.
/// </summary>
internal static class BinPacker
{
    private const int MostSamplesPerBin = 200;
    private const int GroupSize = 100_000;

    /// <summary>Packs samples; every one lands in exactly one bin.</summary>
    /// <param name="lengths">Tokens of each sample by index.</param>
    /// <param name="order">Sample indices in order of arrival; groups of 100,000 are packed on their own.</param>
    /// <param name="capacity">Most tokens of a bin.</param>
    /// <returns>Sample indices of each bin, bins in the order they were opened.</returns>
    public static List<MicroBatch> Pack(ReadOnlySpan<int> lengths, ReadOnlySpan<int> order, int capacity)
    {
        var bins = new List<MicroBatch>();
        for (var start = 0; start < order.Length; start += GroupSize)
        {
            PackGroup(lengths, order.Slice(start, Math.Min(GroupSize, order.Length - start)), capacity, bins);
        }

        return bins;
    }

    private static void PackGroup(
        ReadOnlySpan<int> lengths, ReadOnlySpan<int> order, int capacity, List<MicroBatch> bins)
    {
        var leaves = 1;
        while (leaves < order.Length)
        {
            leaves *= 2;
        }

        // Room of each bin in the leaves, the most room below in the inner nodes. Unopened bins are empty bins, so the
        // first bin with room is also the next one to open.
        var room = new int[2 * leaves];
        Array.Fill(room, capacity);
        var groups = new List<List<int>>();
        foreach (var sample in order)
        {
            var length = lengths[sample];
            if (length > capacity)
            {
                throw new ArgumentException(
                    $"Sample {sample} has {length} tokens; a bin holds {capacity} (micro_batch_size × sequence_len).");
            }

            var node = 1;
            while (node < leaves)
            {
                node *= 2;
                node += room[node] >= length ? 0 : 1;
            }

            var bin = node - leaves;
            if (bin == groups.Count)
            {
                groups.Add([]);
            }

            groups[bin].Add(sample);
            room[node] = groups[bin].Count == MostSamplesPerBin ? -1 : room[node] - length;
            for (node /= 2; node > 0; node /= 2)
            {
                room[node] = Math.Max(room[2 * node], room[(2 * node) + 1]);
            }
        }

        foreach (var group in groups)
        {
            bins.Add(new MicroBatch([.. group]));
        }
    }
}
