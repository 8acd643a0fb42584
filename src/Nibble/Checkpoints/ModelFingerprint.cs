using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>
/// Identifies base weights without reading all of them: SHA-256 over name, type, shape and the first and last 4 KiB of
/// every
/// tensor. The same weights in other shards have the same fingerprint; any fine-tune of them has another.
/// </summary>
public static class ModelFingerprint
{
    private const int SampleBytes = 4096;

    /// <summary>Fingerprint of the weights of a model folder.</summary>
    /// <param name="folder">Folder with single or sharded safetensors.</param>
    /// <returns><c>fp1:</c> and 64 hexadecimal digits.</returns>
    /// <exception cref="SafetensorsException">The weights are absent or damaged.</exception>
    public static string Compute(string folder)
    {
        using var index = SafetensorsIndex.Open(folder);
        return Compute(index);
    }

    /// <summary>Fingerprint of open weights.</summary>
    /// <param name="index">The weights.</param>
    /// <returns><c>fp1:</c> and 64 hexadecimal digits.</returns>
    /// <exception cref="SafetensorsException">The weights are damaged.</exception>
    public static string Compute(SafetensorsIndex index)
    {
        ArgumentNullException.ThrowIfNull(index);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[SampleBytes];
        Span<byte> length = stackalloc byte[8];
        foreach (var name in index.Names.Order(StringComparer.Ordinal))
        {
            var (file, entry) = index.Get(name);
            var description = Encoding.UTF8.GetBytes(entry.ToString());
            BinaryPrimitives.WriteInt64LittleEndian(length, description.Length);
            hash.AppendData(length);
            hash.AppendData(description);
            var take = (int)Math.Min(SampleBytes, entry.ByteCount);
            foreach (var offset in new[] { 0, entry.ByteCount - take })
            {
                file.Read(entry, offset, buffer.AsSpan(0, take));
                hash.AppendData(buffer, 0, take);
            }
        }

        return "fp1:" + Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
