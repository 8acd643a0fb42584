using System.Runtime.InteropServices;
using Nibble.Data;
using Nibble.Models.Decoder;
using Nibble.Tensors;

namespace Nibble.Hosting;

/// <summary>
/// Writes what the first step of a run computes, so that another implementation can be compared with it: the rows,
/// their logits, the loss and the gradient of every trained tensor before clipping.
/// </summary>
public static class StepTrace
{
    /// <summary>Computes and writes.</summary>
    /// <param name="run">The run; dropout counts, so set it to 0 to compare with an
    /// implementation that draws otherwise.</param>
    /// <param name="path">safetensors file: <c>row{i}.input_ids</c> and <c>row{i}.labels</c> I32 [T],
    /// <c>row{i}.logits</c> F32 [T, V], <c>loss</c> F32 [1], <c>gradient.{name}</c> F32.</param>
    /// <returns>The loss.</returns>
    public static double Write(PreparedRun run, string path)
    {
        ArgumentNullException.ThrowIfNull(run);
        using var session = new ModelSession(run.Device.Backend, run.Layout());
        session.Load(run.Config.BaseModel.Folder);
        FineTuner.InitializeAdapter(session, run.Config);
        var rows = run.Order.GetStep(0).MicroBatches.SelectMany(m => m.SampleIndices)
            .Select(i => run.Data.Train[i]).ToArray();
        var tensors = new List<(string Name, SafetensorsType Type, long[] Shape, byte[] Bytes)>();
        for (var i = 0; i < rows.Length; i++)
        {
            var logits = Logits(session, rows[i]);
            long[] shape = [rows[i].InputIds.Length, run.Model.VocabularySize];
            tensors.Add(
                ($"row{i}.input_ids", SafetensorsType.I32, [rows[i].InputIds.Length], Bytes<int>(rows[i].InputIds)));
            tensors.Add(($"row{i}.labels", SafetensorsType.I32, [rows[i].Labels.Length], Bytes<int>(rows[i].Labels)));
            tensors.Add(($"row{i}.logits", SafetensorsType.F32, shape, Bytes<float>(logits)));
        }

        var loss = Gradient(session, run, rows);
        tensors.Add(("loss", SafetensorsType.F32, [1], Bytes<float>([(float)loss])));
        var trained = Trained(session);
        foreach (var slot in trained.Slots)
        {
            var values = new float[slot.Count];
            session.Backend.Download(
                ParameterSet.Piece(trained.Gradient, slot), MemoryMarshal.AsBytes(values.AsSpan()));
            tensors.Add(($"gradient.{slot.Name}", SafetensorsType.F32, [slot.Rows, slot.Cols], Bytes<float>(values)));
        }

        using var writer = SafetensorsWriter.Create(
            path, [.. tensors.Select(t => new SafetensorsDeclaration(t.Name, t.Type, t.Shape))],
            new Dictionary<string, string> { ["format"] = "pt" });
        foreach (var (name, _, _, bytes) in tensors)
        {
            writer.Append(name, bytes);
        }

        writer.Commit();
        return loss;
    }

    private static ParameterSet Trained(ModelSession session) => session.Full?.Parameters ?? session.Lora!.Parameters;

    private static float[] Logits(ModelSession session, Sample row)
    {
        var (model, backend, tokens) = (session.Layout.Model, session.Backend, row.InputIds.Length);
        var shape = new PassShape(tokens, 1, tokens, 1, 0, Backward: false);
        var bytes = DecoderModel.PassBytes(model, session.Lora, backend.ActivationType, shape)
            + (2L * tokens * model.VocabularySize * sizeof(float)) + (16 * Arena.Alignment);
        using var memory = backend.Allocate(bytes);
        return session.Decoder.Logits(new Batch([row]), new Arena(memory));
    }

    private static double Gradient(ModelSession session, PreparedRun run, Sample[] rows)
    {
        var backend = session.Backend;
        var mark = session.Arena.Used;
        var total = session.Arena.Allocate(DType.F64, 1, 1);
        backend.Zero(total);
        backend.Zero(Trained(session).Gradient);
        var trained = rows.Sum(r => r.TrainedTokens);
        long first = 0;
        foreach (var row in rows)
        {
            var batch = new Batch([row]);
            session.Decoder.Run(
                batch, run.Plan.TrainingShape(batch), session.Arena, 1.0 / trained,
                new DropoutPlace((ulong)(uint)run.Config.Seed, 0, first), total);
            first += row.InputIds.Length;
        }

        Span<double> loss = [0];
        backend.Download(total, MemoryMarshal.AsBytes(loss));
        session.Arena.Release(mark);
        return loss[0];
    }

    private static byte[] Bytes<T>(ReadOnlySpan<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes(values).ToArray();
}
