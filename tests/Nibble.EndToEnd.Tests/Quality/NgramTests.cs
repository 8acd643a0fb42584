using Nibble.Quality.Ngrams;

namespace Nibble.EndToEnd.Tests.Quality;

/// <summary>The counting models that a language model must beat.</summary>
public sealed class NgramTests
{
    // Sums of a few dozen terms in binary64.
    private const double Rounding = 1e-12;

    private static readonly int[][] Rows = MakeRows();

    [Fact]
    public void Probability_OfATextCountedByHand_IsTheFormulas()
    {
        // a b a b a c, bigrams. Two counts of counts are zero, so discounts are 0.5, 1 and 1.5.
        // Predecessors: a has 2 (b and the beginning), b and c have 1. Unigrams keep 2 - 1, 1 - 0.5, 1 - 0.5 of 4 and
        // free 2 of 4 for the uniform third: a 5/12, b and c 7/24.
        // After a came b twice and c once: b keeps 2 - 1, c keeps 1 - 0.5, and 1.5 of 3 is free for the unigrams.
        var model = NgramModel.Train([[0, 1, 0, 1, 0, 2]], vocabulary: 3, order: 2);
        Assert.Equal([3, 4], model.Sizes);
        Assert.Equal(1.5 * (5.0 / 12) / 3, model.Probability([0], 1, 0), Rounding);
        Assert.Equal((1 + (1.5 * 7 / 24)) / 3, model.Probability([0], 1, 1), Rounding);
        Assert.Equal((0.5 + (1.5 * 7 / 24)) / 3, model.Probability([0], 1, 2), Rounding);

        // c was never followed: its row of the table is the unigrams.
        Assert.Equal(7.0 / 24, model.Probability([2], 1, 1), Rounding);
    }

    [Fact]
    public void Discounts_OfKnownCountsOfCounts_AreChenAndGoodmans()
    {
        // n1 to n4 are 4, 2, 1, 1: Y = 4 / (4 + 2 * 2).
        UInt128[] occurrences = [1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 7, 8, 8, 8, 8];
        Assert.Equal([0.5, 1.25, 1], NgramLevel.OfOccurrences(occurrences, bits: 4).Discounts);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Probabilities_AfterAnyContext_SumToOne(int order)
    {
        var model = NgramModel.Train(Rows, vocabulary: 7, order);
        int[][] contexts = [[], [3], Rows[0][..4], Rows[0][..9], [.. Rows[1][^5..]], [6, 6, 6, 6], [0, 6, 5, 1, 1]];
        foreach (var context in contexts)
        {
            var probabilities = Enumerable.Range(0, 7)
                .Select(t => model.Probability(context, context.Length, t)).ToArray();
            Assert.Equal(1, probabilities.Sum(), Rounding);
            Assert.All(probabilities, p => Assert.InRange(p, double.Epsilon, 1));
        }
    }

    [Fact]
    public void LongerGrams_OnTextWithOrder_PredictItBetter()
    {
        double Loss(NgramModel model) =>
            Rows[^1].Select((token, i) => -Math.Log(model.Probability(Rows[^1], i, token))).Average();
        Assert.True(Loss(NgramModel.Train(Rows[..^1], 7, 5)) < Loss(NgramModel.Train(Rows[..^1], 7, 2)) - 0.1);
        Assert.True(Loss(NgramModel.Train(Rows[..^1], 7, 2)) < Loss(NgramModel.Train(Rows[..^1], 7, 1)));
    }

    [Fact]
    public void Unigram_AddsOneToEveryCount()
    {
        var model = new UnigramModel([[0, 0, 1], [2]], vocabulary: 4);
        Assert.Equal([3.0 / 8, 2.0 / 8, 2.0 / 8, 1.0 / 8], Enumerable.Range(0, 4).Select(model.Probability));
    }

    // Each token follows from the two before it, most of the time.
    private static int[][] MakeRows()
    {
        var random = new Random(7);
        return
        [
            .. Enumerable.Range(0, 40).Select(_ =>
            {
                var row = new int[30];
                for (var i = 0; i < row.Length; i++)
                {
                    row[i] = i < 2 || random.Next(4) == 0 ? random.Next(6) : (row[i - 1] + (2 * row[i - 2]) + 1) % 6;
                }

                return row;
            }),
        ];
    }
}
