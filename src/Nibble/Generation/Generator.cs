using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Tensors;

namespace Nibble.Generation;

/// <summary>How the next token is drawn.</summary>
/// <param name="MaxNewTokens">Most tokens.</param>
/// <param name="Temperature">0 takes the most likely token.</param>
/// <param name="TopK">Keep the k most likely tokens; 0 keeps all.</param>
/// <param name="TopP">Keep the most likely tokens up to this probability; 1 keeps all.</param>
/// <param name="Seed">Seed of sampling.</param>
public sealed record SamplingOptions(
    int MaxNewTokens, double Temperature = 0, int TopK = 0, double TopP = 1, int Seed = 42);

/// <summary>What was generated.</summary>
/// <param name="Ids">New tokens, the terminator not included.</param>
/// <param name="Terminated">Whether a terminator ended it (and not the length).</param>
public sealed record GeneratedTokens(IReadOnlyList<int> Ids, bool Terminated);

/// <summary>Continues token sequences with a KV cache, one alone or several side by side.</summary>
/// <param name="model">Base model with or without adapters.</param>
/// <param name="config">Its architecture.</param>
/// <param name="backend">Its backend.</param>
/// <param name="arena">Holds at least <see cref="Bytes"/>.</param>
public sealed class Generator(DecoderModel model, ModelConfig config, IBackend backend, Arena arena)
{
    /// <summary>Bytes that generation takes from its arena.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="lora">Adapters or null.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="promptTokens">Most prompt tokens of all sequences.</param>
    /// <param name="totalTokens">Most tokens in all, of all sequences.</param>
    /// <param name="sequences">Most sequences side by side.</param>
    public static long Bytes(
        ModelConfig config, Models.Lora.LoraAdapters? lora, DType activation, int promptTokens,
        int totalTokens, int sequences = 1)
    {
        ArgumentNullException.ThrowIfNull(config);
        var counting = Arena.Counting();
        _ = new KvCache(config, activation, [totalTokens], counting);
        return counting.Peak
            + DecoderModel.AppendBytes(config, lora, activation, Math.Max(promptTokens, sequences), sequences);
    }

    /// <summary>Continues a prompt.</summary>
    /// <param name="prompt">Token ids, at least one.</param>
    /// <param name="terminators">Ids that end the text.</param>
    /// <param name="options">Length and sampling.</param>
    /// <param name="onToken">Called with every new token as it is drawn, or null.</param>
    /// <param name="cancellation">Ends early; what was generated is returned.</param>
    public GeneratedTokens Continue(
        ReadOnlySpan<int> prompt, IReadOnlyCollection<int> terminators, SamplingOptions options,
        Action<int>? onToken = null, CancellationToken cancellation = default) =>
        Continue([prompt.ToArray()], terminators, options, (_, token) => onToken?.Invoke(token), cancellation)[0];

    /// <summary>
    /// Continues prompts side by side: a pass appends one token to every sequence that has not ended. Products over
    /// several rows may sum in another order than over one, so a sequence can differ from the same prompt continued
    /// alone where two tokens are equally likely up to rounding.
    /// </summary>
    /// <param name="prompts">Token ids, at least one each.</param>
    /// <param name="terminators">Ids that end a text.</param>
    /// <param name="options">Length and sampling; every sequence draws from the same seed.</param>
    /// <param name="onToken">Called with the number of the prompt and every new token as it is drawn, or null.</param>
    /// <param name="cancellation">Ends early; what was generated is returned.</param>
    /// <returns>One result per prompt.</returns>
    public GeneratedTokens[] Continue(
        IReadOnlyList<int[]> prompts, IReadOnlyCollection<int> terminators, SamplingOptions options,
        Action<int, int>? onToken = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(terminators);
        var mark = arena.Used;
        var cache = new KvCache(
            config, backend.ActivationType, [.. prompts.Select(p => p.Length + options.MaxNewTokens)], arena);
        var samplers = prompts.Select(_ => new TokenSampler(options)).ToArray();
        var ids = prompts.Select(_ => new List<int>()).ToArray();
        var terminated = new bool[prompts.Count];
        var logits = new float[prompts.Count * config.VocabularySize];
        CachedRun[] runs = [.. prompts.Select((p, i) => new CachedRun(i, p.Length))];
        int[] input = [.. prompts.SelectMany(p => p)];
        try
        {
            while (runs.Length > 0 && options.MaxNewTokens > 0 && !cancellation.IsCancellationRequested)
            {
                model.Append(input, runs, cache, arena, logits);
                var going = new List<CachedRun>(runs.Length);
                var next = new List<int>(runs.Length);
                for (var r = 0; r < runs.Length; r++)
                {
                    var sequence = runs[r].Sequence;
                    var token = samplers[sequence].Next(
                        logits.AsSpan(r * config.VocabularySize, config.VocabularySize), ids[sequence].Count);
                    if (terminators.Contains(token))
                    {
                        terminated[sequence] = true;
                        continue;
                    }

                    ids[sequence].Add(token);
                    onToken?.Invoke(sequence, token);
                    if (ids[sequence].Count < options.MaxNewTokens)
                    {
                        going.Add(new CachedRun(sequence, 1));
                        next.Add(token);
                    }
                }

                (runs, input) = ([.. going], [.. next]);
            }
        }
        finally
        {
            arena.Release(mark);
        }

        return [.. ids.Select((list, i) => new GeneratedTokens(list, terminated[i]))];
    }
}
