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

/// <summary>Continues token sequences with a KV cache.</summary>
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
    /// <param name="promptTokens">Most prompt tokens.</param>
    /// <param name="totalTokens">Most tokens in all.</param>
    public static long Bytes(
        ModelConfig config, Models.Lora.LoraAdapters? lora, DType activation, int promptTokens, int totalTokens)
    {
        ArgumentNullException.ThrowIfNull(config);
        var counting = Arena.Counting();
        _ = new KvCache(config, activation, totalTokens, counting);
        counting.Allocate(DType.F32, 1, config.VocabularySize);
        counting.Allocate(DType.I32, 1, 2);
        return counting.Peak + DecoderModel.PassBytes(config, lora, activation, DecoderModel.CachedShape(promptTokens));
    }

    /// <summary>Continues a prompt.</summary>
    /// <param name="prompt">Token ids, at least one.</param>
    /// <param name="terminators">Ids that end the text.</param>
    /// <param name="options">Length and sampling.</param>
    /// <param name="onToken">Called with every new token as it is drawn, or null.</param>
    /// <param name="cancellation">Ends early; what was generated is returned.</param>
    public GeneratedTokens Continue(
        ReadOnlySpan<int> prompt, IReadOnlyCollection<int> terminators, SamplingOptions options, Action<int>? onToken = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(terminators);
        var mark = arena.Used;
        var cache = new KvCache(config, backend.ActivationType, prompt.Length + options.MaxNewTokens, arena);
        var sampler = new TokenSampler(options);
        var logits = new float[config.VocabularySize];
        var ids = new List<int>();
        var terminated = false;
        try
        {
            model.Append(prompt, cache, arena, logits);
            while (ids.Count < options.MaxNewTokens && !cancellation.IsCancellationRequested)
            {
                var next = sampler.Next(logits, ids.Count);
                if (terminators.Contains(next))
                {
                    terminated = true;
                    break;
                }

                ids.Add(next);
                onToken?.Invoke(next);
                if (ids.Count < options.MaxNewTokens)
                {
                    model.Append([next], cache, arena, logits);
                }
            }
        }
        finally
        {
            arena.Release(mark);
        }

        return new GeneratedTokens(ids, terminated);
    }
}
