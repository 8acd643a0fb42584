using Nibble.Cuda;
using Nibble.Cuda.Interop;
using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Ops.Tests.Cuda;

public sealed class CudaDeviceTests
{
    [Fact]
    public void Probe_AnyMachine_SaysWhatItTriedAndWhatIsMissing()
    {
        var found = CudaDevice.Probe();
        Assert.NotEmpty(found.Tried);
        Assert.Equal(["driver", "nvrtc", "cublasLt"], found.Libraries.Select(l => l.Name));
        Assert.Equal(found.IsAvailable, found.Missing.Count == 0);
        Assert.Equal(
            found.IsAvailable, found.Devices.Any(d => d.IsSupported) && found.Libraries.All(l => l.Path is not null));
    }

    [Fact]
    public void Open_WithoutCard_SaysHowToGetOne()
    {
        Assert.SkipWhen(CudaDevice.Probe().IsAvailable, "this machine has a card");
        var error = Assert.Throws<CudaUnavailableException>(() => new CudaBackend());
        Assert.Contains("https://www.nvidia.com/drivers", error.Message, StringComparison.Ordinal);
        Assert.Contains("libcuda.so.1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_CardThatIsNotThere_ListsThoseThatAre()
    {
        Assert.SkipUnless(CudaDevice.Probe().IsAvailable, "needs a card");
        var error = Assert.Throws<CudaUnavailableException>(() => new CudaBackend(new CudaOptions { Device = 99 }));
        Assert.Contains("number 99", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Allocate_MoreThanThereIs_SaysAskedAndFree()
    {
        Assert.SkipUnless(CudaDevice.Probe().IsAvailable, "needs a card");
        using var backend = new CudaBackend();
        var error = Assert.Throws<OutOfDeviceMemoryException>(() => backend.Allocate(1L << 45));
        Assert.Contains($"{1L << 25} MiB", error.Message, StringComparison.Ordinal);
        Assert.Contains("gpu_memory_limit", error.Message, StringComparison.Ordinal);
        using var memory = backend.Allocate(1 << 20);
        var bytes = new byte[1 << 20];
        Array.Fill(bytes, (byte)1);
        backend.Download(new TensorView(memory.Address, DType.U8, 1, bytes.Length), bytes);
        Assert.All(bytes, b => Assert.Equal(0, b));
    }

    [Fact]
    public void Upload_LargerThanTheRing_ArrivesWhole()
    {
        Assert.SkipUnless(CudaDevice.Probe().IsAvailable, "needs a card");
        using var backend = new CudaBackend();
        using var memory = backend.Allocate(40_000_000);
        var (sent, received) = (new byte[40_000_000 - 3], new byte[40_000_000 - 3]);
        for (var i = 0; i < sent.Length; i++)
        {
            sent[i] = (byte)(i * 2654435761L >> 16);
        }

        var view = new TensorView(memory.Address + 3, DType.U8, 1, sent.Length);
        backend.Upload(sent.AsSpan(0, 5), view.ColRange(0, 5));
        backend.Upload(sent.AsSpan(5), view.ColRange(5, sent.Length - 5));
        backend.Download(view, received);
        Assert.True(sent.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public void Backend_Disposed_LeavesNothingAllocated()
    {
        Assert.SkipUnless(CudaDevice.Probe().IsAvailable, "needs a card");
        using var context = new CudaContext(new CudaOptions());
        using (new StagingRing(context))
        {
            Assert.Equal(1, context.LiveAllocations);
        }

        Assert.Equal(0, context.LiveAllocations);
    }

    [Fact]
    public void ProductClass_TokenCounts_ShareClassesOfAnEighthOctave()
    {
        static int RowsOf(int rows) => new Product(
            View(rows, 64), false, View(128, 64), true, View(rows, 128), TensorView.None, 1, false).Class.Rows;

        Assert.Equal(16, RowsOf(16));
        Assert.Equal(320, RowsOf(289));
        Assert.Equal(320, RowsOf(320));
        Assert.Equal(352, RowsOf(321));
        Assert.Equal(2048, RowsOf(2048));
        Assert.Equal(2304, RowsOf(2049));
    }

    [Fact]
    public void ProductClass_OddStride_HasTheAlignmentOfItsRows()
    {
        var product = new Product(
            new TensorView(1 << 20, DType.BF16, 8, 64, 65), false, View(128, 64), true,
            View(8, 128), TensorView.None, 1, false);
        Assert.Equal((2, 16, 16), (product.Class.AlignmentA, product.Class.AlignmentB, product.Class.AlignmentC));
    }

    [Fact]
    public void TuningFile_WrittenAndReadAgain_GivesTheSameChoice()
    {
        var folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            var kind = new Product(
                View(320, 64), false, View(128, 64), true, View(320, 128), TensorView.None, 1, false).Class;
            Assert.Null(new TuningFile(folder, "A Card", 130000, 32 << 20, 8).Find(kind));
            new TuningFile(folder, "A Card", 130000, 32 << 20, 8).Add(kind, AlgorithmOf(7));
            new TuningFile(folder, "A Card", 130000, 32 << 20, 8).Add(kind with { Rows = 640 }, AlgorithmOf(9));
            var file = new TuningFile(folder, "A Card", 130000, 32 << 20, 8);
            Assert.Equal(7ul, First(file.Find(kind)!.Value));
            Assert.Equal(9ul, First(file.Find(kind with { Rows = 640 })!.Value));
            Assert.Null(new TuningFile(folder, "A Card", 130001, 32 << 20, 8).Find(kind));
            Assert.Null(new TuningFile(folder, "A Card", 130000, 32 << 20, 9).Find(kind));
        }
        finally
        {
            Directory.Delete(folder, true);
        }
    }

    private static TensorView View(int rows, int cols) => new(1 << 20, DType.BF16, rows, cols);

    private static unsafe CublasLt.Algorithm AlgorithmOf(ulong value)
    {
        CublasLt.Algorithm algorithm = default;
        algorithm.Data[0] = value;
        return algorithm;
    }

    private static unsafe ulong First(CublasLt.Algorithm algorithm) => algorithm.Data[0];

    [Theory]
    [InlineData(719, true)]
    [InlineData(700, true)]
    [InlineData(2, false)]
    [InlineData(1, false)]
    public void Advice_CodeThatEndsTheContext_SaysToStartAgain(int code, bool lost) =>
        Assert.Equal(lost, CudaException.Advice(code).Contains("--resume", StringComparison.Ordinal));
}
