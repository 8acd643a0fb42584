using System.Security.Cryptography;
using System.Text;
using Nibble.Data.Tokenizers;

namespace Nibble.Tests.Data;

public sealed class NfcNormalizerTests
{
    [Fact]
    public void Normalize_RunsOfMarks_GivesTheReferenceForm()
    {
        var golden = DataFiles.Golden("nfc.json");
        foreach (var (text, expected) in golden.GetProperty("texts").EnumerateArray()
            .Zip(golden.GetProperty("nfc").EnumerateArray()))
        {
            Assert.Equal(expected.GetString(), NfcNormalizer.Normalize(text.GetString()!));
        }
    }

    [Fact]
    public void Normalize_EveryCodePointBetweenMarks_GivesTheReferenceForm()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var point = 0; point < 0x110000; point++)
        {
            if (point is < 0xD800 or > 0xDFFF)
            {
                var text = "e" + char.ConvertFromUtf32(point) + "\u0301\u0323";
                hash.AppendData(Encoding.UTF8.GetBytes(NfcNormalizer.Normalize(text)));
            }
        }

        Assert.Equal(
            DataFiles.Golden("nfc.json").GetProperty("every_code_point_sha256").GetString(),
            Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}
