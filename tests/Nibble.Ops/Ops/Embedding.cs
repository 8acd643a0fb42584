using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Embedding(TensorView ids, TensorView table, TensorView y)
    {
        Guard.Shape(y, ids.Cols, table.Cols);
        var (at, rows, ys) = (At(ids), At(table), At(y));
        for (var t = 0; t < y.Rows; t++)
        {
            for (var j = 0; j < table.Cols; j++)
            {
                ys[t, j] = rows[at.Int(t), j];
            }
        }
    }
}
