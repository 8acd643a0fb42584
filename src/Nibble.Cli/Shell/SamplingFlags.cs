using System.CommandLine;
using Nibble.Generation;

namespace Nibble.Cli.Shell;

/// <summary>How text is generated, as flags.</summary>
internal sealed class SamplingFlags
{
    private readonly Option<int> _length = new("--max-new-tokens")
    {
        Description = "Most tokens to generate.",
        DefaultValueFactory = _ => 128,
    };

    private readonly Option<double> _temperature = new("--temperature")
    {
        Description = "0 takes the most likely token; higher is more varied.",
    };

    private readonly Option<int> _topK = new("--top-k") { Description = "Keep the k most likely tokens; 0 keeps all." };

    private readonly Option<double> _topP = new("--top-p")
    {
        Description = "Keep the most likely tokens up to this probability; 1 keeps all.",
        DefaultValueFactory = _ => 1,
    };

    /// <summary>Adds the flags to a verb.</summary>
    /// <param name="verb">The verb.</param>
    public void AddTo(Command verb)
    {
        verb.Add(_length);
        verb.Add(_temperature);
        verb.Add(_topK);
        verb.Add(_topP);
    }

    /// <summary>Reads them.</summary>
    /// <param name="arguments">Parsed arguments.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <exception cref="UsageException">A value makes no sense.</exception>
    public SamplingOptions Read(ParseResult arguments, int seed)
    {
        var (length, temperature) = (arguments.GetValue(_length), arguments.GetValue(_temperature));
        var (topK, topP) = (arguments.GetValue(_topK), arguments.GetValue(_topP));
        Require(length >= 1, $"--max-new-tokens takes at least 1, found {length}.");
        Require(
            temperature >= 0 && double.IsFinite(temperature), $"--temperature takes at least 0, found {temperature}.");
        Require(topK >= 0, $"--top-k takes at least 0, found {topK}.");
        Require(topP is > 0 and <= 1, $"--top-p takes a probability above 0 and up to 1, found {topP}.");
        return new SamplingOptions(length, temperature, topK, topP, seed);
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
        {
            throw new UsageException(message);
        }
    }
}
