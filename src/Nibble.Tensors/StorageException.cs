namespace Nibble.Tensors;

/// <summary>Why something could not be written.</summary>
public enum StorageFailure
{
    /// <summary>No space, or a quota is used up.</summary>
    Full,

    /// <summary>The folder, the file or its file system does not accept writes from this user.</summary>
    ReadOnly,

    /// <summary>Anything else the operating system reports.</summary>
    Other,
}

/// <summary>A file could not be written. Nothing incomplete is left under the final name.</summary>
public sealed class StorageException : IOException
{
    private StorageException(string message, string path, StorageFailure failure, Exception inner)
        : base(message, inner) => (Path, Failure) = (path, failure);

    /// <summary>The file or folder that was to be written.</summary>
    public string Path { get; }

    /// <summary>Why it failed.</summary>
    public StorageFailure Failure { get; }

    /// <summary>Whether an exception is one that the file system reports.</summary>
    /// <param name="e">Any exception.</param>
    public static bool Concerns(Exception e) => e is IOException or UnauthorizedAccessException;

    /// <summary>Says what could not be written, why, and what to do.</summary>
    /// <param name="path">The file or folder that was to be written.</param>
    /// <param name="e">What the file system reported.</param>
    /// <returns><paramref name="e"/> itself when it says all of that already.</returns>
    public static StorageException Describe(string path, Exception e)
    {
        ArgumentNullException.ThrowIfNull(e);
        if (e is StorageException described)
        {
            return described;
        }

        var failure = Classify(e);
        var message = failure switch
        {
            StorageFailure.Full =>
                $"{path}: cannot be written, the disk is full ({FreeSpace(path)}); free space or choose another folder",
            StorageFailure.ReadOnly =>
                $"{path}: cannot be written, the folder is read-only for this user ({e.Message}); "
                + "change its permissions or choose another folder",
            _ => $"{path}: cannot be written ({e.Message}; {FreeSpace(path)})",
        };
        return new StorageException(message, path, failure, e);
    }

    // errno on Unix, HRESULT of the Win32 code on Windows.
    private static StorageFailure Classify(Exception e) => e switch
    {
        UnauthorizedAccessException => StorageFailure.ReadOnly,
        _ when OperatingSystem.IsWindows() => (e.HResult & 0xFFFF) switch
        {
            0x70 or 0x27 => StorageFailure.Full,
            0x13 => StorageFailure.ReadOnly,
            _ => StorageFailure.Other,
        },
        _ => e.HResult switch
        {
            // ENOSPC; EDQUOT of Linux and of macOS; EROFS.
            28 or 122 or 69 => StorageFailure.Full,
            30 => StorageFailure.ReadOnly,
            _ => StorageFailure.Other,
        },
    };

    private static string FreeSpace(string path)
    {
        try
        {
            var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path));
            while (folder is not null && !Directory.Exists(folder))
            {
                folder = System.IO.Path.GetDirectoryName(folder);
            }

            return folder is null
                ? "free space unknown"
                : $"{new DriveInfo(folder).AvailableFreeSpace} bytes free at {folder}";
        }
        catch (Exception e) when (Concerns(e) || e is ArgumentException)
        {
            return "free space unknown";
        }
    }
}
