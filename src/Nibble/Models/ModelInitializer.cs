using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Nibble.Models.Families;
using Nibble.Tensors;

namespace Nibble.Models;

/// <summary>
/// Makes a new Qwen2-architecture model with random weights, in the folder layout of transformers. The same shape and
/// seed give the same bytes on every machine.
/// </summary>
public static class ModelInitializer
{
    /// <summary>Writes <c>config.json</c> and <c>model.safetensors</c> in bf16.</summary>
    /// <remarks>
    /// Matrices and the embedding are normal with <see cref="ModelShape.InitializerRange"/> as deviation; the two
    /// matrices of a layer that add to the residual stream with that over √(2 L), so that its variance does not grow
    /// with depth (GPT-2, Radford et al. 2019, section 2.3). Norms are one, biases zero.
    /// </remarks>
    /// <param name="folder">Folder, made when absent; a tokenizer may be in it already.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="seed">Philox key of the weights.</param>
    /// <param name="overwrite">Replace a model that is there.</param>
    /// <exception cref="ModelFormatException">A size is impossible, or the folder has a model.</exception>
    /// <exception cref="StorageException">A file cannot be written.</exception>
    public static void Create(string folder, ModelShape shape, ulong seed, bool overwrite = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(shape);
        var path = Path.Combine(folder, "config.json");
        var weights = Path.Combine(folder, "model.safetensors");
        if (!overwrite && (File.Exists(path) ? path : File.Exists(weights) ? weights : null) is { } found)
        {
            throw new ModelFormatException(
                $"{found}: expected no model there, found one. Choose another folder, or ask for it to be replaced.");
        }

        var json = Config(shape);
        using var document = JsonDocument.Parse(json);
        var config = FamilyTable.Parse(new ConfigReader("the new model", document.RootElement));
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(folder, e);
        }

        WriteWeights(weights, Tensors(config, shape.InitializerRange), seed);
        // Last: a folder with a config is a folder with its weights.
        AtomicFile.WriteAllBytes(path, json.Span);
    }

    private static void WriteWeights(string path, IReadOnlyList<Tensor> tensors, ulong seed)
    {
        using var file = SafetensorsWriter.Create(
            path,
            tensors.Select(t => new SafetensorsDeclaration(t.Name, SafetensorsType.BF16, t.Shape)),
            [new("format", "pt")]);
        var values = new ushort[1 << 16];
        for (var stream = 0; stream < tensors.Count; stream++)
        {
            var (name, shape, fill, deviation) = tensors[stream];
            var count = shape.Aggregate(1L, (product, dimension) => product * dimension);
            for (var first = 0L; first < count; first += values.Length)
            {
                var part = values.AsSpan(0, (int)Math.Min(values.Length, count - first));
                if (deviation == 0)
                {
                    part.Fill(Bf16.FromSingle(fill));
                }
                else
                {
                    FillNormal(part, deviation, seed, first, (ulong)stream);
                }

                file.Append(name, MemoryMarshal.AsBytes(part));
            }
        }

        file.Commit();
    }

    /// <summary>
    /// Elements from <paramref name="first"/> on. A normal number is the sum of eight uniform 16-bit ones (Irwin–Hall),
    /// an integer: logarithms and cosines would differ in their last bits between machines.
    /// </summary>
    private static void FillNormal(Span<ushort> values, double deviation, ulong seed, long first, ulong stream)
    {
        const double Mean = 8 * 65535 / 2.0;
        // A uniform integer below 2^16 has the variance (2^32 - 1) / 12.
        var scale = deviation / Math.Sqrt(8 * (4294967296.0 - 1) / 12);
        for (var i = 0; i < values.Length; i++)
        {
            var (x, y, z, w) = Philox.Words(seed, (ulong)(first + i), stream);
            var sum = (x & 0xFFFF) + (x >> 16) + (y & 0xFFFF) + (y >> 16)
                + (z & 0xFFFF) + (z >> 16) + (w & 0xFFFF) + (w >> 16);
            values[i] = Bf16.FromSingle((float)((sum - Mean) * scale));
        }
    }

    private static List<Tensor> Tensors(ModelConfig config, double deviation)
    {
        var tensors = new List<Tensor>();
        var residual = deviation / Math.Sqrt(2.0 * config.Layers);
        long c = config.HiddenSize;
        long f = config.IntermediateSize;
        void Matrix(string name, long rows, long cols, double spread) =>
            tensors.Add(new Tensor(name + ".weight", [rows, cols], 0, spread));
        void Projection(string name, long rows)
        {
            Matrix(name, rows, c, deviation);
            tensors.Add(new Tensor(name + ".bias", [rows], 0, 0));
        }

        void Norm(string name) => tensors.Add(new Tensor(name + ".weight", [c], 1, 0));

        Matrix("model.embed_tokens", config.VocabularySize, c, deviation);
        for (var l = 0; l < config.Layers; l++)
        {
            var layer = "model.layers." + l.ToString(CultureInfo.InvariantCulture);
            Norm(layer + ".input_layernorm");
            Projection(layer + ".self_attn.q_proj", config.QueryWidth);
            Projection(layer + ".self_attn.k_proj", config.KvWidth);
            Projection(layer + ".self_attn.v_proj", config.KvWidth);
            Matrix(layer + ".self_attn.o_proj", c, config.QueryWidth, residual);
            Norm(layer + ".post_attention_layernorm");
            Matrix(layer + ".mlp.gate_proj", f, c, deviation);
            Matrix(layer + ".mlp.up_proj", f, c, deviation);
            Matrix(layer + ".mlp.down_proj", c, f, residual);
        }

        Norm("model.norm");
        return tensors;
    }

    private static ReadOnlyMemory<byte> Config(ModelShape shape)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteStartArray("architectures");
            json.WriteStringValue("Qwen2ForCausalLM");
            json.WriteEndArray();
            WriteReal(json, "attention_dropout", 0);
            json.WriteNull("bos_token_id");
            WriteId(json, "eos_token_id", shape.EosId);
            json.WriteNumber("head_dim", shape.HeadDim);
            json.WriteString("hidden_act", "silu");
            json.WriteNumber("hidden_size", shape.HiddenSize);
            WriteReal(json, "initializer_range", shape.InitializerRange);
            json.WriteNumber("intermediate_size", shape.IntermediateSize);
            json.WriteNumber("max_position_embeddings", shape.MaximumPositions);
            json.WriteNumber("max_window_layers", shape.Layers);
            json.WriteString("model_type", "qwen2");
            json.WriteNumber("num_attention_heads", shape.Heads);
            json.WriteNumber("num_hidden_layers", shape.Layers);
            json.WriteNumber("num_key_value_heads", shape.KvHeads);
            WriteId(json, "pad_token_id", shape.PadId);
            WriteReal(json, "rms_norm_eps", shape.NormEpsilon);
            json.WriteNull("rope_scaling");
            WriteReal(json, "rope_theta", shape.RopeTheta);
            json.WriteNull("sliding_window");
            json.WriteBoolean("tie_word_embeddings", true);
            json.WriteString("torch_dtype", "bfloat16");
            json.WriteBoolean("use_cache", true);
            json.WriteBoolean("use_sliding_window", false);
            json.WriteNumber("vocab_size", shape.VocabularySize);
            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenMemory;
    }

    /// <summary>A number that readers with types take for a real one: 10000.0, not 10000.</summary>
    private static void WriteReal(Utf8JsonWriter json, string name, double value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        json.WritePropertyName(name);
        json.WriteRawValue(text.AsSpan().ContainsAny('.', 'E') ? text : text + ".0");
    }

    private static void WriteId(Utf8JsonWriter json, string name, int? id)
    {
        if (id is { } value)
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    /// <summary>One tensor of the file.</summary>
    /// <param name="Name">Its name in transformers.</param>
    /// <param name="Shape">Dimensions.</param>
    /// <param name="Fill">Every element, unless a deviation is given.</param>
    /// <param name="Deviation">Of random elements; 0 for none.</param>
    private sealed record Tensor(string Name, long[] Shape, float Fill, double Deviation);
}
