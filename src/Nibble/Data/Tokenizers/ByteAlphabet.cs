namespace Nibble.Data.Tokenizers;

/// <summary>
/// The printable stand-ins of the 256 bytes in byte-level vocabularies. Source: GPT-2's byte encoder: printable Latin-1
/// stands for itself, the other 68 bytes follow from U+0100 in ascending order.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Chars = Make();

    private static readonly short[] Bytes = Invert();

    /// <summary>The stand-in of a byte.</summary>
    /// <param name="value">Byte.</param>
    public static char ToChar(byte value) => Chars[value];

    /// <summary>The bytes that a vocabulary entry stands for, or null when a character is no stand-in.</summary>
    /// <param name="token">Vocabulary entry.</param>
    public static byte[]? ToBytes(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            var value = token[i] < Bytes.Length ? Bytes[token[i]] : (short)-1;
            if (value < 0)
            {
                return null;
            }

            bytes[i] = (byte)value;
        }

        return bytes;
    }

    private static char[] Make()
    {
        var chars = new char[256];
        var next = '\u0100';
        for (var b = 0; b < 256; b++)
        {
            var printable = b is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or >= 0xAE;
            chars[b] = printable ? (char)b : next++;
        }

        return chars;
    }

    private static short[] Invert()
    {
        var bytes = new short[0x144];
        Array.Fill(bytes, (short)-1);
        for (var b = 0; b < 256; b++)
        {
            bytes[Chars[b]] = (short)b;
        }

        return bytes;
    }
}
