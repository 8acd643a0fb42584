namespace Nibble.Cuda.Runtime;

/// <summary>Files that several processes may write at once: each write is whole or absent.</summary>
internal static class CacheFile
{
    /// <summary>Writes beside the target, flushes to disk, renames.</summary>
    internal static void Write(string path, Action<Stream> content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                content(stream);
                stream.Flush(true);
            }

            File.Move(temporary, path, true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
