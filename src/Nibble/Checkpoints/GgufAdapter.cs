using System.Globalization;
using System.Runtime.InteropServices;
using Nibble.Models;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>
/// Writes an adapter as a GGUF file that llama.cpp loads beside the GGUF file of its base. A is stored as [r, in], B as
/// [out, r]. The loader scales by alpha / r, so a rank-stabilised adapter is written with alpha · √r. For bases that
/// llama.cpp calls <c>llama</c> (Llama and Mistral) the rows of q's and k's B go from halves to pairs, as the rows of
/// the base did: row 2j + h of a head is row h · d/2 + j. Source: ggml-org/llama.cpp
/// <c>convert_lora_to_gguf.py</c>, <c>convert_hf_to_gguf.py</c> (<c>permute</c>), <c>src/llama-adapter.cpp</c>.
/// </summary>
public static class GgufAdapter
{
    /// <summary>Names of the element types that can be written.</summary>
    public static IReadOnlyList<string> Types { get; } = ["f32", "f16", "bf16"];

    // Names of a layer's linears in llama.cpp's files.
    private static readonly Dictionary<string, string> _names = new(StringComparer.Ordinal)
    {
        ["self_attn.q_proj"] = "attn_q",
        ["self_attn.k_proj"] = "attn_k",
        ["self_attn.v_proj"] = "attn_v",
        ["self_attn.o_proj"] = "attn_output",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
    };

    // llama.cpp's architectures, and whether it interleaves the halves of q and k.
    private static readonly Dictionary<string, (string Name, bool Permuted)> _architectures =
        new(StringComparer.Ordinal)
        {
            ["llama"] = ("llama", true),
            ["mistral"] = ("llama", true),
            ["qwen2"] = ("qwen2", false),
            ["qwen3"] = ("qwen3", false),
        };

    /// <summary>Writes the file; it appears complete or not at all.</summary>
    /// <param name="path">File to write.</param>
    /// <param name="adapterFolder">Folder of the adapter.</param>
    /// <param name="model">Architecture of its base.</param>
    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <returns>Modules written.</returns>
    /// <exception cref="CheckpointException">The adapter is damaged, does not fit the base, or cannot be represented:
    /// an alpha of zero, a base llama.cpp is not known to have, or a value beyond F16.</exception>
    /// <exception cref="StorageException">The file could not be written.</exception>
    public static int Write(string path, string adapterFolder, ModelConfig model, string type = "f32")
    {
        ArgumentNullException.ThrowIfNull(model);
        if (!_architectures.TryGetValue(model.Family, out var architecture))
        {
            throw new CheckpointException(
                path, $"a base of {string.Join(", ", _architectures.Keys)}, which llama.cpp's names are known for",
                model.Family);
        }

        var element = type switch
        {
            "f32" => SafetensorsType.F32,
            "f16" => SafetensorsType.F16,
            "bf16" => SafetensorsType.BF16,
            _ => throw new ArgumentException($"expected one of {string.Join(", ", Types)}, got {type}", nameof(type)),
        };
        var adapter = AdapterReader.Read(adapterFolder);
        var alpha = (float)(adapter.Config.Scaling * adapter.Config.Rank);
        if (!float.IsFinite(alpha) || alpha == 0)
        {
            throw new CheckpointException(
                adapterFolder, "a lora_alpha other than 0, which llama.cpp would read as a scaling of 1",
                adapter.Config.Alpha.ToString(CultureInfo.InvariantCulture));
        }

        var modules = adapter.Modules(adapterFolder).Select(m => (Module: m, Place: Place(adapterFolder, m, model)))
            .OrderBy(m => m.Place.Layer).ThenBy(m => m.Place.Index).ToArray();
        var tensors = new List<GgufTensor>(2 * modules.Length);
        foreach (var (module, (layer, index)) in modules)
        {
            var linear = model.LayerLinears[index].Path;
            var name = string.Create(CultureInfo.InvariantCulture, $"blk.{layer}.{_names[linear]}.weight");
            var heads = !architecture.Permuted ? 0
                : linear == "self_attn.q_proj" ? model.Heads
                : linear == "self_attn.k_proj" ? model.KvHeads
                : 0;
            var b = heads == 0 ? module.B.Data.ToArray() : Interleaved(module.B, heads);
            tensors.Add(new GgufTensor(
                $"{name}.lora_a", module.A.Rows, module.A.Cols, Bytes(module.A, module.A.Data.ToArray(), element)));
            tensors.Add(new GgufTensor(
                $"{name}.lora_b", module.B.Rows, module.B.Cols, Bytes(module.B, b, element)));
        }

        GgufFile.Write(
            path,
            [
                ("general.architecture", architecture.Name), ("general.type", "adapter"), ("adapter.type", "lora"),
                ("adapter.lora.alpha", alpha),
            ],
            element, tensors);
        return modules.Length;
    }

    private static (int Layer, int Index) Place(string folder, LoraModule module, ModelConfig model)
    {
        for (var layer = 0; layer < model.Layers; layer++)
        {
            for (var i = 0; i < model.LayerLinears.Count; i++)
            {
                var (path, rows, cols) = model.LayerLinears[i];
                if (module.Path != string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.{path}"))
                {
                    continue;
                }

                return module.B.Rows == rows && module.A.Cols == cols
                    ? (layer, i)
                    : throw new CheckpointException(
                        folder, $"{module.Path} of shape [{rows}, {cols}], as in the base",
                        $"an adapter for [{module.B.Rows}, {module.A.Cols}]");
            }
        }

        throw new CheckpointException(
            folder, $"modules of the base, a {model.Family} of {model.Layers} layers",
            $"{module.Path}, which it does not have");
    }

    private static float[] Interleaved(LoraTensor b, int heads)
    {
        var (width, half) = (b.Rows / heads, b.Rows / heads / 2);
        var result = new float[b.Data.Length];
        for (var row = 0; row < b.Rows; row++)
        {
            var (head, inside) = (row / width, row % width);
            var source = (head * width) + (inside % 2 * half) + (inside / 2);
            b.Data.Span.Slice(source * b.Cols, b.Cols).CopyTo(result.AsSpan(row * b.Cols));
        }

        return result;
    }

    private static byte[] Bytes(LoraTensor tensor, float[] values, SafetensorsType type)
    {
        switch (type)
        {
            case SafetensorsType.BF16:
                var rounded = new ushort[values.Length];
                Bf16.FromSingle(values, rounded);
                return MemoryMarshal.AsBytes(rounded.AsSpan()).ToArray();
            case SafetensorsType.F16:
                var halves = Array.ConvertAll(values, v => (Half)v);
                return Array.FindIndex(halves, h => !Half.IsFinite(h)) is var bad && bad >= 0
                    ? throw new CheckpointException(
                        tensor.Name, "values that F16 can hold (write f32 or bf16)",
                        values[bad].ToString(CultureInfo.InvariantCulture))
                    : MemoryMarshal.AsBytes(halves.AsSpan()).ToArray();
            default:
                return MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
        }
    }
}
