namespace Nibble.Models;

/// <summary>A model folder is not what it should be.</summary>
/// <param name="message">File, tensor or field; expected; found; what to do.</param>
/// <param name="inner">Cause, when another error lies behind.</param>
public sealed class ModelFormatException(string message, Exception? inner = null) : Exception(message, inner);
