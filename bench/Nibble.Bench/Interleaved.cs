using System.Diagnostics;

namespace Nibble.Bench;

/// <summary>Times contenders in turn, so that whatever else the machine does falls on all of them.</summary>
internal static class Interleaved
{
    private const int Rounds = 21;
    private const double SecondsPerTurn = 0.01;

    /// <summary>Median and least seconds of one call of each contender.</summary>
    public static (double Median, double Best)[] Time(params Action[] contenders)
    {
        var calls = contenders.Select(CallsPerTurn).ToArray();
        var times = contenders.Select(_ => new double[Rounds]).ToArray();
        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < contenders.Length; i++)
            {
                times[i][round] = Turn(contenders[i], calls[i]);
            }
        }

        return [.. times.Select(t =>
        {
            Array.Sort(t);
            return (t[Rounds / 2], t[0]);
        })];
    }

    private static double Turn(Action contender, int calls)
    {
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < calls; i++)
        {
            contender();
        }

        return Stopwatch.GetElapsedTime(start).TotalSeconds / calls;
    }

    private static int CallsPerTurn(Action contender)
    {
        contender();
        var seconds = Math.Min(Turn(contender, 1), Turn(contender, 1));
        return Math.Max(1, (int)(SecondsPerTurn / seconds));
    }
}
